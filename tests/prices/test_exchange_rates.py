"""Exchange rates: which one counts on a day, and exact conversion; worked out by hand and as properties."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.pricing.exchange.conversion import DayAmount, convert_amounts
from bursar.pricing.exchange.rates import DatedRates, RateEntry

FRIDAY = date(2026, 11, 20)
MONDAY = date(2026, 11, 23)
PICOS = 10**12


def entry(day: date, base: str, quote: str, rate: str) -> RateEntry:
    return RateEntry(day, base, quote, Decimal(rate))


def factor(rates: DatedRates, origin: str, target: str, day: date) -> Fraction | None:
    found = rates.find(origin, target, day)
    return None if found is None else found.factor


def test_a_weekend_takes_the_rate_of_friday_and_says_so() -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "1.0850")])
    sunday = rates.find("EUR", "USD", FRIDAY + timedelta(days=2))
    assert sunday is not None
    assert (sunday.factor, sunday.day, sunday.is_own) == (Fraction("1.085"), FRIDAY, False)


def test_the_opposite_direction_is_the_exact_reciprocal() -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "1.0850")])
    assert factor(rates, "USD", "EUR", FRIDAY) == Fraction(10000, 10850)


def test_two_rates_of_one_day_lead_over_a_third_currency() -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "1.0850"), entry(FRIDAY, "EUR", "GBP", "0.8412")])
    over = rates.find("USD", "GBP", FRIDAY)
    assert over is not None
    assert over.factor == Fraction("0.8412") / Fraction("1.0850")
    assert [one.quote for one in over.entries] == ["USD", "GBP"]


def test_rates_of_different_days_are_never_combined() -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "1.0850"), entry(MONDAY, "EUR", "GBP", "0.8412")])
    assert rates.find("USD", "GBP", MONDAY) is None


def test_a_direct_rate_comes_before_the_opposite_one_of_the_day() -> None:
    both = [entry(FRIDAY, "USD", "EUR", "0.9"), entry(FRIDAY, "EUR", "USD", "1.2")]
    assert factor(DatedRates([], both), "USD", "EUR", FRIDAY) == Fraction("0.9")
    assert factor(DatedRates([], both), "EUR", "USD", FRIDAY) == Fraction("1.2")


def test_a_tenants_own_rate_comes_before_everybodys_even_if_it_is_older() -> None:
    rates = DatedRates([entry(FRIDAY, "EUR", "USD", "1.10")], [entry(MONDAY, "EUR", "USD", "1.0850")])
    own = rates.find("EUR", "USD", MONDAY)
    assert own is not None
    assert (own.factor, own.is_own) == (Fraction("1.1"), True)
    later = rates.find("EUR", "USD", FRIDAY + timedelta(days=8))
    assert later is not None
    assert (later.factor, later.is_own) == (Fraction("1.085"), False)


def test_a_later_day_never_counts_and_an_old_one_only_as_long_as_was_said() -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "1.0850")], days=7)
    assert rates.find("EUR", "USD", FRIDAY - timedelta(days=1)) is None
    assert rates.find("EUR", "USD", FRIDAY + timedelta(days=7)) is not None
    assert rates.find("EUR", "USD", FRIDAY + timedelta(days=8)) is None


def test_a_days_amount_is_rounded_once_half_even() -> None:
    # 1 pico at 0.5 is a tie that goes to 0, 3 picos at 0.5 one that goes to 2.
    rates = DatedRates([], [entry(FRIDAY, "USD", "EUR", "0.5")])
    lines = [DayAmount(FRIDAY, "USD", 1), DayAmount(FRIDAY + timedelta(days=1), "USD", 3)]
    assert convert_amounts(lines, "EUR", rates).picos == 2
    # Of one day they are one line: 4 picos.
    assert (
        convert_amounts([DayAmount(FRIDAY, "USD", 1), DayAmount(FRIDAY, "USD", 3)], "EUR", rates).picos == 2
    )


def test_a_missing_rate_makes_the_total_unknown_and_is_named() -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "1.0850")])
    lines = [
        DayAmount(FRIDAY, "USD", 1085 * PICOS),
        DayAmount(FRIDAY, "JPY", 10 * PICOS),
        DayAmount(MONDAY, "JPY", 10 * PICOS),
        DayAmount(FRIDAY, "EUR", PICOS),
    ]
    converted = convert_amounts(lines, "EUR", rates)
    assert converted.picos is None
    assert [(one.currency, one.days) for one in converted.missing] == [("JPY", (FRIDAY, MONDAY))]
    assert [(use.currency, use.converted_picos) for use in converted.uses] == [("USD", 1000 * PICOS)]


def test_nothing_of_a_currency_needs_no_rate_of_it() -> None:
    converted = convert_amounts([DayAmount(FRIDAY, "JPY", 0)], "EUR", DatedRates([], []))
    assert (converted.picos, converted.missing) == (0, ())


CURRENCIES = ("EUR", "USD", "GBP", "JPY")
DAYS = st.integers(0, 20).map(lambda days: date(2026, 11, 1) + timedelta(days=days))
RATES = st.decimals(
    min_value=Decimal("0.0001"), max_value=Decimal(10_000), allow_nan=False, allow_infinity=False, places=6
).filter(lambda rate: rate > 0)
ENTRIES = st.lists(
    st.builds(
        RateEntry, DAYS, st.sampled_from(CURRENCIES), st.sampled_from(CURRENCIES), RATES, st.just("")
    ).filter(lambda one: one.base != one.quote),
    max_size=30,
)
AMOUNTS = st.lists(
    st.builds(DayAmount, DAYS, st.sampled_from(CURRENCIES), st.integers(-(10**15), 10**18)), max_size=30
)


@given(own=ENTRIES, shared=ENTRIES, amounts=AMOUNTS, target=st.sampled_from(CURRENCIES))
def test_the_totals_of_single_days_sum_up_to_the_total_of_all(
    own: list[RateEntry], shared: list[RateEntry], amounts: list[DayAmount], target: str
) -> None:
    rates = DatedRates(own, shared)
    whole = convert_amounts(amounts, target, rates)
    days = sorted({one.day for one in amounts})
    parts = [convert_amounts([one for one in amounts if one.day == day], target, rates) for day in days]
    if whole.picos is None:
        assert any(part.picos is None for part in parts)
        assert {one.currency for one in whole.missing} == {
            one.currency for part in parts for one in part.missing
        }
    else:
        assert whole.picos == sum(part.picos or 0 for part in parts)
        assert all(part.picos is not None for part in parts)


@given(entries=ENTRIES, amounts=AMOUNTS, target=st.sampled_from(CURRENCIES))
def test_a_total_is_never_further_from_the_exact_sum_than_half_a_pico_a_line(
    entries: list[RateEntry], amounts: list[DayAmount], target: str
) -> None:
    rates = DatedRates(entries, [])
    converted = convert_amounts(amounts, target, rates)
    if converted.picos is None:
        return
    exact = Fraction(0)
    for one in amounts:
        found = rates.find(one.currency, target, one.day) if one.currency != target else None
        if one.currency == target or found is not None:
            exact += one.picos * (found.factor if found else 1)
    lines = {(one.day, one.currency) for one in amounts}
    # Amounts of a day and currency that cancel out need no rate, so they may be missing from `exact` as well.
    if all(one.currency == target or rates.find(one.currency, target, one.day) for one in amounts):
        assert abs(converted.picos - exact) <= Fraction(len(lines), 2)


@given(entries=ENTRIES, origin=st.sampled_from(CURRENCIES), target=st.sampled_from(CURRENCIES), day=DAYS)
def test_a_rate_found_is_of_the_day_or_shortly_before_and_made_of_its_entries(
    entries: list[RateEntry], origin: str, target: str, day: date
) -> None:
    found = DatedRates([], entries, days=3).find(origin, target, day)
    if found is None or origin == target:
        return
    assert timedelta(0) <= day - found.day <= timedelta(days=3)
    assert all(one in entries and one.day == found.day for one in found.entries)
    steps = [
        Fraction(one.rate) if one.base == at else 1 / Fraction(one.rate)
        for at, one in zip((origin, *_pivot(found.entries, origin)), found.entries, strict=True)
    ]
    product = Fraction(1)
    for step in steps:
        product *= step
    assert product == found.factor


def _pivot(entries: tuple[RateEntry, ...], origin: str) -> tuple[str, ...]:
    if len(entries) == 1:
        return ()
    first = entries[0]
    return (first.quote if first.base == origin else first.base,)


def test_the_currency_itself_is_never_converted() -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "2"), entry(FRIDAY, "USD", "EUR", "2")])
    assert convert_amounts([DayAmount(FRIDAY, "EUR", 7)], "EUR", rates).picos == 7


@pytest.mark.parametrize("days", [0, 1, 30])
def test_how_old_a_rate_may_be_is_the_tenants_choice(days: int) -> None:
    rates = DatedRates([], [entry(FRIDAY, "EUR", "USD", "2")], days=days)
    assert rates.find("EUR", "USD", FRIDAY + timedelta(days=days)) is not None
    assert rates.find("EUR", "USD", FRIDAY + timedelta(days=days + 1)) is None
