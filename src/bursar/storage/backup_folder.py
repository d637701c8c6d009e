"""A backup on disk: files of runs, and `BACKUP.json`, which says which of them are the backup.

A run writes only into a folder of its own below `runs/`, and names files of earlier runs that have not
changed since. Replacing `BACKUP.json` by one rename is what makes it the backup; then files that it
doesn't name are removed. So a run that is interrupted leaves the backup before it as it was, and what
has left the ledger (by a retention, by an erasure) leaves the backup with the next run. What belongs
into a backup and in which order it must be read is the business of `app/backup.py`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import xxhash

from bursar import clock
from bursar.errors import ConfigurationError, Conflict, DiskFull, NewerFormat
from bursar.storage.durable_files import sync_folder, write_durably
from bursar.storage.folder_format import FolderFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime
    from pathlib import Path

BACKUP_VERSION = 1
_NAME = "BACKUP.json"
_RUNS = "runs"
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_CHUNK_BYTES = 2**20


class BackedUpFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a backup."""

    target: str
    """Where it belongs in a data folder."""
    place: str
    """Where it lies in the backup."""
    bytes: int
    checksum: str
    """XXH3-128, hexadecimal."""
    modified: int | None = None
    """Nanoseconds since 1970 of a source that is never changed again; None for all others."""


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: int = BACKUP_VERSION
    run: str
    bursar: str
    """The version that made it."""
    finished_at: str
    journal_id: str
    last_seq: int
    """The last journal record in it."""
    store_seq: int | None
    """How far its copy of the usage store is; None where it has none."""
    state_revision: str | None
    """The migration that the state store is at."""
    versions: FolderFormat
    files: tuple[BackedUpFile, ...]


