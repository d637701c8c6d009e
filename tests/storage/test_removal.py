"""Retention, erasure and reset one by one: what goes, what stays, what a crash or a tamperer can do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pytest

from bursar.storage.duckdb.connection import DuckDBLimits, open_store
from bursar.storage.duckdb.person_sql import find_person
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.storage.duckdb.rewriting import erasure_decider, removal_decider
from bursar.storage.duckdb.schema import ENDED_COLUMNS
from bursar.usage.applying import event_key
from bursar.usage.person import PersonFound
from bursar.usage.query import EventPage, UsageQuery
from bursar.window import Window
from tests.support.changed_store import ChangedStore, Lines
from tests.support.ledger import a_change, a_correction, a_usage, a_void

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86_400_000_000
START = 20_700 * DAY
MONTH = Window(datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
"""`START` is the fourth of its days."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChangedStore]:
    """An empty store."""
    opened = ChangedStore(tmp_path / "store")
    yield opened
    opened.close()


def on_day(day: int, event_id: str, *, tenant_id: str = "acme", **event: Any) -> dict[str, Any]:  # noqa: ANN401 - an event's own types
    """A call on some day, received then."""
    moment = START + day * DAY
    return a_usage(event_id, tenant_id=tenant_id, time=moment, received=moment, event=event)


def an_expiry(day: int, what: str = "events", tenant_id: str = "acme") -> dict[str, Any]:
    return a_change("expire", tenant_id=tenant_id, what=what, before=START + day * DAY)


@pytest.fixture
def full() -> Lines:
    """Two days of two tenants: a correction, a void, a repeat and a conflict among them."""
    lines = Lines()
    for tenant_id in ("acme", "umbrella"):
        for day in range(2):
            for i in range(3):
                lines.add(on_day(day, f"{day}-{i}", tenant_id=tenant_id, user_id="mara", latency_ms=5.5))
        lines.add(a_correction("0-0", on_day(0, "0-0", tenant_id=tenant_id), tenant_id=tenant_id))
        lines.add(a_void("0-1", tenant_id=tenant_id))
        lines.add(on_day(0, "0-2", tenant_id=tenant_id, user_id="mara", latency_ms=5.5))
        lines.add(on_day(0, "0-2", tenant_id=tenant_id, model="another"))
    return lines


def test_expired_events_leave_and_every_rollup_stays(store: ChangedStore, full: Lines) -> None:
    store.apply(full)
    before = store.dump()
    full.add(an_expiry(1))
    assert store.apply(full).amended == 1
    after = store.dump()
    for rollup in ("usage_by_hour", "usage_by_user_day", "latency_by_hour"):
        assert after[rollup] == before[rollup]
    assert store.ask("SELECT event_id FROM usage_events WHERE tenant_id = 'acme' ORDER BY 1") == [
        ("1-0",),
        ("1-1",),
        ("1-2",),
    ]
    assert store.ask("SELECT DISTINCT tenant_id FROM usage_history") == [("umbrella",)]
    assert store.ask("SELECT sum(events) FROM kept_by_hour") == [(2,)]
    assert store.index.find(event_key("acme", "0-1")) is None
    assert store.index.find(event_key("umbrella", "0-1")) is not None
    assert store.recount(full).differences == []


def test_expired_rollups_leave_with_what_they_summed(store: ChangedStore, full: Lines) -> None:
    full.add(an_expiry(1, "rollups"))
    store.apply(full)
    by_tenant = "SELECT tenant_id, sum(events) FROM usage_by_user_day GROUP BY 1 ORDER BY 1"
    assert store.ask(by_tenant) == [("acme", 3), ("umbrella", 5)]
    assert store.ask("SELECT count(*) FROM kept_by_hour") == [(0,)]
    assert store.recount(full).differences == []


def test_an_expired_id_counts_again(store: ChangedStore, full: Lines) -> None:
    full.add(an_expiry(1))
    store.apply(full)
    full.add(on_day(1, "0-2"))
    assert store.apply(full).new == 1
    assert store.recount(full).differences == []


