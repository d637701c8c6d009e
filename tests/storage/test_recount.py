"""`verify` proves itself: whatever is tampered with behind its back is found and named by its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bursar.errors import ConfigurationError
from bursar.storage.duckdb.recount import DIFFERENCES_SHOWN
from bursar.storage.journal.segments import segment_paths
from bursar.usage.applying import event_key
from tests.support.ledger import Ledger, a_correction, a_usage, a_void

if TYPE_CHECKING:
    from bursar.storage.duckdb.recount import Recount

ROWS = "journal/usage_events"
HOURS, DAYS, LATENCIES, INDEX = (
    f"usage_events/{part}" for part in ("usage_by_hour", "usage_by_user_day", "latency_by_hour", "key_index")
)


@pytest.fixture
def full(ledger: Ledger) -> Ledger:
    """A ledger with one of everything: calls, repeats, conflicts, a correction, a void, broken records."""
    ledger.journal_together(
        *(a_usage(f"e{i}", event={"latency_ms": 10.5 * i, "user_id": f"u{i % 3}"}) for i in range(10)),
        a_usage("e1", event={"latency_ms": 10.5, "user_id": "u1"}),
        a_usage("e2", event={"model": "another"}),
        a_usage("unpriced", cost=None, cost_status="unpriced"),
        a_usage(
            "custom", custom_units={"gpu_minutes": 5}, event={"tags": {"team": "x"}, "metadata": {"n": 1.5}}
        ),
        a_usage("broken", cost="much"),
    )
    ledger.journal(
        a_correction("e3", a_usage("e3", cost="0.5")), a_void("e4"), a_correction("nobody", a_usage("nobody"))
    )
    ledger.apply()
    return ledger


def tamper(ledger: Ledger, *statements: str) -> None:
    for statement in statements:
        ledger.stores.database.execute(statement)


def words(found: Recount) -> str:
    return "\n".join(f"{one.place}: {one.detail}" for one in found.differences)


def test_an_untouched_ledger_ties_out_and_is_summed_up(full: Ledger) -> None:
    found = full.recount()
    assert words(found) == ""
    assert found.is_clean
    assert (found.journal_events, found.events, found.unpriced, found.quarantined) == (14, 11, 1, 3)
    assert (found.duplicates, found.conflicts, found.voided, found.removed) == (1, 1, 1, 0)
    assert [line.partition(":")[0] for line in found.unreadable] == ["seq 15"]
    assert found.position == 18
    assert found.cost == {"USD": "0.500189000000"}


def test_an_empty_ledger_ties_out(ledger: Ledger) -> None:
    assert ledger.recount().is_clean


TAMPERING = {
    "an event is gone": (
        ["DELETE FROM usage_events WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS, LATENCIES, INDEX},
    ),
    "an event counts twice": (
        ["INSERT INTO usage_events SELECT * FROM usage_events WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS, LATENCIES},
    ),
    "an event was made up": (
        [
            (
                "INSERT INTO usage_events SELECT * REPLACE (99 AS seq, 'x' AS event_id)"
                " FROM usage_events WHERE event_id = 'e5'"
            )
        ],
        {ROWS, HOURS, DAYS, LATENCIES, INDEX},
    ),
    "a cost is off by the last digit": (
        ["UPDATE usage_events SET cost = cost + 0.000000000001 WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS},
    ),
    "a cost is unknown": (
        ["UPDATE usage_events SET cost = NULL, cost_status = 'unpriced' WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS},
    ),
    "a quantity is other": (
        ["UPDATE usage_events SET input_text = 101 WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS},
    ),
    "a custom quantity is other": (
        ["UPDATE usage_events SET custom_units = MAP {'gpu_minutes': 6} WHERE event_id = 'custom'"],
        {ROWS},
    ),
    "a tag is other": (
        ["UPDATE usage_events SET tags = MAP {'team': 'y'} WHERE event_id = 'custom'"],
        {ROWS},
    ),
    "metadata is other": (
        ["UPDATE usage_events SET metadata = '{\"n\":2.5}' WHERE event_id = 'custom'"],
        {ROWS},
    ),
    "another user": (["UPDATE usage_events SET user_id = 'u9' WHERE event_id = 'e5'"], {ROWS, DAYS}),
    "another tenant": (
        ["UPDATE usage_events SET tenant_id = 'umbrella' WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS, LATENCIES, INDEX},
    ),
    "another latency": (
        ["UPDATE usage_events SET latency_ms = 999 WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS, LATENCIES},
    ),
    "another latency of the same bucket": (
        ["UPDATE usage_events SET latency_ms = 52.501 WHERE event_id = 'e5'"],
        {ROWS, HOURS, DAYS},
    ),
    "a correction was undone": (
        ["UPDATE usage_events SET cost = 0.000021 WHERE event_id = 'e3'"],
        {ROWS, HOURS, DAYS},
    ),
    "a void was undone": (
        [
            (
                "INSERT INTO usage_events SELECT * EXCLUDE (ended_seq, ended_kind, ended_at, ended_by,"
                " ended_reason, ended_run)"
                " FROM usage_history WHERE event_id = 'e4'"
            )
        ],
        {ROWS, HOURS, DAYS, LATENCIES},
    ),
    "a rollup lost rows": (["DELETE FROM usage_by_hour"], {HOURS}),
    "a rollup has a row twice": (
        ["INSERT INTO usage_by_user_day SELECT * FROM usage_by_user_day LIMIT 1"],
        {DAYS},
    ),
    "a rollup's cost is off": (["UPDATE usage_by_hour SET cost = cost + 0.000000000001"], {HOURS}),
    "a rollup's unit is off": (["UPDATE usage_by_user_day SET output_text = output_text - 1"], {DAYS}),
    "a rollup has money without events": (
        [
            (
                "INSERT INTO usage_by_hour SELECT * REPLACE (0 AS events, 'x' AS model)"
                " FROM usage_by_hour LIMIT 1"
            ),
            (
                "UPDATE usage_by_hour SET errors = 0, input_text = 0, output_text = 0, cost = 1,"
                " latency_ms = 0, timed_events = 0, timed_output_tokens = 0 WHERE model = 'x'"
            ),
        ],
        {HOURS},
    ),
    "a histogram is off": (["UPDATE latency_by_hour SET bucket = bucket + 1"], {LATENCIES}),
}


@pytest.mark.parametrize(("statements", "places"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_found_and_named(full: Ledger, statements: list[str], places: set[str]) -> None:
    tamper(full, *statements)
    assert full.places() == places


def test_a_key_that_the_index_lost_is_named(full: Ledger) -> None:
    full.stores.index.remove([event_key("acme", "e5")], np.array([6], np.uint64))
    found = full.recount()
    assert words(found) == f"{INDEX}: seq 6: the index says None"


def test_a_key_at_another_position_is_named(full: Ledger) -> None:
    keys = [event_key("acme", "e5")]
    full.stores.index.record(keys, np.array([2], np.uint64), np.array([0], np.uint64))
    assert words(full.recount()) == f"{INDEX}: seq 6: the index says 2"


def test_an_id_that_counts_as_seen_but_is_in_no_row_is_named(full: Ledger) -> None:
    # A new event of this id would be taken for a repeat and never be counted.
    keys = [event_key("acme", "never seen")]
    full.stores.index.record(keys, np.array([7], np.uint64), np.array([0], np.uint64))
    assert words(full.recount()) == f"{INDEX}: the index takes 1 ids for counted that are in no row"


def test_an_index_that_is_ahead_of_the_store_is_no_difference(full: Ledger) -> None:
    keys = [event_key("acme", "being applied right now")]
    full.stores.index.record(keys, np.array([1000], np.uint64), np.array([0], np.uint64))
    assert full.recount().is_clean


def test_a_difference_says_which_event_and_how(full: Ledger) -> None:
    tamper(full, "UPDATE usage_events SET cost = 0.7 WHERE event_id = 'e5'")
    text = words(full.recount())
    assert (
        "in the journal, but not so in usage_events: seq=6, tenant_id=acme, event_id=e5, cost=0.000021"
        in text
    )
    assert (
        "in usage_events, but not so in the journal: seq=6, tenant_id=acme, event_id=e5, cost=0.700000"
        in text
    )


def test_all_differences_are_counted_and_some_of_them_listed(full: Ledger) -> None:
    full.journal_together(*(a_usage(f"more{i}") for i in range(100)))
    full.apply()
    tamper(full, "UPDATE usage_events SET region = 'moon' WHERE event_id LIKE 'more%'")
    found = full.recount()
    assert found.difference_count == 200
    assert len(found.differences) == 2 * DIFFERENCES_SHOWN


def test_what_is_durable_but_not_applied_yet_is_no_difference(full: Ledger) -> None:
    full.journal(a_usage("late"), a_void("e5"))
    assert full.recount().is_clean
    full.apply()
    assert full.recount().is_clean


def test_a_recount_changes_nothing_and_leaves_nothing_behind(full: Ledger) -> None:
    before = full.dump()
    full.recount()
    assert full.dump() == before
    assert [path.name for path in full.stores.folder.scratch.glob("*.duckdb*")] == []


def test_what_a_killed_recount_left_is_in_nobodys_way(full: Ledger) -> None:
    for name in ("recount.duckdb", "recount.duckdb.wal"):
        (full.stores.folder.scratch / name).write_bytes(b"half a database")
    assert full.recount().is_clean


def test_a_damaged_journal_is_refused_by_place(full: Ledger) -> None:
    path = segment_paths(full.stores.folder.journal)[0]
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"e5"', b'"e6"', 1))
    with pytest.raises(ConfigurationError, match=rf"{path.name} is damaged at byte \d+"):
        full.recount()
    path.write_bytes(content)
    assert full.recount().is_clean


def test_a_retry_that_is_known_by_its_old_spelling_is_a_repeat_for_applier_and_recount(
    ledger: Ledger,
) -> None:
    """Journals written before numbers had one spelling hold the fingerprint of the caller's own."""
    of_the_spelling, of_the_number, of_another = 11, 12, 13
    ledger.journal(a_usage("e1", fingerprint=of_the_spelling))
    ledger.journal_together(
        a_usage("e1", fingerprint=of_the_number, spelled_fingerprint=of_the_spelling),
        a_usage("e1", fingerprint=of_the_number, spelled_fingerprint=of_another),
        a_usage("e2", fingerprint=of_the_number, spelled_fingerprint=of_the_spelling),
        a_usage("e2", fingerprint=of_the_number),
        a_usage("e3", fingerprint=of_the_spelling),
        a_usage("e3", fingerprint=of_the_number, spelled_fingerprint=of_the_spelling),
    )
    applied = ledger.apply()
    assert (applied.new, applied.duplicates, applied.conflicts) == (3, 3, 1)
    found = ledger.recount()
    assert words(found) == ""
    assert (found.duplicates, found.conflicts, found.quarantined) == (3, 1, 1)
