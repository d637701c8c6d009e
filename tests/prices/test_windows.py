"""Hours, weekdays and dates of rows, minute by minute against a model in plain Python.

The model knows nothing of seasons and slices: it asks of each row whether a minute lies in it, by the
minute's own weekday and time of day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.pricing.card import RateCard
from bursar.pricing.rating import PricingSubject, rate_usage
from bursar.pricing.rows import PriceRow, overlapping_rows
from tests.support.price_books import LINK, acme_book
from tests.support.rounds import rounds

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
MINUTES_OF_WEEK = 7 * 24 * 60
UNITS = ("pages", "characters", "images", "bytes")
relaxed = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=rounds(8))


def row(unit: str, price: int, **window: tuple[int, ...] | datetime | None) -> PriceRow:
    return PriceRow(
        provider="acme",
        model="m",
        unit=unit,
        price=Decimal(price),
        hours=window.get("hours"),  # type: ignore[arg-type]
        weekdays=window.get("weekdays"),  # type: ignore[arg-type]
        valid_from=window.get("valid_from"),  # type: ignore[arg-type]
        valid_to=window.get("valid_to"),  # type: ignore[arg-type]
        source="test",
        link=LINK,
    )


quarters = st.integers(0, 95).map(lambda quarter: quarter * 900)
hours = st.tuples(quarters, quarters).filter(lambda window: window[0] != window[1])
weekdays = st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days)))
moments = st.integers(0, MINUTES_OF_WEEK).map(lambda minute: MONDAY + timedelta(minutes=minute))


@st.composite
def rows(draw: st.DrawFn) -> list[PriceRow]:
    """A row for each of some units, in a window of its own."""
    made: list[PriceRow] = []
    for unit in draw(st.sets(st.sampled_from(UNITS), min_size=1)):
        dates = sorted(draw(st.tuples(moments, moments).filter(lambda pair: pair[0] != pair[1])))
        made.append(
            row(
                unit,
                draw(st.integers(1, 9)),
                hours=draw(st.none() | hours),
                weekdays=draw(st.none() | weekdays),
                valid_from=draw(st.none() | st.just(dates[0])),
                valid_to=draw(st.none() | st.just(dates[1])),
            )
        )
    return made


def lies_in(one: PriceRow, moment: datetime) -> bool:
    """The model: does this minute lie in the row?"""
    if one.valid_from is not None and moment < one.valid_from:
        return False
    if one.valid_to is not None and not moment < one.valid_to:
        return False
    if one.weekdays is not None and moment.isoweekday() - 1 not in one.weekdays:
        return False
    if one.hours is None:
        return True
    minute, (start, end) = moment.hour * 60 + moment.minute, (second // 60 for second in one.hours)
    of_window = range(start, end) if start < end else {*range(start, 24 * 60), *range(end)}
    return minute in of_window


def priced_at(book: PriceBook, moment: datetime) -> dict[str, int]:
    """Unit to price, by the tariff."""
    quote = book.tariff(("acme", "m", None, False, None, None)).quote_at(moment, 0)
    if quote.card is None:
        assert quote.reason == "no_price_for_model"
        return {}
    return {unit: int(rate.price_per(1, 0)) for unit, rate in quote.card.rates.items()}


@relaxed
@given(rows=rows(), zone=st.sampled_from((0, 5.5, -11, 14)))
def test_every_minute_of_a_week_has_the_prices_of_the_rows_in_which_it_lies(
    rows: list[PriceRow], zone: float
) -> None:
    book, place = acme_book(*rows), timezone(timedelta(hours=zone))
    for minute in range(0, MINUTES_OF_WEEK, 5):
        moment = MONDAY + timedelta(minutes=minute)
        expected = {one.unit: int(one.price) for one in rows if lies_in(one, moment)}
        assert priced_at(book, moment.astimezone(place)) == expected, moment


@relaxed
@given(rows=rows(), moment=moments)
def test_a_row_says_itself_when_it_holds(rows: list[PriceRow], moment: datetime) -> None:
    assert [one.holds_at(moment) for one in rows] == [lies_in(one, moment) for one in rows]


@relaxed
@given(one=rows(), other=rows())
def test_rows_overlap_where_a_minute_lies_in_both(one: list[PriceRow], other: list[PriceRow]) -> None:
    left, right = one[0], PriceRow.from_json(other[0].to_json().replace(other[0].unit, one[0].unit))
    weeks = (
        MONDAY + timedelta(minutes=minute) for minute in range(-MINUTES_OF_WEEK, 2 * MINUTES_OF_WEEK, 15)
    )
    both = any(lies_in(left, moment) and lies_in(right, moment) for moment in weeks)
    found = overlapping_rows([left, right])
    # Dates and windows are compared apart: rows of a few hours on the wrong day may count as overlapping.
    assert bool(found) or not both


def test_off_peak_hours_on_weekdays_and_all_weekend() -> None:
    # Peak is 08:00 to 20:00 UTC from Monday to Friday; the rest of the week costs half.
    week, weekend = (0, 1, 2, 3, 4), (5, 6)
    peak = (8 * 3600, 20 * 3600)
    book = acme_book(
        row("pages", 4, hours=peak, weekdays=week),
        row("pages", 2, hours=(peak[1], peak[0]), weekdays=week),
        row("pages", 2, weekdays=weekend),
    )
    friday = MONDAY + timedelta(days=4)
    prices = {
        friday + timedelta(hours=7, minutes=59, seconds=59): 2,
        friday + timedelta(hours=8): 4,
        friday + timedelta(hours=19, minutes=59, seconds=59): 4,
        friday + timedelta(hours=20): 2,
        friday + timedelta(days=1, hours=12): 2,
        friday + timedelta(days=3, hours=8): 4,
    }
    assert {moment: priced_at(book, moment)["pages"] for moment in prices} == prices
    cards = [
        rate_usage(book, PricingSubject("acme", "m", moment), {"pages": 1}).card
        for moment in (friday, friday + timedelta(hours=9), friday + timedelta(days=1))
    ]
    texts = [card.conditions["hours"] for card in cards if isinstance(card, RateCard)]
    night = "Mon-Fri 00:00-08:00, 20:00-24:00; Sat, Sun 00:00-24:00 UTC"
    assert texts == [night, "Mon-Fri 08:00-20:00 UTC", night]
    assert len({card.id for card in cards if card is not None}) == 2


def test_a_weekday_is_that_of_the_call_itself_also_after_midnight() -> None:
    late = row("pages", 1, hours=(22 * 3600, 2 * 3600), weekdays=(4,))
    friday = MONDAY + timedelta(days=4)
    held = [late.holds_at(friday + timedelta(hours=hour)) for hour in (-1, 1, 21, 22, 25)]
    assert held == [False, True, False, True, False]
