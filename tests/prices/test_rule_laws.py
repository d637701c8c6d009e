"""What holds for every billing rule, whatever its numbers: against plain models, with random quantities."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bursar.money import PICOS_PER_UNIT
from bursar.pricing.rules.multiply import Multiply
from bursar.pricing.rules.package import Package
from bursar.pricing.rules.rule import BillingRule, RuleBook
from bursar.pricing.rules.selection import Rates
from bursar.pricing.rules.tiered import Graduated, Tier, Volume

RATE = st.decimals(0, 100, places=6)
STEPS = st.integers(0, 10**12)
"""Of a custom unit, in millionths."""
DAY = timedelta(days=1)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


@st.composite
def tier_lists(draw: st.DrawFn) -> tuple[Tier, ...]:
    bounds = sorted(draw(st.sets(st.decimals(Decimal("0.000001"), 10**5, places=6), max_size=4)))
    tiers = [Tier(draw(RATE), bound) for bound in bounds]
    return (*tiers, Tier(draw(RATE)))


def amount(charge: Graduated | Volume | Package | Multiply, steps: int) -> int:
    return sum(line.amount_picos for line in charge.lines({"things": steps}, "USD"))


def plain_graduated(tiers: tuple[Tier, ...], quantity: Fraction) -> Fraction:
    total, below = Fraction(0), Fraction(0)
    for tier in tiers:
        above = quantity if tier.up_to is None else Fraction(tier.up_to)
        total += max(min(quantity, above) - below, Fraction(0)) * Fraction(tier.rate)
        below = above
    return total


@given(tier_lists(), STEPS)
def test_graduated_is_the_sum_over_its_tiers_to_a_rounding_a_line(
    tiers: tuple[Tier, ...], steps: int
) -> None:
    charge = Graduated(unit="things", tiers=tiers)
    expected = plain_graduated(tiers, Fraction(steps, 10**6)) * PICOS_PER_UNIT
    assert abs(amount(charge, steps) - expected) <= Fraction(len(tiers), 2)
    assert sum(line.quantity_steps for line in charge.lines({"things": steps}, "USD")) == steps


@given(tier_lists(), STEPS, st.integers(0, 10**6))
def test_graduated_is_monotone_and_has_no_jumps(tiers: tuple[Tier, ...], steps: int, more: int) -> None:
    charge = Graduated(unit="things", tiers=tiers)
    less, greater = amount(charge, steps), amount(charge, steps + more)
    steepest = max(Fraction(tier.rate) for tier in tiers) * PICOS_PER_UNIT / 10**6
    assert 0 <= greater - less <= more * steepest + len(tiers)


@given(tier_lists(), STEPS)
def test_volume_bills_all_at_the_one_tier_that_is_reached(tiers: tuple[Tier, ...], steps: int) -> None:
    quantity = Fraction(steps, 10**6)
    reached = next(tier for tier in tiers if tier.up_to is None or quantity <= Fraction(tier.up_to))
    expected = round(quantity * Fraction(reached.rate) * PICOS_PER_UNIT)
    assert amount(Volume(unit="things", tiers=tiers), steps) == expected


@given(tier_lists(), st.decimals(0, 1000, places=6))
def test_volume_and_graduated_agree_within_the_first_tier(tiers: tuple[Tier, ...], part: Decimal) -> None:
    top = tiers[0].up_to
    steps = int((part if top is None else min(part, top)) * 10**6)
    assert amount(Volume(unit="things", tiers=tiers), steps) == amount(
        Graduated(unit="things", tiers=tiers), steps
    )


@given(st.decimals(Decimal("0.000001"), 10**4, places=6), RATE, STEPS)
def test_packages_round_up_and_never_more_than_one(size: Decimal, price: Decimal, steps: int) -> None:
    charge = Package(unit="things", size=size, rates=Rates({"standard": price}))
    count = math.ceil(Fraction(steps, 10**6) / Fraction(size))
    assert (count - 1) * Fraction(size) < Fraction(steps, 10**6) or count == 0
    assert amount(charge, steps) == count * Fraction(price) * PICOS_PER_UNIT


@given(st.decimals(0, 10**6, places=6), RATE, STEPS)
def test_what_is_free_never_makes_anything_negative(free: Decimal, rate: Decimal, steps: int) -> None:
    charge = Multiply(unit="things", rates=Rates({"standard": rate}), free=free)
    lines = charge.lines({"things": steps}, "USD")
    assert all(line.quantity_steps >= 0 and line.amount_picos >= 0 for line in lines)
    assert sum(line.quantity_steps for line in lines) == steps
    whole = amount(Multiply(unit="things", rates=Rates({"standard": rate})), steps)
    assert amount(charge, steps) <= whole


def rule(number: int, provider: str | None, model: str | None, begins: int | None) -> BillingRule:
    return BillingRule(
        id=f"rul_{number}",
        service_type="s",
        provider=provider,
        model=model,
        currency="USD",
        charge=Multiply(unit="things", rates=Rates({"standard": Decimal(1)})),
        valid_from=None if begins is None else BEGIN + begins * DAY,
        recorded_at=BEGIN + number * DAY,
        recorded_by="key_1",
    )


SCOPES = st.sampled_from([None, "a", "b"])


@given(
    st.lists(st.tuples(SCOPES, SCOPES, st.none() | st.integers(0, 5)), max_size=8),
    SCOPES,
    SCOPES,
    st.integers(-1, 6),
)
def test_a_models_rule_counts_before_a_providers_before_the_default(
    scopes: list[tuple[str | None, str | None, int | None]],
    provider: str | None,
    model: str | None,
    day: int,
) -> None:
    rules = [rule(number, *scope) for number, scope in enumerate(scopes)]
    moment = BEGIN + day * DAY
    fitting = [
        one
        for one in rules
        if one.provider in {None, provider}
        and one.model in {None, model}
        and (one.valid_from is None or one.valid_from <= moment)
    ]
    found = RuleBook.of(rules).find("s", provider, model, moment)
    assert (found is None) == (not fitting)
    if found is not None:
        best = max(
            fitting,
            key=lambda one: (
                one.model is not None,
                one.provider is not None,
                one.valid_from or datetime.min.replace(tzinfo=UTC),
                one.recorded_at,
            ),
        )
        assert found == best
        assert found.matched == ("model" if found.model else "provider" if found.provider else "default")
