"""Opens, checks, recounts and rebuilds the parts that hold usage: journal, key index, DuckDB.

They belong together: the journal is the truth, the other two are derived from it and must not be
ahead of it. `build.py` opens them for a server or a command, `bursar verify` and `rebuild` call the
functions at the end.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.errors import ConfigurationError
from bursar.storage.duckdb.apply import DuckDBApplier, make_applier
from bursar.storage.duckdb.connection import DuckDBLimits, StoreDatabase, open_store, read_position
from bursar.storage.duckdb.keys import read_keys
from bursar.storage.duckdb.recount import Recount, Recounter
from bursar.storage.duckdb.rollup import RollupCompactor
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.recover import RecoveredJournal, recover_journal
from bursar.storage.keyindex.index import LmdbKeyIndex
from bursar.storage.keyindex.trust import close_index, open_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bursar.storage.folder import DataFolder
    from bursar.usage.applying import RecordBatch

COMPACT_OLDER_THAN = timedelta(hours=2)
"""Rollup rows of younger periods still grow; older ones get few late events."""
APPLY_BYTES = 128 * 2**20
"""As much as the applier takes at once of a backlog (`applier.py`)."""

log = structlog.get_logger()


@dataclass(slots=True)
class UsageStores:
    """The open parts of a data folder that hold usage."""

    folder: DataFolder
    journal: RecoveredJournal
    database: StoreDatabase
    index: LmdbKeyIndex
    applier: DuckDBApplier
    compactor: RollupCompactor

    def compact(self) -> None:
        """Replace rollup rows of past periods by their sums. Call from the applier's thread."""
        before = (clock.now() - COMPACT_OLDER_THAN).replace(minute=0, second=0, microsecond=0, tzinfo=None)
        self.compactor.compact(before)

    def catch_up(self, progress: Callable[[str, int], None]) -> None:
        """Apply everything that the journal holds and the store doesn't. Only where no server runs."""
        position = self.applier.position()
        done = position[1] if position else 0
        apply_journal(self.applier, self.folder.journal, done, self.journal.last_seq, progress)

    def recount(self, progress: Callable[[str, int], None]) -> Recount:
        """Compare journal, raw rows, rollups and key index. Safe beside a running applier."""
        recounter = Recounter(self.database, self.folder.scratch, progress)
        return recounter.run(lambda seq: batches_up_to(self.folder.journal, seq), self.index)

    def close(self) -> None:
        """Write everything out and close."""
        close_index(self.index, self.folder.index, self.journal.identity.journal_id)
        self.database.close()


def open_stores(folder: DataFolder, limits: DuckDBLimits, quarantine_limit: int) -> UsageStores:
    """Recover the journal and open what is derived from it.

    Raises:
        ConfigurationError: the journal is damaged, or the store doesn't belong to it.
    """
    journal = recover_journal(folder.journal)
    if journal.cut is not None:
        log.warning(
            "cut a torn tail off the journal; nothing in it was acknowledged",
            segment=journal.cut.path.name,
            kept_bytes=journal.cut.kept_bytes,
            cut_bytes=journal.cut.cut_bytes,
        )
    database = open_store(folder.store, limits, folder.scratch / "duckdb")
    try:
        applied_seq = _check_position(database, journal)
        index, distrust = open_index(
            folder.index, journal.identity.journal_id, applied_seq, lambda: read_keys(database.cursor())
        )
    except BaseException:
        database.close()
        raise
    if distrust is not None:
        log.warning("rebuilt the key index from the raw rows", because=distrust, keys=index.count())
    applier = make_applier(database, index, journal.identity.journal_id, folder.scratch, quarantine_limit)
    return UsageStores(folder, journal, database, index, applier, RollupCompactor(database.cursor()))


def rebuild_stores(
    folder: DataFolder, limits: DuckDBLimits, quarantine_limit: int, progress: Callable[[str, int], None]
) -> int:
    """Derive the store and the index anew from the journal and swap them in; returns the records applied.

    Only where no server runs. A crash before the swap changes nothing; one during it leaves a folder
    without a store, which the next start derives from the journal.
    """
    journal = recover_journal(folder.journal)
    fresh_store, fresh_index = folder.path / "rebuilt.duckdb", folder.path / "rebuilt.lmdb"
    _remove(fresh_store, fresh_index)
    database = open_store(fresh_store, limits, folder.scratch / "duckdb")
    index, _ = open_index(fresh_index, journal.identity.journal_id, 0, lambda: ())
    applier = make_applier(database, index, journal.identity.journal_id, folder.scratch, quarantine_limit)
    apply_journal(applier, folder.journal, 0, journal.last_seq, progress)
    close_index(index, fresh_index, journal.identity.journal_id)
    database.close()
    _remove(folder.store, folder.index)
    fresh_index.rename(folder.index)
    fresh_index.with_suffix(".state").rename(folder.index.with_suffix(".state"))
    fresh_store.rename(folder.store)
    return journal.last_seq


def apply_journal(
    applier: DuckDBApplier,
    journal: Path,
    after_seq: int,
    last_seq: int,
    progress: Callable[[str, int], None],
) -> None:
    """Apply the journal's records behind `after_seq`, in batches of bounded size."""
    waiting: list[RecordBatch] = []
    size = 0
    for batch in batches_up_to(journal, last_seq):
        if batch.last_seq <= after_seq:
            continue
        waiting.append(batch)
        size += len(batch.payload)
        if size >= APPLY_BYTES:
            applier.apply(waiting)
            progress("applying the journal", batch.last_seq)
            waiting, size = [], 0
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


def _remove(store: Path, index: Path) -> None:
    store.unlink(missing_ok=True)
    store.with_name(store.name + ".wal").unlink(missing_ok=True)
    shutil.rmtree(index, ignore_errors=True)
    index.with_suffix(".state").unlink(missing_ok=True)