@dataclass(slots=True)
class BackupRun:
    """One run: copies files into its own folder, until `finish` makes them the backup."""

    folder: Path
    id: str
    previous: BackupManifest | None
    tell: Callable[[str, int], None]
    """Told what is being copied and how many bytes have been."""
    files: dict[str, BackedUpFile] = field(default_factory=dict[str, BackedUpFile])
    copied_bytes: int = 0
    reused_bytes: int = 0

    def path_of(self, target: str) -> Path:
        """Where this run puts a file; its folder is there afterwards."""
        path = self.folder / _RUNS / self.id / target
        for folder in reversed([one for one in path.parents if one.is_relative_to(self.folder)]):
            # One by one: `mkdir` gives its mode to the last one only.
            folder.mkdir(exist_ok=True, mode=0o700)
        return path

    def copy(self, source: Path, target: str, length: int | None = None) -> None:
        """Copy a file, or its first `length` bytes."""
        path = self.path_of(target)
        with source.open("rb") as content:
            self._write(content, path, source.stat().st_size if length is None else length)
        self.note(target)

    def keep(self, source: Path, target: str, length: int) -> None:
        """Have a file that is never changed again: as the backup has it, else copied."""
        modified = source.stat().st_mtime_ns
        known = self._known(target, length, modified)
        if known is None:
            self.copy(source, target, length)
            self.files[target] = msgspec.structs.replace(self.files[target], modified=modified)
        else:
            self.files[target] = known
            self.reused_bytes += known.bytes

    def write(self, target: str, content: bytes) -> None:
        """Write a small file."""
        self.path_of(target).write_bytes(content)
        self.note(target)

    def note(self, target: str) -> None:
        """Take a file into the backup that lies at `path_of`; it is made durable."""
        path = self.path_of(target)
        path.chmod(0o600)
        checksum, size = checksum_of(path)
        _sync_file(path)
        place = path.relative_to(self.folder).as_posix()
        self.files[target] = BackedUpFile(target=target, place=place, bytes=size, checksum=checksum)
        self.copied_bytes += size
        self.tell("copying", self.copied_bytes)

    def finish(self, manifest: BackupManifest) -> None:
        """Make this run's files the backup, durably, and remove what belongs to none."""
        mine = {path.parent for path in (self.folder / _RUNS / self.id).rglob("*")}
        for folder in {*mine, self.folder / _RUNS, self.folder}:
            sync_folder(folder)
        write_durably(self.folder / _NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        remove_unnamed(self.folder, manifest)

    def _known(self, target: str, length: int, modified: int) -> BackedUpFile | None:
        for one in self.previous.files if self.previous else ():
            if (one.target, one.bytes, one.modified) == (target, length, modified):
                path = self.folder / one.place
                return one if path.is_file() and path.stat().st_size == one.bytes else None
        return None

    def _write(self, content: BinaryIO, path: Path, length: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            left = length
            while left:
                chunk = content.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    message = f"{content.name} is shorter than it was; nothing of the backup was changed."
                    raise ConfigurationError(message)
                file.write(chunk)
                left -= len(chunk)
                self.tell("copying", self.copied_bytes + length - left)


@contextmanager
def backup_run(folder: Path, now: datetime, tell: Callable[[str, int], None]) -> Generator[BackupRun]:
    """A run into this folder, which is made if need be; what an interrupted one left is removed.

    If the block raises, the backup that was there stays as it was.

    Raises:
        Conflict: another run is at work in this folder.
        DiskFull: there is no room for it.
        ConfigurationError: the folder can't be written, or its `BACKUP.json` can't be read.
    """
    with _refusing(folder), _alone_in(folder):
        previous = find_backup(folder)
        remove_unnamed(folder, previous)
        moment = clock.rfc3339(now.replace(microsecond=0)).translate({ord("-"): None, ord(":"): None})
        run = BackupRun(folder, f"{moment}-{secrets.token_hex(4)}", previous, tell)
        try:
            yield run
        except BaseException:
            remove_unnamed(folder, previous)
            raise


def find_backup(folder: Path) -> BackupManifest | None:
    """What the backup in this folder holds; None where there is no complete one.

    Raises:
        NewerFormat: a newer Bursar made it.
        ConfigurationError: `BACKUP.json` can't be read.
    """
    path = folder / _NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        version = msgspec.json.decode(content, type=dict[str, object]).get("format")
        if isinstance(version, int) and version > BACKUP_VERSION:
            message = f"{path} has format {version}; this Bursar reads up to {BACKUP_VERSION}."
            raise NewerFormat(message)
        manifest = msgspec.json.decode(content, type=BackupManifest)
    except msgspec.DecodeError as error:
        message = f"{path} can't be read: {error}. The files beside it may be whole; nothing was changed."
        raise ConfigurationError(message) from error
    leading_out = [one.place for one in manifest.files if not _is_inside(one.place)]
    if leading_out:
        message = f"{path} names {leading_out[0]}, which lies outside of the backup."
        raise ConfigurationError(message)
    return manifest


def _is_inside(place: str) -> bool:
    """Whether a relative path stays below the folder that it is meant for."""
    path = PurePosixPath(place)
    return not path.is_absolute() and ".." not in path.parts


def load_backup(folder: Path) -> BackupManifest:
    """What the backup in this folder holds.

    Raises:
        NewerFormat: a newer Bursar made it.
        ConfigurationError: there is none, or `BACKUP.json` can't be read.
    """
    found = find_backup(folder)
    if found is None:
        message = f"There is no complete backup in {folder}: it has no {_NAME}."
        raise ConfigurationError(message)
    return found


def damage_in(folder: Path, manifest: BackupManifest, tell: Callable[[str, int], None]) -> list[str]:
    """Every file of the backup that is missing or isn't what was copied, in words."""
    found: list[str] = []
    done = 0
    for one in manifest.files:
        path = folder / one.place
        done += one.bytes
        if not path.is_file():
            found.append(f"{path} ({one.target}) is missing")
        elif checksum_of(path) != (one.checksum, one.bytes):
            found.append(f"{path} ({one.target}) is damaged")
        tell("checking", done)
    return found


def remove_unnamed(folder: Path, manifest: BackupManifest | None) -> None:
    """Remove files of runs that the backup doesn't name. Nothing else in the folder is touched."""
    named = {folder / one.place for one in manifest.files} if manifest else set[object]()
    runs = folder / _RUNS
    if not runs.is_dir():
        return
    for run in [path for path in runs.iterdir() if _RUN_ID.fullmatch(path.name)]:
        # Files before their folders, which then are empty.
        for path in sorted(run.rglob("*"), reverse=True):
            if path.is_dir():
                _remove_if_empty(path)
            elif path not in named:
                path.unlink()
        _remove_if_empty(run)


def checksum_of(path: Path) -> tuple[str, int]:
    """A file's checksum and length."""
    digest, size = xxhash.xxh3_128(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _remove_if_empty(path: Path) -> None:
    if not any(path.iterdir()):
        path.rmdir()


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        message = f"Another backup into {folder} is at work."
        raise Conflict(message) from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _refusing(folder: Path) -> Generator[None]:
    """Name what the system says about the backup's place."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"There is no room for the backup in {folder}; the one before is as it was."
            raise DiskFull(message) from error
        message = f"The backup in {folder} failed: {error.filename or ''} {error.strerror or error}."
        raise ConfigurationError(message) from error