def test_a_reset_leaves_nothing_of_its_tenant_and_everything_of_others(
    store: ChangedStore, full: Lines
) -> None:
    full.add(an_expiry(1))
    store.apply(full)
    theirs = _of_tenant(store, "umbrella")
    full.add(a_change("reset"))
    store.apply(full)
    assert _of_tenant(store, "umbrella") == theirs
    assert all(not rows for rows in _of_tenant(store, "acme").values())
    assert store.recount(full).differences == []


def _of_tenant(store: ChangedStore, tenant_id: str) -> dict[str, list[Any]]:
    dump = {name: rows for name, rows in store.dump().items() if name not in {"keys", "applied"}}
    return {name: [row for row in rows if tenant_id in row] for name, rows in dump.items()}


@pytest.mark.parametrize(
    "change",
    [an_expiry(1, "everything"), {**an_expiry(1), "before": START + 1}, {**an_expiry(1), "before": None}],
    ids=["of an unknown kind", "not at midnight", "without a moment"],
)
def test_an_expiry_that_can_not_be_read_is_kept_aside(
    store: ChangedStore, full: Lines, change: dict[str, Any]
) -> None:
    full.add(change)
    assert store.apply(full).amended == 4
    assert store.ask("SELECT reason FROM quarantine WHERE seq = 21") == [("unreadable_record",)]
    assert store.recount(full).differences == []


def test_five_thousand_events_are_voided_at_once(store: ChangedStore) -> None:
    lines = Lines()
    for i in range(20_000):
        lines.add(on_day(i % 2, f"e{i}", user_id=f"u{i % 50}"))
    store.apply(lines)
    lines.add(a_void(*(f"e{i}" for i in range(2, 20_000, 4)), "nobody"))
    assert store.apply(lines).passed_over == 1
    assert store.ask("SELECT count(*) FROM usage_events") == [(15_000,)]
    assert store.recount(lines).differences == []


@pytest.mark.parametrize(
    "change", [an_expiry(1), a_change("reset"), a_void("1-0")], ids=lambda one: one["kind"]
)
def test_a_commit_that_was_lost_after_the_index_was_written_is_made_again(
    store: ChangedStore, full: Lines, change: dict[str, Any], tmp_path: Path
) -> None:
    store.apply(full)
    full.add(change)
    store.database.execute("ALTER TABLE horizons RENAME TO elsewhere")
    store.database.execute("ALTER TABLE usage_history RENAME TO elsewhere_too")
    with pytest.raises(duckdb.Error):
        store.apply(full)
    store.database.execute("ALTER TABLE elsewhere RENAME TO horizons")
    store.database.execute("ALTER TABLE elsewhere_too RENAME TO usage_history")
    full.add(on_day(1, "1-1", user_id="mara", latency_ms=5.5))
    store.apply(full)
    assert store.recount(full).differences == []
    fresh = ChangedStore(tmp_path / "fresh")
    fresh.apply(full)
    assert fresh.dump() == store.dump()
    fresh.close()


def test_an_expiry_whose_commit_was_lost_after_its_keys_left_the_index_is_made_again(
    store: ChangedStore, full: Lines
) -> None:
    store.apply(full)
    full.add(an_expiry(1))
    store.database.execute("ALTER TABLE horizons RENAME TO elsewhere")
    with pytest.raises(duckdb.Error):
        store.apply(full)
    assert store.index.find(event_key("acme", "0-2")) is None
    assert store.ask("SELECT count(*) FROM usage_events WHERE tenant_id = 'acme'") == [(5,)]
    store.database.execute("ALTER TABLE elsewhere RENAME TO horizons")
    store.apply(full)
    assert store.recount(full).differences == []


