"""What commands do where no server may be in between: rebuild a folder, look after its state store.

The thin seam between the command line and the stores: opens, calls, closes. A rebuild holds the
folder's lock, so that it can't run beside a server.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bursar.app.build import duckdb_limits
from bursar.app.logs import configure_logging
from bursar.app.upgrade import note_derived, upgrade_folder, versions_of
from bursar.app.usage_stores import rebuild_stores
from bursar.errors import FolderInUse
from bursar.storage.folder import DataFolder, claim_folder
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.migrate import status, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bursar.settings import Settings
    from bursar.storage.folder_format import PartVersion
    from bursar.storage.relational.engine import StateEngine
    from bursar.storage.relational.migrate import MigrationStatus


def rebuild_folder(settings: Settings, progress: Callable[[str, int], None]) -> int:
    """Derive the usage store and the key index anew from the journal; answers how many records it holds.

    Raises:
        FolderInUse: a server holds the folder.
        ConfigurationError: the journal is damaged.
    """
    folder = DataFolder(settings.data_dir)
    try:
        lock = claim_folder(folder)
    except FolderInUse as error:
        message = f"A rebuild needs the data folder to itself. {error.detail}"
        raise FolderInUse(message) from None
    try:
        limits, quarantine_limit = duckdb_limits(settings), settings.quarantine_limit_per_tenant
        records = rebuild_stores(folder, limits, quarantine_limit, progress)
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


def upgrade_everything(
    settings: Settings, progress: Callable[[str, int], None]
) -> tuple[MigrationStatus, list[PartVersion]]:
    """Bring the state store and the folder up to date; answers where they stand then.

    Raises:
        NewerFormat: a newer Bursar has written one of them; nothing was changed.
        FolderInUse: a server holds a folder that is to be upgraded.
        Unavailable: the state store doesn't answer, or another process has been at this for too long.
    """
    # The command tells itself what was done; of the log only what is wrong.
    configure_logging(settings.model_copy(update={"log_level": "error"}))
    folder = DataFolder(settings.data_dir)
    with _state_store(settings) as engine:
        status(engine)
        if any(part.is_older for part in versions_of(folder)):
            lock = claim_folder(folder)
            try:
                limits, quarantine_limit = duckdb_limits(settings), settings.quarantine_limit_per_tenant
                upgrade_folder(folder, limits, quarantine_limit, progress)
            finally:
                lock.release()
        return upgrade(engine), versions_of(folder)


@contextmanager
def _state_store(settings: Settings) -> Generator[StateEngine]:
    engine = make_engine(settings.database_url or f"sqlite:///{DataFolder(settings.data_dir).state}")
    try:
        yield engine
    finally:
        engine.dispose()
