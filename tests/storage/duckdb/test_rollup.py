"""Compaction makes rollups smaller, and changes no figure that anybody can ask for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from bursar.storage.duckdb import rollup
from bursar.storage.duckdb.rollup import ROLLUPS, RollupCompactor, add_to_rollups, rollup_sums
from bursar.storage.duckdb.schema import create_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 11, 1)  # noqa: DTZ001 - the store's times are naive UTC
HOURS = 48


@pytest.fixture
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    create_tables(connection)
    yield connection
    connection.close()


def add_events(store: duckdb.DuckDBPyConnection, batch: int) -> None:
    """One event an hour, as a batch of its own, so that every batch adds a rollup row for each hour."""
    store.execute(
        "INSERT INTO usage_events (seq, fingerprint, tenant_id, event_id, time, received_at, door, key_id,"
        " provider, model, service_type, status, input_text, cost, currency, cost_status, latency_ms)"
        " SELECT ? * 1000 + i, 0, 't', concat(?, '-', i), ?::TIMESTAMP + to_hours(i), ?::TIMESTAMP, 'native',"
        " 'k',"
        " 'openai', 'gpt-5', 'llm_service', 'ok', i, 0.000000000001, 'USD', 'priced', 10 FROM range(?) r(i)",
        [batch, batch, START, START, HOURS],
    )
    add_to_rollups(store, f"usage_events WHERE seq >= {batch * 1000} AND seq < {(batch + 1) * 1000}")


def sums(store: duckdb.DuckDBPyConnection, table: str) -> list[tuple[object, ...]]:
    return store.execute(f"{rollup_sums(table)} ORDER BY ALL").fetchall()


def test_compaction_replaces_past_rows_by_their_sums(
    store: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "WORTH_COMPACTING_ROWS", 10)
    for batch in range(1, 6):
        add_events(store, batch)
    before = {table: sums(store, table) for table in ROLLUPS}
    recent = START + timedelta(hours=40)

    saved = RollupCompactor(store.cursor()).compact(recent)

    assert {table: sums(store, table) for table in ROLLUPS} == before
    hourly = store.execute("SELECT count(*) FROM usage_by_hour").fetchall()[0][0]
    assert hourly == 40 + 8 * 5
    assert saved > 0


def test_small_rollups_are_left_alone(store: duckdb.DuckDBPyConnection) -> None:
    add_events(store, 1)
    add_events(store, 2)

    assert RollupCompactor(store.cursor()).compact(START + timedelta(days=9)) == 0


def test_opposite_rows_cancel_out_when_compacted(
    store: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "WORTH_COMPACTING_ROWS", 10)
    add_events(store, 1)
    add_to_rollups(store, "usage_events", sign="-")

    RollupCompactor(store.cursor()).compact(START + timedelta(days=9))

    assert store.execute("SELECT count(*) FROM usage_by_hour").fetchall() == [(0,)]
