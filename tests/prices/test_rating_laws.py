"""What must hold for every rating, whatever the model, the time and the quantities.

More usage never costs less; two calls cost what one call with both usages costs, but for one rounding
a line; a cost is the sum of its lines; what isn't known is never zero. Quantities are drawn freely,
models from all of the book.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.money import format_picos
from bursar.pricing.card import Rate, RateCard
from bursar.pricing.explain import explain_rating
from bursar.pricing.genai_source import load_book
from bursar.pricing.rating import CostStatus, PricingSubject, Rating, rate_usage
from bursar.pricing.terms import (
    Adjustment,
    ContractPrice,
    Discount,
    Markup,
    Multiplier,
    RequestFee,
    Terms,
)
from bursar.units import INPUT_UNITS, OUTPUT_UNITS, UNITS, Quantities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bursar.pricing.book import PriceBook


@cache
def the_book() -> PriceBook:
    """The bundled book, read when the first example is drawn."""
    return load_book()


@cache
def offers() -> list[tuple[str, str]]:
    return [(offer.provider.id, offer.model.id) for offer in the_book().offers()]


@st.composite
def subjects(draw: st.DrawFn) -> PricingSubject:
    """A call of any model, more often a standard one than not."""
    provider, model = draw(st.sampled_from(offers()))
    return PricingSubject(
        provider,
        model,
        draw(st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))),
        service_tier=draw(
            st.sampled_from((*[None] * 12, "default", "flex", "priority", "scale", "batch", "x"))
        ),
        batch=draw(st.sampled_from((*[False] * 7, True))),
        speed=draw(st.sampled_from((*[None] * 6, "standard", "fast"))),
        region=draw(st.sampled_from((None, "us", "global", "eu-west-1"))),
        context_tokens=draw(st.sampled_from((None, 0, 100_001, 200_000, 200_001, 272_001))),
    )


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    """A card with whole rates and rates that are fractions of a pico."""
    rates = st.builds(Rate, st.integers(0, 10**10), st.sampled_from((1, 3, 3600, 10**6, 10**9)))
    units = st.sampled_from([unit for unit in UNITS if unit != "requests"])
    return RateCard(
        provider="p",
        model="m",
        rule="r",
        currency="USD",
        rates=draw(st.dictionaries(units, rates)),
        conditions={},
        source="s",
        book_version="b",
    ).sealed()


EARLIEST = datetime(2023, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
LATEST = datetime(2028, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
TOKENS = st.sampled_from(INPUT_UNITS + OUTPUT_UNITS)
quantities = st.dictionaries(TOKENS, st.integers(0, 10**7), min_size=1, max_size=5) | st.dictionaries(
    st.sampled_from([*UNITS, "widgets"]), st.integers(0, 10**7), max_size=6
)
steps = st.integers(0, 10**12)
relaxed = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@relaxed
@given(subject=subjects(), units=quantities)
def test_a_cost_is_known_with_a_card_or_unknown_with_a_reason(
    subject: PricingSubject, units: Quantities
) -> None:
    rating = rate_usage(the_book(), subject, units)
    if rating.status is CostStatus.PRICED:
        assert rating.card is not None
        assert rating.reason is None
        assert rating.picos is not None
        assert rating.picos >= 0
        assert rating.currency == rating.card.currency == "USD"
    else:
        assert (rating.status, rating.picos, rating.card) == (CostStatus.UNPRICED, None, None)
        assert rating.reason


@relaxed
@given(subject=subjects(), units=quantities)
def test_a_cost_of_zero_needs_a_price_of_zero(subject: PricingSubject, units: Quantities) -> None:
    rating = rate_usage(the_book(), subject, units)
    if rating.picos == 0:
        assert isinstance(rating.card, RateCard)
        assert any(units.values())
        assert all(rating.card.rates[line.unit].numerator == 0 for line in rating.card.lines(units))


@relaxed
@given(subject=subjects(), units=quantities)
def test_a_cost_is_the_sum_of_its_lines(subject: PricingSubject, units: Quantities) -> None:
    rating = rate_usage(the_book(), subject, units)
    if rating.card is None or rating.picos is None:
        return
    lines = rating.card.lines(units)
    assert rating.picos == sum(line.amount_picos for line in lines)
    assert explain_rating(rating, units).total == format_picos(rating.picos)
    assert {line.unit for line in lines} - {"requests"} == {
        unit for unit, quantity in units.items() if quantity and unit != "requests"
    }


@relaxed
@given(subject=subjects(), units=quantities, more=quantities)
def test_more_usage_never_costs_less(subject: PricingSubject, units: Quantities, more: Quantities) -> None:
    assume(subject.context_tokens is not None or set(more) <= set(OUTPUT_UNITS))
    less_cost = rate_usage(the_book(), subject, units)
    more_cost = rate_usage(the_book(), subject, added(units, more))
    if less_cost.picos is not None and more_cost.picos is not None:
        assert more_cost.picos >= less_cost.picos


@relaxed
@given(card=cards(), data=st.data())
def test_two_usages_cost_what_they_cost_together_but_for_one_rounding_a_line(
    card: RateCard, data: st.DataObject
) -> None:
    units = {unit: data.draw(steps) for unit in card.rates}
    more = {unit: data.draw(steps) for unit in card.rates}
    together = {line.unit: line.amount_picos for line in card.lines(added(units, more))}
    apart = added(
        {line.unit: line.amount_picos for line in card.lines(units)},
        {line.unit: line.amount_picos for line in card.lines(more)},
    )
    for unit, amount in together.items():
        allowed = 0 if card.rates[unit].denominator == 1 else 1
        assert abs(amount - apart.get(unit, 0)) <= allowed


@st.composite
def adjustments(draw: st.DrawFn) -> Adjustment:
    """Any term, for all calls of OpenAI's models or fewer."""
    scope: dict[str, Any] = {
        "id": draw(st.text("abc", min_size=1, max_size=6)),
        "project": draw(st.sampled_from((None, None, "p", "q"))),
        "provider": draw(st.sampled_from((None, "openai", "open_ai", "anthropic"))),
        "model": draw(st.sampled_from((None, "*", "gpt-*", "gpt-4o", "gpt-4o*", "claude-*"))),
        "valid_from": draw(st.none() | st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))),
    }
    amount = draw(st.decimals(0, 100, places=3))
    kinds: tuple[Adjustment, ...] = (
        ContractPrice(
            unit=draw(st.sampled_from(("input_tokens", "input_text"))), price=amount, per=10**6, **scope
        ),
        Discount(percent=amount, **scope),
        Markup(percent=amount, **scope),
        Multiplier(factor=amount / 40, **scope),
        RequestFee(amount=amount, **scope),
    )
    return draw(st.sampled_from(kinds))


