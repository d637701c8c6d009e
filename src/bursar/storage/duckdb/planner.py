"""Decides which tables answer a query: rollups where they are exact, raw rows for the rest.

A rollup may answer where it has every dimension, filter and part that is asked for, and only for
its buckets (hours or days of UTC) that lie wholly inside one period of the asked zone. A bucket that
the window cuts is read in one of two ways, whichever reads fewer raw rows: what lies inside, from raw
rows; or the whole bucket, less the raw rows outside. So a window that ends now takes today's bucket
whole, for nothing is later. *Split* buckets, in which a period of the zone ends (the hour around
midnight in +05:30), come from raw rows. All of it together are the same events, so the sums agree to
the last digit. A pure function: query and what is known of the store in, plan out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bursar.clock import EPOCH, rfc3339
from bursar.storage.duckdb.schema import HOUR_DIMENSIONS, LATENCY_DIMENSIONS, USER_DAY_DIMENSIONS
from bursar.usage.periods import period_starts
from bursar.usage.query_dimensions import ALLOCATED
from bursar.usage.query_measures import UNIT_PREFIX, DistinctUsers, Percentile
from bursar.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from bursar.usage.query import UsageQuery

RAW_TABLE = "usage_events"
SPLIT_SHARE = 4
"""A rollup is left aside when more than one bucket in four is split: reading raw rows bucket by
bucket then saves little over reading them all."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of pre-summed usage: its time column, how long a bucket is, what it is summed by."""

    table: str
    time_column: str
    bucket: timedelta
    dimensions: frozenset[str]


