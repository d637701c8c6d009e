"""Which files hold what is derived from the journal, and how others take their place.

The usage store and the key index belong together and are derived together. A rebuild writes new ones
under the next number, beside those in use; `CURRENT` in the data folder names the number that counts.
Replacing that one small file is the whole swap, so there is no moment at which a crash leaves none or
two: files of any other number are leftovers of a rebuild that came to nothing, or were replaced, and
the next start removes them. Without `CURRENT` the first ones count, whose names have no number.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import ConfigurationError
from bursar.storage.durable_files import sync_folder, write_durably

if TYPE_CHECKING:
    from pathlib import Path

_POINTER = "CURRENT"
_NAMES = re.compile(r"(?:usage(?:-(\d+))?\.(?:duckdb(?:\.wal)?|deleted)|keys(?:-(\d+))?\.(?:index|state))")
_FORMER_NAMES = re.compile(r"rebuilt\.(?:duckdb|duckdb\.wal|lmdb|state)|keys(?:-\d+)?\.lmdb")
"""Leftovers of version 0.1: of rebuilds, which swapped by renaming, and key indexes of another kind."""


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """One derivation of the journal on disk."""

    folder: Path
    """The data folder."""
    number: int

    @property
    def name(self) -> str:
        """Of its own, for scratch files beside those of another derivation."""
        return f"usage{self._mark}"

    @property
    def store(self) -> Path:
        """The DuckDB file; its write-ahead log is beside it."""
        return self.folder / f"usage{self._mark}.duckdb"

    @property
    def index(self) -> Path:
        """The key index's folder; its state is beside it."""
        return self.folder / f"keys{self._mark}.index"

    @property
    def deletions(self) -> Path:
        """A note that the store holds deleted rows, and since when; not there where it holds none."""
        return self.folder / f"usage{self._mark}.deleted"

    @property
    def size_bytes(self) -> int:
        """What they take on the disk."""
        log = self.store.with_name(f"{self.store.name}.wal")
        return sum(
            path.stat().st_size for path in (self.store, log, *index_files(self.index)) if path.exists()
        )

    def remove(self) -> None:
        """Delete them; who still has them open can go on reading."""
        for path in self.folder.iterdir():
            if _number_of(path.name) == self.number:
                _delete(path)

    @property
    def _mark(self) -> str:
        return "" if self.number == 1 else f"-{self.number}"


def current_files(folder: Path) -> StoreFiles:
    """The files that count in this data folder, whether they are there yet or not.

    Raises:
        ConfigurationError: `CURRENT` can't be read.
    """
    try:
        number = int((folder / _POINTER).read_text())
    except FileNotFoundError:
        number = 1
    except (ValueError, OSError) as error:
        message = (
            f"{folder / _POINTER} can't be read ({error}). Remove it: the store is then derived anew"
            " from the journal."
        )
        raise ConfigurationError(message) from error
    return StoreFiles(folder, number)


def next_files(folder: Path) -> StoreFiles:
    """Files of a new number, for a rebuild to write."""
    current = current_files(folder)
    taken = [_number_of(path.name) or 0 for path in folder.iterdir()]
    return StoreFiles(folder, max(current.number, *taken) + 1)


def make_current(files: StoreFiles) -> None:
    """Let these files count from now on, durably; they must be whole. What counted before stays on disk.

    Raises:
        OSError: it can't be written; then those from before count, as `current_files` says.
    """
    sync_folder(files.folder)
    write_durably(files.folder / _POINTER, b"%d\n" % files.number)


def remove_leftovers(folder: Path) -> list[str]:
    """Delete the files of every number that doesn't count; returns their names. Only while none is in use."""
    current = current_files(folder)
    removed: list[str] = []
    for path in sorted(folder.iterdir()):
        number = _number_of(path.name)
        if _FORMER_NAMES.fullmatch(path.name) or (number is not None and number != current.number):
            _delete(path)
            removed.append(path.name)
    return removed


def index_files(folder: Path) -> list[Path]:
    """The files of a key index; none where there is no index."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _number_of(name: str) -> int | None:
    """The number of a file's derivation; None where it is no such file."""
    found = _NAMES.fullmatch(name)
    return None if found is None else int(found[1] or found[2] or 1)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
