"""Records become rows: each id once, whatever is broken beside it, as often as it is tried."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pytest

from bursar.app.rebuilding import MEMORY_SHARE
from bursar.storage.duckdb.connection import DuckDBLimits
from bursar.usage.applying import Delivery, Repeat
from tests.support.ledger import QUARANTINE_LIMIT, Ledger, a_correction, a_usage, a_void, opened_ledger

if TYPE_CHECKING:
    from pathlib import Path


def event_ids(ledger: Ledger) -> list[str]:
    return [row[0] for row in ledger.ask("SELECT event_id FROM usage_events ORDER BY seq")]


def quarantined(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.ask("SELECT seq, tenant_id, event_id, reason FROM quarantine ORDER BY seq")


def totals(ledger: Ledger, table: str) -> tuple[int, int, Decimal]:
    """Events, input tokens and cost by a rollup."""
    return ledger.ask(f"SELECT sum(events), sum(input_text), sum(cost) FROM {table}")[0]


def test_first_deliveries_count_and_repeats_are_told_apart(ledger: Ledger) -> None:
    ledger.journal_together(a_usage("a"), a_usage("b"))
    ledger.journal_together(a_usage("a"), a_usage("b", event={"model": "gpt-4o"}), a_usage("c"))
    applied = ledger.apply()
    assert (applied.new, applied.duplicates, applied.conflicts, applied.quarantined) == (3, 1, 1, 1)
    assert applied.repeats == {3: Repeat(Delivery.DUPLICATE, 1), 4: Repeat(Delivery.CONFLICT, 2)}
    assert event_ids(ledger) == ["a", "b", "c"]
    assert quarantined(ledger) == [(4, "acme", "b", "conflict")]
    assert ledger.recount().is_clean


def test_equal_ids_of_two_tenants_both_count(ledger: Ledger) -> None:
    ledger.journal_together(a_usage("a"), a_usage("a", tenant_id="umbrella"))
    assert ledger.apply().new == 2
    assert ledger.ask("SELECT tenant_id, sum(events) FROM usage_by_hour GROUP BY 1 ORDER BY 1") == [
        ("acme", 1),
        ("umbrella", 1),
    ]


def test_applying_again_changes_nothing(ledger: Ledger) -> None:
    ledger.journal_together(a_usage("a"), a_usage("b"), a_usage("a"))
    ledger.journal(a_correction("a", a_usage("a", cost="0.5")), a_void("b"), a_void("nobody"))
    ledger.apply()
    before = ledger.dump()
    for _ in range(2):
        assert ledger.apply().new == 0
    assert ledger.dump() == before


@pytest.mark.parametrize("lost", ["store", "index", "both"])
def test_what_was_lost_comes_back_from_the_journal_as_it_was(tmp_path: Path, lost: str) -> None:
    with opened_ledger(tmp_path) as ledger:
        ledger.journal_together(
            a_usage("a"), a_usage("b"), a_usage("a"), a_usage("b", event={"model": "gpt-4o"})
        )
        ledger.journal(a_correction("a", a_usage("a", cost="0.5")), a_void("b"), a_usage("b"), a_usage("c"))
        ledger.apply()
        before = ledger.dump()
        folder = ledger.stores.folder
    if lost != "index":
        folder.store.unlink()
    if lost != "store":
        folder.index.with_suffix(".state").unlink()
    with opened_ledger(tmp_path) as ledger:
        ledger.apply()
        assert ledger.dump() == before
        assert ledger.recount().is_clean


BROKEN = {
    "no JSON": b"oops",
    "a list": b'{"kind":"usage","event":[]}',
    "cost is a word": msgspec.json.encode(a_usage("broken", cost="much")),
    "cost beyond what is kept": msgspec.json.encode(a_usage("broken", cost="1000000.000000000000")),
    "no tenant": msgspec.json.encode({**a_usage("broken"), "tenant_id": None}),
    "no id": msgspec.json.encode(a_usage("broken", event={"event_id": None})),
    "no time": msgspec.json.encode({**a_usage("broken"), "time": None}),
    "units are words": msgspec.json.encode(a_usage("broken", units={"input_text": "many"})),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_record_that_can_not_be_read_is_kept_aside_and_its_neighbours_count(
    ledger: Ledger, broken: bytes
) -> None:
    ledger.journal_together(*map(a_usage, "abc"), broken, *map(a_usage, "def"))
    applied = ledger.apply()
    assert (applied.new, applied.quarantined) == (6, 1)
    assert event_ids(ledger) == list("abcdef")
    assert [row[3] for row in quarantined(ledger)] == ["unreadable_record"]
    assert ledger.recount().is_clean


def test_several_broken_records_at_any_place_stop_no_other(ledger: Ledger) -> None:
    good = [a_usage(f"good{i}") for i in range(40)]
    broken = {i: a_usage(f"broken{i}", cost="much") for i in (0, 1, 7, 20, 39)}
    ledger.journal_together(*(broken.get(i, good[i]) for i in range(40)))
    applied = ledger.apply()
    assert (applied.new, applied.quarantined) == (35, 5)
    assert [row[0] - 1 for row in quarantined(ledger)] == sorted(broken)
    assert event_ids(ledger) == [f"good{i}" for i in range(40) if i not in broken]
    assert ledger.recount().is_clean


def test_a_broken_record_is_shown_whole(ledger: Ledger) -> None:
    ledger.journal_together(a_usage("broken", cost="much"))
    ledger.apply()
    [(record, detail)] = ledger.ask("SELECT record, detail FROM quarantine")
    assert msgspec.json.decode(record)["cost"] == "much"
    # Nothing of the machine's own folders, which its tenant must not see.
    assert (
        detail
        == 'Invalid Input Error: JSON transform error, in line 1: Failed to cast value to decimal: "much"'
    )


def test_quarantine_is_bounded_by_tenant_and_drops_are_counted(ledger: Ledger) -> None:
    more = QUARANTINE_LIMIT + 30
    ledger.journal_together(*(a_usage("a", event={"model": f"m{i}"}) for i in range(more + 1)))
    ledger.journal_together(*(a_usage("a", tenant_id="umbrella", event={"model": f"m{i}"}) for i in range(3)))
    applied = ledger.apply()
    assert (applied.conflicts, applied.quarantined, applied.quarantine_dropped) == (
        more + 2,
        QUARANTINE_LIMIT + 2,
        30,
    )
    assert ledger.ask("SELECT tenant_id, count(*) FROM quarantine GROUP BY 1 ORDER BY 1") == [
        ("acme", QUARANTINE_LIMIT),
        ("umbrella", 2),
    ]


@pytest.mark.parametrize("change", [None, a_correction("e1", a_usage("e1", cost="1.000000000000"))])
def test_what_there_is_no_memory_for_now_is_not_taken_for_unreadable(
    ledger: Ledger, change: dict[str, Any] | None
) -> None:
    ledger.journal_together(*(a_usage(f"e{i}") for i in range(5)))
    if change is not None:
        ledger.apply()
        ledger.journal(change)
    before = ledger.dump()
    ledger.stores.database.limit(DuckDBLimits(memory="16MB"))
    with pytest.raises(duckdb.OutOfMemoryException):
        ledger.apply()
    assert ledger.dump()["usage_events"] == before["usage_events"]
    ledger.stores.database.limit(DuckDBLimits())
    applied = ledger.apply()
    assert (applied.new, applied.amended, applied.quarantined) == ((5, 0, 0) if change is None else (0, 1, 0))
    assert ledger.recount().is_clean


def test_the_share_that_a_rebuild_has_of_little_memory_is_enough_to_load_records(ledger: Ledger) -> None:
    ledger.stores.database.limit(DuckDBLimits(memory="512MB").share(MEMORY_SHARE))
    ledger.journal_together(*(a_usage(f"e{i}") for i in range(5)))
    assert ledger.apply().new == 5


def test_a_void_takes_an_event_out_of_everything_and_keeps_its_trail(ledger: Ledger) -> None:
    ledger.journal_together(a_usage("a", event={"latency_ms": 12.5, "user_id": "mara"}), a_usage("b"))
    ledger.journal(a_void("a"))
    applied = ledger.apply()
    assert (applied.new, applied.amended) == (2, 1)
    assert event_ids(ledger) == ["b"]
    assert ledger.ask("SELECT event_id, ended_seq, ended_kind FROM usage_history") == [("a", 3, "void")]
    for table in ("usage_by_hour", "usage_by_user_day"):
        assert totals(ledger, table) == (1, 100, Decimal("0.000021"))
    assert ledger.ask("SELECT sum(events) FROM latency_by_hour") == [(0,)]
    assert ledger.recount().is_clean


def test_a_voided_id_stays_used(ledger: Ledger) -> None:
    ledger.journal(a_usage("a"), a_void("a"), a_usage("a"))
    assert ledger.apply().duplicates == 1
    assert event_ids(ledger) == []
    assert ledger.recount().is_clean


def test_a_correction_replaces_an_event_everywhere_and_keeps_the_old_one(ledger: Ledger) -> None:
    ledger.journal(a_usage("a", event={"user_id": "mara"}))
    better = a_usage("a", cost="0.75", units={"input_text": 7}, event={"user_id": "noor", "model": "gpt-4o"})
    ledger.journal(a_correction("a", better), a_usage("a", event={"user_id": "mara"}))
    applied = ledger.apply()
    assert (applied.amended, applied.duplicates) == (1, 1)
    assert ledger.ask("SELECT seq, user_id, cost, input_text, revised_seq FROM usage_events") == [
        (1, "noor", Decimal("0.75"), 7, 2)
    ]
    assert ledger.ask("SELECT user_id, cost, ended_seq, ended_kind FROM usage_history") == [
        ("mara", Decimal("0.000021"), 2, "correction")
    ]
    assert ledger.ask("SELECT user_id, sum(events) AS n FROM usage_by_user_day GROUP BY 1 HAVING n <> 0") == [
        ("noor", 1)
    ]
    assert totals(ledger, "usage_by_hour") == (1, 7, Decimal("0.75"))
    assert ledger.recount().is_clean


def test_corrections_of_corrections_and_a_void_leave_nothing_but_history(ledger: Ledger) -> None:
    ledger.journal(a_usage("a"))
    ledger.journal(*(a_correction("a", a_usage("a", cost=f"{i}.5")) for i in range(1, 5)))
    ledger.journal(a_void("a"), a_correction("a", a_usage("a", cost="9.5")), a_void("a"))
    applied = ledger.apply()
    assert (applied.amended, applied.passed_over, applied.quarantined) == (6, 1, 1)
    assert ledger.ask("SELECT count(*), sum(cost) FROM usage_history") == [(5, Decimal("12.000021"))]
    assert totals(ledger, "usage_by_hour") == (0, 0, Decimal(0))
    assert [row[3] for row in quarantined(ledger)] == ["no_such_event"]
    assert ledger.recount().is_clean


UNUSABLE_CHANGES = {
    "of an event that isn't there": (a_correction("nobody", a_usage("nobody")), "no_such_event"),
    "of another tenant's event": (
        a_correction("a", a_usage("a", tenant_id="umbrella"), tenant_id="umbrella"),
        "no_such_event",
    ),
    "of an unknown kind": (a_void("a", kind="merge"), "unknown_kind"),
    "of a newer version": (a_void("a", v=2), "unknown_kind"),
    "without a version": ({k: v for k, v in a_void("a").items() if k != "v"}, "unreadable_record"),
    "that is no JSON": (b"oops", "unreadable_record"),
    "without the event as it is to be": (a_correction("a", None), "unreadable_record"),
    "to an event that is no object": (a_correction("a", "better"), "unreadable_record"),
    "to an event that can't be read": (a_correction("a", a_usage("a", cost="much")), "unreadable_record"),
    "to an event of another id": (a_correction("a", a_usage("b")), "other_event"),
    "to another tenant's event": (a_correction("a", a_usage("a", tenant_id="umbrella")), "other_event"),
}


@pytest.mark.parametrize(("change", "reason"), UNUSABLE_CHANGES.values(), ids=UNUSABLE_CHANGES)
def test_a_change_that_can_not_be_made_is_kept_aside_and_changes_nothing(
    ledger: Ledger, change: dict[str, Any] | bytes, reason: str
) -> None:
    ledger.journal(a_usage("a"))
    ledger.journal(change, usage_only=False)
    ledger.journal(a_void("a", reason="the next one is carried out"), a_usage("c"))
    applied = ledger.apply()
    assert (applied.new, applied.amended, applied.quarantined) == (2, 1, 1)
    assert [row[3] for row in quarantined(ledger)] == [reason]
    assert ledger.ask("SELECT cost FROM usage_history") == [(Decimal("0.000021"),)]
    assert ledger.recount().is_clean


def test_a_change_before_its_event_stays_without_effect_however_often_it_is_applied(tmp_path: Path) -> None:
    with opened_ledger(tmp_path) as ledger:
        ledger.journal(a_void("a"), a_usage("a"))
        ledger.apply()
        assert event_ids(ledger) == ["a"]
        folder = ledger.stores.folder
    folder.store.unlink()
    # The index knows the event by now; the void must not find it all the same.
    with opened_ledger(tmp_path) as ledger:
        ledger.apply()
        assert event_ids(ledger) == ["a"]
        assert ledger.recount().is_clean


def test_a_crash_between_index_and_store_loses_and_repeats_nothing(tmp_path: Path) -> None:
    with opened_ledger(tmp_path) as ledger:
        ledger.journal_together(a_usage("a"), a_usage("b"), a_usage("a"))
        ledger.stores.database.execute("ALTER TABLE usage_by_hour RENAME TO elsewhere")
        with pytest.raises(Exception, match="usage_by_hour"):
            ledger.apply()
        ledger.stores.database.execute("ALTER TABLE elsewhere RENAME TO usage_by_hour")
        assert event_ids(ledger) == []
        applied = ledger.apply()
        assert (applied.new, applied.duplicates) == (2, 1)
        assert event_ids(ledger) == ["a", "b"]
        assert ledger.recount().is_clean
