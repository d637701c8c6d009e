"""Brings a data folder that an older Bursar wrote up to date, part by part, when it is opened.

No step changes what the journal holds: records of old versions are read as they are. What is derived
from it is altered where there are steps for that, and derived anew where there are none. FORMAT is
written only after everything succeeded, so that a crash in between leaves the work to the next start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from bursar.app.usage_stores import rebuild_stores
from bursar.errors import ConfigurationError
from bursar.storage.duckdb.connection import open_store
from bursar.storage.folder_format import (
    CURRENT,
    PartVersion,
    parts_of,
    read_format,
    refuse_unnamed,
    write_format,
)
from bursar.storage.journal.identity import read_identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.storage.duckdb.connection import DuckDBLimits
    from bursar.storage.folder import DataFolder

log = structlog.get_logger()


def versions_of(folder: DataFolder) -> list[PartVersion]:
    """What the folder's parts are at; changes nothing.

    Raises:
        NewerFormat: a part is newer than this Bursar reads.
        ConfigurationError: FORMAT can't be read, or is missing where there is data.
    """
    found = read_format(folder.format_file)
    if found is None:
        refuse_unnamed(folder.path)
        return []
    read_identity(folder.journal)
    return parts_of(found)


def upgrade_folder(
    folder: DataFolder,
    limits: DuckDBLimits,
    quarantine_limit: int,
    progress: Callable[[str, int], None] = lambda _step, _records: None,
) -> list[PartVersion]:
    """Bring every older part up to date; answers which were. Call it while holding the folder.

    Raises:
        NewerFormat: a part is newer than this Bursar reads; nothing was changed.
        ConfigurationError: the journal is damaged.
    """
    older = [part for part in versions_of(folder) if part.is_older]
    if not older:
        return []
    steps = {part.name: f"{part.found} to {part.current}" for part in older}
    log.warning("upgrading the data folder; an older Bursar can't open it any more", **steps)
    if "store" in steps and folder.store.exists():
        try:
            # Opening it does the steps.
            open_store(folder.store, limits, folder.scratch / "duckdb").close()
        except ConfigurationError as error:
            log.warning("the usage store can't be altered and is derived anew", because=error.detail)
            rebuild_stores(folder, limits, quarantine_limit, progress)
    # An index of another version isn't believed when it is opened, and made anew from the raw rows.
    write_format(folder.format_file)
    log.info("upgraded the data folder", **steps)
    return older


def note_derived(folder: DataFolder) -> None:
    """Note that store and index were just derived by this Bursar, whatever versions they had before."""
    found = read_format(folder.format_file)
    if found is not None:
        derived = msgspec.structs.replace(found, store=CURRENT.store, index=CURRENT.index)
        if derived != found:
            write_format(folder.format_file, derived)
