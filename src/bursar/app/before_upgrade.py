"""The backup that an upgrade of an older ledger begins with, whether a start does it or `bursar db upgrade`.

There is no other way back to the version before. What is backed up is a ledger that nobody has open; the
upgrade itself is `upgrade.py` for the folder and `storage/relational/migrate.py` for the state store.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.app.backup import closed_source, take_backup
from bursar.app.upgrade import versions_of
from bursar.errors import BursarError, ConfigurationError
from bursar.storage.backup_folder import find_backup
from bursar.storage.folder_format import read_format
from bursar.storage.journal.copying import last_seq_in
from bursar.storage.journal.identity import read_identity
from bursar.storage.relational.migrate import status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bursar.settings import Settings
    from bursar.storage.folder import DataFolder
    from bursar.storage.relational.engine import StateEngine

GOOD_FOR = timedelta(days=1)
"""An upgrade that fails again and again must not fill the disk: so long one backup is enough, where nothing
was recorded since."""
_NAMED = "before-upgrade"

log = structlog.get_logger()


def backup_place(settings: Settings) -> Path:
    """A new folder named for the moment: beside the scheduled backups, or beside the data without any."""
    beside = (settings.backup_dir or settings.data_dir).absolute()
    return beside.with_name(f"{beside.name}-{_NAMED}-{clock.now().strftime('%Y%m%dT%H%M%SZ')}")


def back_up_before_upgrade(
    settings: Settings, folder: DataFolder, engine: StateEngine, tell: Callable[[str, int], None]
) -> Path | None:
    """Back an older ledger up, unless the settings say otherwise; where to, None where nothing is older.

    Call it while holding the folder.

    Raises:
        NewerFormat: a part is newer than this Bursar reads.
        ConfigurationError: the backup failed; the text says how to go on. Nothing was changed.
    """
    is_older = any(part.is_older for part in versions_of(folder)) or status(engine).is_older
    if not is_older or not settings.upgrade_backup or read_identity(folder.journal) is None:
        return None
    place = backup_place(settings)
    try:
        if (known := _known_backup(place, folder, engine)) is not None:
            log.info("this ledger was backed up before already", backup=str(known))
            return known
        log.info("backing the ledger up before it is upgraded", backup=str(place))
        take_backup(closed_source(folder, engine, with_store=True), place, tell)
    except (BursarError, OSError) as error:
        why = error.detail if isinstance(error, BursarError) else str(error)
        message = (
            "This ledger is of an older version, and the backup that comes before its upgrade failed:"
            f" {why} Make room there, or run `bursar db upgrade --backup DIR` with another folder;"
            " BURSAR_UPGRADE_BACKUP=false upgrades without. Nothing was changed."
        )
        raise ConfigurationError(message) from error
    return place


def _known_backup(place: Path, folder: DataFolder, engine: StateEngine) -> Path | None:
    """A backup of just this ledger from an upgrade that failed a short time ago."""
    pattern = f"{place.name.partition(_NAMED)[0]}{_NAMED}-*"
    for path in sorted(place.parent.glob(pattern), reverse=True):
        found = find_backup(path)
        if found is None or datetime.fromisoformat(found.finished_at) < clock.now() - GOOD_FOR:
            continue
        identity = read_identity(folder.journal)
        is_same = identity is not None and found.journal_id == identity.journal_id
        versions = (read_format(folder.format_file), status(engine).current)
        if (
            is_same
            and versions == (found.versions, found.state_revision)
            and found.last_seq == last_seq_in(folder.journal)
        ):
            return path
    return None
