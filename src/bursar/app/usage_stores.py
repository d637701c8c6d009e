"""Opens, checks, recounts and rebuilds the parts that hold usage: journal, key index, DuckDB.

They belong together: the journal is the truth, the other two are derived from it and must not be
ahead of it. `build.py` opens them for a server or a command; `rebuilding.py` derives new ones beside a
running server and puts them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from bursar.app.derived_stores import DerivedStores, StoreSettings, apply_journal, open_derived
from bursar.errors import ConfigurationError, DiskFull
from bursar.storage.duckdb.recount import Recount, Recounter
from bursar.storage.journal.dropping import replay_start
from bursar.storage.journal.holding import hold_archive
from bursar.storage.journal.recover import RecoveredJournal, recover_journal
from bursar.storage.journal.replay import replay_up_to
from bursar.storage.journal.segments import segment_paths
from bursar.storage.store_files import make_current, next_files, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.storage.duckdb.apply import DuckDBApplier
    from bursar.storage.duckdb.connection import Database, DuckDBLimits, StoreDatabase
    from bursar.storage.folder import DataFolder
    from bursar.storage.keyindex.index import RunKeyIndex

STORE_PER_JOURNAL_BYTE = 0.5
"""How large a store becomes, for a rebuild whose old one is gone (measured at a million events: 0.3)."""

log = structlog.get_logger()


@dataclass(slots=True)
class UsageStores:
    """The open parts of a data folder that hold usage.

    A rebuild replaces `derived` while others work, so ask for its parts at the moment of use and keep
    none of them beyond a piece of work. What was taken before goes on working on the old store.
    """

    folder: DataFolder
    journal: RecoveredJournal
    settings: StoreSettings
    derived: DerivedStores

    @property
    def database(self) -> StoreDatabase:
        """The usage store in use now."""
        return self.derived.database

    @property
    def index(self) -> RunKeyIndex:
        """The key index in use now."""
        return self.derived.index

    @property
    def applier(self) -> DuckDBApplier:
        """What applies records to the store in use now."""
        return self.derived.applier

    def cursor(self) -> Database:
        """A cursor of the usage store in use now; close it after use."""
        return self.derived.database.cursor()

    def swap(self, fresh: DerivedStores) -> DerivedStores:
        """Use these from now on; returns those before. From the applier's thread, between batches."""
        old, self.derived = self.derived, fresh
        return old

    def compact(self) -> None:
        """Sum up all rollup rows that it is worth for, at once. Only where no server runs."""
        self.derived.compact()

    def compact_step(self) -> bool:
        """Sum up some rollup rows, shortly; False where nothing is due. From the applier's thread."""
        return self.applier.compactor.step()

    def catch_up(self, progress: Callable[[str, int], None]) -> None:
        """Apply everything that the journal holds and the store doesn't. Only where no server runs."""
        left = replay_up_to(self.folder.journal, self.journal.last_seq, self.derived.applied_seq)
        apply_journal(self.applier, left, progress)

    def recount(self, progress: Callable[[str, int], None]) -> Recount:
        """Compare journal, raw rows, rollups and key index. Safe beside a running applier and a swap."""
        derived = self.derived
        recounter = Recounter(derived.database, self.folder.scratch, progress)
        # What is kept of dropped segments and the journal's records must be of one and the same moment.
        with hold_archive(self.folder.journal, "a recount"):
            found = recounter.run(lambda seq: replay_up_to(self.folder.journal, seq), derived.index)
            found.journal_from = replay_start(self.folder.journal).after_seq + 1
        return found

    def close(self) -> None:
        """Write everything out and close."""
        self.derived.close()


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
    folder.scratch.mkdir(parents=True, exist_ok=True)
    folder.clear_scratch()
    for name in remove_leftovers(folder.path):
        log.info("removed what a rebuild left behind", file=name)
    settings = StoreSettings(folder.scratch, limits, quarantine_limit)
    stores = UsageStores(folder, journal, settings, open_derived(folder.derived, journal, settings))
    try:
        _begin(stores)
    except BaseException:
        stores.close()
        raise
    return stores


def _begin(stores: UsageStores) -> None:
    """Give a new store what is kept of dropped segments; whoever follows the journal goes on from there.

    Raises:
        ConfigurationError: the store ends where the journal doesn't begin yet.
    """
    start, applied_seq = replay_start(stores.folder.journal), stores.derived.applied_seq
    if applied_seq >= start.after_seq:
        return
    if applied_seq > 0:
        message = (
            f"The usage store ends at {applied_seq}, the journal begins behind {start.after_seq}: older"
            " segments were dropped by the archive's retention. `bursar rebuild` derives a new store."
        )
        raise ConfigurationError(message)
    apply_journal(stores.applier, replay_up_to(stores.folder.journal, start.after_seq), _tell_nobody)


def _tell_nobody(_step: str, _records: int) -> None:
    pass


def rebuild_stores(
    folder: DataFolder, limits: DuckDBLimits, quarantine_limit: int, progress: Callable[[str, int], None]
) -> int:
    """Derive the store and the index anew from the journal and swap them in; returns the records applied.

    Only where no server runs. Until the new ones are whole, those in use stay; a crash at any moment
    leaves one or the other.

    Raises:
        ConfigurationError: the journal is damaged.
        DiskFull: there is no room for a second store.
    """
    journal = recover_journal(folder.journal)
    remove_leftovers(folder.path)
    refuse_without_room(folder, 0)
    fresh = open_derived(
        next_files(folder.path), journal, StoreSettings(folder.scratch, limits, quarantine_limit)
    )
    try:
        apply_journal(fresh.applier, replay_up_to(folder.journal, journal.last_seq), progress)
    except BaseException:
        fresh.abandon()
        raise
    fresh.close()
    make_current(fresh.files)
    remove_leftovers(folder.path)
    return journal.last_seq


def refuse_without_room(folder: DataFolder, reserve_bytes: int) -> None:
    """Let a rebuild begin only where a second store has room beside the first, and `reserve_bytes` stay free.

    Raises:
        DiskFull: it hasn't; the text says how much is missing.
    """
    journal_bytes = sum(path.stat().st_size for path in segment_paths(folder.journal))
    store_bytes = max(folder.derived.size_bytes, round(journal_bytes * STORE_PER_JOURNAL_BYTE))
    needed, free = store_bytes * 5 // 4 + reserve_bytes, folder.free_bytes()
    if free < needed:
        message = (
            f"A rebuild needs about {needed / 2**20:,.0f} MiB of free disk space for a second store beside"
            f" the first; {folder.path} has {free / 2**20:,.0f} MiB. Nothing was changed."
        )
        raise DiskFull(message)
