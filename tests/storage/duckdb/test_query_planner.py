"""Which tables answer a query: every stretch of the window once, and rollups only where they are exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from bursar.storage.duckdb.planner import BY_HOUR, Reading, plan_question
from bursar.usage.periods import Grain, period_starts
from bursar.usage.query import Filter, FilterOp, UsageQuery
from bursar.window import Window, parse_window, parse_zone
from tests.support.random_usage import queries

if TYPE_CHECKING:
    from datetime import tzinfo

NOW = datetime(2026, 10, 15, 12, 30, tzinfo=UTC)


def asking(words: str = "7d", *, zone: tzinfo = UTC, grain: Grain | None = None) -> UsageQuery:
    return UsageQuery(parse_window(words, zone, NOW), ("events",), grain=grain, zone=zone)


def tables(query: UsageQuery) -> list[str]:
    return [sentence.partition(" from ")[0] for sentence in plan_question(query).explain()]


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
    assert tables(query) == ["sums: usage_by_hour", "latency: latency_by_hour", "users: usage_events"]
    # Money splits rows by currency, which the latency rollup doesn't know.
    assert "latency: usage_events" in tables(replace(query, measures=("cost", "latency_p95_ms")))
    assert tables(replace(query, measures=("unit:gpu_hours",))) == ["sums: usage_events"]


def test_edges_of_the_window_come_from_raw_rows() -> None:
    query = asking("2026-10-01T10:15:00Z/2026-10-02T10:45:00Z")
    assert plan_question(query).explain() == (
        "sums: usage_by_hour from 2026-10-01T11:00:00Z to 2026-10-02T10:00:00Z",
        "sums: usage_events from 2026-10-01T10:15:00Z to 2026-10-01T11:00:00Z",
        "sums: usage_events from 2026-10-02T10:00:00Z to 2026-10-02T10:45:00Z",
    )
    assert tables(asking("2026-10-01T10:15:00Z/2026-10-01T11:45:00Z")) == ["sums: usage_events"]


def test_hours_in_which_a_day_of_the_zone_ends_come_from_raw_rows() -> None:
    query = asking(zone=parse_zone("+05:30"), grain=Grain.DAY)
    assert plan_question(query).explain() == (
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
    return sorted([*([reading.bulk] if reading.bulk else []), *reading.raw], key=lambda window: window.start)


@given(query=queries())
@settings(deadline=None)
def test_the_stretches_of_a_plan_are_the_window_exactly(query: UsageQuery) -> None:
    plan = plan_question(query)
    for reading in (plan.sums, plan.latency, plan.users):
        if reading is not None:
            found = stretches(reading)
            assert found[0].start == query.window.start
            assert found[-1].end == query.window.end
            assert all(one.end == following.start for one, following in pairwise(found))


@given(query=queries())
@settings(deadline=None)
def test_no_rollup_bucket_that_is_read_reaches_over_a_period(query: UsageQuery) -> None:
    reading = plan_question(query).sums
    if reading.rollup is None or reading.bulk is None or query.grain is None:
        return
    buckets = {
        reading.bulk.start + reading.rollup.bucket * index
        for index in range(reading.bulk.length // reading.rollup.bucket)
    } - set(reading.split)
    for start in period_starts(query.window, query.grain, query.zone):
        bucket = start - (start - reading.bulk.start) % reading.rollup.bucket
        assert bucket == start or bucket not in buckets
    assert set(reading.split) <= {
        reading.bulk.start + timedelta(seconds=1) * second
        for second in range(0, int(reading.bulk.length.total_seconds()), int(BY_HOUR.bucket.total_seconds()))
    }
