"""The versions of everything in a data folder, as its file `FORMAT` names them, and what may be opened.

A part that is newer than this Bursar is refused by name before anything is touched. A part that is
older is brought up to date by `app/upgrade.py`, which writes the file anew only after that succeeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import ConfigurationError, NewerFormat
from bursar.storage.duckdb.schema import STORE_VERSION
from bursar.storage.durable_files import write_durably
from bursar.storage.journal.identity import JOURNAL_VERSION
from bursar.storage.keyindex.index import INDEX_VERSION

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_VERSION = 1
KEPT = ("journal", "archive", "usage.duckdb", "keys.index", "keys.lmdb", "state.db")
"""What a folder holds once it was used; none of it may be there without a FORMAT."""


class FolderFormat(msgspec.Struct, frozen=True):
    """Versions of everything in a data folder."""

    folder: int
    journal: int
    store: int
    index: int


CURRENT = FolderFormat(FOLDER_VERSION, JOURNAL_VERSION, STORE_VERSION, INDEX_VERSION)
"""What this Bursar writes."""


@dataclass(frozen=True, slots=True)
class PartVersion:
    """One part of a folder: the version found, and the one that this Bursar writes."""

    name: str
    found: int
    current: int

    @property
    def is_older(self) -> bool:
        """Whether it is to be upgraded."""
        return self.found < self.current


def read_format(path: Path) -> FolderFormat | None:
    """The versions in a FORMAT file; None where there is no such file.

    Raises:
        NewerFormat: a part is newer than this Bursar reads.
        ConfigurationError: the file can't be read.
    """
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=FolderFormat)
    except msgspec.DecodeError as error:
        message = f"{path} can't be read: {error}. Restore it from a backup."
        raise ConfigurationError(message) from error
    if any(part.found < 1 for part in parts_of(found)):
        message = f"{path} can't be read: versions begin at 1. Restore it from a backup."
        raise ConfigurationError(message)
    refuse_newer(found, path.parent)
    return found


def refuse_newer(found: FolderFormat, where: Path) -> None:
    """Let only versions pass that this Bursar reads.

    Raises:
        NewerFormat: a part is newer; all of those are named.
    """
    newer = [
        f"{part.name} {part.found} (this Bursar reads up to {part.current})"
        for part in parts_of(found)
        if part.found > part.current
    ]
    if newer:
        message = f"{where} was written by a newer Bursar: {', '.join(newer)}. Upgrade Bursar."
        raise NewerFormat(message)


def write_format(path: Path, versions: FolderFormat | None = None) -> None:
    """Note, durably, which versions the folder has now: this Bursar's own unless others are given."""
    write_durably(path, msgspec.json.encode(versions or CURRENT) + b"\n")


def parts_of(found: FolderFormat) -> list[PartVersion]:
    """Every part with its version, in the order in which they are upgraded."""
    return [
        PartVersion(name, getattr(found, name), getattr(CURRENT, name))
        for name in FolderFormat.__struct_fields__
    ]


def refuse_unnamed(folder: Path) -> None:
    """Let a folder without FORMAT pass only where nothing has been kept in it yet.

    A first start writes FORMAT before anything else, so one that was interrupted passes.

    Raises:
        ConfigurationError: there is data in it.
    """
    found = [name for name in KEPT if (folder / name).exists()]
    if found:
        message = (
            f"{folder} holds {', '.join(found)} but no FORMAT, which says what versions they have."
            " Restore FORMAT from a backup, or copy it from a folder of the same Bursar; nothing was changed."
        )
        raise ConfigurationError(message)
