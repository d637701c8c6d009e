"""Months, bills, estimates and seats as values: calendar and arithmetic, to the last pico."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.billing.months.bill import (
    Bill,
    LineKey,
    Sums,
    add_bills,
    bill_of,
    rows_of,
    subtract_bill,
    totals_of,
)
from bursar.billing.months.closing import Closing, billed_by_month, write_figures
from bursar.billing.months.estimate import estimate_month
from bursar.billing.months.month import BillingState, Month, is_due, state_of
from bursar.billing.seats.plan import SeatPlan, refuse_unfit
from bursar.errors import Invalid
from bursar.money import PICOS_PER_UNIT

USD = PICOS_PER_UNIT
MONTHS = st.builds(Month, st.integers(1970, 2199), st.integers(1, 12))
NAMES = st.none() | st.sampled_from(["", "a", "b", "ü"])
KEYS = st.builds(
    LineKey,
    NAMES,
    NAMES,
    NAMES,
    NAMES,
    st.sampled_from(["USD", "EUR"]),
    st.sampled_from(["priced", "unpriced"]),
)
SUMS = st.builds(Sums, st.integers(-5, 5), st.integers(-(10**30), 10**30)).filter(any)
BILLS = st.dictionaries(KEYS, SUMS, max_size=6)


def a_plan(**said: object) -> SeatPlan:
    """Ten seats for 30 USD from 2026-11-01 on, but for what is said."""
    terms: dict[str, object] = {
        "id": "seat_1",
        "tenant_id": "acme",
        "provider": "anthropic",
        "plan": "Team",
        "seats": 10,
        "price_per_seat": Decimal(30),
        "currency": "USD",
        "project_id": None,
        "starts": date(2026, 11, 1),
        "ends": None,
        "recorded_until": None,
        "note": None,
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        "created_by": "key_1",
    }
    return SeatPlan(**{**terms, **said})  # type: ignore[arg-type]


@given(MONTHS)
def test_months_follow_each_other_without_a_gap(month: Month) -> None:
    assert month.next().previous() == month
    assert month.end == month.next().start
    assert Month.of(month.start) == Month.of(month.end - timedelta(microseconds=1)) == month
    assert Month.parse(str(month)) == month
    assert month < month.next()
    assert month.days == (month.end - month.start).days


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026-1", "1969-12", "2200-01", "october", "", "2026-10-01"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Month.parse(text)


def test_a_month_is_open_then_in_grace_then_due() -> None:
    month, end = Month(2026, 10), datetime(2026, 11, 1, tzinfo=UTC)
    assert state_of(month, end - timedelta(seconds=1), is_closed=False) is BillingState.OPEN
    assert state_of(month, end, is_closed=False) is BillingState.GRACE
    assert state_of(month, end, is_closed=True) is BillingState.CLOSED
    assert not is_due(month, end + timedelta(days=5, microseconds=-1), 5)
    assert is_due(month, end + timedelta(days=5), 5)


@given(BILLS, BILLS)
def test_a_difference_added_to_the_earlier_bill_gives_the_later_one(one: Bill, other: Bill) -> None:
    assert add_bills((other, subtract_bill(one, other))) == one
    assert subtract_bill(one, one) == {}


@given(BILLS)
def test_a_bill_comes_back_from_its_lines_and_sums_up_to_its_totals(bill: Bill) -> None:
    rows = rows_of(bill)
    assert bill_of(rows) == bill
    assert rows_of(dict(reversed(bill.items()))) == rows
    assert sum(total.picos for total in totals_of(bill)) == sum(sums.picos for sums in bill.values())
    assert sum(total.events for total in totals_of(bill)) == sum(sums.events for sums in bill.values())


@given(BILLS, st.dictionaries(st.just(Month(2026, 8)), BILLS.filter(bool), max_size=1))
def test_a_closing_says_what_was_written_down(lines: Bill, corrections: dict[Month, Bill]) -> None:
    text = write_figures(Month(2026, 9), lines, corrections)
    closing = Closing.read("acme", datetime(2026, 10, 6, tzinfo=UTC), ("key_1", "because"), text)
    assert (closing.month, closing.lines, closing.corrections) == (Month(2026, 9), lines, corrections)
    assert billed_by_month([closing]) == {Month(2026, 9): lines, **corrections}
    assert write_figures(closing.month, closing.lines, closing.corrections) == text


def test_an_estimate_with_four_weeks_goes_by_weekdays() -> None:
    # Four weeks of 1 USD a day and nothing on weekends; 2026-11-16 is a Monday.
    today = date(2026, 11, 16)
    days = {today - timedelta(days=n): USD for n in range(1, 29) if (today - timedelta(days=n)).weekday() < 5}
    days[today] = USD // 4
    (estimate,) = estimate_month(Month(2026, 11), today, {"USD": days})
    assert estimate.method == "mean_of_same_weekday"
    # 2 to 6 and 9 to 13 November, and a quarter so far today.
    assert estimate.picos_so_far == 10 * USD + USD // 4
    # The rest of today, 17 to 20, 23 to 27 and the 30th.
    assert estimate.picos_to_come == 3 * USD // 4 + 10 * USD


def test_an_estimate_with_a_few_days_goes_by_their_mean() -> None:
    today = date(2026, 11, 4)
    spent = {"USD": {date(2026, 11, 1): 1 * USD, date(2026, 11, 3): 2 * USD, today: 5 * USD}}
    (estimate,) = estimate_month(Month(2026, 11), today, spent)
    assert (estimate.method, estimate.basis_days) == ("mean_of_days", 3)
    # Today has cost more than a day does; 26 days are to come at 1 USD on average.
    assert estimate.picos_so_far == 8 * USD
    assert estimate.picos_to_come == 26 * USD


def test_without_a_complete_day_there_is_no_estimate() -> None:
    today = date(2026, 11, 4)
    assert estimate_month(Month(2026, 11), today, {}) == ()
    assert estimate_month(Month(2026, 11), today, {"USD": {today: USD}}) == ()


@given(
    st.integers(1, 100_000),
    st.decimals(0, 9, places=12, allow_nan=False, allow_infinity=False),
    MONTHS.filter(lambda month: month.year >= 2000),
)
def test_the_days_of_a_month_sum_up_to_its_price(seats: int, price: Decimal, month: Month) -> None:
    plan = a_plan(seats=seats, price_per_seat=price)
    days = [plan.picos_on(month.start.date() + timedelta(days=n)) for n in range(month.days)]
    assert sum(days) == int(price * PICOS_PER_UNIT) * seats
    assert max(days) - min(days) <= 1


def test_a_plan_is_recorded_from_where_it_was_left_until_its_end() -> None:
    today, forever = date(2026, 11, 4), date(2000, 1, 1)
    days = [date(2026, 11, n) for n in range(1, 5)]
    assert list(a_plan().days_due(today, forever)) == days
    assert list(a_plan(recorded_until=date(2026, 11, 3)).days_due(today, forever)) == days[2:]
    assert list(a_plan(ends=date(2026, 11, 3)).days_due(today, forever)) == days[:2]
    assert list(a_plan().days_due(today, date(2026, 11, 4))) == days[3:]
    assert list(a_plan(starts=date(2026, 11, 5)).days_due(today, forever)) == []


def test_a_plan_that_cant_be_is_refused_with_every_reason() -> None:
    refuse_unfit(a_plan())
    with pytest.raises(Invalid) as refusal:
        refuse_unfit(a_plan(ends=date(2026, 11, 1), price_per_seat=Decimal(10**6)))
    assert [reason.field for reason in refusal.value.reasons] == ["ends", "price_per_seat"]