def test_an_index_rebuilt_between_tombstones_and_their_expiry_still_tells_repeats(tmp_path: Path) -> None:
    live, again = ChangedStore(tmp_path / "live"), ChangedStore(tmp_path / "again")
    lines = Lines()
    lines.add(on_day(0, "a"))
    lines.add(on_day(0, "a"))
    seq = lines.add(an_expiry(1))
    live.apply(lines)
    decide = removal_decider(live.database.cursor(), lines.lines[seq - 1])
    rewritten = Lines(lines.lines)
    rewritten.lines[0] = decide(1, rewritten.lines[0]) or b""
    rewritten.lines[2] = decide(seq, rewritten.lines[2]) or b""
    again.apply(Lines(rewritten.lines[:1]))
    again.lose_index()
    assert again.apply(rewritten).duplicates == 1
    assert again.dump() == live.dump()
    assert again.recount(rewritten).differences == []
    live.close()
    again.close()


def test_tombstones_between_events_are_taken_up_with_them_in_few_transactions(tmp_path: Path) -> None:
    live, again = ChangedStore(tmp_path / "live"), ChangedStore(tmp_path / "again")
    lines = Lines()
    for i in range(300):
        lines.add(on_day(i % 2, f"e{i}", model="gpt-4o"))
        lines.add(on_day(i % 2, f"e{i - i % 7}", model="gpt-4o"))
    seq = lines.add(an_expiry(1))
    live.apply(lines)
    rewritten = Lines(lines.lines)
    rewritten.rewrite(removal_decider(live.database.cursor(), lines.lines[seq - 1]))
    assert again.apply(Lines(rewritten.lines[:-1])).tombstones > 150
    rows = again.ask("SELECT count(*), sum(events) FROM usage_by_hour")
    assert rows == [(1, 150)], "a row for each transaction, were there more than one"
    again.apply(rewritten)
    assert again.dump() == live.dump()
    assert again.recount(rewritten).differences == []
    live.close()
    again.close()


TAMPERING = {
    "a kept sum is off": ("UPDATE kept_by_hour SET cost = cost + 0.000000000001", {"kept_by_hour"}),
    "a kept sum is gone": ("DELETE FROM kept_by_user_day", {"kept_by_user_day"}),
    "a kept latency is other": (
        "UPDATE kept_latency_by_hour SET bucket = bucket + 1",
        {"kept_latency_by_hour"},
    ),
    "history is gone": ("DELETE FROM usage_history WHERE ended_kind = 'correction'", {"usage_history"}),
    "history says another reason": ("UPDATE usage_history SET ended_reason = 'x'", {"usage_history"}),
    "quarantine is gone": ("DELETE FROM quarantine", {"quarantine"}),
    "a horizon is other": ("UPDATE horizons SET before = before + INTERVAL 1 DAY", {"horizons"}),
}


