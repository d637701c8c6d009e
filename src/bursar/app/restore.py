"""`bursar restore`: a new ledger from a backup, in a folder of its own and under a journal id of its own.

The original may go on beside it: positions of the two can't be mistaken for each other, and the restored
journal begins far behind the last seq of the backup. Everything is put together in a folder beside the
target, which gets the target's name when it is whole, so that a restore that is interrupted leaves nothing
that could be taken for a ledger. What the backup has no copy of is derived from the journal.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar import clock
from bursar.app.audited_folders import audit_of, whoever_commands
from bursar.app.backup import STATE
from bursar.app.encryption import keys_of
from bursar.app.opening import duckdb_limits
from bursar.app.upgrade import upgrade_folder
from bursar.app.usage_stores import open_stores
from bursar.errors import ConfigurationError, DiskFull
from bursar.identity.audit.deed import Deed, Outcome
from bursar.identity.audit.showing import showable
from bursar.storage.backup_folder import BackupManifest, checksum_of, load_backup
from bursar.storage.duckdb.connection import adopt_store
from bursar.storage.durable_files import sync_folder
from bursar.storage.folder import DataFolder, claim_folder
from bursar.storage.folder_format import CURRENT, refuse_newer
from bursar.storage.journal.adopting import adopt_copy
from bursar.storage.keyindex.trust import adopt_index
from bursar.storage.relational.credentials import RelationalCredentials
from bursar.storage.relational.dump import restore_state
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.migrate import upgrade
from bursar.storage.relational.runs import RelationalRuns, adopt_runs

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from bursar.settings import Settings
    from bursar.storage.duckdb.recount import Recount

Progress = Callable[[str, int], None]

ACT = "ledger.restore"
_INTERRUPTED = "The ledger was restored from a backup that was made before this ended; ask for it again."


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored."""

    data_dir: str
    made_at: str
    """When the backup was finished."""
    from_journal_id: str
    journal_id: str
    last_seq: int
    """Of the backup's last record."""
    recount: Recount
    missing_keys: tuple[str, ...] = ()
    """Encryption keys that its secrets need and that aren't at hand here; no backup has any."""


def restore_backup(backup: Path, settings: Settings, tell: Progress) -> RestoreReport:
    """Restore into the settings' data folder, and into their database if they name one; then recount.

    Raises:
        NewerFormat: a newer Bursar made the backup.
        ConfigurationError: it is incomplete or damaged, or a target isn't empty. Nothing was changed.
        DiskFull: there is no room.
    """
    manifest = load_backup(backup)
    refuse_newer(manifest.versions, backup)
    target = settings.data_dir
    at_hand = {key.id for key in keys_of(settings, DataFolder(target))}
    _refuse_used_folder(target)
    with _place_beside(target) as place:
        _copy_files(backup, manifest, place, tell)
        journal_id = _adopt(place, manifest)
        url = settings.database_url or f"sqlite:///{DataFolder(place).state}"
        needed, begun = _restore_state(url, place, manifest, backup, journal_id)
        _move(place, target)
    recount = _recount(DataFolder(target), settings, begun, tell)
    return RestoreReport(
        data_dir=str(target),
        made_at=manifest.finished_at,
        from_journal_id=manifest.journal_id,
        journal_id=journal_id,
        last_seq=manifest.last_seq,
        recount=recount,
        missing_keys=tuple(sorted(needed - at_hand)),
    )


