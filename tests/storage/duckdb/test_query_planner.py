"""Which tables answer a query: every stretch of the window once, and rollups only where they are exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.storage.duckdb.planner import BY_HOUR, Reach, Reading, plan_question
from bursar.usage.periods import Grain, period_starts
from bursar.usage.query import Filter, FilterOp, UsageQuery
from bursar.window import Window, parse_window, parse_zone
from tests.support.random_usage import queries

if TYPE_CHECKING:
    from datetime import tzinfo

NOW = datetime(2026, 10, 15, 12, 30, tzinfo=UTC)
REACH = Reach(NOW)
LONG_AFTER = Reach(datetime(2027, 1, 1, tzinfo=UTC))


def asking(words: str = "7d", *, zone: tzinfo = UTC, grain: Grain | None = None) -> UsageQuery:
    return UsageQuery(parse_window(words, zone, NOW), ("events",), grain=grain, zone=zone)


def tables(query: UsageQuery) -> list[str]:
    return [sentence.partition(" from ")[0] for sentence in plan_question(query, REACH).explain()]


@pytest.mark.parametrize(
    ("dimensions", "table"),
    [
        ((), "usage_by_hour"),
        (("provider", "model", "service_type", "project_id", "currency", "cost_status"), "usage_by_hour"),
        (("user_id",), "usage_by_user_day"),
        (("user_id", "currency", "cost_status"), "usage_by_user_day"),
        (("user_id", "provider", "model", "service_type", "project_id"), "usage_by_user_day"),
        (("operation",), "usage_events"),
        (("tag:team",), "usage_events"),
    ],
)
def test_the_rollup_that_has_every_dimension_answers(dimensions: tuple[str, ...], table: str) -> None:
    assert tables(replace(asking(), dimensions=dimensions)) == [f"sums: {table}"]
    only = tuple(Filter(name, FilterOp.NOT, ("x",)) for name in dimensions)
    assert tables(replace(asking(), filters=only)) == [f"sums: {table}"]


def test_each_family_of_figures_is_planned_by_itself() -> None:
    query = replace(asking(), measures=("events", "latency_p95_ms", "unique_users"), dimensions=("model",))
    assert tables(query) == ["sums: usage_by_hour", "latency: latency_by_hour", "users: usage_by_user_day"]
    # Money splits rows by currency, which the latency rollup doesn't know.
    assert "latency: usage_events" in tables(replace(query, measures=("cost", "latency_p95_ms")))
    assert tables(replace(query, measures=("unit:gpu_hours",))) == ["sums: usage_events"]


def test_of_a_cut_bucket_the_smaller_part_comes_from_raw_rows() -> None:
    query = asking("2026-10-01T10:45:00Z/2026-10-02T10:15:00Z")
    assert plan_question(query, REACH).explain() == (
        "sums: usage_by_hour from 2026-10-01T11:00:00Z to 2026-10-02T10:00:00Z",
        "sums: usage_events from 2026-10-01T10:45:00Z to 2026-10-01T11:00:00Z",
        "sums: usage_events from 2026-10-02T10:00:00Z to 2026-10-02T10:15:00Z",
    )
    query = asking("2026-10-01T10:15:00Z/2026-10-02T10:45:00Z")
    assert plan_question(query, REACH).explain() == (
        "sums: usage_by_hour from 2026-10-01T10:00:00Z to 2026-10-02T11:00:00Z",
        "sums: less usage_events from 2026-10-01T10:00:00Z to 2026-10-01T10:15:00Z",
        "sums: less usage_events from 2026-10-02T10:45:00Z to 2026-10-02T11:00:00Z",
    )
    assert tables(asking("2026-10-01T10:31:00Z/2026-10-01T10:59:00Z")) == ["sums: usage_events"]
    assert plan_question(asking("2026-10-01T10:05:00Z/2026-10-01T10:55:00Z"), REACH).explain() == (
        "sums: usage_by_hour from 2026-10-01T10:00:00Z to 2026-10-01T11:00:00Z",
        "sums: less usage_events from 2026-10-01T10:00:00Z to 2026-10-01T10:05:00Z",
        "sums: less usage_events from 2026-10-01T10:55:00Z to 2026-10-01T11:00:00Z",
    )


def test_a_window_that_ends_now_takes_the_last_bucket_whole() -> None:
    start = NOW - timedelta(days=2, hours=-1)
    query = UsageQuery(Window(start, NOW), ("events",), ("user_id",))
    assert plan_question(query, REACH).explain() == (
        "sums: usage_by_user_day from 2026-10-14T00:00:00Z to 2026-10-16T00:00:00Z",
        "sums: usage_events from 2026-10-13T13:30:00Z to 2026-10-14T00:00:00Z",
        "sums: less usage_events from 2026-10-15T12:30:00Z to 2026-10-16T00:00:00Z",
    )
    # Later on, the afternoon holds as many rows as any other.
    earlier = replace(query, window=Window(start, NOW - timedelta(hours=2)))
    assert len(plan_question(earlier, REACH).sums.less) == 1
    assert plan_question(earlier, LONG_AFTER).sums.less == ()


def test_expired_rows_can_not_be_taken_off() -> None:
    query = asking("2026-10-01T10:15:00Z/2026-10-02T10:45:00Z")
    first, last = query.window.start, query.window.end
    for events_from, less in ((first, 1), (last, 1), (last + timedelta(seconds=1), 0)):
        reading = plan_question(query, Reach(NOW, events_from)).sums
        assert len(reading.less) == less
        assert all(window.start >= events_from for window in reading.less)
    assert len(plan_question(query, Reach(NOW, first.replace(minute=0))).sums.less) == 2


def test_a_bucket_in_which_a_period_ends_is_never_cut_by_taking_off() -> None:
    berlin = parse_zone("Europe/Berlin")
    query = asking("2026-10-01T02:00:00Z/2026-10-03T01:00:00Z", zone=berlin, grain=Grain.DAY)
    by_user = replace(query, dimensions=("user_id",))
    assert plan_question(by_user, REACH).sums.less == ()
    week = replace(by_user, grain=Grain.WEEK)
    assert plan_question(week, REACH).sums.less == (
        Window(query.window.start.replace(hour=0), query.window.start),
    )


def test_hours_in_which_a_day_of_the_zone_ends_come_from_raw_rows() -> None:
    query = asking(zone=parse_zone("+05:30"), grain=Grain.DAY)
    assert plan_question(query, REACH).explain() == (
        "sums: usage_by_hour from 2026-10-08T19:00:00Z to 2026-10-15T18:00:00Z without 6 split buckets",
        "sums: usage_events in 6 split buckets",
        "sums: usage_events from 2026-10-08T18:30:00Z to 2026-10-08T19:00:00Z",
        "sums: usage_events from 2026-10-15T18:00:00Z to 2026-10-15T18:30:00Z",
    )


def test_where_every_bucket_is_split_raw_rows_answer() -> None:
    india = parse_zone("Asia/Kolkata")
    assert tables(asking(zone=india, grain=Grain.HOUR)) == ["sums: usage_events"]
    berlin_users = replace(asking(zone=parse_zone("Europe/Berlin"), grain=Grain.DAY), dimensions=("user_id",))
    assert tables(berlin_users) == ["sums: usage_events"]


def test_a_day_of_25_hours_is_still_made_of_whole_hours() -> None:
    berlin = parse_zone("Europe/Berlin")
    assert tables(asking("2026-10-20/2026-10-30", zone=berlin, grain=Grain.DAY)) == ["sums: usage_by_hour"]
    assert tables(asking("2026-10-20/2026-10-30", zone=berlin, grain=Grain.HOUR)) == ["sums: usage_by_hour"]


def stretches(reading: Reading) -> list[Window]:
    """What is added and not taken off again, in order."""
    found = [*reading.raw]
    at = reading.bulk.start if reading.bulk else None
    for window in (*sorted(reading.less, key=lambda one: one.start), None):
        if reading.bulk and at:
            end = window.start if window else reading.bulk.end
            found += [Window(at, end)] if at < end else []
            at = window.end if window else None
    return sorted(found, key=lambda window: window.start)


@given(query=queries(), reach=st.sampled_from((REACH, LONG_AFTER, Reach(LONG_AFTER.now, NOW))))
@settings(deadline=None)
def test_the_stretches_of_a_plan_are_the_window_exactly(query: UsageQuery, reach: Reach) -> None:
    for reading in plan_question(query, reach).readings:
        found = stretches(reading)
        assert found[0].start == query.window.start
        assert found[-1].end == query.window.end
        assert all(one.end == following.start for one, following in pairwise(found))
        assert all(window.start >= (reach.events_from or window.start) for window in reading.less)


@given(query=queries())
@settings(deadline=None)
def test_no_rollup_bucket_that_is_read_reaches_over_a_period(query: UsageQuery) -> None:
    reading = plan_question(query, REACH).sums
    if reading.rollup is None or reading.bulk is None or query.grain is None:
        return
    buckets = {
        reading.bulk.start + reading.rollup.bucket * index
        for index in range(reading.bulk.length // reading.rollup.bucket)
    } - set(reading.split)
    for start in period_starts(query.window, query.grain, query.zone)[1:]:
        bucket = start - (start - reading.bulk.start) % reading.rollup.bucket
        assert bucket == start or bucket not in buckets
    assert set(reading.split) <= {
        reading.bulk.start + timedelta(seconds=1) * second
        for second in range(0, int(reading.bulk.length.total_seconds()), int(BY_HOUR.bucket.total_seconds()))
    }
