"""Whatever is corrected, voided, expired, erased or reset: the store is what the journal says.

Random histories of two tenants with equal ids are applied as they come, replayed whole, rewritten
and replayed again; every store must equal the others and a model in plain Python, to the last digit.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import event as note_example
from hypothesis import strategies as st

from bursar.app.rewritings import in_turn
from bursar.storage.duckdb.beginning import Beginning
from bursar.storage.duckdb.person_sql import find_person
from bursar.storage.duckdb.rewriting import erasure_decider, removal_decider
from bursar.usage.own_project import keeps_sums_of, project_of
from tests.support.change_model import DAY, HOUR, Model
from tests.support.changed_store import ChangedStore, Lines
from tests.support.ledger import a_change, a_correction, a_usage, a_void
from tests.support.rounds import TIMES, rounds

if TYPE_CHECKING:
    from collections.abc import Generator

    from bursar.storage.duckdb.rewriting import Decide

TENANTS = ("acme", "umbrella")
IDS = ("a", "b", "c")
PERSONS = ("mara", "noor")
PROJECTS = ("p", "q")
START = 20_700 * DAY
"""Midnight of some day of 2026."""

_tenants, _ids, _days = st.sampled_from(TENANTS), st.sampled_from(IDS), st.integers(0, 3)
_projects = st.sampled_from(PROJECTS)
_contents = st.fixed_dictionaries(
    {
        "time": st.sampled_from([START + day * DAY + hour * HOUR for day in range(4) for hour in range(3)]),
        "user": st.sampled_from([None, *PERSONS]),
        "project": st.sampled_from([None, *PROJECTS]),
        "cents": st.integers(1, 3),
        "latency": st.sampled_from([None, 7.5]),
        "tag": st.sampled_from([None, *PERSONS, "team"]),
        "usage": st.sampled_from([None, *PERSONS]),
    }
)
_ratings = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, 7, 8])), min_size=1, max_size=6)
KINDS = (["USD", "priced", None, "card-2", "openai"], ["EUR", "unpriced", "no_model", None, "anthropic"])
_deliveries = st.tuples(st.just("deliver"), _tenants, _ids, _contents)
_steps = st.one_of(
    _deliveries,
    _deliveries,
    st.tuples(st.just("deliver again"), st.integers(0, 20)),
    st.tuples(st.just("correct"), _tenants, _ids, _contents),
    st.tuples(st.just("void"), _tenants, st.lists(_ids, min_size=1, max_size=3)),
    st.tuples(
        st.just("expire"), _tenants, st.sampled_from(["events", "events", "rollups", "quarantine"]), _days
    ),
    st.tuples(
        st.just("expire project"),
        _tenants,
        st.sampled_from(["events", "events", "rollups"]),
        _days,
        _projects,
    ),
    st.tuples(st.just("erase"), _tenants, st.sampled_from(PERSONS)),
    st.tuples(st.just("reset"), _tenants),
    st.tuples(st.just("reset project"), _tenants, _projects),
    st.tuples(st.just("apply")),
    st.tuples(st.just("rewrite")),
    st.tuples(st.just("rewrite at once")),
    st.tuples(st.just("drop"), st.integers(0, 8)),
)
_rating_steps = st.one_of(
    st.tuples(st.just("begin run"), _tenants, _ratings),
    st.tuples(st.just("rate more"), _tenants, _ratings),
    st.tuples(st.just("commit"), _tenants),
    st.tuples(st.just("abandon"), _tenants),
    st.tuples(st.just("run"), _tenants, _ratings),
    st.tuples(st.just("run"), _tenants, _ratings),
)


def usage_of(tenant: str, event_id: str, content: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = {"user_id": content["user"], "project_id": content["project"]}
    event |= {"latency_ms": content["latency"]}
    if content["tag"]:
        event |= {"tags": {"who": content["tag"], "kind": "x"}, "metadata": {"n": 1.5, "é": [content["tag"]]}}
    if content["usage"]:
        event["usage"] = {"user": content["usage"], "deep": [{"metadata": 1, "tokens": 1.50}], "n": 2}
    said = {name: value for name, value in event.items() if value is not None}
    return a_usage(
        event_id,
        tenant_id=tenant,
        time=content["time"],
        received=content["time"],
        cost=f"0.0{content['cents']}0000000001",
        fingerprint=xxhash.xxh3_64_intdigest(msgspec.json.encode([said, content["cents"], content["time"]])),
        event=said,
    )


class History:
    """One history as it happens: the journal, its rewritten twin, a live store and the model."""

    def __init__(self, store: ChangedStore) -> None:
        self.store = store
        self.original, self.rewritten = Lines(), Lines()
        self.model = Model()
        self.delivered: list[dict[str, Any]] = []
        self.drops = self.kept_files = 0
        self.run_ids: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.pending: list[tuple[int, tuple[Any, ...]]] = []
        self.erased: list[tuple[int, str, str]] = []
        self.resets: list[tuple[int, str, str]] = []
        self.expiries: list[tuple[int, str, str, int]] = []

    def take(self, step: tuple[Any, ...]) -> None:
        """Do one step."""
        kind, *rest = step
        getattr(self, "_" + kind.replace(" ", "_"))(*rest)

    def _add(self, record: dict[str, Any]) -> int:
        self.rewritten.add(record)
        return self.original.add(record)

    def _deliver(self, tenant: str, event_id: str, content: dict[str, Any]) -> None:
        record = usage_of(tenant, event_id, content)
        self.delivered.append(record)
        self.model.deliver(self._add(record), record)

    def _deliver_again(self, number: int) -> None:
        if self.delivered:
            record = self.delivered[number % len(self.delivered)]
            self.model.deliver(self._add(record), record)

    def _correct(self, tenant: str, event_id: str, content: dict[str, Any]) -> None:
        record = a_correction(event_id, usage_of(tenant, event_id, content), tenant_id=tenant)
        record["received"] = content["time"]
        self.model.correct(self._add(record), record)

    def _void(self, tenant: str, event_ids: list[str]) -> None:
        record = a_void(*event_ids, tenant_id=tenant)
        self.model.void(self._add(record), record)

    def _expire(self, tenant: str, what: str, day: int) -> None:
        record = a_change("expire", tenant_id=tenant, what=what, before=START + day * DAY)
        seq = self._add(record)
        self.pending.append((seq, ()))
        self.model.expire(seq, record)

    def _expire_project(self, tenant: str, what: str, day: int, project: str) -> None:
        record = a_change("project_expire", tenant_id=tenant, what=what, before=START + day * DAY)
        record["project_id"] = project
        seq = self._add(record)
        self.pending.append((seq, ()))
        self.expiries.append((seq, tenant, project, record["before"]))
        self.model.expire(seq, record)

    def _erase(self, tenant: str, person: str) -> None:
        self._apply()
        found = find_person(self.store.database.cursor(), tenant, [person])
        events, kept = list(found.events), list(found.kept)
        seq = self._add(a_change("erase", tenant_id=tenant, events=events, kept=kept))
        self.pending.append((seq, (tenant, person)))
        self.erased.append((seq, tenant, person))
        self.model.erase(tenant, person)

    def _run(self, tenant: str, ratings: list[tuple[int, int | None]]) -> None:
        self._begin_run(tenant, ratings)
        self._commit(tenant)

    def _begin_run(self, tenant: str, ratings: list[tuple[int, int | None]]) -> None:
        self.run_ids[tenant] = f"run {len(self.original.lines)}"
        self.numbers[tenant] = 0
        self._rate_more(tenant, ratings)

    def _rate_more(self, tenant: str, ratings: list[tuple[int, int | None]]) -> None:
        """Rate some events as they are now; where the tenant has none, those of others.

        None twice in a run: one goes through its events once, in order.
        """
        own = [seq for seq, one in self.model.current.items() if one.tenant == tenant]
        under_way = self.model.open.get(tenant) if self.numbers.get(tenant) else None
        rated = under_way.ratings if under_way is not None else {}
        seqs = [seq for seq in own or self.model.current if seq not in rated]
        picos = {
            seqs[place % len(seqs)]: cents and cents * 10**9 + 1 for place, cents in (ratings if seqs else ())
        }
        fields: dict[str, Any] = {"run_id": self.run_ids.get(tenant, "none"), "step": "rates"}
        fields |= {"number": self.numbers.get(tenant, 0), "as_of": len(self.original.lines), "kinds": KINDS}
        fields |= {"seqs": list(picos), "picos": list(picos.values())}
        fields |= {"ratings": [int(one is None) for one in picos.values()]}
        if picos:
            fields["parts"] = {str(min(picos)): [{"model": "x", "units": {"input_text": 1}}]}
        record = a_change("rating_run", tenant_id=tenant, **fields)
        self.numbers[tenant] = self.numbers.get(tenant, 0) + 1
        self.model.rate(self._add(record), record)

    def _end_run(self, tenant: str, step: str) -> tuple[int, dict[str, Any]]:
        run_id, number = self.run_ids.get(tenant, "none"), self.numbers.get(tenant, 0)
        record = a_change("rating_run", tenant_id=tenant, step=step, run_id=run_id, number=number)
        return self._add(record), record

    def _commit(self, tenant: str) -> None:
        self.model.commit(*self._end_run(tenant, "commit"))

    def _abandon(self, tenant: str) -> None:
        self.model.abandon(self._end_run(tenant, "abandon")[1])

    def _reset(self, tenant: str) -> None:
        self.pending.append((self._add(a_change("reset", tenant_id=tenant)), ()))
        self.model.reset(tenant)

    def _reset_project(self, tenant: str, project: str) -> None:
        record = a_change("project_reset", tenant_id=tenant, project_id=project)
        seq = self._add(record)
        self.pending.append((seq, ()))
        self.resets.append((seq, tenant, project))
        self.model.reset_project(seq, record)

    def _apply(self) -> None:
        self.store.apply(self.original)

    def _rewrite(self) -> None:
        """Rewrite the journal for every record that asks for it, in order."""
        self._apply()
        for seq, person in self.pending:
            # One that is dropped had nothing to rewrite.
            if self.rewritten.lines[seq - 1]:
                self.rewritten.rewrite(self._decider(seq, person))
            self._drop_up_to(self.rewritten.dropped)
            self.store.applier.forget_removed(seq)
        self.pending = []

    def _drop(self, less: int) -> None:
        """Drop as much of the journal as may go, or a little less."""
        self._apply()
        with self._beginning() as beginning:
            last_seq = beginning.needed_from() - 1 - less
        self._drop_up_to(max(self.rewritten.dropped, last_seq))

    def _drop_up_to(self, last_seq: int) -> None:
        if last_seq > 0:
            self.drops += last_seq > self.rewritten.dropped
            self.kept_files += 1
            with self._beginning() as beginning:
                self.rewritten.drop(beginning, last_seq, self.store.folder / f"kept.{self.kept_files}")

    @contextmanager
    def _beginning(self) -> Generator[Beginning]:
        cursor = self.store.database.cursor()
        cursor.begin()
        yield Beginning(cursor)
        cursor.rollback()
        cursor.close()

    def _rewrite_at_once(self) -> None:
        """Rewrite the journal for all records that ask for it in a single pass."""
        self._apply()
        waiting = [(seq, person) for seq, person in self.pending if self.rewritten.lines[seq - 1]]
        if waiting:
            self.rewritten.rewrite(in_turn([self._decider(seq, person) for seq, person in waiting]))
            self._drop_up_to(self.rewritten.dropped)
            self.store.applier.forget_removed(self.pending[-1][0])
        self.pending = []

    def _decider(self, seq: int, person: tuple[Any, ...]) -> Decide:
        cursor = self.store.database.cursor()
        if person:
            return erasure_decider(cursor, person[0], [seq], [person[1]])
        return removal_decider(cursor, self.rewritten.lines[seq - 1])


def expect(store: ChangedStore, model: Model) -> None:
    """The store holds what the model says."""
    columns = (
        "seq, revised_seq, tenant_id, event_id, epoch_us(time), user_id, project_id, cost,"
        " list_sort(map_entries(tags))"
    )
    rows = store.ask(f"SELECT {columns} FROM usage_events")
    assert sorted(map(_shown, rows), key=repr) == model.rows()
    ended = store.ask(f"SELECT {columns}, ended_seq, ended_kind FROM usage_history")
    assert sorted(map(_shown, ended), key=repr) == model.ended()
    for table, keys, sums in (
        ("usage_by_hour", "epoch_us(hour), tenant_id, project_id", model.by_hour()),
        ("usage_by_user_day", "epoch_us(day), tenant_id, project_id, user_id", model.by_user_day()),
    ):
        found = store.ask(
            f"SELECT {keys}, sum(events), sum(cost), sum(latency_ms)"
            f" FROM {table} GROUP BY ALL HAVING sum(events) <> 0 OR sum(cost) <> 0"
        )
        assert {row[:-3]: row[-3:] for row in found} == sums
    assert sorted(store.index.items()) == model.index()
    aside = store.ask("SELECT seq FROM quarantine UNION ALL SELECT seq FROM quarantine_drops")
    assert sorted(row[0] for row in aside) == sorted(seq for seq, _, _ in model.aside)
    earlier = store.ask("SELECT seq, version, tenant_id, cost, ended_seq FROM earlier_ratings")
    assert sorted(earlier, key=repr) == sorted(model.earlier, key=repr)
    runs = store.ask("SELECT seq, tenant_id FROM rating_runs WHERE seq IS NOT NULL ORDER BY 1")
    assert runs == sorted(model.runs.items())
    horizons = store.ask("SELECT tenant_id, what, epoch_us(before), seq FROM horizons ORDER BY seq")
    assert horizons == model.horizons
    columns = "tenant_id, project_id, what, epoch_us(before), seq"
    of_projects = store.ask(f"SELECT {columns} FROM project_horizons ORDER BY seq")
    assert of_projects == model.project_horizons


def expect_projects_gone(history: History) -> None:
    """Of a project that was reset the rewritten journal has what is in quarantine and what was moved away."""
    stay = {one.place for one, _, _ in history.model.history} | {seq for seq, _, _ in history.model.aside}
    for by_seq, tenant, project in history.resets:
        for line in history.rewritten.lines_before(by_seq):
            head = msgspec.json.decode(line)
            if head.get("tenant_id") == tenant:
                assert project_of(line) != project or head["seq"] in stay
                assert not keeps_sums_of(line, project)


def expect_expired_gone(history: History) -> None:
    """The rewritten journal has nothing of what a project's expiry took, but for what is in quarantine."""
    stay, counted = {seq for seq, _, _ in history.model.aside}, history.model.keys
    for by_seq, tenant, project, before in history.expiries:
        for line in history.rewritten.lines_before(by_seq):
            head = msgspec.json.decode(line)
            if head.get("tenant_id") != tenant or project_of(line) != project or head["seq"] in stay:
                continue
            said = head.get("usage", head)
            # What was moved away, or to another time, is still there with all that came of it.
            assert said["time"] >= before or (tenant, said["event"]["event_id"]) in counted


