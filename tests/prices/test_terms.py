"""A customer's own terms over the list: which one counts, in which order they are reckoned, what cards say.

Amounts are worked out by hand on a book of one model: 10 dollars a million input tokens, 1 for cached
ones, 30 a million output tokens.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.pricing.card import AppliedTerm, Rate, RateCard
from bursar.pricing.rating import PricingSubject, Rating, rate_usage
from bursar.pricing.rows import PriceRow
from bursar.pricing.terms import (
    Adjustment,
    ContractPrice,
    Discount,
    Markup,
    ModelAlias,
    Multiplier,
    RequestFee,
    Terms,
    fits_pattern,
)
from tests.support.price_books import LINK, acme_book

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

MILLION = 1_000_000
NOVEMBER = datetime(2026, 11, 2, 12, tzinfo=UTC)
TOKENS = {"input_text": MILLION}


def row(unit: str, price: str, **more: Any) -> PriceRow:  # noqa: ANN401 - the row's own fields
    given: dict[str, Any] = {"provider": "acme", "model": "m", "per": MILLION, "source": "test", "link": LINK}
    return PriceRow(unit=unit, price=Decimal(price), **(given | more))


LIST = acme_book(
    row("input_tokens", "10"),
    row("cache_read_tokens", "1"),
    row("output_tokens", "30"),
    row("input_tokens", "5", batch=True),
    row("input_tokens", "12", region="us"),
    row("input_tokens", "7", model="other"),
    models=("m", "other"),
)


def contract(term_id: str, price: str, **more: Any) -> ContractPrice:  # noqa: ANN401 - the term's own fields
    given: dict[str, Any] = {"unit": "input_tokens", "per": MILLION}
    return ContractPrice(id=term_id, price=Decimal(price), **(given | more))


def discount(term_id: str, percent: str, **more: Any) -> Discount:  # noqa: ANN401 - the term's own fields
    return Discount(id=term_id, percent=Decimal(percent), **more)


def with_terms(*adjustments: Adjustment, project: str | None = None) -> PriceBook:
    return LIST.with_terms(Terms(adjustments), project)


def rated(book: PriceBook, units: dict[str, int] | None = None, **call: Any) -> Rating:  # noqa: ANN401 - the subject's own fields
    given: dict[str, Any] = {"provider": "acme", "model": "m", "time": NOVEMBER}
    return rate_usage(book, PricingSubject(**(given | call)), units or TOKENS)


def cost(book: PriceBook, units: dict[str, int] | None = None, **call: Any) -> str:  # noqa: ANN401 - the subject's own fields
    rating = rated(book, units, **call)
    return rating.reason or f"{Decimal(rating.picos or 0).scaleb(-12).normalize():f} {rating.currency}"


def card_of(book: PriceBook, units: dict[str, int] | None = None, **call: Any) -> RateCard:  # noqa: ANN401 - the subject's own fields
    card = rated(book, units, **call).card
    assert isinstance(card, RateCard)
    return card


def test_without_terms_the_book_and_its_cards_are_the_lists() -> None:
    assert LIST.with_terms(Terms()) is LIST
    elsewhere = with_terms(discount("d", "12", provider="openai"))
    assert card_of(elsewhere) is card_of(LIST), "a term for another provider makes no card of its own"
    assert "terms" not in card_of(LIST).to_json()


def test_each_kind_of_term_does_its_own_sum() -> None:
    assert cost(with_terms(contract("c", "8"))) == "8 USD"
    assert cost(with_terms(discount("d", "12"))) == "8.8 USD"
    assert cost(with_terms(Markup(id="m", percent=Decimal("2.5")))) == "10.25 USD"
    assert cost(with_terms(Multiplier(id="x", factor=Decimal("1.5")))) == "15 USD"
    assert cost(with_terms(RequestFee(id="f", amount=Decimal("0.01")))) == "10.01 USD"


def test_terms_are_reckoned_contract_discount_markup_multiplier_fee() -> None:
    book = with_terms(
        RequestFee(id="fee", amount=Decimal("0.05")),
        Multiplier(id="times", factor=Decimal(2)),
        Markup(id="up", percent=Decimal(10)),
        discount("down", "25"),
        contract("price", "8"),
    )
    # 8 × 0.75 × 1.1 × 2 = 13.2, and 0.05 for the request.
    assert cost(book) == "13.25 USD"
    card = card_of(book)
    assert card.terms == (
        AppliedTerm("price", "contract_price", "8 USD per 1000000 input_tokens"),
        AppliedTerm("down", "discount", "25 %"),
        AppliedTerm("up", "markup", "10 %"),
        AppliedTerm("times", "multiplier", "× 2"),
        AppliedTerm("fee", "fee", "0.05 USD a request"),
    )
    assert cost(book, TOKENS | {"requests": 3}) == "13.35 USD"


def test_a_card_keeps_the_list_beside_the_contract() -> None:
    card = card_of(with_terms(contract("c", "8"), discount("d", "50")))
    assert card.rates["input_text"] == Rate(4_000_000, 1)
    assert isinstance(card.list_rates, dict)
    assert card.list_rates["input_text"] == Rate(10_000_000, 1)
    assert card.amount_for(TOKENS) == 4 * 10**12
    assert card.list_amount_for(TOKENS) == 10 * 10**12
    assert RateCard.from_json(card.to_json()) == card
    assert card_of(LIST).list_amount_for(TOKENS) == 10 * 10**12


def test_a_fee_costs_nothing_by_the_list() -> None:
    card = card_of(with_terms(RequestFee(id="f", amount=Decimal(1))))
    assert card.amount_for(TOKENS) == 11 * 10**12
    assert card.list_amount_for(TOKENS) == 10 * 10**12


def test_a_contract_replaces_only_the_price_that_it_names() -> None:
    book = with_terms(contract("c", "8"))
    assert cost(book, {"cache_read_text": MILLION}) == "1 USD"
    assert cost(book, {"output_text": MILLION}) == "30 USD"
    assert cost(book, batch=True) == "5 USD", "it is no price of batches"
    assert cost(with_terms(contract("c", "3", batch=True)), batch=True) == "3 USD"


def test_a_price_agreed_for_text_leaves_cached_text_at_the_lists() -> None:
    book = with_terms(contract("c", "8", unit="input_text"))

    assert cost(book) == "8 USD"
    assert cost(book, {"cache_read_text": MILLION}) == "1 USD"


def test_a_contract_holds_in_every_region_unless_it_names_one() -> None:
    assert cost(LIST, region="US ") == "12 USD"
    assert cost(LIST, region="eu") == "10 USD"
    assert cost(LIST, {"output_text": MILLION}, region="us") == "30 USD", "what no row of the region names"
    assert cost(with_terms(contract("c", "8")), region="us") == "8 USD"
    own = with_terms(contract("c", "8"), contract("u", "9", region="us"))
    assert [cost(own, region=region) for region in ("us", "eu", None)] == ["9 USD", "8 USD", "8 USD"]


def test_a_project_counts_before_its_tenant_and_others_terms_not_at_all() -> None:
    terms = (discount("all", "10"), discount("theirs", "50", project="p"), contract("c", "8", project="p"))
    assert cost(with_terms(*terms)) == "9 USD"
    assert cost(with_terms(*terms, project="q")) == "9 USD"
    assert cost(with_terms(*terms, project="p")) == "4 USD"


def test_the_closest_term_of_a_kind_counts() -> None:
    terms = [
        discount("everything", "1"),
        discount("provider", "2", provider="ACME"),
        discount("pattern", "3", model="*"),
        discount("longer", "4", model="m*"),
        discount("exact", "5", model="M"),
        discount("exact-of-provider", "6", model="m", provider="acme"),
        discount("later", "7", model="m", provider="acme", valid_from=datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    found = [cost(with_terms(*terms[:count])) for count in range(1, len(terms) + 1)]
    assert found == ["9.9 USD", "9.8 USD", "9.7 USD", "9.6 USD", "9.5 USD", "9.4 USD", "9.3 USD"]
    assert cost(with_terms(*terms), model="other") == "6.79 USD"


def test_terms_hold_from_their_first_moment_to_their_last() -> None:
    begins, ends = datetime(2026, 11, 2, 10, 30, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    book = with_terms(discount("d", "50", valid_from=begins, valid_to=ends))
    moments = {
        datetime(2026, 11, 2, 10, 29, 59, 999_999, tzinfo=UTC): "10 USD",
        begins: "5 USD",
        datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC): "5 USD",
        ends: "10 USD",
    }
    assert {moment: cost(book, time=moment) for moment in moments} == moments
    card = card_of(book, time=begins)
    assert (str(card.valid_from), card.conditions["from"]) == ("2026-11-02", "2026-11-02T10:30:00Z")


def test_a_contract_in_another_currency_is_never_mixed_with_the_list() -> None:
    book = with_terms(contract("c", "8", currency="EUR"), discount("d", "25"))
    assert cost(book) == "6 EUR"
    # The list has a price of its own for cached tokens, in dollars: in euros nobody told one.
    assert cost(book, {"cache_read_text": 1}) == "no_price_for_unit:cache_read_text"
    card = card_of(book)
    assert card.list_amount_for(TOKENS) is None
    assert "list_rates" not in card.to_json()
    clash = with_terms(contract("c", "8", currency="EUR"), contract("o", "9", unit="output_tokens"))
    assert cost(clash) == "prices_in_several_currencies"
    fee = RequestFee(id="f", amount=Decimal(1), currency="EUR")
    assert cost(with_terms(fee)) == "fee_in_another_currency"


def test_a_contract_prices_what_the_list_does_not() -> None:
    assert cost(LIST, service_tier="priority") == "tier_not_priced:priority"
    assert cost(with_terms(contract("c", "20", service_tier="priority")), service_tier="priority") == "20 USD"
    images = with_terms(contract("c", "0.25", unit="images", per=1))
    assert cost(images, {"images": 3}) == "0.75 USD"


def test_a_contract_prices_a_model_that_is_not_in_the_book() -> None:
    named = with_terms(contract("c", "8", provider="acme", model="ft:*"), discount("d", "50"))
    card = card_of(named, model="ft:m:org::1")
    assert (card.provider, card.model, card.rule) == ("acme", "ft:m:org::1", "provider_named+contract")
    assert cost(named, model="ft:m:org::1") == "4 USD"
    assert card.list_amount_for(TOKENS) is None
    assert cost(named, model="ft:m:org::1", units={"output_text": 1}) == "no_price_for_unit:output_text"
    assert cost(named, model="unheard-of") == "unknown_model"
    private = with_terms(contract("c", "2", provider="our-cluster", model="llama-70b"))
    assert cost(private, provider="our-cluster", model="llama-70b") == "2 USD"
    assert cost(private, provider="our-cluster", model="llama-8b") == "unknown_provider"


def test_a_contract_may_have_hours_weekdays_and_sizes() -> None:
    night = contract("night", "4", hours=(22 * 3600, 6 * 3600), weekdays=(0, 1, 2, 3, 4))
    long = contract("long", "16", context_over=200_000)
    book = with_terms(night, long)
    monday_night, saturday_night = NOVEMBER.replace(hour=23), NOVEMBER.replace(day=7, hour=23)
    small = {"input_text": 200_000}
    assert cost(book, small, time=monday_night) == "0.8 USD"
    assert cost(book, small, time=NOVEMBER) == "2 USD"
    assert cost(book, small, time=saturday_night) == "2 USD"
    assert cost(book, time=NOVEMBER) == "16 USD", "a million tokens are more than 200,000"


def test_a_surcharge_of_a_region_is_on_list_prices_only(book: PriceBook) -> None:
    tokens = contract("in", "4"), contract("out", "20", unit="output_tokens")
    cached = contract("r", "1", unit="cache_read_tokens"), contract("w", "5", unit="cache_write_tokens")
    hour = contract("h", "8", unit="cache_write_1h")
    call: dict[str, Any] = {"provider": "anthropic", "model": "claude-opus-4-6", "region": "us"}
    part, whole = (book.with_terms(Terms(terms)) for terms in (tokens, (*tokens, *cached, hour)))
    assert cost(part, **call) == "4 USD"
    assert cost(part, {"cache_read_text": MILLION}, **call) == "0.55 USD"
    assert card_of(part, **call).conditions["region"] == "us: token prices × 11/10"
    assert "region" not in card_of(whole, **call).conditions
    assert card_of(part, **call).list_amount_for(TOKENS) == 55 * 10**11


def test_a_provider_before_the_model_is_no_part_of_its_name() -> None:
    private = with_terms(contract("c", "2", provider="acme", model="ft:*"))
    assert card_of(private, provider=None, model="acme/ft:m").model == "ft:m"


def test_a_discount_does_not_price_what_has_no_price() -> None:
    assert cost(with_terms(discount("d", "12")), model="unheard-of") == "unknown_model"


def test_an_alias_leads_to_a_model_of_the_book_and_the_card_says_so() -> None:
    alias = ModelAlias(id="a1", alias="Prod-Chat", to_provider="acme", to_model="m")
    book = LIST.with_terms(Terms(aliases=(alias,)))
    card = card_of(book, provider="my-gateway", model="prod-chat")
    assert (card.provider, card.model, card.rule) == ("acme", "m", "alias:a1+provider_named")
    assert cost(book) == "10 USD"
    assert cost(LIST, model="prod-chat") == "unknown_model"


def test_an_alias_may_be_for_one_provider_one_project_and_some_time() -> None:
    march = datetime(2026, 3, 1, tzinfo=UTC)
    terms = Terms(
        aliases=(
            ModelAlias(id="old", alias="chat", provider="acme", to_model="other"),
            ModelAlias(id="new", alias="chat", provider="acme", to_model="m", valid_from=march),
            ModelAlias(id="p", alias="chat", provider="acme", to_model="nowhere", project="p"),
        )
    )
    book = LIST.with_terms(terms)
    february = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    assert cost(book, model="chat", time=february) == "7 USD"
    assert cost(book, model="chat", time=march) == "10 USD"
    assert cost(LIST.with_terms(terms, "p"), model="chat") == "unknown_model"
    assert cost(book, model="chat", provider="openai") == "unknown_provider"


def test_an_alias_may_stand_before_a_name_of_the_book() -> None:
    book = LIST.with_terms(Terms(aliases=(ModelAlias(id="a", alias="m", to_model="gone"),)))
    assert cost(book) == "unknown_model", "the customer's own words count before the book's"


def test_terms_fit_the_name_of_a_call_and_the_entry_behind_it() -> None:
    alias = ModelAlias(id="a1", alias="prod-chat", to_provider="acme", to_model="m")
    for pattern in ("prod-*", "m"):
        terms = Terms((discount("d", "50", model=pattern),), (alias,))
        assert cost(LIST.with_terms(terms), model="prod-chat") == "5 USD"
    assert cost(LIST.with_terms(Terms((discount("d", "50", model="prod-*"),), (alias,)))) == "10 USD"


@pytest.mark.parametrize("percent", ["0", "100"])
def test_the_ends_of_a_discount(percent: str) -> None:
    card = card_of(with_terms(discount("d", percent)))
    assert card.terms == (AppliedTerm("d", "discount", f"{percent} %"),)
    assert card.amount_for(TOKENS) == (10 * 10**12 if percent == "0" else 0)


@given(pattern=st.text("ab*", max_size=8), name=st.text("ab", max_size=12))
def test_a_star_stands_for_any_text(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
    assert fits_pattern(pattern, name) == expected


def test_no_pattern_of_a_tenant_holds_up_the_others() -> None:
    began = time.process_time()
    assert not fits_pattern("*a" * 127 + "*b", "a" * 256)
    assert time.process_time() - began < 1


def test_many_prices_with_hours_of_their_own_hold_nobody_up() -> None:
    terms = [
        contract(
            f"day-{day}",
            "3",
            valid_from=NOVEMBER + timedelta(days=day),
            valid_to=NOVEMBER + timedelta(days=day + 1),
            hours=(60 * day, 60 * day + 30),
            weekdays=(0, 2),
        )
        for day in range(150)
    ]
    began = time.process_time()
    book = with_terms(*terms)
    assert cost(book) == "10 USD"
    # The second one, of the day that ends on Wednesday at noon.
    assert cost(book, time=datetime(2026, 11, 4, 0, 1, 29, tzinfo=UTC)) == "3 USD"
    assert cost(book, time=datetime(2026, 11, 4, 0, 1, 30, tzinfo=UTC)) == "10 USD"
    assert time.process_time() - began < 5
