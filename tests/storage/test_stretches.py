"""Deliveries, corrections and voids in one transaction say what they say one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bursar.storage.duckdb.change_reader import runs_of
from bursar.storage.duckdb.stretches import RUNS_TOGETHER, steps_of, stretches
from bursar.usage.applying import Applied
from tests.support.changed_store import QUARANTINE_LIMIT, ChangedStore, Lines
from tests.support.ledger import a_change, a_correction, a_usage, a_void

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = 60
COUNTS = (
    "new",
    "duplicates",
    "conflicts",
    "quarantined",
    "quarantine_dropped",
    "amended",
    "passed_over",
    "repeats",
)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[ChangedStore, ChangedStore]]:
    """Two empty stores."""
    pair = ChangedStore(tmp_path / "together"), ChangedStore(tmp_path / "alone")
    yield pair
    for store in pair:
        store.close()


def a_record(chance: random.Random) -> dict[str, Any]:
    """Mostly deliveries and changes of a few events, so that each comes before and behind each other."""
    event_id, other = (f"e{chance.randrange(12)}" for _ in range(2))
    usage = a_usage(event_id, event={"user_id": chance.choice(["mara", "ada"])})
    match chance.randrange(10):
        case 0 | 1 | 2 | 3 | 4:
            return usage
        case 5 | 6:
            return a_correction(event_id, usage)
        case 7 | 8:
            return a_void(event_id, other)
        case _:
            return chance.choice([a_correction(event_id, a_usage("another")), a_change("of another time")])


def one_by_one(store: ChangedStore, lines: Lines) -> Applied:
    applied = Applied()
    for end in range(1, len(lines.lines) + 1):
        applied.add(store.apply(Lines(lines.lines[:end])))
    return applied


def counts(applied: Applied) -> dict[str, Any]:
    return {name: getattr(applied, name) for name in COUNTS}


@pytest.mark.parametrize("seed", range(6))
def test_records_applied_together_leave_what_each_alone_leaves(
    stores: tuple[ChangedStore, ChangedStore], seed: int
) -> None:
    together, alone = stores
    chance, lines = random.Random(seed), Lines()
    for _ in range(RECORDS):
        lines.add(a_record(chance))
    assert counts(together.apply(lines)) == counts(one_by_one(alone, lines))
    assert together.dump() == alone.dump()
    assert together.recount(lines).differences == []


def test_an_event_that_comes_behind_its_correction_or_void_was_not_there_to_change(
    stores: tuple[ChangedStore, ChangedStore],
) -> None:
    store, lines = stores[0], Lines()
    lines.add(a_usage("first"))
    lines.add(a_correction("late", a_usage("late", cost="1.000000000000")))
    lines.add(a_void("late"))
    lines.add(a_usage("late"))
    applied = store.apply(lines)
    assert (applied.new, applied.amended, applied.passed_over, applied.quarantined) == (2, 1, 1, 1)
    assert store.ask("SELECT reason FROM quarantine") == [("no_such_event",)]
    assert store.ask("SELECT DISTINCT cost::VARCHAR FROM usage_events") == [("0.000021000000",)]
    assert store.recount(lines).differences == []


def test_what_does_not_fit_is_kept_aside_and_its_neighbours_are_applied(
    stores: tuple[ChangedStore, ChangedStore],
) -> None:
    store, lines = stores[0], Lines()
    lines.add(a_usage("a"))
    lines.add(a_correction("a", {**a_usage("a"), "time": "no time"}))
    lines.add(a_usage("b", time="neither"))
    lines.add(a_usage("c"))
    lines.add(a_correction("c", a_usage("c", cost="1.000000000000")))
    applied = store.apply(lines)
    assert (applied.new, applied.amended, applied.quarantined) == (2, 1, 2)
    assert store.ask("SELECT seq, reason FROM quarantine ORDER BY 1") == [
        (2, "unreadable_record"),
        (3, "unreadable_record"),
    ]
    assert store.recount(lines).differences == []


def test_which_records_the_bound_of_the_quarantine_keeps_is_told_by_their_order_alone(
    stores: tuple[ChangedStore, ChangedStore],
) -> None:
    together, alone = stores
    lines = Lines()
    for usage in (
        a_usage("a"),
        *(a_usage("a", fingerprint=i) for i in range(QUARANTINE_LIMIT)),
        a_usage("b", time="no time"),
    ):
        lines.add(usage)
    assert counts(together.apply(lines)) == counts(one_by_one(alone, lines))
    assert together.ask("SELECT DISTINCT reason FROM quarantine") == [("conflict",)]
    assert together.dump() == alone.dump()


@pytest.mark.parametrize("begins_with_usage", [True, False])
def test_changes_on_both_sides_of_a_gap_in_the_positions_are_made_once(
    stores: tuple[ChangedStore, ChangedStore], *, begins_with_usage: bool
) -> None:
    """A write that failed, or a crash that left half of one, leaves such a gap."""
    store, lines = stores[0], Lines()
    lines.add(a_usage("a"))
    for cents in range(3):
        lines.add(a_correction("a", a_usage("a", cost=f"0.0{cents}")))
    usage, changes = lines.batches()
    before, behind = changes.between(0, 2), changes.between(2, 4)
    payload = behind.payload.replace(b'"seq":3', b'"seq":1003').replace(b'"seq":4', b'"seq":1004')
    behind = replace(behind, first_seq=1003, last_seq=1004, payload=payload)
    if not begins_with_usage:
        store.applier.apply([usage])
    assert store.applier.apply([usage, before, behind]).last_seq == 1004
    assert store.applier.position() == ("journal", 1004)
    again = store.applier.apply([usage, before, behind])
    assert (again.new, again.amended) == (0, 0)
    assert store.ask("SELECT ended_seq FROM usage_history ORDER BY 1") == [(2,), (1003,), (1004,)]


def test_one_transaction_makes_a_bounded_number_of_changes_however_many_come(
    stores: tuple[ChangedStore, ChangedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB keeps what each of them took until the transaction ends."""
    monkeypatch.setattr("bursar.storage.duckdb.stretches.RUNS_TOGETHER", 4)
    together, alone = stores
    lines = Lines()
    for i in range(10):
        lines.add(a_usage(f"e{i}"))
        lines.add(a_void("e0", f"e{i}"))
        lines.add(a_correction("e1", a_usage("e1", cost=f"{i}.000000000000")))
    found = list(stretches(lines.batches(), after_seq=0))
    assert [len(list(runs_of(steps_of(one)))) for one in found] == [4, 4, 4, 4, 4]
    assert counts(together.apply(lines)) == counts(one_by_one(alone, lines))
    assert together.dump() == alone.dump()


def test_corrections_of_different_events_count_as_one_however_many_they_are() -> None:
    lines = Lines()
    for i in range(3 * RUNS_TOGETHER):
        lines.add(a_usage(f"e{i}"))
        lines.add(a_correction(f"e{i}", a_usage(f"e{i}")))
    assert len(list(stretches(lines.batches(), after_seq=0))) == 1


def test_changes_between_deliveries_need_no_transaction_each(
    stores: tuple[ChangedStore, ChangedStore],
) -> None:
    store, lines = stores[0], Lines()
    for i in range(100):
        lines.add(a_usage(f"e{i}"))
        lines.add(a_correction(f"e{i}", a_usage(f"e{i}", cost="1.000000000000")))
    assert store.apply(lines).amended == 100
    # What all deliveries brought, what of it ended, and what took its place.
    assert store.ask("SELECT count(*), sum(events) FROM usage_by_hour") == [(3, 100)]
    assert store.recount(lines).differences == []