@pytest.mark.parametrize(("statement", "tables"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_with_what_changes_left_is_found(
    store: ChangedStore, full: Lines, statement: str, tables: set[str]
) -> None:
    full.add(an_expiry(1))
    store.apply(full)
    store.database.execute(statement)
    places = {one.place for one in store.recount(full).differences}
    assert {f"journal/{table}" for table in tables} <= places


def test_a_file_of_version_1_is_brought_up_to_date_with_its_rows(tmp_path: Path) -> None:
    path, limits = tmp_path / "usage.duckdb", DuckDBLimits()
    database = open_store(path, limits, tmp_path)
    for name in ("ended_at", "ended_by", "ended_reason", "ended_run"):
        database.execute(f"ALTER TABLE usage_history DROP COLUMN {name}")
    database.execute("DROP TABLE kept_by_hour")
    database.execute(
        "INSERT INTO usage_history BY NAME SELECT 1 AS seq, 2 AS fingerprint, 'acme' AS tenant_id,"
        " 'a' AS event_id,"
        " now()::TIMESTAMP AS time, now()::TIMESTAMP AS received_at, 'd' AS door, 'k' AS key_id,"
        " 'USD' AS currency, 'priced' AS cost_status, 7 AS ended_seq, 'void' AS ended_kind"
    )
    database.close()
    database = open_store(path, limits, tmp_path)
    ended = ", ".join(ENDED_COLUMNS)
    assert database.execute(f"SELECT {ended} FROM usage_history").fetchall() == [
        (7, "void", None, None, None, None)
    ]
    assert database.execute("SELECT count(*) FROM kept_by_hour").fetchall() == [(0,)]
    database.close()


def test_a_person_is_gone_from_rows_history_and_quarantine_and_every_total_stays(store: ChangedStore) -> None:
    lines = Lines()
    lines.add(on_day(0, "a", user_id="mara", tags={"who": "mara", "team": "x"}, session_id="s"))
    lines.add(on_day(0, "b", metadata={"for": ["mara"]}, user_id="noor"))
    lines.add(on_day(0, "c", user_id="noor", message="maras own"))
    lines.add(on_day(0, "c", user_id="mara"))
    lines.add(a_correction("a", on_day(0, "a", user_id="noor")))
    lines.add(on_day(0, "d", usage={"user": "mara", "n": 1.5, "input_tokens": 2.5}))
    store.apply(lines)
    hours = store.dump()["usage_by_hour"]
    found = find_person(store.database.cursor(), "acme", ["mara"])
    assert found == PersonFound(((1, ("who",)), (2, ()), (4, ()), (6, ())), ())
    seq = lines.add(a_change("erase", events=[*found.events, (99, [])], kept=[]))
    assert store.apply(lines).passed_over == 1
    assert find_person(store.database.cursor(), "acme", ["mara"]) == PersonFound((), ())
    assert b"mara" not in repr(store.dump()).encode().replace(b"maras own", b"")
    assert store.dump()["usage_by_hour"] == hours
    assert store.ask(
        "SELECT user_id, sum(events) AS n FROM usage_by_user_day GROUP BY 1 HAVING n <> 0 ORDER BY 1"
    ) == [("noor", 2), (None, 2)]
    assert store.ask("SELECT tags['team'] FROM usage_history") == [("x",)]
    # Of a usage object figures alone stay, under names that figures have.
    assert store.ask("SELECT usage::VARCHAR FROM usage_events WHERE event_id = 'd'") == [
        ('{"input_tokens":2.5}',)
    ]
    assert store.recount(lines).differences == []
    lines.rewrite(erasure_decider(store.database.cursor(), "acme", [seq], ["mara"]))
    assert b'"mara"' not in b"".join(lines.lines)
    assert store.recount(lines).differences == []


def test_an_event_tells_its_versions_who_when_and_why(store: ChangedStore) -> None:
    lines = Lines()
    lines.add(on_day(0, "a", user_id="mara"))
    lines.add(a_correction("a", on_day(0, "a", user_id="noor")))
    lines.add(a_void("a", run_id="run_1", key_id="key_9", reason="a test run"))
    lines.add(on_day(0, "a", tenant_id="umbrella"))
    store.apply(lines)
    questions = _questions(store)
    first, second = questions.history_of("acme", "a")
    assert (first.event.user_id, second.event.user_id) == ("mara", "noor")
    assert first.ended
    assert second.ended
    assert (first.ended.kind, first.ended.reason) == ("correction", "a test asks")
    assert (second.ended.kind, second.ended.key_id, second.ended.run_id) == ("void", "key_9", "run_1")
    assert [one.ended for one in questions.history_of("umbrella", "a")] == [None]
    assert questions.history_of("acme", "b") == ()


def test_figures_from_before_the_horizon_say_from_when_they_are_complete(
    store: ChangedStore, full: Lines
) -> None:
    store.apply(full)
    query = UsageQuery(window=MONTH, measures=("events", "cost", "unique_users"), dimensions=("operation",))
    assert _questions(store).answer("acme", query).partial is None
    before = _questions(store).answer("acme", replace(query, dimensions=("project_id",)))
    full.add(an_expiry(1))
    store.apply(full)
    since = datetime.fromtimestamp((START + DAY) / 1e6, UTC)
    partial = _questions(store).answer("acme", query).partial
    assert partial
    assert (partial.since, partial.reason) == (since, "events_expired")
    assert _questions(store).answer("umbrella", query).partial is None
    summed = replace(query, dimensions=("project_id",))
    answer = _questions(store).answer("acme", summed)
    assert (answer.partial, answer.totals.events) == (None, 5)
    assert answer.totals == before.totals
    listed = _questions(store).list_events("acme", EventPage(MONTH))
    assert listed.partial == partial
    assert _questions(store).list_events("acme", EventPage(Window(since, MONTH.end))).partial is None
    full.add(an_expiry(1, "rollups"))
    store.apply(full)
    lacking = _questions(store).answer("acme", summed).partial
    assert lacking
    assert (lacking.since, lacking.reason) == (since, "rollups_expired")


def _questions(store: ChangedStore) -> CursorQuestions:
    return CursorQuestions(
        store.database.cursor(), lambda tenant_id, event_id: store.index.find(event_key(tenant_id, event_id))
    )


def test_a_decider_puts_a_tombstone_for_each_of_many_events(store: ChangedStore) -> None:
    lines = Lines()
    for i in range(20_000):
        lines.add(on_day(i % 2, f"e{i}", tenant_id=("acme", "umbrella")[i % 4 == 0], user_id=f"u{i % 50}"))
    seq = lines.add(an_expiry(1))
    store.apply(lines)
    decide = removal_decider(store.database.cursor(), lines.lines[seq - 1])
    lines.rewrite(decide)
    stones = [msgspec.json.decode(line) for line in lines.lines if b'"tombstone"' in line]
    assert len(stones) == store.recount(lines).tombstones == 5_000
    kept = msgspec.json.decode(lines.lines[-1])["kept"]["usage_by_hour"]
    events = kept["columns"].index("events")
    assert sum(int(row[events]) for row in kept["rows"]) == 5_000


def test_corrections_that_follow_each_other_are_made_together_and_each_refused_one_alone(
    store: ChangedStore, tmp_path: Path
) -> None:
    lines = Lines()
    for i in range(400):
        lines.add(on_day(i % 2, f"e{i}", user_id="mara"))
    for i in range(300):
        lines.add(a_correction(f"e{i}", on_day(3, f"e{i}", user_id=f"u{i % 7}")))
    lines.add(a_correction("e1", on_day(2, "e1", user_id="last")))
    lines.add(a_correction("e2", on_day(2, "e3")))
    lines.add(a_correction("nobody", on_day(2, "nobody")))
    lines.add(a_correction("e4", {**on_day(2, "e4"), "cost": "much"}))
    lines.add(a_correction("e5", "better"))
    applied = store.apply(lines)
    assert (applied.amended, applied.quarantined, applied.quarantine_dropped) == (301, 3, 1)
    assert store.ask(
        "SELECT seq, reason FROM quarantine UNION ALL SELECT seq, reason FROM quarantine_drops"
    ) == [
        (702, "other_event"),
        (703, "no_such_event"),
        (704, "unreadable_record"),
        (705, "unreadable_record"),
    ]
    assert store.ask("SELECT user_id, revised_seq FROM usage_events WHERE event_id = 'e1'") == [("last", 701)]
    assert store.recount(lines).differences == []
    one_by_one = ChangedStore(tmp_path / "one by one")
    for end in (*range(395, 695, 30), *range(695, 706)):
        one_by_one.apply(Lines(lines.lines[:end]))
    found, expected = one_by_one.dump(), store.dump()
    # What DuckDB says of a line it can't read names its scratch file.
    assert [row[:5] for row in found.pop("quarantine")] == [row[:5] for row in expected.pop("quarantine")]
    assert found == expected
    one_by_one.close()
