"""Compaction makes rollups smaller, a short step at a time, and changes no figure that anybody asks for."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.storage.duckdb import compaction
from bursar.storage.duckdb.compaction import RollupCompactor, count_rollup_rows
from bursar.storage.duckdb.rollup import (
    ROLLUPS,
    add_to_rollups,
    events_by_hour,
    rollup_select,
    rollup_sums,
)
from bursar.storage.duckdb.schema import create_tables
from tests.support.rounds import rounds

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


@pytest.fixture(autouse=True)
def few_rows_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "WORTH_COMPACTING_ROWS", 10)
    monkeypatch.setattr(compaction, "STEP_ROWS", 50)


def add_events(
    store: duckdb.DuckDBPyConnection, batch: int, first: int = 0, last: int = HOURS, model: str = "gpt-5"
) -> None:
    """One event an hour, as a batch of its own, so that every batch adds a rollup row for each hour."""
    store.execute(
        "INSERT INTO usage_events (seq, fingerprint, tenant_id, event_id, time, received_at, door, key_id,"
        " provider, model, service_type, status, input_text, cost, currency, cost_status, latency_ms)"
        " SELECT ? * 1000 + i, 0, 't', concat(?, '-', i), ?::TIMESTAMP + to_hours(i), ?::TIMESTAMP, 'native',"
        " 'k', 'openai', ?, 'llm_service', 'ok', i, 0.000000000001, 'USD', 'priced', 10"
        " FROM range(?, ?) r(i)",
        [batch, batch, START, START, model, first, last],
    )
    add_to_rollups(store, f"usage_events WHERE seq >= {batch * 1000} AND seq < {(batch + 1) * 1000}")


def sums(store: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    return {table: store.execute(f"{rollup_sums(table)} ORDER BY ALL").fetchall() for table in ROLLUPS}


def rows_of(store: duckdb.DuckDBPyConnection, table: str = "usage_by_hour") -> int:
    return sum(count_rollup_rows(store)[table].values())


def compact(store: duckdb.DuckDBPyConnection) -> int:
    """Compact as a new process would, by what is in the store; returns the number of steps."""
    compactor, steps = RollupCompactor(store.cursor()), 0
    compactor.know(count_rollup_rows(store))
    while compactor.step():
        steps += 1
    return steps


def test_compaction_replaces_rows_by_their_sums_and_no_step_on_the_way_changes_a_figure(
    store: duckdb.DuckDBPyConnection,
) -> None:
    for batch in range(1, 6):
        add_events(store, batch)
    before, compactor, reader = sums(store), RollupCompactor(store.cursor()), store.cursor()
    compactor.know(count_rollup_rows(store))

    while compactor.step():
        assert sums(reader) == before

    assert rows_of(store) == HOURS
    assert compactor.counters.steps >= HOURS * 5 / 50
    assert compactor.counters.rows_saved == HOURS * 4 * 2 + (5 - 1) * 2


def test_small_rollups_are_left_alone(
    store: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "WORTH_COMPACTING_ROWS", 1000)
    add_events(store, 1)
    add_events(store, 2)

    assert compact(store) == 0


def test_opposite_rows_cancel_out_when_compacted(store: duckdb.DuckDBPyConnection) -> None:
    add_events(store, 1)
    add_to_rollups(store, "usage_events", sign="-")

    compact(store)

    assert [rows_of(store, table) for table in ROLLUPS if table != "usage_by_user_day"] == [0, 0]
    assert store.execute("SELECT * FROM compacted WHERE row_count = 0").fetchall() == []


def test_a_new_process_goes_on_where_the_last_one_was(store: duckdb.DuckDBPyConnection) -> None:
    for batch in range(1, 6):
        add_events(store, batch)
    before, first = sums(store), RollupCompactor(store.cursor())
    first.know(count_rollup_rows(store))
    for _ in range(3):
        assert first.step()
    done = store.execute("SELECT period FROM compacted WHERE rollup = 'usage_by_hour'").fetchall()

    second = RollupCompactor(store.cursor())
    second.know(count_rollup_rows(store))
    waiting = second._plan()

    assert done
    assert not {period for (period,) in done} & {step.first for step in waiting}
    compact(store)
    assert sums(store) == before
    assert compact(store) == 0


def test_only_periods_that_rows_were_added_to_are_summed_up_again(store: duckdb.DuckDBPyConnection) -> None:
    for batch in range(1, 4):
        add_events(store, batch)
    compact(store)
    untouched = "SELECT rowid, events FROM usage_by_hour WHERE hour NOT BETWEEN ? AND ? ORDER BY 1"
    touched = [START + timedelta(hours=10), START + timedelta(hours=19)]
    before = store.execute(untouched, touched).fetchall()
    add_events(store, 4, 10, 20)

    assert compact(store) > 0

    assert store.execute(untouched, touched).fetchall() == before
    assert rows_of(store) == HOURS


def test_periods_are_due_once_they_have_doubled(store: duckdb.DuckDBPyConnection) -> None:
    for batch in range(1, 7):
        add_events(store, batch, model=f"model-{batch}")
    assert compact(store) > 0
    for batch in range(7, 12):
        add_events(store, batch)
        assert compact(store) == 0

    add_events(store, 12)

    assert compact(store) > 0
    assert rows_of(store) == 7 * HOURS


def test_a_large_period_is_summed_up_in_parts_with_equal_keys_together(
    store: duckdb.DuckDBPyConnection,
) -> None:
    for batch in range(1, 21):
        add_events(store, batch, 0, 24)
    store.execute("UPDATE usage_by_hour SET model = CAST(random() * 20 AS INTEGER), hour = ?", [START])
    keys = store.execute("SELECT count(DISTINCT model) FROM usage_by_hour").fetchall()[0][0]
    before, compactor = sums(store), RollupCompactor(store.cursor())
    compactor.know({"usage_by_hour": count_rollup_rows(store)["usage_by_hour"]})
    parts = 0
    while compactor.step():
        assert sums(store) == before
        parts += 1

    assert parts == -(-480 // 50)
    assert rows_of(store) == keys
    assert store.execute("SELECT row_count FROM compacted").fetchall() == [(keys,)]


def test_a_step_that_fails_leaves_everything_as_it_was(store: duckdb.DuckDBPyConnection) -> None:
    for batch in range(1, 6):
        add_events(store, batch)
    before, rows = sums(store), rows_of(store)
    compactor = RollupCompactor(store.cursor())
    compactor.know(count_rollup_rows(store))
    store.execute("ALTER TABLE compacted RENAME TO hidden")
    with pytest.raises(duckdb.Error, match="compacted"):
        compactor.step()
    assert (sums(store), rows_of(store)) == (before, rows)

    store.execute("ALTER TABLE hidden RENAME TO compacted")
    while compactor.step():
        pass
    assert sums(store) == before
    assert rows_of(store) == HOURS


@settings(max_examples=rounds(3), deadline=None)
@given(seed=st.integers(0, 2**32), batches=st.integers(1, 12))
def test_rollups_say_what_raw_rows_say_whatever_comes_between_steps(seed: int, batches: int) -> None:
    chance = random.Random(seed)
    with duckdb.connect() as store:
        create_tables(store)
        compactor = RollupCompactor(store.cursor())
        for batch in range(1, batches + 1):
            first = chance.randrange(HOURS)
            add_events(store, batch, first, chance.randrange(first, HOURS) + 1)
            source = f"usage_events WHERE seq >= {batch * 1000}"
            if chance.random() < 0.3:
                add_to_rollups(store, source, sign="-")
                store.execute(f"DELETE FROM {source}")
            elif chance.random() < 0.7:
                rows = dict.fromkeys(ROLLUPS, len(events_by_hour(store, source)))
                compactor.note_added(rows, events_by_hour(store, source))
            if chance.random() < 0.2:
                compactor = RollupCompactor(store.cursor())
            if chance.random() < 0.3:
                compactor.know(count_rollup_rows(store))
            for _ in range(chance.randrange(4)):
                compactor.step()
        recounted: dict[str, list[tuple[object, ...]]] = {}
        for table in ROLLUPS:
            selected = f"({rollup_select(table, 'usage_events')})"
            recounted[table] = store.execute(f"{rollup_sums(table, selected)} ORDER BY ALL").fetchall()
        assert sums(store) == recounted
        compact(store)
        assert sums(store) == recounted
