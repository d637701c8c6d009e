"""What commands do where no server may be in between: rebuild a folder, look after its state store.

The thin seam between the command line and the stores: opens, calls, closes. A rebuild holds the
folder's lock, so that it can't run beside a server.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from bursar.app.audited_folders import recorded, whoever_commands
from bursar.app.backup import closed_source, take_backup
from bursar.app.opening import duckdb_limits, upgrade_ledger
from bursar.app.upgrade import note_derived, versions_of
from bursar.app.usage_stores import rebuild_stores
from bursar.errors import FolderInUse
from bursar.storage.folder import DataFolder, claim_folder
from bursar.storage.folder_format import read_format
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.migrate import status, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bursar.app.backup import BackupReport
    from bursar.settings import Settings
    from bursar.storage.folder_format import PartVersion
    from bursar.storage.relational.engine import StateEngine
    from bursar.storage.relational.migrate import MigrationStatus


def rebuild_folder(settings: Settings, progress: Callable[[str, int], None]) -> int:
    """Derive the usage store and the key index anew from the journal; answers how many records it holds.

    Raises:
        FolderInUse: a server holds the folder.
        ConfigurationError: the journal is damaged.
        Unavailable: the state store, which has the audit log, doesn't answer; nothing was done.
    """
    folder = DataFolder(settings.data_dir)
    try:
        lock = claim_folder(folder)
    except FolderInUse as error:
        message = f"A rebuild needs the data folder to itself. {error.detail}"
        raise FolderInUse(message) from None
    try:
        with _state_store(settings) as engine, _recorded(folder, engine, "ledger.rebuild", {}) as after:
            limits, quarantine_limit = duckdb_limits(settings), settings.quarantine_limit_per_tenant
            after["records"] = records = rebuild_stores(folder, limits, quarantine_limit, progress)
            note_derived(folder)
            return records
    finally:
        lock.release()


def state_status(settings: Settings) -> MigrationStatus:
    """Which migrations of the state store are done and which are pending; changes nothing.

    Raises:
        NewerFormat: a newer Bursar has written it.
        Unavailable: it doesn't answer.
    """
    with _state_store(settings) as engine:
        return status(engine)


def folder_versions(settings: Settings) -> list[PartVersion]:
    """The versions of the folder's parts; none where no Bursar has used it. Changes nothing.

    Raises:
        NewerFormat: a newer Bursar has written it.
        ConfigurationError: they can't be read.
    """
    return versions_of(DataFolder(settings.data_dir))


def is_up_to_date(settings: Settings) -> bool:
    """Whether neither state store nor folder needs an upgrade; changes nothing.

    Raises:
        NewerFormat: a newer Bursar has written one of them.
        Unavailable: the state store doesn't answer.
    """
    return not state_status(settings).pending and not any(part.is_older for part in folder_versions(settings))


def upgrade_everything(
    settings: Settings, backup: Path | None, progress: Callable[[str, int], None]
) -> tuple[MigrationStatus, list[PartVersion]]:
    """Bring the state store and the folder up to date, after a backup if one is asked for.

    Answers where both stand then.

    Raises:
        NewerFormat: a newer Bursar has written one of them; nothing was changed.
        FolderInUse: a server holds the folder.
        Unavailable: the state store doesn't answer, or another process has been at this for too long.
    """
    keep_log_quiet()
    folder = DataFolder(settings.data_dir)
    with _state_store(settings) as engine:
        status(engine)
        if read_format(folder.format_file) is None:
            return upgrade(engine), []
        with _held(folder):
            if backup is not None:
                take_backup(closed_source(folder, engine, with_store=True), backup, progress)
            upgrade_ledger(settings, folder, engine, whoever_commands(), progress)
            return status(engine), versions_of(folder)


def back_up_closed(
    settings: Settings, target: Path, progress: Callable[[str, int], None], *, with_store: bool
) -> BackupReport:
    """Back up a folder that no server holds, of this version or an older one.

    Raises:
        FolderInUse: a server holds it.
        DiskFull: there is no room for it.
        ConfigurationError: a folder can't be used.
    """
    folder = DataFolder(settings.data_dir)
    asked = {"directory": str(target), "without_store": not with_store}
    with (
        _state_store(settings) as engine,
        _held(folder),
        _recorded(folder, engine, "ledger.backup", asked) as after,
    ):
        report = take_backup(closed_source(folder, engine, with_store=with_store), target, progress)
        after.update(run=report.run, last_seq=report.last_seq)
        return report


def keep_log_quiet() -> None:
    """Log nothing: a command says itself what it did, and how it failed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _recorded(
    folder: DataFolder, engine: StateEngine, act: str, asked: dict[str, Any]
) -> AbstractContextManager[dict[str, Any]]:
    """The audit log hears of it before and after."""
    return recorded(folder, engine, whoever_commands(), act, asked)


@contextmanager
def _held(folder: DataFolder) -> Generator[None]:
    lock = claim_folder(folder)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _state_store(settings: Settings) -> Generator[StateEngine]:
    engine = make_engine(settings.database_url or f"sqlite:///{DataFolder(settings.data_dir).state}")
    try:
        yield engine
    finally:
        engine.dispose()
