"""Applies journal records to the DuckDB store: dedupe, raw rows, rollups and position together.

Each run of records is one transaction. The key index is written first and gives the same answer
when a run is repeated, so a crash between the two changes nothing: the run is applied again, whole.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from bursar.storage.duckdb.change import Changer
from bursar.storage.duckdb.change_reader import Refusal, read_steps, runs_of
from bursar.storage.duckdb.compaction import RollupCompactor
from bursar.storage.duckdb.connection import fetch_columns, read_position, transaction
from bursar.storage.duckdb.keys import KEY_COLUMNS, as_unsigned, keys_of, sorted_by_key
from bursar.storage.duckdb.quarantine import Quarantine, QuarantinedRecord
from bursar.storage.duckdb.rollup import add_to_rollups, events_by_hour
from bursar.storage.duckdb.spellings import spelled_prints
from bursar.storage.duckdb.staging import STAGED, Staging, UnreadableLines
from bursar.usage.applying import Applied, BatchKind, Delivery, Repeat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from bursar.storage.duckdb.connection import StoreDatabase
    from bursar.usage.applying import KeyIndex, RecordBatch, Seen


_DELIVERIES = frozenset({BatchKind.USAGE, BatchKind.TOMBSTONE})
"""Usage, and what a rewritten journal has in its place."""


class DuckDBApplier:
    """The only writer of the DuckDB store. Use from one thread."""

    def __init__(
        self, database: StoreDatabase, index: KeyIndex, journal_id: str, quarantine: Quarantine
    ) -> None:
        """Write to this database, for the journal of this id."""
        self._database = database
        self._connection = connection = database.cursor()
        self._index = index
        self._journal_id = journal_id
        self._quarantine = quarantine
        self._staging = Staging(connection, quarantine.scratch_path)
        self._changer = Changer(connection, index, self._staging)
        self.compactor = RollupCompactor(connection)
        """For whoever applies, between two batches."""

    def position(self) -> tuple[str, int] | None:
        """Journal id and seq up to which records were applied; None in a new store."""
        return read_position(self._connection)

    def recover(self) -> None:
        """Bring the store back into use after a failure, where that is needed and possible."""
        self._database.recover()

    def apply(self, batches: Sequence[RecordBatch]) -> Applied:
        """Apply records in order; records at or before the position are skipped."""
        done = self.position()
        total = Applied()
        waiting = [batch for batch in batches if done is None or batch.last_seq > done[1]]
        if waiting and done is not None and waiting[0].kind in _DELIVERIES:
            waiting[0] = waiting[0].between(done[1], waiting[0].last_seq)
        for are_deliveries, run in groupby(waiting, key=lambda batch: batch.kind in _DELIVERIES):
            if are_deliveries:
                total.add(self._apply_deliveries(list(run)))
            else:
                for batch in run:
                    total.add(self._apply_others(batch))
        return total

    def _apply_deliveries(self, batches: list[RecordBatch]) -> Applied:
        """Apply usage records and the tombstones among them, of which there may be one after each.

        The tombstones come first. That changes nothing: the key of one belongs to a first delivery, and
        is free again only after the record that removed it, which ends this run.
        """
        usage = [batch for batch in batches if batch.kind is BatchKind.USAGE]
        applied = Applied(last_seq=batches[-1].last_seq)
        if not usage:
            with transaction(self._connection):
                self._lay_tombstones(batches, applied)
                self._index.advance(applied.last_seq)
                self._move_position(applied.last_seq)
            return applied
        source = f"usage_events WHERE seq >= {usage[0].first_seq}"
        try:
            with transaction(self._connection):
                self._lay_tombstones(batches, applied)
                self._staging.insert([batch.payload for batch in usage])
                conflicts = self._drop_repeats(source, applied, usage)
                added = self._finish_usage(source, applied, conflicts)
        except UnreadableLines:
            return self._apply_carefully(batches, usage)
        self.compactor.note_added(*added)
        return applied

    def _apply_carefully(self, batches: list[RecordBatch], usage: list[RecordBatch]) -> Applied:
        """Apply what can be read, and show the rest; the staging table finds out which is which."""
        self._staging.fill([batch.payload for batch in usage])
        applied = Applied(last_seq=batches[-1].last_seq)
        # `fill` may have found lines that can't be read; they are in the journal, so they are shown.
        bad = [QuarantinedRecord.of_line(b.line, "unreadable_record", b.detail) for b in self._staging.bad]
        for record in bad:
            seq = record.envelope.seq
            applied.repeats[seq] = Repeat(Delivery.QUARANTINED, seq)
        with transaction(self._connection):
            self._lay_tombstones(batches, applied)
            conflicts = self._drop_repeats(STAGED, applied, usage)
            self._connection.execute(f"INSERT INTO usage_events SELECT * FROM {STAGED}")
            added = self._finish_usage(STAGED, applied, [*bad, *conflicts])
        self.compactor.note_added(*added)
        return applied

    def _lay_tombstones(self, batches: list[RecordBatch], applied: Applied) -> None:
        tombstones = [batch for batch in batches if batch.kind is BatchKind.TOMBSTONE]
        if tombstones:
            self._changer.lay_tombstones([batch.payload for batch in tombstones])
        applied.tombstones = sum(batch.last_seq - batch.first_seq + 1 for batch in tombstones)

    def _finish_usage(
        self, source: str, applied: Applied, aside: Sequence[QuarantinedRecord]
    ) -> tuple[dict[str, int], dict[datetime, int]]:
        """What new rows bring along; returns the rows added to each rollup, and the events of each hour."""
        added = add_to_rollups(self._connection, source)
        hours = events_by_hour(self._connection, source)
        self._keep_aside(applied, aside)
        self._move_position(applied.last_seq)
        return added, hours

    def _drop_repeats(
        self, source: str, applied: Applied, batches: list[RecordBatch]
    ) -> list[QuarantinedRecord]:
        """Leave only first deliveries among the rows of a source; returns the conflicts."""
        found = fetch_columns(self._connection, f"SELECT {KEY_COLUMNS} FROM {source}")
        rows = sorted_by_key(found)
        seqs = as_unsigned(rows["seq"])
        keys = keys_of(rows)
        seen = self._index.record(keys, seqs, as_unsigned(rows["fingerprint"]))
        # Only now: an index that is this far has these keys.
        self._index.advance(applied.last_seq)
        self._know_spellings(seen, keys, seqs, batches)
        repeated = seen.outcomes != Delivery.NEW
        applied.new = int(len(seqs) - repeated.sum())
        if not repeated.any():
            return []
        joiner = "AND" if " WHERE " in source else "WHERE"
        self._connection.execute(
            f"DELETE FROM {source} {joiner} seq IN (SELECT unnest(?::UBIGINT[]))", [seqs[repeated].tolist()]
        )
        _note_repeats(applied, seqs, seen)
        conflicting = seqs[seen.outcomes == Delivery.CONFLICT].tolist()
        lines = _lines_of(batches, set(conflicting))
        text = "The id was used before with other content; the first event stays."
        return [QuarantinedRecord.of_line(line, "conflict", text) for line in lines]

    def _know_spellings(
        self, seen: Seen, keys: NDArray[np.void], seqs: NDArray[np.uint64], batches: list[RecordBatch]
    ) -> None:
        """Conflicts whose own spelling of numbers is what was counted in earlier days are repeats."""
        places = {int(seqs[i]): i for i in np.flatnonzero(seen.outcomes == Delivery.CONFLICT).tolist()}
        for seq, spelled in spelled_prints(batch.payload for batch in batches) if places else ():
            if seq in places:
                i = places[seq]
                again = self._index.record(keys[i : i + 1], seqs[i : i + 1], np.array([spelled], np.uint64))
                seen.outcomes[i] = again.outcomes[0]

    def forget_removed(self, by_seq: int) -> None:
        """Forget the positions noted for rewriting the journal, once that is in force up to this record."""
        with transaction(self._connection):
            self._changer.forget_removed(by_seq)

    def _apply_others(self, batch: RecordBatch) -> Applied:
        """Apply amending records in order, each run of them with a position of its own."""
        applied = Applied(last_seq=batch.last_seq)
        done = self.position()
        applied_before = max(done[1] - batch.first_seq + 1, 0) if done else 0
        seq = batch.first_seq + applied_before - 1
        for run in runs_of(read_steps(batch.payload.splitlines()[applied_before:])):
            seq += len(run)
            staged = self._changer.stage(run)
            self._index.advance(seq)
            with transaction(self._connection):
                self._changer.carry_out(run, staged, applied)
                refused = [
                    QuarantinedRecord.of_line(step.line, refusal.reason, refusal.detail)
                    for step, refusal in zip(run, staged, strict=True)
                    if isinstance(refusal, Refusal)
                ]
                self._keep_aside(applied, refused)
                self._move_position(seq)
        return applied

    def _keep_aside(self, applied: Applied, records: Sequence[QuarantinedRecord]) -> None:
        kept, dropped = self._quarantine.keep(self._connection, records)
        applied.quarantined += kept
        applied.quarantine_dropped += dropped

    def _move_position(self, seq: int) -> None:
        self._connection.execute("DELETE FROM applied")
        self._connection.execute(
            "INSERT INTO applied VALUES (?, ?, now()::TIMESTAMP)", [self._journal_id, seq]
        )


def make_applier(
    database: StoreDatabase,
    index: KeyIndex,
    journal_id: str,
    scratch_folder: Path,
    quarantine_limit: int,
) -> DuckDBApplier:
    """An applier with its scratch file and a quarantine of bounded size."""
    scratch_folder.mkdir(parents=True, exist_ok=True)
    quarantine = Quarantine(scratch_folder / "applying.ndjson", quarantine_limit)
    return DuckDBApplier(database, index, journal_id, quarantine)


def _note_repeats(applied: Applied, seqs: np.ndarray[Any, Any], seen: Seen) -> None:
    for i in np.flatnonzero(seen.outcomes).tolist():
        outcome = Delivery(int(seen.outcomes[i]))
        applied.repeats[int(seqs[i])] = Repeat(outcome, int(seen.first_seqs[i]))
        if outcome is Delivery.CONFLICT:
            applied.conflicts += 1
        else:
            applied.duplicates += 1


def _lines_of(batches: list[RecordBatch], wanted: set[int]) -> list[bytes]:
    if not wanted:
        return []
    lines: list[bytes] = []
    for batch in batches:
        if any(batch.first_seq <= seq <= batch.last_seq for seq in wanted):
            rows = batch.payload.splitlines()
            lines += [row for i, row in enumerate(rows) if batch.first_seq + i in wanted]
    return lines
