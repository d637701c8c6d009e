"""Recounts: is what the store says what the journal says, and do the rollups add up?

The journal is read again, from its first record, into scratch tables by a path of its own
(`expected.py`). Comparisons follow, each naming what differs: journal against raw rows, history,
kept sums and quarantine; raw rows and kept sums against rollups; raw rows against the key index.
Everything happens in one read transaction, so a running server doesn't disturb it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.storage.duckdb.expected import COPIED, Expectation
from bursar.storage.duckdb.expected_removal import SCRATCH
from bursar.storage.duckdb.kept import KEPT_TABLES, columns_of
from bursar.storage.duckdb.keys import read_keys
from bursar.storage.duckdb.rollup import ROLLUPS, rollup_select, rollup_sums
from bursar.storage.duckdb.schema import TABLES
from bursar.storage.duckdb.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import duckdb

    from bursar.storage.duckdb.connection import StoreDatabase
    from bursar.usage.applying import KeyIndex, RecordBatch

DIFFERENCES_SHOWN = 20
"""Differences listed per comparison; all of them are counted."""
_NOT_COMPARED = {"temperature", "provider_named"}
"""Floats are no figures; and rows of a store that was upgraded from version 1 don't say who named what."""
_SHOWN = ("seq", "by_seq", "place", "tenant_id", "event_id", "cost", "what", "before")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that doesn't tie out."""

    place: str
    """`journal/usage_events`, `usage_events/usage_by_hour`, …"""
    detail: str


@dataclass(slots=True)
class Recount:
    """What was compared and what was found."""

    journal_from: int = 1
    """The first position that the journal still has; what came before was dropped for its age."""
    journal_events: int = 0
    events: int = 0
    cost: dict[str, str] = field(default_factory=dict[str, str])
    """Sum by currency, as counted from raw rows."""
    unpriced: int = 0
    duplicates: int = 0
    """Deliveries that repeat one that was counted before; they count nowhere."""
    conflicts: int = 0
    """Deliveries that repeat an id with other content; they are in quarantine."""
    voided: int = 0
    removed: int = 0
    """Events that an expiry or a reset took since they were delivered.

    Deliveries in the journal = events + voided + removed + duplicates + conflicts."""
    quarantined: int = 0
    quarantine_dropped: int = 0
    """Records beyond a tenant's bound: in the journal only."""
    tombstones: int = 0
    """Positions of a rewritten journal whose records are gone."""
    unreadable_count: int = 0
    unreadable: list[str] = field(default_factory=list[str])
    """The first journal lines that could not be loaded, and why; each must be in quarantine."""
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
        self._expected = Expectation(self._scratch, self._staging)
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
        self._scratch.execute(f"ATTACH '{quoted}' AS {SCRATCH}")
        try:
            self._snapshot.begin()
            rows = self._snapshot.execute("SELECT seq FROM applied").fetchall()
            self.result.position = int(rows[0][0]) if rows else 0
            self._expect(batches(self.result.position))
            self._compare(index)
        finally:
            self._snapshot.close()
            self._scratch.execute(f"DETACH {SCRATCH}")
            self._scratch.close()
            _remove_database(path)
        return self.result

    def _expect(self, batches: Iterable[RecordBatch]) -> None:
        """Fill the scratch tables with what the journal says the store must hold."""
        expected = self._expected
        expected.make_tables()
        expected.read(batches, lambda read: self._progress("reading the journal", read))
        self.result.journal_events = expected.journal_events
        self.result.duplicates, self.result.conflicts = expected.duplicates, expected.conflicts
        self.result.tombstones = expected.tombstones
        self.result.unreadable_count, self.result.unreadable = expected.unreadable_count, expected.unreadable

    def _compare(self, index: KeyIndex | None) -> None:
        # The snapshot sees the scratch database as of its first use, which is now.
        for table in COPIED:
            columns = [name for name in TABLES[table] if name not in _NOT_COMPARED]
            self._compare_table(table, columns, table)
        kept_aside = "SELECT seq, tenant_id FROM"
        both = f"({kept_aside} quarantine UNION ALL {kept_aside} quarantine_drops)"
        self._compare_table("quarantine", ["seq", "tenant_id"], both)
        for table in ROLLUPS:
            self._compare_rollup(table)
        if index is not None:
            self._compare_index(index)
        self._summarise()
        self._snapshot.rollback()

    def _compare_table(self, table: str, columns: list[str], stored: str) -> None:
        self._progress(f"comparing {table}", self.result.journal_events)
        names = ", ".join(f'"{name}"' for name in columns)
        shown = ", ".join(name for name in _SHOWN if name in columns)
        expected = f"{SCRATCH}.{table}"
        if self._is_same(names, expected, stored):
            return
        for left, right, says in (
            (expected, stored, f"in the journal, but not so in {table}"),
            (stored, expected, f"in {table}, but not so in the journal"),
        ):
            query = f"SELECT {names} FROM {left} EXCEPT ALL SELECT {names} FROM {right}"
            self._collect(f"journal/{table}", f"SELECT {shown} FROM ({query}) ORDER BY ALL", says)

    def _is_same(self, names: str, expected: str, stored: str) -> bool:
        """Whether two tables have the same rows, by a 64-bit hash of each.

        Comparing whole rows takes ten times as long and memory for all of them, so it is left for
        naming what differs.
        """
        if self._count(self._snapshot, expected) != self._count(self._snapshot, stored):
            return False
        hashes = f"SELECT hash({names}) FROM"
        return not self._count(self._snapshot, f"({hashes} {expected} EXCEPT ALL {hashes} {stored})")

    def _compare_rollup(self, table: str) -> None:
        self._progress(f"recounting {table}", self.result.journal_events)
        # Rollups hold what the raw rows sum up to, and what the expired ones did.
        kept = f"SELECT {columns_of(table)} FROM {KEPT_TABLES[table]}"
        summed = f"({rollup_select(table, 'usage_events')} UNION ALL {kept})"
        for name, sums in (("recounted", rollup_sums(table, summed)), ("recorded", rollup_sums(table))):
            self._snapshot.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sums}")
        for left, right, says in (
            ("recounted", "recorded", "as recounted from raw rows, but not so in the rollup"),
            ("recorded", "recounted", "in the rollup, but not so when recounted from raw rows"),
        ):
            self._collect(f"usage_events/{table}", f"FROM {left} EXCEPT ALL FROM {right}", says)

    def _compare_index(self, index: KeyIndex) -> None:
        self._progress("comparing the key index", self.result.journal_events)
        found = 0
        for keys, seqs, _ in read_keys(self._snapshot):
            found += len(keys)
            for i, known in index.differences(keys, seqs).items():
                self._add("usage_events/key_index", f"seq {seqs[i]}: the index says {known}")
            self._progress("comparing the key index", self.result.journal_events)
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
        self.result.quarantine_dropped = self._count(self._snapshot, "quarantine_drops")
        voided = "(SELECT seq FROM usage_history WHERE ended_kind = 'void')"
        self.result.voided = self._count(self._snapshot, voided)
        delivered = self.result.journal_events - self.result.duplicates - self.result.conflicts
        self.result.removed = delivered - self.result.events - self.result.voided
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
