"""The data folder: one process at a time, a version for everything in it, and where things are.

Whoever claims a folder also knows by `FORMAT` that this Bursar may open it; see `folder_format.py`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import ConfigurationError, FolderInUse
from bursar.storage.folder_format import (
    CURRENT,
    KEPT,
    FolderFormat,
    read_format,
    refuse_unnamed,
    write_format,
)
from bursar.storage.store_files import StoreFiles, current_files

if TYPE_CHECKING:
    from pathlib import Path

_OF_A_FIRST_START = frozenset({"LOCK", "tmp", "FORMAT.tmp", "bursar.sock", "lost+found"})
"""What a first start that was cut short may leave, and what a fresh file system has."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths of a data folder."""

    path: Path

    @property
    def journal(self) -> Path:
        """The journal's segments."""
        return self.path / "journal"

    @property
    def derived(self) -> StoreFiles:
        """The files of usage store and key index that count at this moment."""
        return current_files(self.path)

    @property
    def store(self) -> Path:
        """The DuckDB file that counts at this moment."""
        return self.derived.store

    @property
    def index(self) -> Path:
        """The folder of the key index that counts at this moment."""
        return self.derived.index

    @property
    def state(self) -> Path:
        """The SQLite state store."""
        return self.path / "state.db"

    @property
    def socket(self) -> Path:
        """The Unix socket of a running server."""
        return self.path / "bursar.sock"

    @property
    def pads(self) -> Path:
        """What opens sealed words of runs (`sealing.py`); no backup has it."""
        return self.path / "pads"

    @property
    def encryption_key(self) -> Path:
        """The master key of sealed secrets where the operator chose none; no backup has it."""
        return self.path / "encryption.key"

    @property
    def secret_key(self) -> Path:
        """What logins are signed with where no setting says so; no backup has it."""
        return self.path / "secret.key"

    @property
    def scratch(self) -> Path:
        """Files that no one misses after a stop."""
        return self.path / "tmp"

    @property
    def audit_places(self) -> Path:
        """Where the audit log's chains ended (`audit_places.py`); no backup has it."""
        return self.path / "audit-places"

    @property
    def format_file(self) -> Path:
        """The versions of everything in the folder."""
        return self.path / "FORMAT"

    def free_bytes(self) -> int:
        """What the disk has left for this process's user."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def clear_scratch(self) -> None:
        """Remove what an earlier process left in `scratch`; only while holding the folder."""
        for path in self.scratch.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class FolderLock:
    """Holds the folder for this process; the kernel lets go when the process ends, however it ends."""

    descriptor: int

    def release(self) -> None:
        """Let another process have the folder."""
        os.close(self.descriptor)


def is_held(folder: DataFolder) -> bool:
    """Whether a process holds the folder at this moment; takes nothing."""
    try:
        descriptor = os.open(folder.path / "LOCK", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def claim_folder(folder: DataFolder) -> FolderLock:
    """Make the folder if need be, and hold it.

    Raises:
        FolderInUse: another process holds it.
        NewerFormat: a newer Bursar wrote it.
        ConfigurationError: it can't be made or written, or holds what isn't Bursar's.
    """
    _refuse_foreign(folder)
    try:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.scratch.mkdir(exist_ok=True)
        descriptor = os.open(folder.path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"The data folder {folder.path} can't be used: {error.strerror}."
        raise ConfigurationError(message) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        message = (
            f"The data folder {folder.path} is in use by process {holder or 'unknown'}."
            " Stop that server, or choose another folder with --data."
        )
        raise FolderInUse(message) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    try:
        check_format(folder)
    except ConfigurationError:
        os.close(descriptor)
        raise
    return FolderLock(descriptor)


def _refuse_foreign(folder: DataFolder) -> None:
    """Let only a folder pass that is Bursar's or empty, so that a mistyped name fills no other folder."""
    if not folder.path.is_dir() or folder.format_file.exists():
        return
    there = {path.name for path in folder.path.iterdir()}
    foreign = sorted(there - _OF_A_FIRST_START)
    # A folder that lost its FORMAT is Bursar's all the same; `check_format` says what to do.
    if foreign and there.isdisjoint(KEPT):
        message = (
            f"{folder.path} isn't a data folder of Bursar: it holds {', '.join(foreign[:_NAMED])}"
            f"{' and more' if len(foreign) > _NAMED else ''}. Choose an empty or a new folder with --data;"
            " nothing was changed."
        )
        raise ConfigurationError(message)


def check_format(folder: DataFolder) -> FolderFormat:
    """The folder's versions, as they are; written on first use.

    Raises:
        NewerFormat: a part of it is newer than this Bursar reads.
        ConfigurationError: the file can't be read, or is missing where there is data.
    """
    found = read_format(folder.format_file)
    if found is not None:
        return found
    refuse_unnamed(folder.path)
    write_format(folder.format_file)
    return CURRENT
