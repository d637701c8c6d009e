"""Recounts: is what the store says what the journal says, and do the rollups add up?

The journal is read again, from its first record, into a scratch table by a path of its own: first
delivery of each id by seq, then voids and corrections in order. Three comparisons follow, each
naming what differs: journal against raw rows, raw rows against rollups, raw rows against the key
index. Everything happens in one read transaction, so a running server doesn't disturb it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.storage.duckdb.amend import Change, read_change, stage_replacement
from bursar.storage.duckdb.keys import read_keys
from bursar.storage.duckdb.rollup import ROLLUPS, rollup_select, rollup_sums
from bursar.storage.duckdb.schema import EVENT_COLUMNS
from bursar.storage.duckdb.staging import STAGED, Staging
from bursar.usage.applying import BatchKind
from bursar.usage.changes import CORRECTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import duckdb

    from bursar.storage.duckdb.connection import StoreDatabase
    from bursar.usage.applying import KeyIndex, RecordBatch

LOAD_BYTES = 16 * 2**20
"""Journal bytes loaded at once: a load costs milliseconds however little it brings."""
DIFFERENCES_SHOWN = 20
"""Differences listed per comparison; all of them are counted."""
COMPARED = tuple(name for name in EVENT_COLUMNS if name != "temperature")
"""Columns of a raw row that must equal the journal's; floats are left out, they are no figures."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that doesn't tie out."""

    place: str
    """`journal/usage_events`, `usage_events/usage_by_hour`, …"""
    detail: str


@dataclass(slots=True)
class Recount:
    """What was compared and what was found."""

    journal_events: int = 0
    events: int = 0
    cost: dict[str, str] = field(default_factory=dict[str, str])
    """Sum by currency, as counted from raw rows."""
    unpriced: int = 0
    quarantined: int = 0
    position: int = 0
    difference_count: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])

    @property
    def is_clean(self) -> bool:
        """Whether everything ties out to the last digit."""
        return self.difference_count == 0


class Recounter:
    """One recount over a read snapshot of the store and a scratch database for what is expected."""

    def __init__(
        self,
        database: StoreDatabase,
        scratch_folder: Path,
        progress: Callable[[str, int], None],
    ) -> None:
        """`progress` is told the step and the records read so far."""
        self._folder = scratch_folder
        self._snapshot = database.cursor()
        self._scratch = database.cursor()
        self._staging = Staging(self._scratch, scratch_folder / "recount.ndjson")
        self._progress = progress
        self._changes: list[Change] = []
        self.result = Recount()

    def run(self, batches: Callable[[int], Iterable[RecordBatch]], index: KeyIndex | None) -> Recount:
        """Recount everything up to the store's position.

        Args:
            batches: the journal's records from its start up to a seq.
            index: the key index to compare, if there is one.
        """
        path = self._folder / "recount.duckdb"
        _remove_database(path)
        quoted = str(path).replace("'", "''")
        self._scratch.execute(f"ATTACH '{quoted}' AS recount")
        try:
            self._snapshot.begin()
            rows = self._snapshot.execute("SELECT seq FROM applied").fetchall()
            self.result.position = int(rows[0][0]) if rows else 0
            self._expect(batches(self.result.position))
            self._compare(index)
        finally:
            self._snapshot.close()
            self._scratch.execute("DETACH recount")
            self._scratch.close()
            _remove_database(path)
        return self.result

    def _expect(self, batches: Iterable[RecordBatch]) -> None:
        """Fill `recount.expected` with what the journal says the raw rows must be."""
        columns = ", ".join(f'"{name}" {kind}' for name, kind in EVENT_COLUMNS.items())
        self._scratch.execute(f"CREATE TABLE recount.expected ({columns})")
        self._read_journal(batches)
        self._keep_first_deliveries()
        for change in self._changes:
            self._apply_change(change)

    def _compare(self, index: KeyIndex | None) -> None:
        # The snapshot sees the scratch database as of its first use, which is now.
        self._compare_rows()
        for table in ROLLUPS:
            self._compare_rollup(table)
        if index is not None:
            self._compare_index(index)
        self._summarise()
        self._snapshot.rollback()

    def _read_journal(self, batches: Iterable[RecordBatch]) -> None:
        read, waiting, size = 0, list[bytes](), 0
        for batch in batches:
            if batch.kind is BatchKind.USAGE:
                waiting.append(batch.payload)
                size += len(batch.payload)
            else:
                for line in batch.payload.splitlines():
                    self._note_change(line)
            if size >= LOAD_BYTES:
                self._load(waiting)
                waiting, size = [], 0
            read += batch.last_seq - batch.first_seq + 1
            self._progress("reading the journal", read)
        self._load(waiting)
        self.result.journal_events = self._count(self._scratch, "recount.expected")

    def _load(self, payloads: list[bytes]) -> None:
        self._staging.fill(payloads)
        self._scratch.execute(f"INSERT INTO recount.expected SELECT * FROM {STAGED}")

    def _note_change(self, line: bytes) -> None:
        change = read_change(line)
        if isinstance(change, Change):
            self._changes.append(change)

    def _keep_first_deliveries(self) -> None:
        self._progress("finding first deliveries", self.result.journal_events)
        self._scratch.execute(
            "CREATE TABLE recount.first_deliveries AS"
            " SELECT tenant_id, event_id, min(seq) AS seq FROM recount.expected GROUP BY tenant_id, event_id"
        )
        self._scratch.execute(
            "DELETE FROM recount.expected WHERE seq NOT IN (SELECT seq FROM recount.first_deliveries)"
        )

    def _apply_change(self, change: Change) -> None:
        """Void or replace the event that the record names, if it was counted before the record."""
        where = "WHERE tenant_id = ? AND event_id = ? AND seq < ?"
        key = [change.tenant_id, change.event_id, change.seq]
        found = self._scratch.execute(f"SELECT seq FROM recount.expected {where}", key).fetchall()
        if not found:
            return
        if change.kind == CORRECTION:
            if stage_replacement(self._staging, change, int(found[0][0])) is not None:
                return
            self._scratch.execute(f"UPDATE {STAGED} SET revised_seq = ?", [change.seq])
        self._scratch.execute(f"DELETE FROM recount.expected {where}", key)
        if change.kind == CORRECTION:
            self._scratch.execute(f"INSERT INTO recount.expected SELECT * FROM {STAGED}")

    def _compare_rows(self) -> None:
        self._progress("comparing raw rows", self.result.journal_events)
        columns = ", ".join(f'"{name}"' for name in COMPARED)
        place = "journal/usage_events"
        for left, right, says in (
            ("recount.expected", "usage_events", "in the journal, but not so in usage_events"),
            ("usage_events", "recount.expected", "in usage_events, but not so in the journal"),
        ):
            query = f"SELECT {columns} FROM {left} EXCEPT ALL SELECT {columns} FROM {right}"
            self._collect(place, f"SELECT seq, tenant_id, event_id, cost FROM ({query}) ORDER BY seq", says)

    def _compare_rollup(self, table: str) -> None:
        self._progress(f"recounting {table}", self.result.journal_events)
        recounted, stored = rollup_select(table, "usage_events"), rollup_sums(table)
        for left, right, says in (
            (recounted, stored, "as recounted from raw rows, but not so in the rollup"),
            (stored, recounted, "in the rollup, but not so when recounted from raw rows"),
        ):
            self._collect(f"usage_events/{table}", f"({left}) EXCEPT ALL ({right})", says)

    def _compare_index(self, index: KeyIndex) -> None:
        self._progress("comparing the key index", self.result.journal_events)
        found = 0
        for keys, seqs, _ in read_keys(self._snapshot):
            found += len(keys)
            for key, seq in zip(keys, seqs.tolist(), strict=True):
                if index.find(key) != seq:
                    self._add("usage_events/key_index", f"seq {seq}: the index says {index.find(key)}")
        known = index.count_up_to(self.result.position)
        if known > found:
            text = f"the index takes {known - found} ids for counted that are in no row"
            self._add("usage_events/key_index", text)

    def _collect(self, place: str, query: str, says: str) -> None:
        self._snapshot.execute(f"CREATE OR REPLACE TEMP TABLE differences AS {query}")
        count = self._count(self._snapshot, "differences")
        self.result.difference_count += count
        rows = self._snapshot.execute(f"SELECT * FROM differences LIMIT {DIFFERENCES_SHOWN}").fetchall()
        names = [column[0] for column in self._snapshot.description or []]
        for row in rows:
            shown = ", ".join(
                f"{name}={value}" for name, value in zip(names, row, strict=True) if value is not None
            )
            self.result.differences.append(Difference(place, f"{says}: {shown}"))

    def _add(self, place: str, detail: str) -> None:
        self.result.difference_count += 1
        if sum(1 for one in self.result.differences if one.place == place) < DIFFERENCES_SHOWN:
            self.result.differences.append(Difference(place, detail))

    def _summarise(self) -> None:
        self.result.events = self._count(self._snapshot, "usage_events")
        self.result.quarantined = self._count(self._snapshot, "quarantine")
        rows = self._snapshot.execute(
            "SELECT currency, sum(cost)::VARCHAR, count(*) FILTER (cost IS NULL) FROM usage_events GROUP BY 1"
        ).fetchall()
        self.result.cost = {str(currency): str(total) for currency, total, _ in rows if total is not None}
        self.result.unpriced = sum(int(row[2]) for row in rows)

    def _count(self, connection: duckdb.DuckDBPyConnection, table: str) -> int:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def _remove_database(path: Path) -> None:
    for file in (path, path.with_name(path.name + ".wal")):
        file.unlink(missing_ok=True)