def _refuse_used_folder(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        message = f"{target} isn't empty. Restore into a new folder; --data names it."
        raise ConfigurationError(message)


@contextmanager
def _place_beside(target: Path) -> Generator[Path]:
    """A folder to put everything together in, on the target's disk; gone unless it was moved."""
    place = target.absolute().with_name(f"{target.absolute().name}.restoring")
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, mode=0o700)
        yield place
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"There is no room to restore into {target}; nothing was kept of it."
            raise DiskFull(message) from error
        message = f"Restoring into {target} failed: {error.filename or ''} {error.strerror or error}."
        raise ConfigurationError(message) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _copy_files(backup: Path, manifest: BackupManifest, place: Path, tell: Progress) -> None:
    """Copy every file and compare it with its checksum.

    Raises:
        ConfigurationError: files are missing or damaged; all of them are named.
    """
    damaged: list[str] = []
    done = 0
    for one in manifest.files:
        source, target = backup / one.place, place / one.target
        if not target.resolve().is_relative_to(place.resolve()):
            message = f"{backup} names {one.target}, which lies outside of a data folder."
            raise ConfigurationError(message)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not source.is_file():
            damaged.append(f"{source} ({one.target}) is missing")
            continue
        shutil.copyfile(source, target)
        target.chmod(0o600)
        if checksum_of(target) != (one.checksum, one.bytes):
            damaged.append(f"{source} ({one.target}) is damaged")
        done += one.bytes
        tell("copying", done)
    if damaged:
        message = f"The backup can't be restored: {'; '.join(damaged)}. Nothing was changed."
        raise ConfigurationError(message)


def _adopt(place: Path, manifest: BackupManifest) -> str:
    """Give the journal, and what is derived from it, an id of their own."""
    folder = DataFolder(place)
    identity = adopt_copy(folder.journal)
    if folder.store.exists():
        adopt_store(folder.store, identity.journal_id)
    if folder.index.exists():
        if manifest.versions.index == CURRENT.index:
            adopt_index(folder.index, identity.journal_id)
        else:
            shutil.rmtree(folder.index)
    return identity.journal_id


def _restore_state(
    url: str, place: Path, manifest: BackupManifest, backup: Path, journal_id: str
) -> tuple[frozenset[str], int]:
    """Fill the state store, and begin its audit log's entry of this restore.

    Answers the ids of the encryption keys that its secrets need, and the entry's number.
    """
    engine = make_engine(url)
    dump = place / STATE
    try:
        restore_state(engine, dump)
        upgrade(engine)
        # Often it is just such a run that the restore is to undo: a reset or a void must not go on by itself.
        RelationalRuns(engine).interrupt_open(clock.now(), _INTERRUPTED)
        adopt_runs(engine, manifest.journal_id, journal_id)
        needed = frozenset(RelationalCredentials(engine).sealed_by())
        asked = {
            "directory": str(backup),
            "made_at": manifest.finished_at,
            "from_journal_id": manifest.journal_id,
            "last_seq": manifest.last_seq,
            "journal_id": journal_id,
        }
        begun = Deed(ACT, Outcome.BEGUN, whoever_commands(), asked=showable(asked))
        number = audit_of(DataFolder(place), engine).record_own(begun)
    finally:
        engine.dispose()
    dump.unlink()
    return needed, number


def _move(place: Path, target: Path) -> None:
    """Make everything durable, then call it by its name."""
    for path in [place, *place.rglob("*")]:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    place.rename(target.absolute())
    sync_folder(target.absolute().parent)


def _recount(folder: DataFolder, settings: Settings, begun: int, tell: Progress) -> Recount:
    """Open what was restored, apply what the store's copy hasn't, compare everything, and conclude."""
    lock = claim_folder(folder)
    limits, quarantine_limit = duckdb_limits(settings), settings.quarantine_limit_per_tenant
    try:
        upgrade_folder(folder, limits, quarantine_limit, tell)
        stores = open_stores(folder, limits, quarantine_limit)
        try:
            stores.catch_up(tell)
            recount = stores.recount(tell)
        finally:
            stores.close()
        after = {"events": recount.events, "is_clean": recount.is_clean}
        _conclude(folder, settings, Deed(ACT, Outcome.DONE, whoever_commands(), after=after, begun=begun))
        return recount
    finally:
        lock.release()


def _conclude(folder: DataFolder, settings: Settings, deed: Deed) -> None:
    """Write the end of this restore into the audit log of what was restored."""
    engine = make_engine(settings.database_url or f"sqlite:///{folder.state}")
    try:
        audit_of(folder, engine).record_own(deed)
    finally:
        engine.dispose()