def test_a_void_loses_the_ids_of_a_projects_events_and_goes_with_the_last_of_them() -> None:
    void_both, void_one = ("void", "acme", ["a", "b"]), ("void", "acme", ["c"])
    history = check_history([*FOUR, void_both, void_one, ("reset project", "acme", "p"), ("rewrite",)])
    lines = [msgspec.json.decode(line) for line in history.rewritten.lines_before(7)]
    assert [(one["kind"], one.get("event_ids")) for one in lines[4:]] == [
        ("void", ["b"]),
        ("tombstone", None),
    ]


def _shown(row: tuple[Any, ...]) -> tuple[Any, ...]:
    tags = tuple((one["key"], one["value"]) for one in row[8] or ())
    return (*row[:8], tags, *row[9:])


def without_quarantine(dump: dict[str, Any]) -> dict[str, Any]:
    """A dump with the quarantine as one: which records are beyond the bound may differ after a rewriting."""
    aside = sorted([row[:2] for row in dump["quarantine"]] + [row[:2] for row in dump["quarantine_drops"]])
    rest = {name: rows for name, rows in dump.items() if not name.startswith("quarantine")}
    return {**rest, "aside": aside}


# Five stores per history, each recounted: minutes where others use the machine.
_at_length = settings(
    max_examples=rounds(2),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.timeout(120 * TIMES)
@_at_length
@given(st.lists(_steps, min_size=8, max_size=30))
def test_live_replayed_and_rewritten_stores_are_what_the_model_says(steps: list[tuple[Any, ...]]) -> None:
    note(check_history(steps))


@pytest.mark.timeout(120 * TIMES)
@_at_length
@given(
    st.lists(_deliveries, min_size=4, max_size=8),
    st.lists(st.one_of(_rating_steps, _rating_steps, _steps), min_size=6, max_size=20),
)
def test_rating_runs_among_all_other_changes_are_what_the_model_says(
    deliveries: list[tuple[Any, ...]], steps: list[tuple[Any, ...]]
) -> None:
    note(check_history([*deliveries, *steps]))


def note(history: History) -> None:
    """For `--hypothesis-show-statistics`: whether the examples do what they are for."""
    note_example(f"drops: {history.drops}")
    note_example(f"rating runs: {len(history.model.runs)}, rated again: {bool(history.model.earlier)}")


def a_call(day: int, project: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of any field
    content: dict[str, Any] = {"time": START + day * DAY, "user": "mara", "project": project, "cents": 1}
    return content | {"latency": 7.5, "tag": None, "usage": None} | more


FOUR = [
    ("deliver", "acme", "a", a_call(0, "p")),
    ("deliver", "acme", "b", a_call(0, "q")),
    ("deliver", "acme", "c", a_call(2, "p")),
    ("deliver", "umbrella", "a", a_call(0, "p")),
]
CROSS = [
    ("correct", "acme", "a", a_call(0, "q")),
    ("correct", "acme", "b", a_call(0, "p")),
    ("deliver again", 0),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "steps",
    [
        [*FOUR, ("expire", "acme", "events", 1), ("reset project", "acme", "p")],
        [*FOUR, ("expire", "acme", "events", 1), ("rewrite",), ("reset project", "acme", "p"), ("drop", 0)],
        [*FOUR, *CROSS, ("void", "acme", ["a", "b"]), ("reset project", "acme", "p")],
        # An event that was moved away expires after the reset and before either is rewritten: its key stays
        # until then, so that the second delivery is still a repeat.
        [
            *FOUR,
            *CROSS,
            ("reset project", "acme", "p"),
            ("deliver again", 0),
            ("expire", "acme", "events", 1),
            ("deliver again", 0),
        ],
        # What was let go is new again, and a reset of the whole tenant takes the keys of its tombstones, too.
        [*FOUR, ("reset project", "acme", "p"), ("rewrite",), ("deliver again", 0), ("reset", "acme")],
        [*FOUR, ("run", "acme", [(0, 7), (1, None)]), ("reset project", "acme", "p"), ("drop", 0)],
        # Another content under a removed id is in quarantine, and stays there without being counted.
        [
            *FOUR,
            ("deliver", "acme", "a", a_call(0, "q", cents=3)),
            ("deliver", "acme", "a", a_call(0, "p", cents=2)),
            ("reset project", "acme", "p"),
        ],
    ],
    ids=["kept sums", "kept and dropped", "moved and voided", "moved and expired", "twice", "rated", "aside"],
)
def test_a_project_goes_whatever_happened_to_its_events(steps: list[tuple[Any, ...]]) -> None:
    check_history(steps)


def check_history(steps: list[tuple[Any, ...]]) -> History:
    """Live, replayed and rewritten stores are what the model says."""
    with tempfile.TemporaryDirectory() as folder:
        live, replayed, again = (ChangedStore(Path(folder) / name) for name in ("live", "replayed", "again"))
        try:
            history = History(live)
            for step in steps:
                history.take(step)
            history.take(("rewrite",))
            replayed.apply(history.original)
            again.apply(history.rewritten)
            for store, lines in (
                (live, history.original),
                (live, history.rewritten),
                (replayed, history.original),
                (replayed, history.rewritten),
                (again, history.rewritten),
            ):
                found = store.recount(lines)
                assert found.differences == []
                counted = found.events + found.voided + found.removed + found.duplicates + found.conflicts
                assert counted == found.journal_events
            assert replayed.dump() == live.dump()
            assert without_quarantine(again.dump()) == without_quarantine(live.dump())
            expect(live, history.model)
            for seq, tenant, person in history.erased:
                for line in history.rewritten.lines_before(seq):
                    assert (
                        b'"tenant_id":"%b"' % tenant.encode() not in line
                        or b'"%b"' % person.encode() not in line
                    )
            expect_projects_gone(history)
            expect_expired_gone(history)
            return history
        finally:
            for store in (live, replayed, again):
                store.close()
