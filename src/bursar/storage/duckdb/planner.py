"""Decides which tables answer a query: rollups where they are exact, raw rows for the rest.

A rollup may answer where it has every dimension, filter and part that is asked for, and only for
its buckets (hours or days of UTC) that lie wholly inside the window and wholly inside one period
of the asked zone. What remains is read from raw rows: the two edges of the window, and the *split*
buckets in which a period of the zone ends (the hour around midnight in +05:30). Both together are
the same events, so the sums agree to the last digit. A pure function: query in, plan out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bursar.clock import EPOCH, rfc3339
from bursar.storage.duckdb.schema import HOUR_DIMENSIONS, LATENCY_DIMENSIONS, USER_DAY_DIMENSIONS
from bursar.usage.periods import period_starts
from bursar.usage.query_measures import UNIT_PREFIX, DistinctUsers, Percentile
from bursar.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable
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


_INSTANT = timedelta(microseconds=1)
_NO_DIMENSION = {"hour", "day", "tenant_id", "bucket"}
BY_HOUR = Rollup("usage_by_hour", "hour", timedelta(hours=1), frozenset(HOUR_DIMENSIONS) - _NO_DIMENSION)
BY_USER_DAY = Rollup(
    "usage_by_user_day", "day", timedelta(days=1), frozenset(USER_DAY_DIMENSIONS) - _NO_DIMENSION
)
LATENCY_BY_HOUR = Rollup(
    "latency_by_hour", "hour", timedelta(hours=1), frozenset(LATENCY_DIMENSIONS) - _NO_DIMENSION
)


@dataclass(frozen=True, slots=True)
class Reading:
    """Where one family of figures is read, as stretches that cover the window without overlap."""

    rollup: Rollup | None = None
    bulk: Window | None = None
    """What the rollup answers, but for the split buckets."""
    split: tuple[datetime, ...] = ()
    """Starts of buckets inside `bulk` that are read from raw rows."""
    raw: tuple[Window, ...] = ()
    """What else is read from raw rows."""

    @property
    def first_raw(self) -> datetime | None:
        """The earliest moment that is read from raw rows."""
        return min((*self.split, *(window.start for window in self.raw)), default=None)

    @property
    def first_summed(self) -> datetime | None:
        """The earliest moment that a rollup answers."""
        return self.bulk.start if self.bulk else None


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


def plan_question(query: UsageQuery) -> Plan:
    """The cheapest exact way to answer a query."""
    breaks = period_starts(query.window, query.grain, query.zone) if query.grain else ()
    figures = [measure.figure for measure in query.asked_measures]
    everything = Reading(raw=(query.window,))
    has_latency = any(isinstance(figure, Percentile) for figure in figures)
    has_users = any(isinstance(figure, DistinctUsers) for figure in figures)
    has_custom = any(name.startswith(UNIT_PREFIX) for name in query.measures)
    return Plan(
        sums=everything if has_custom else _read(query, (BY_HOUR, BY_USER_DAY), breaks),
        latency=_read(query, (LATENCY_BY_HOUR,), breaks) if has_latency else None,
        users=everything if has_users else None,
    )


def _read(query: UsageQuery, rollups: Iterable[Rollup], breaks: tuple[datetime, ...]) -> Reading:
    """The first rollup that can answer; raw rows if none can."""
    needed = {dimension.name for dimension in query.asked_dimensions}
    needed |= {one.dimension for one in query.filters}
    for rollup in rollups:
        if needed <= rollup.dimensions:
            reading = _read_rollup(rollup, query.window, breaks)
            if reading is not None:
                return reading
    return Reading(raw=(query.window,))


def _read_rollup(rollup: Rollup, window: Window, breaks: tuple[datetime, ...]) -> Reading | None:
    """What the rollup can answer exactly, or None where that isn't worth it."""
    first = _floor(window.start + rollup.bucket - _INSTANT, rollup.bucket)
    last = _floor(window.end, rollup.bucket)
    if first >= last:
        return None
    inside = (moment for moment in breaks if first < moment < last)
    split = tuple(
        sorted({_floor(moment, rollup.bucket) for moment in inside if not _is_even(moment, rollup)})
    )
    if len(split) * SPLIT_SHARE > (last - first) // rollup.bucket:
        return None
    edges = ((window.start, first), (last, window.end))
    raw = tuple(Window(start, end) for start, end in edges if start < end)
    return Reading(rollup, Window(first, last), split, raw)


def _is_even(moment: datetime, rollup: Rollup) -> bool:
    """Whether one bucket ends and the next begins here."""
    return not (moment - EPOCH) % rollup.bucket


def _floor(moment: datetime, bucket: timedelta) -> datetime:
    return moment - (moment - EPOCH) % bucket


def _sentences(reading: Reading) -> Iterable[str]:
    if reading.rollup and reading.bulk:
        without = f" without {len(reading.split)} split buckets" if reading.split else ""
        yield f"{reading.rollup.table} from {_stretch(reading.bulk)}{without}"
    if reading.split:
        yield f"{RAW_TABLE} in {len(reading.split)} split buckets"
    for window in reading.raw:
        yield f"{RAW_TABLE} from {_stretch(window)}"


def _stretch(window: Window) -> str:
    return f"{rfc3339(window.start)} to {rfc3339(window.end)}"