_NO_DIMENSION = {"hour", "day", "tenant_id", "bucket"}
BY_HOUR = Rollup("usage_by_hour", "hour", timedelta(hours=1), frozenset(HOUR_DIMENSIONS) - _NO_DIMENSION)
BY_USER_DAY = Rollup(
    "usage_by_user_day", "day", timedelta(days=1), frozenset(USER_DAY_DIMENSIONS) - _NO_DIMENSION
)
LATENCY_BY_HOUR = Rollup(
    "latency_by_hour", "hour", timedelta(hours=1), frozenset(LATENCY_DIMENSIONS) - _NO_DIMENSION
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What is known of a tenant's stored usage when a question is planned."""

    now: datetime
    """Later than this there is next to nothing. Only what is cheaper depends on it, never a figure."""
    events_from: datetime | None = None
    """Raw rows before this have expired, and stand in rollups only."""
    allocated_by: frozenset[str] = frozenset()
    """The dimensions that decide which owner and cost centre bear an event of the window."""

    def prefers_outside(self, inside: Window, outside: Iterable[Window]) -> bool:
        """Whether to take a cut bucket whole, less what is outside: all of that is there, and it is less."""
        outside = tuple(outside)
        if self.events_from and any(window.start < self.events_from for window in outside):
            return False
        return sum(map(self._length, outside), timedelta()) < self._length(inside)

    def _length(self, window: Window) -> timedelta:
        return max(min(window.end, self.now) - window.start, timedelta())


@dataclass(frozen=True, slots=True)
class Reading:
    """Where one family of figures is read: each event of the window counts once in all."""

    rollup: Rollup | None = None
    bulk: Window | None = None
    """What the rollup answers, but for the split buckets: whole buckets."""
    split: tuple[datetime, ...] = ()
    """Starts of buckets inside `bulk` that are read from raw rows."""
    raw: tuple[Window, ...] = ()
    """What else is read from raw rows."""
    less: tuple[Window, ...] = ()
    """What of `bulk` lies outside the window: read from raw rows, and taken off."""

    @property
    def first_raw(self) -> datetime | None:
        """The earliest moment of the window that is read from raw rows."""
        return min((*self.split, *(window.start for window in self.raw)), default=None)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each family of figures is read; None for a family that nobody asked for."""

    sums: Reading
    latency: Reading | None
    users: Reading | None

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Every reading that was asked for."""
        return tuple(reading for reading in (self.sums, self.latency, self.users) if reading)

    def explain(self) -> tuple[str, ...]:
        """One sentence per stretch and family, for people."""
        families = (("sums", self.sums), ("latency", self.latency), ("users", self.users))
        return tuple(
            f"{name}: {sentence}" for name, reading in families if reading for sentence in _sentences(reading)
        )


def plan_question(query: UsageQuery, reach: Reach) -> Plan:
    """The cheapest exact way to answer a query."""
    breaks = period_starts(query.window, query.grain, query.zone) if query.grain else ()
    figures = [measure.figure for measure in query.asked_measures]
    has_latency = any(isinstance(figure, Percentile) for figure in figures)
    has_users = any(isinstance(figure, DistinctUsers) for figure in figures)
    has_custom = any(name.startswith(UNIT_PREFIX) for name in query.measures)

    def read(*rollups: Rollup) -> Reading:
        """The first rollup that can answer; raw rows if none can."""
        needed = {dimension.name for dimension in query.asked_dimensions}
        needed |= {one.dimension for one in query.filters}
        if needed & ALLOCATED:
            # Allocations hold from a UTC day on, so no bucket of a rollup has two of one bearer.
            needed = needed - ALLOCATED | reach.allocated_by
        able = (rollup for rollup in rollups if needed <= rollup.dimensions)
        found = (_read_rollup(rollup, query.window, breaks, reach) for rollup in able)
        return next((reading for reading in found if reading), Reading(raw=(query.window,)))

    return Plan(
        sums=read() if has_custom else read(BY_HOUR, BY_USER_DAY),
        latency=read(LATENCY_BY_HOUR) if has_latency else None,
        users=read(BY_USER_DAY) if has_users else None,
    )


def _read_rollup(
    rollup: Rollup, window: Window, breaks: tuple[datetime, ...], reach: Reach
) -> Reading | None:
    """What the rollup can answer exactly, or None where that isn't worth it."""
    first, last = _floor(window.start, rollup.bucket), _ceiling(window.end, rollup.bucket)
    raw: list[Window] = []
    less: list[Window] = []
    for bucket in _cut_buckets(rollup, window):
        inside = Window(max(bucket.start, window.start), min(bucket.end, window.end))
        outside = _between((bucket.start, inside.start), (inside.end, bucket.end))
        is_broken = any(inside.start < moment < inside.end for moment in breaks)
        if not is_broken and reach.prefers_outside(inside, outside):
            less += outside
        elif bucket.start < window.start:
            raw.append(inside)
            first = bucket.end
        else:
            raw.append(inside)
            last = bucket.start
    if first >= last:
        return None
    within = (moment for moment in breaks if max(first, window.start) < moment < last)
    split = tuple(
        sorted({_floor(moment, rollup.bucket) for moment in within if not _is_even(moment, rollup)})
    )
    if len(split) * SPLIT_SHARE > (last - first) // rollup.bucket:
        return None
    return Reading(rollup, Window(first, last), split, tuple(raw), tuple(less))


def _cut_buckets(rollup: Rollup, window: Window) -> Iterator[Window]:
    """The buckets of which only a part is in the window: two, one or none."""
    starts = {
        _floor(moment, rollup.bucket) for moment in (window.start, window.end) if not _is_even(moment, rollup)
    }
    return (Window(start, start + rollup.bucket) for start in sorted(starts))


def _between(*pairs: tuple[datetime, datetime]) -> tuple[Window, ...]:
    return tuple(Window(start, end) for start, end in pairs if start < end)


def _is_even(moment: datetime, rollup: Rollup) -> bool:
    """Whether one bucket ends and the next begins here."""
    return not (moment - EPOCH) % rollup.bucket


def _floor(moment: datetime, bucket: timedelta) -> datetime:
    return moment - (moment - EPOCH) % bucket


def _ceiling(moment: datetime, bucket: timedelta) -> datetime:
    return moment + (EPOCH - moment) % bucket


def _sentences(reading: Reading) -> Iterator[str]:
    if reading.rollup and reading.bulk:
        without = f" without {len(reading.split)} split buckets" if reading.split else ""
        yield f"{reading.rollup.table} from {_stretch(reading.bulk)}{without}"
    if reading.split:
        yield f"{RAW_TABLE} in {len(reading.split)} split buckets"
    for window in reading.raw:
        yield f"{RAW_TABLE} from {_stretch(window)}"
    for window in reading.less:
        yield f"less {RAW_TABLE} from {_stretch(window)}"


def _stretch(window: Window) -> str:
    return f"{rfc3339(window.start)} to {rfc3339(window.end)}"
