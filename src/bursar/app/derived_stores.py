"""One derivation of the journal, opened: the usage store and the key index that belong together.

A server works with one; while it rebuilds, a second one grows beside it (`rebuilding.py`). Which files
count is `storage/store_files.py`; `usage_stores.py` has the journal to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from bursar.errors import ConfigurationError
from bursar.storage.duckdb.apply import DuckDBApplier, make_applier
from bursar.storage.duckdb.compaction import RowCounts, count_rollup_rows
from bursar.storage.duckdb.connection import (
    ROW_GROUP_ROWS,
    DuckDBLimits,
    StoreDatabase,
    open_store,
    read_position,
)
from bursar.storage.duckdb.keys import read_keys
from bursar.storage.keyindex.index import RunKeyIndex
from bursar.storage.keyindex.trust import close_index, open_index
from bursar.usage.applying import whole_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bursar.storage.journal.recover import RecoveredJournal
    from bursar.storage.store_files import StoreFiles
    from bursar.usage.applying import RecordBatch

APPLY_BYTES = 128 * 2**20
"""As much as the applier takes at once of a backlog (`applier.py`)."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What every derivation is opened with."""

    scratch: Path
    """The data folder's place for files that no one misses after a stop."""
    limits: DuckDBLimits
    quarantine_limit: int


@dataclass(frozen=True, slots=True)
class DerivedStores:
    """Usage store and key index of one derivation."""

    files: StoreFiles
    journal_id: str
    database: StoreDatabase
    index: RunKeyIndex
    applier: DuckDBApplier

    @property
    def applied_seq(self) -> int:
        """Seq of the last record applied; 0 in a new store. From the applying thread."""
        position = self.applier.position()
        return position[1] if position else 0

    def count_rollup_rows(self) -> RowCounts:
        """How many rows rollups have, by period. From any thread."""
        cursor = self.database.cursor()
        try:
            return count_rollup_rows(cursor)
        finally:
            cursor.close()

    def compact(self) -> None:
        """Sum up all rollup rows that it is worth for, at once. From the applying thread."""
        self.applier.compactor.know(self.count_rollup_rows())
        while self.applier.compactor.step():
            pass

    def close(self) -> None:
        """Write everything out and close."""
        close_index(self.index, self.files.index, self.journal_id)
        self.database.close()

    def abandon(self) -> None:
        """Write nothing more and delete the files; whoever reads them still may go on.

        Their space is free once the last cursor is closed and nobody refers to this object.
        """
        self.database.abandon()
        self.files.remove()


def open_derived(files: StoreFiles, journal: RecoveredJournal, settings: StoreSettings) -> DerivedStores:
    """Open usage store and key index, made if need be; an index that can't be believed is made anew.

    Raises:
        ConfigurationError: the store can't be opened, or doesn't belong to the journal.
    """
    scratch, journal_id = settings.scratch / files.name, journal.identity.journal_id
    database = open_store(files.store, settings.limits, scratch / "duckdb")
    try:
        applied_seq = _check_position(database, journal)
        index, distrust = open_index(
            files.index, journal_id, applied_seq, lambda: read_keys(database.cursor())
        )
    except BaseException:
        database.close()
        raise
    if distrust is not None:
        log.warning("rebuilt the key index from the raw rows", because=distrust, keys=index.count())
    applier = make_applier(database, index, journal_id, scratch, settings.quarantine_limit)
    return DerivedStores(files, journal_id, database, index, applier)


def apply_journal(
    applier: DuckDBApplier,
    batches: Iterable[RecordBatch],
    progress: Callable[[str, int], None],
    bite_bytes: int = APPLY_BYTES,
) -> None:
    """Apply records in transactions of bounded size, and say after each how far it is."""
    waiting: list[RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += len(batch.payload)
        if size >= bite_bytes:
            bite, waiting = whole_groups(waiting, ROW_GROUP_ROWS)
            applier.apply(bite)
            progress("applying the journal", bite[-1].last_seq)
            size = sum(len(one.payload) for one in waiting)
    if waiting:
        applier.apply(waiting)
        progress("applying the journal", waiting[-1].last_seq)


def _check_position(database: StoreDatabase, journal: RecoveredJournal) -> int:
    """The store's position, which must lie within this journal."""
    position = read_position(database.cursor())
    if position is None:
        return 0
    journal_id, seq = position
    if journal_id != journal.identity.journal_id:
        message = (
            f"The usage store belongs to journal {journal_id}, the folder's journal is"
            f" {journal.identity.journal_id}. Restore the one that is missing from a backup."
            " (`bursar rebuild` would derive the store from this journal alone.)"
        )
        raise ConfigurationError(message)
    if seq > journal.last_seq:
        message = (
            f"The usage store is at {seq}, beyond the journal's end ({journal.last_seq}): the journal has"
            " lost records. Restore the journal from a backup; nothing was changed."
        )
        raise ConfigurationError(message)
    return seq
