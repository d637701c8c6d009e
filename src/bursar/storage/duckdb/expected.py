"""What the store must hold by the journal alone, worked out by a path of its own for a recount.

Lines are read again in order into a scratch database. Between two records that set keys free (an
expiry, a reset) deliveries are told apart in bulk: the first of each id by seq counts, without the
key index. Changes follow in order, runs of voids as one. What can't be read is listed, as the
quarantine must list it. `recount.py` compares the result with the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, assert_never

from bursar.storage.duckdb.amend import ENDED, name_ends, stage_replacements
from bursar.storage.duckdb.change_reader import (
    Correction,
    Erasure,
    Expiry,
    ProjectReset,
    RatingRun,
    Refusal,
    Release,
    Reset,
    Step,
    Void,
    read_change,
    runs_of,
)
from bursar.storage.duckdb.expected_removal import SCRATCH, erase_expected, remove_expected
from bursar.storage.duckdb.keys import KEY_COLUMNS
from bursar.storage.duckdb.quarantine import QuarantinedRecord
from bursar.storage.duckdb.rerate import Rerater
from bursar.storage.duckdb.schema import TABLES
from bursar.storage.duckdb.spellings import spelled_prints
from bursar.storage.duckdb.staging import STAGED
from bursar.usage.applying import BatchKind
from bursar.usage.changes import Tombstone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import duckdb

    from bursar.storage.duckdb.staging import Staging
    from bursar.usage.applying import RecordBatch

LOAD_BYTES = 64 * 2**20
"""Journal bytes loaded at once: each load is compared with all keys before it."""
UNREADABLE_SHOWN = 20
COPIED = (
    "usage_events",
    "usage_history",
    "kept_by_hour",
    "kept_by_user_day",
    "kept_latency_by_hour",
    "horizons",
    "project_horizons",
    "earlier_ratings",
    "staged_ratings",
    "rating_runs",
)
"""Tables that are worked out row by row, to be compared as they are."""
_KEY = "upper UBIGINT, lower UBIGINT, seq UBIGINT"
_VERDICTS = (
    "CREATE OR REPLACE TEMP TABLE verdicts AS WITH arrived AS"
    f" (SELECT {KEY_COLUMNS}, tenant_id, received_at FROM {STAGED}),"
    " numbered AS (SELECT *, row_number() OVER (PARTITION BY upper, lower ORDER BY seq) AS nth,"
    " first_value(fingerprint) OVER (PARTITION BY upper, lower ORDER BY seq) AS first_print FROM arrived)"
    " SELECT n.*, coalesce(k.fingerprint, n.first_print) AS known_print,"
    " CASE WHEN k.seq IS NULL AND n.nth = 1 THEN 'new'"
    " WHEN n.fingerprint = coalesce(k.fingerprint, n.first_print) THEN 'duplicate'"
    " ELSE 'conflict' END AS verdict"
    f" FROM numbered n LEFT JOIN {SCRATCH}.keys k USING (upper, lower)"
)

_KNOWN_SPELLINGS = (
    "UPDATE verdicts SET verdict = 'duplicate' FROM"
    " (SELECT unnest(?::UBIGINT[]) AS seq, unnest(?::UBIGINT[]) AS spelled) s"
    " WHERE verdicts.seq = s.seq AND verdict = 'conflict' AND known_print = spelled"
)


@dataclass(slots=True)
class Expectation:
    """Fills the scratch database's tables from journal lines."""

    scratch: duckdb.DuckDBPyConnection
    staging: Staging
    journal_events: int = 0
    duplicates: int = 0
    """Deliveries of an id that was counted before, with the same content: they count nowhere."""
    conflicts: int = 0
    tombstones: int = 0
    unreadable_count: int = 0
    unreadable: list[str] = field(default_factory=list[str])
    """The first few lines that could not be loaded, and why."""
    _waiting: list[bytes] = field(default_factory=list[bytes])
    _changes: list[Step] = field(default_factory=list[Step])
    _stones: list[Tombstone] = field(default_factory=list[Tombstone])
    _size: int = 0

    def make_tables(self) -> None:
        """Make the empty tables in the attached scratch database."""
        for table in COPIED:
            columns = ", ".join(f'"{name}" {kind}' for name, kind in TABLES[table].items())
            self.scratch.execute(f"CREATE TABLE {SCRATCH}.{table} ({columns})")
        for table, columns in (
            ("keys", f"{_KEY}, fingerprint UBIGINT"),
            ("tombstones", f"{_KEY}, fingerprint UBIGINT, by_seq UBIGINT"),
            ("quarantine", "seq UBIGINT, tenant_id VARCHAR, received_at TIMESTAMP, reason VARCHAR"),
        ):
            self.scratch.execute(f"CREATE TABLE {SCRATCH}.{table} ({columns})")

    def read(self, batches: Iterable[RecordBatch], progress: Callable[[int], None]) -> None:
        """Work through all batches; `progress` is told how many records were read."""
        read = 0
        for batch in batches:
            if batch.kind is BatchKind.USAGE:
                self._waiting.append(batch.payload)
                self._size += len(batch.payload)
            else:
                for line in batch.payload.splitlines():
                    self._note(line)
            if self._size >= LOAD_BYTES:
                self._flush()
            read += batch.last_seq - batch.first_seq + 1
            progress(read)
        self._flush()

    def _note(self, line: bytes) -> None:
        change = read_change(line)
        match change:
            case Refusal():
                self._set_aside(line, change)
            case Tombstone():
                self._lay(change)
            case Correction() | Void() | Erasure() | RatingRun():
                self._changes.append(Step(line, change))
                self._size += len(line)
            case Expiry() | Reset() | ProjectReset() | Release():
                self._flush()
                remove_expected(self.scratch, change)
            case _:
                assert_never(change)

    def _lay(self, stone: Tombstone) -> None:
        self.tombstones += 1
        if stone.key is not None:
            self._stones.append(stone)

    def _flush(self) -> None:
        """Take up what waits: keys of tombstones, then deliveries, then changes in order."""
        self._take_up_tombstones()
        if self._waiting:
            self.staging.fill(self._waiting)
            for bad in self.staging.bad:
                self._set_aside(bad.line, Refusal("unreadable_record", bad.detail))
            self._tell_apart()
        self._make_changes()
        self._waiting, self._changes, self._size = [], [], 0

    def _make_changes(self) -> None:
        for kind, steps in groupby(self._changes, key=lambda step: type(step.change)):
            if kind is Void:
                self._void([step.change for step in steps if isinstance(step.change, Void)])
            elif kind is Correction:
                for run in runs_of(steps):
                    self._correct(run)
            else:
                for step in steps:
                    self._change_alone(step)

    def _change_alone(self, step: Step) -> None:
        if isinstance(step.change, Erasure):
            erase_expected(self.scratch, step.change)
        elif isinstance(step.change, RatingRun):
            Rerater(self.scratch, f"{SCRATCH}.").take(step.change, step.line, self.staging.path)

    def _take_up_tombstones(self) -> None:
        if not self._stones:
            return
        self.scratch.execute(
            f"INSERT INTO {SCRATCH}.tombstones SELECT ('0x' || key[1:16])::UBIGINT,"
            " ('0x' || key[17:32])::UBIGINT, seq, fingerprint, by_seq FROM (SELECT"
            " unnest(?::VARCHAR[]) AS key, unnest(?::UBIGINT[]) AS seq,"
            " unnest(?::UBIGINT[]) AS fingerprint, unnest(?::UBIGINT[]) AS by_seq)",
            [
                [one.key for one in self._stones],
                [one.seq for one in self._stones],
                [one.fingerprint for one in self._stones],
                [one.by for one in self._stones],
            ],
        )
        self.scratch.execute(
            f"INSERT INTO {SCRATCH}.keys SELECT upper, lower, seq, fingerprint FROM {SCRATCH}.tombstones"
            " WHERE seq BETWEEN ? AND ?",
            [self._stones[0].seq, self._stones[-1].seq],
        )
        self._stones = []

    def _tell_apart(self) -> None:
        """Count each delivery that waits as new, as a duplicate, or as a conflict."""
        self.scratch.execute(_VERDICTS)
        if spelled := list(spelled_prints(self._waiting)):
            self.scratch.execute(_KNOWN_SPELLINGS, [list(column) for column in zip(*spelled, strict=True)])
        for verdict, count in self.scratch.execute(
            "SELECT verdict, count(*) FROM verdicts GROUP BY 1"
        ).fetchall():
            self.journal_events += count
            self.duplicates += count if verdict == "duplicate" else 0
            self.conflicts += count if verdict == "conflict" else 0
        new = "verdict = 'new'"
        self.scratch.execute(
            f"INSERT INTO {SCRATCH}.usage_events SELECT * FROM {STAGED}"
            f" WHERE seq IN (SELECT seq FROM verdicts WHERE {new})"
        )
        self.scratch.execute(
            f"INSERT INTO {SCRATCH}.keys SELECT upper, lower, seq, fingerprint FROM verdicts WHERE {new}"
        )
        self.scratch.execute(
            f"INSERT INTO {SCRATCH}.quarantine SELECT seq, tenant_id, received_at, 'conflict'"
            " FROM verdicts WHERE verdict = 'conflict'"
        )

    def _void(self, voids: Sequence[Void]) -> None:
        """End what a run of voids names; the first to name an event ends it."""
        self._name([(one, event_id) for one in voids for event_id in one.event_ids])
        by_seq = {one.seq: one for one in voids}
        rows = self.scratch.execute("SELECT seq, ended_seq FROM found").fetchall()
        if rows:
            self._end({int(seq): by_seq[int(ended_seq)] for seq, ended_seq in rows})

    def _correct(self, run: Sequence[Step]) -> None:
        """Replace what a run of corrections of different events names."""
        changes = {step.change.seq: step for step in run if isinstance(step.change, Correction)}
        wanted = [step.change for step in changes.values() if isinstance(step.change, Correction)]
        self._name([(one, one.event_id) for one in wanted])
        rows = self.scratch.execute("SELECT ended_seq, seq FROM found").fetchall()
        by_change = {int(ended_seq): int(seq) for ended_seq, seq in rows}
        targets = {by_change[one.seq]: one for one in wanted if one.seq in by_change}
        refusals = stage_replacements(self.staging, targets) if targets else {}
        for one in wanted:
            refusal = refusals.get(by_change.get(one.seq, 0))
            if one.seq not in by_change:
                refusal = Refusal("no_such_event", one.event_id)
            if refusal is not None:
                self._set_aside(changes[one.seq].line, refusal)
        ends = {seq: one for seq, one in targets.items() if seq not in refusals}
        if ends:
            self._end(ends)
            self.scratch.execute(f"INSERT INTO {SCRATCH}.usage_events SELECT * FROM {STAGED}")

    def _name(self, named: Sequence[tuple[Void | Correction, str]]) -> None:
        """Make `found`: the events that changes name, each with the first change that names it."""
        self.scratch.execute(
            "CREATE OR REPLACE TEMP TABLE changes AS SELECT unnest(?::UBIGINT[]) AS ended_seq,"
            " unnest(?::VARCHAR[]) AS tenant_id, unnest(?::VARCHAR[]) AS event_id",
            [[one.seq for one, _ in named], [one.tenant_id for one, _ in named], [name for _, name in named]],
        )
        self.scratch.execute(
            "CREATE OR REPLACE TEMP TABLE found AS SELECT e.seq, min(v.ended_seq) AS ended_seq"
            f" FROM {SCRATCH}.usage_events e JOIN changes v USING (tenant_id, event_id)"
            " WHERE e.seq < v.ended_seq GROUP BY e.seq"
        )

    def _end(self, ends: Mapping[int, Void | Correction]) -> None:
        """Move rows to the history."""
        name_ends(self.scratch, ends)
        self.scratch.execute(
            f"INSERT INTO {SCRATCH}.usage_history SELECT e.*, {ENDED} FROM {SCRATCH}.usage_events e"
            " JOIN ends n USING (seq)"
        )
        self.scratch.execute(f"DELETE FROM {SCRATCH}.usage_events WHERE seq IN (SELECT seq FROM ends)")

    def _set_aside(self, line: bytes, refusal: Refusal) -> None:
        record = QuarantinedRecord.of_line(line, refusal.reason, refusal.detail)
        self.scratch.execute(f"INSERT INTO {SCRATCH}.quarantine VALUES (?, ?, ?, ?)", record.drop())
        if refusal.reason == "unreadable_record":
            self.unreadable_count += 1
            if len(self.unreadable) < UNREADABLE_SHOWN:
                self.unreadable.append(f"seq {record.envelope.seq}: {refusal.detail}")
