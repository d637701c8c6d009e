"""Periods of a reporting zone: its hours, days, weeks (from Monday) and months, as moments in UTC.

Pure calendar arithmetic, correct across changes to and from summer time: a day may have 23 or 25
hours, and an hour that a clock shows twice is two periods. A change in the middle of a clock hour
begins a new period. The planner asks where periods begin; the store computes the same periods in
SQL from `offset_spans`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason
from bursar.window import day_start

if TYPE_CHECKING:
    from bursar.window import Window

PERIODS_LIMIT = 10_000
"""More periods than this are no answer but a listing: 13 months of hours, 27 years of days."""
_HOUR = timedelta(hours=1)


class Grain(StrEnum):
    """How finely time is divided."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


LONGEST_PERIOD = {
    Grain.HOUR: timedelta(hours=1),
    Grain.DAY: timedelta(hours=25),
    Grain.WEEK: timedelta(days=7, hours=1),
    Grain.MONTH: timedelta(days=31, hours=1),
}


@dataclass(frozen=True, slots=True)
class OffsetSpan:
    """A stretch of time, beginning at `start`, during which a zone keeps one offset from UTC."""

    start: datetime
    offset: timedelta


def offset_spans(window: Window, zone: tzinfo) -> tuple[OffsetSpan, ...]:
    """The offsets that a zone keeps within a window, each with the moment from which it holds."""
    start = window.start.replace(microsecond=0)
    spans = [OffsetSpan(start, _offset_at(start, zone))]
    if isinstance(zone, timezone):
        return tuple(spans)
    # No zone has ever changed its offset twice within a day.
    while start < window.end:
        end = min(start + timedelta(days=1), window.end)
        if _offset_at(end, zone) != spans[-1].offset:
            change = _change_between(start, end, zone)
            if change < window.end:
                spans.append(OffsetSpan(change, _offset_at(change, zone)))
        start = end
    return tuple(spans)


def period_starts(window: Window, grain: Grain, zone: tzinfo) -> tuple[datetime, ...]:
    """When each period that overlaps the window begins, in UTC; the first may begin before it.

    Raises:
        Invalid: more than `PERIODS_LIMIT` periods.
    """
    if window.length > LONGEST_PERIOD[grain] * PERIODS_LIMIT:
        raise _too_many(grain)
    starts = _hours(window, zone) if grain is Grain.HOUR else _calendar_periods(window, grain, zone)
    if len(starts) > PERIODS_LIMIT:
        raise _too_many(grain)
    return tuple(starts)


def period_from_label(label: datetime, grain: Grain, zone: tzinfo) -> datetime:
    """When the period that the store names by `label` begins, in UTC.

    Hours are labelled by their start in UTC, longer periods by their first calendar day. In UTC and
    not in the zone, because Python takes the two hours of one name, an hour apart, for equal there.
    """
    return label.replace(tzinfo=UTC) if grain is Grain.HOUR else day_start(label.date(), zone)


def next_period(start: datetime, grain: Grain, zone: tzinfo) -> datetime:
    """When the period after the one beginning at `start` begins, in UTC."""
    if grain is Grain.HOUR:
        return start + _HOUR
    day = start.astimezone(zone).date()
    if grain is Grain.MONTH:
        return day_start((day.replace(day=1) + timedelta(days=31)).replace(day=1), zone)
    return day_start(day + timedelta(days=7 if grain is Grain.WEEK else 1), zone)


def _calendar_periods(window: Window, grain: Grain, zone: tzinfo) -> list[datetime]:
    day = window.start.astimezone(zone).date()
    if grain is Grain.WEEK:
        day -= timedelta(days=day.weekday())
    elif grain is Grain.MONTH:
        day = day.replace(day=1)
    starts = [day_start(day, zone)]
    while (following := next_period(starts[-1], grain, zone)) < window.end:
        starts.append(following)
    return starts


def _hours(window: Window, zone: tzinfo) -> list[datetime]:
    """Clock hours of each offset span; a span that begins within a clock hour begins a period."""
    starts: list[datetime] = []
    spans = offset_spans(window, zone)
    for span, following in pairwise((*spans, OffsetSpan(window.end, timedelta()))):
        hour = _floor_hour(span.start + span.offset) - span.offset
        if starts:
            hour = max(hour, span.start)
        while hour < following.start:
            starts.append(hour)
            hour = _floor_hour(hour + span.offset) - span.offset + _HOUR
    return starts


def _floor_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _offset_at(moment: datetime, zone: tzinfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change_between(start: datetime, end: datetime, zone: tzinfo) -> datetime:
    """The first whole second at which the offset differs from the one at `start`."""
    before = _offset_at(start, zone)
    low, high = 0, int((end - start).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_at(start + timedelta(seconds=middle), zone) == before:
            low = middle
        else:
            high = middle
    return start + timedelta(seconds=high)


def _too_many(grain: Grain) -> Invalid:
    message = f"The window has more than {PERIODS_LIMIT} {grain}s; ask for a shorter one or a coarser grain."
    return Invalid(message, reasons=(Reason("grain", "too_many_periods", message),))
