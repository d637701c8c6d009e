"""The SQL of questions: its whole text where it matters, the tenant in every part, no value in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings

from bursar.storage.duckdb.event_sql import select_event, select_events
from bursar.storage.duckdb.planner import Reach, plan_question
from bursar.storage.duckdb.question_sql import write_question
from bursar.storage.duckdb.schema import LATENCY_GROWTH as STORED_GROWTH
from bursar.usage.latency import LATENCY_GROWTH, UNDER_ONE_MS, latency_of_bucket
from bursar.usage.periods import Grain
from bursar.usage.query import EventCursor, EventPage, Filter, FilterOp, Order, UsageQuery
from bursar.window import Window, parse_zone
from tests.support.random_usage import queries
from tests.support.rounds import rounds
from tests.support.usage_rows import Ledger, an_event

OCTOBER = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))

REACH = Reach(OCTOBER.end)


def text_of(query: UsageQuery) -> str:
    return write_question("acme", query, plan_question(query, REACH)).text


def test_spend_by_model_reads_the_hourly_rollup() -> None:
    query = UsageQuery(
        OCTOBER, ("cost",), ("model",), (Filter("provider", FilterOp.IN, ("openai",)),), limit=10
    )
    statement = write_question("acme", query, plan_question(query, REACH))
    assert statement.text == (
        "WITH sums AS ("
        "SELECT k0, k1, coalesce(sum(s0), 0) AS s0, coalesce(sum(s1), 0) AS s1,"
        " coalesce(sum(s0), 0) - coalesce(sum(s1), 0) AS s2, coalesce(sum(s3), 0) AS s3 FROM ("
        'SELECT "model" AS k0, "currency" AS k1, sum("events") AS s0,'
        " sum(events) FILTER (cost_status = 'unpriced') AS s1, sum(\"cost\") AS s3"
        ' FROM usage_by_hour WHERE tenant_id = $v0 AND "provider" = $v1 AND hour >= $v2 AND hour < $v3'
        " GROUP BY ALL) GROUP BY ALL HAVING sum(s0) <> 0)"
        " SELECT sums.* FROM sums ORDER BY CASE WHEN s2 <> 0 THEN s3 END DESC NULLS LAST,"
        " sums.k0 ASC NULLS LAST, sums.k1 ASC NULLS LAST LIMIT $v4 OFFSET $v5"
    )
    start, end = (moment.replace(tzinfo=None) for moment in (OCTOBER.start, OCTOBER.end))
    assert statement.values == {"v0": "acme", "v1": "openai", "v2": start, "v3": end, "v4": 11, "v5": 0}


def test_a_zone_with_summer_time_is_two_offsets() -> None:
    text = text_of(UsageQuery(OCTOBER, ("events",), grain=Grain.DAY, zone=parse_zone("Europe/Berlin")))
    label = (
        "CASE WHEN hour < $v5 THEN date_trunc('day', hour + $v3) ELSE date_trunc('day', hour + $v4) END AS k0"
    )
    assert label in text


def test_percentiles_are_ranks_in_summed_buckets() -> None:
    text = text_of(UsageQuery(OCTOBER, ("latency_p95_ms",), ("model",)))
    assert (
        'SELECT "model" AS k0, bucket, sum(events) AS events FROM latency_by_hour WHERE tenant_id = $v0'
        in text
    )
    assert "sum(events) OVER (PARTITION BY k0 ORDER BY bucket) AS reached" in text
    assert "min(bucket) FILTER (reached * 100 >= timed * 95) AS p95" in text


@given(query=queries())
@settings(deadline=None, max_examples=rounds(15))
def test_every_read_of_a_table_is_restricted_to_the_tenant(query: UsageQuery) -> None:
    text = text_of(query)
    reads = re.findall(r"FROM (?:usage|latency)_\w+ (.{24})", text)
    assert reads
    assert set(reads) == {"WHERE tenant_id = $v0 AN"}


def test_no_value_is_ever_part_of_the_text() -> None:
    query = UsageQuery(
        OCTOBER,
        ("unit:evil", "events"),
        ("tag:evil",),
        (
            Filter("model", FilterOp.PREFIX, ("evil", "evil2")),
            Filter("user_id", FilterOp.NOT, ("evil", None)),
            Filter("tag:evil", FilterOp.IN, ("evil", "evil3", None)),
            Filter("temperature", FilterOp.IN, (0.123,)),
        ),
        order=(Order("tag:evil"),),
        limit=123,
        offset=456,
    )
    statement = write_question("evil", query, plan_question(query, REACH))
    assert not re.search(r"evil|123|456|2026", statement.text)
    assert len(re.findall(r"\$v\d+", statement.text)) >= len(statement.values) == 14


def test_a_page_of_events_is_found_by_key_and_not_by_counting() -> None:
    cursor = EventCursor(OCTOBER.start + timedelta(days=1), 7)
    count, listing = select_events("acme", EventPage(OCTOBER, cursor=cursor, limit=5))
    assert count.text == (
        "SELECT count(*) FROM usage_events WHERE tenant_id = $v2 AND time >= $v0 AND time < $v1"
    )
    assert listing.text.endswith(
        " FROM usage_events WHERE tenant_id = $v2 AND seq IN ("
        "SELECT seq FROM usage_events WHERE tenant_id = $v2 AND time >= $v0 AND time < $v1"
        " AND time <= $v3 AND (time < $v3 OR seq < $v4) ORDER BY time DESC, seq DESC LIMIT $v5 OFFSET $v6"
        ") ORDER BY time DESC, seq DESC"
    )
    assert listing.values["v5"] == 6


def test_one_event_is_found_by_its_position() -> None:
    text = select_event("acme", "evt", 9).text
    assert text.endswith("WHERE seq = $v0 AND tenant_id = $v1 AND event_id = $v2")


def test_store_and_reader_agree_on_the_growth_of_latency_buckets() -> None:
    assert Decimal(str(STORED_GROWTH)) == LATENCY_GROWTH


@pytest.mark.parametrize("latency", ["0", "0.999", "1", "1.04", "17.3", "250", "99999.999", "1000000000"])
def test_the_latency_shown_for_a_bucket_is_within_2_percent(latency: str) -> None:
    ledger = Ledger().add(an_event(latency_ms=Decimal(latency)))
    bucket = ledger.connection.execute("SELECT bucket FROM latency_by_hour").fetchall()[0][0]
    shown = latency_of_bucket(bucket)
    if Decimal(latency) < 1:
        assert shown == UNDER_ONE_MS
    else:
        assert abs(shown - Decimal(latency)) <= Decimal(latency) * Decimal("0.02") + Decimal("0.001")