GPT_4O = st.builds(
    PricingSubject,
    st.just("openai"),
    st.sampled_from(("gpt-4o", "gpt-4o-mini", "o3")),
    st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC)),
)
several = st.lists(adjustments(), max_size=6, unique_by=lambda term: term.id)


def rated_by(terms: Sequence[Adjustment], subject: PricingSubject, units: Quantities) -> Rating | None:
    """The rating by the list under these terms; None where it would be a million or more."""
    try:
        return rate_usage(the_book().with_terms(Terms(tuple(terms)), "p"), subject, units)
    except Invalid:
        return None


@relaxed
@given(data=st.data(), terms=several, subject=GPT_4O, units=quantities)
def test_the_order_in_which_terms_were_entered_says_nothing(
    data: st.DataObject, terms: list[Adjustment], subject: PricingSubject, units: Quantities
) -> None:
    shuffled = data.draw(st.permutations(terms))
    assert rated_by(terms, subject, units) == rated_by(shuffled, subject, units)


@relaxed
@given(terms=several, subject=GPT_4O, units=quantities)
def test_terms_never_change_what_the_list_charges(
    terms: list[Adjustment], subject: PricingSubject, units: Quantities
) -> None:
    by_list, own = rated_by((), subject, units), rated_by(terms, subject, units)
    if by_list is None or own is None:
        return
    if by_list.picos is not None:
        assert isinstance(own.card, RateCard)
        assert own.card.list_amount_for(units) == by_list.picos
    if own.card is not None:
        assert own.picos == sum(line.amount_picos for line in own.card.lines(units))


@relaxed
@given(subject=subjects(), units=quantities)
def test_a_discount_of_nothing_changes_no_rate(subject: PricingSubject, units: Quantities) -> None:
    nothing = (
        Discount(id="d", percent=Decimal(0)),
        Markup(id="m", percent=Decimal(0)),
        Multiplier(id="x", factor=Decimal(1)),
    )
    by_list = rate_usage(the_book(), subject, units)
    own = rate_usage(the_book().with_terms(Terms(nothing)), subject, units)
    assert (own.picos, own.reason, own.currency) == (by_list.picos, by_list.reason, by_list.currency)
    if by_list.card is not None:
        assert isinstance(own.card, RateCard)
        assert isinstance(by_list.card, RateCard)
        assert own.card.rates == own.card.list_rates == by_list.card.rates


@relaxed
@given(percent=st.decimals(0, 100, places=2), subject=GPT_4O, units=quantities)
def test_a_discount_is_exact_but_for_one_rounding_a_line(
    percent: Decimal, subject: PricingSubject, units: Quantities
) -> None:
    by_list = rate_usage(the_book(), subject, units)
    own = rate_usage(the_book().with_terms(Terms((Discount(id="d", percent=percent),))), subject, units)
    if by_list.picos is not None:
        assert own.picos is not None
        exact = Fraction(by_list.picos) * (100 - Fraction(percent)) / 100
        assert abs(own.picos - exact) <= Fraction(len(units), 2)


@given(card=cards())
def test_a_card_survives_being_written_down(card: RateCard) -> None:
    read = RateCard.from_json(card.to_json())
    assert read == card
    assert read.to_json() == card.to_json()
    assert read.sealed().id == card.id


def added(left: Mapping[str, int], right: Mapping[str, int]) -> Quantities:
    return {unit: left.get(unit, 0) + right.get(unit, 0) for unit in {*left, *right}}
