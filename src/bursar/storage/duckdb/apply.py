"""Applies journal records to the DuckDB store: dedupe, raw rows, rollups and position together.

A stretch of records (`stretches.py`) is one transaction, or several where a line of it doesn't fit. The key
index is written first and gives the same answer when records are repeated, so a crash between the two
changes nothing: what was not committed is applied again, whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import structlog

from bursar.storage.duckdb.change import Changer
from bursar.storage.duckdb.change_reader import Refusal, runs_of
from bursar.storage.duckdb.compaction import RollupCompactor
from bursar.storage.duckdb.connection import fetch_columns, read_position, transaction
from bursar.storage.duckdb.keys import KEY_COLUMNS, as_unsigned, keys_of, sorted_by_key
from bursar.storage.duckdb.quarantine import Quarantine, QuarantinedRecord
from bursar.storage.duckdb.rollup import add_to_rollups, events_by_hour
from bursar.storage.duckdb.spellings import spelled_prints
from bursar.storage.duckdb.staging import STAGED, Staging, UnreadableLines
from bursar.storage.duckdb.stretches import Changes, Deliveries, Stretch, deliveries_of, steps_of, stretches
from bursar.usage.applying import Applied, BatchKind, Delivery, Repeat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from bursar.storage.duckdb.change_reader import Change, Step
    from bursar.storage.duckdb.connection import StoreDatabase
    from bursar.usage.applying import KeyIndex, RecordBatch, Seen


_Added = tuple[dict[str, int], dict["datetime", int]]
"""The rows added to each rollup, and the events of each hour."""

log = structlog.get_logger()


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
        for stretch in stretches(batches, done[1] if done else 0):
            total.add(self._apply_stretch(stretch))
        return total

    def _apply_stretch(self, stretch: Stretch) -> Applied:
        if len(stretch) > 1:
            try:
                return self._apply_together(stretch)
            except (UnreadableLines, duckdb.Error) as error:
                # What doesn't fit is found out and kept aside; what failed otherwise fails again.
                log.debug("applies records one after the other", because=str(error))
        total = Applied()
        for part in stretch:
            if isinstance(part, Deliveries):
                total.add(self._apply_deliveries(part.batches))
            else:
                total.add(self._apply_changes(part))
        return total

    def _apply_together(self, stretch: Stretch) -> Applied:
        """Apply all deliveries of a stretch, then all its changes, in one transaction.

        Raises:
            UnreadableLines, duckdb.Error: some line doesn't fit; nothing was done.
        """
        applied = Applied(last_seq=stretch[-1].last_seq)
        with transaction(self._connection):
            aside, added = self._deliver(deliveries_of(stretch), applied)
            for run in runs_of(steps_of(stretch)):
                staged = self._changer.stage(run)
                self._changer.carry_out(run, staged, applied)
                aside += _refused(run, staged)
            self._keep_aside(applied, aside)
            self._move_position(applied.last_seq)
        self.compactor.note_added(*added)
        return applied

    def _apply_deliveries(self, batches: list[RecordBatch]) -> Applied:
        applied = Applied(last_seq=batches[-1].last_seq)
        try:
            with transaction(self._connection):
                aside, added = self._deliver(batches, applied)
                self._keep_aside(applied, aside)
                self._move_position(applied.last_seq)
        except UnreadableLines:
            return self._apply_carefully(batches)
        self.compactor.note_added(*added)
        return applied

    def _deliver(
        self, batches: list[RecordBatch], applied: Applied
    ) -> tuple[list[QuarantinedRecord], _Added]:
        """Load usage records and take up the tombstones among them, of which there may be one after each.

        The tombstones come first. That changes nothing: the key of one belongs to a first delivery, and is
        free again only after the record that removed it, which ends the stretch.

        Returns:
            Conflicts, and what came to the rollups.

        Raises:
            UnreadableLines: some line doesn't fit; the transaction can only be rolled back.
        """
        usage = self._lay_tombstones(batches, applied)
        if not usage:
            self._index.advance(applied.last_seq)
            return [], ({}, {})
        source = f"usage_events WHERE seq >= {usage[0].first_seq}"
        self._staging.insert([batch.payload for batch in usage])
        conflicts = self._drop_repeats(source, applied, usage)
        return conflicts, self._add_to_rollups(source)

    def _apply_carefully(self, batches: list[RecordBatch]) -> Applied:
        """Apply what can be read, and show the rest; the staging table finds out which is which."""
        usage = [batch for batch in batches if batch.kind is BatchKind.USAGE]
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
            added = self._add_to_rollups(STAGED)
            self._keep_aside(applied, [*bad, *conflicts])
            self._move_position(applied.last_seq)
        self.compactor.note_added(*added)
        return applied

    def _lay_tombstones(self, batches: list[RecordBatch], applied: Applied) -> list[RecordBatch]:
        """Take up the tombstones among these records; returns the others."""
        tombstones = [batch for batch in batches if batch.kind is BatchKind.TOMBSTONE]
        if tombstones:
            self._changer.lay_tombstones([batch.payload for batch in tombstones])
        applied.tombstones = sum(batch.last_seq - batch.first_seq + 1 for batch in tombstones)
        return [batch for batch in batches if batch.kind is BatchKind.USAGE]

    def _add_to_rollups(self, source: str) -> _Added:
        return add_to_rollups(self._connection, source), events_by_hour(self._connection, source)

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

    def _apply_changes(self, changes: Changes) -> Applied:
        """Make changes in order, each run of them with a position of its own."""
        applied = Applied(last_seq=changes.last_seq)
        seq = changes.first_seq - 1
        for run in runs_of(changes.steps):
            seq += len(run)
            staged = self._changer.stage(run)
            self._index.advance(seq)
            with transaction(self._connection):
                self._changer.carry_out(run, staged, applied)
                self._keep_aside(applied, _refused(run, staged))
                self._move_position(seq)
        return applied

    def _keep_aside(self, applied: Applied, records: Sequence[QuarantinedRecord]) -> None:
        # Of too many the first stay, so that it doesn't matter which came together.
        in_order = sorted(records, key=lambda record: record.envelope.seq)
        kept, dropped = self._quarantine.keep(self._connection, in_order)
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


def _refused(run: Sequence[Step], staged: Sequence[Change | Refusal]) -> list[QuarantinedRecord]:
    return [
        QuarantinedRecord.of_line(step.line, refusal.reason, refusal.detail)
        for step, refusal in zip(run, staged, strict=True)
        if isinstance(refusal, Refusal)
    ]


def _lines_of(batches: list[RecordBatch], wanted: set[int]) -> list[bytes]:
    if not wanted:
        return []
    lines: list[bytes] = []
    for batch in batches:
        if any(batch.first_seq <= seq <= batch.last_seq for seq in wanted):
            rows = batch.payload.splitlines()
            lines += [row for i, row in enumerate(rows) if batch.first_seq + i in wanted]
    return lines
