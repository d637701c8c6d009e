"""What is in the archive: `archive/MANIFEST.json`, replaced as a whole, durably, by one rename.

A file counts as archived once the manifest names it, never before, and a replaced file is gone once
the manifest no longer does; whatever else lies in the folder is a leftover (`leftovers.py`). The
manifest also keeps what the chain of segments needs, so that nobody opens an archived file to start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bursar.errors import ConfigurationError, NewerFormat
from bursar.storage.durable_files import sync_folder, write_durably

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_VERSION = 1
ARCHIVE_SUFFIX = ".journal.zst"
_NAME = "MANIFEST.json"


class ArchivedSegment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of the archive."""

    name: str
    """In the archive's folder: the segment's first seq and the generation that wrote it."""
    segment: str
    """What the segment was called when it was plain; its successor knows it by this name."""
    format: int
    journal_id: str
    first_seq: int
    last_seq: int
    """One less than `first_seq` in a segment without records."""
    records: dict[str, int]
    """How many of each kind."""
    previous: str | None
    previous_length: int | None
    sealed_bytes: int
    """The plain segment's valid length, which its successor vouches for."""
    data_start: int
    """Offset of the first frame in the content."""
    raw_bytes: int
    """Length of the content; another than `sealed_bytes` once it was rewritten."""
    stored_bytes: int
    content_xxh3: str
    """XXH3-128 of the content, hexadecimal."""
    first_received: int | None = None
    """Microseconds since 1970, of the records as they were archived."""
    last_received: int | None = None
    archived_at: int
    """Microseconds since 1970."""
    generation: int = 0
    """Of the manifest that brought this file."""


class ArchiveStart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the journal begins since its oldest segments were dropped."""

    last_seq: int
    """The last seq that was dropped; a replay begins behind it."""
    previous: str
    """The last segment that was dropped: what the first one that is left follows."""
    previous_length: int
    dropped_at: int
    """Microseconds since 1970."""
    dropped_files: int
    """Since the beginning."""
    payload: str | None = None
    """A file beside the manifest with what the caller must know of what is gone."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that the archive holds, in order."""

    format: int = MANIFEST_VERSION
    generation: int = 0
    """Grows whenever content is replaced or dropped."""
    start: ArchiveStart | None = None
    files: tuple[ArchivedSegment, ...] = ()


def archive_folder(journal: Path) -> Path:
    """Where the archive of this journal is."""
    return journal / "archive"


def archive_name(first_seq: int, generation: int) -> str:
    """The name of a segment's file that was written for this generation; names sort like seqs."""
    return f"{first_seq:020d}.{generation}{ARCHIVE_SUFFIX}"


def load_manifest(journal: Path) -> Manifest:
    """What the archive of this journal holds; nothing where there is no archive.

    Raises:
        ConfigurationError: the manifest is damaged, or gone while archived files are there.
        NewerFormat: a newer Bursar wrote it.
    """
    path = archive_folder(journal) / _NAME
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        if next(path.parent.glob(f"*{ARCHIVE_SUFFIX}"), None) is not None:
            message = f"{path} is missing, but archived segments are there. Restore it from a backup."
            raise ConfigurationError(message) from None
        return Manifest()
    except msgspec.DecodeError as error:
        message = f"{path} can't be read: {error}. Restore it from a backup; nothing was changed."
        raise ConfigurationError(message) from error
    if manifest.format > MANIFEST_VERSION:
        message = f"{path} has format {manifest.format}; this Bursar reads up to {MANIFEST_VERSION}."
        raise NewerFormat(message)
    return manifest


def save_manifest(journal: Path, manifest: Manifest) -> None:
    """Bring a manifest into force: after a power cut it is the old one or this one."""
    path = archive_folder(journal) / _NAME
    write_durably(path, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def make_archive_folder(journal: Path) -> None:
    """Make the archive's folder, if there is none."""
    folder = archive_folder(journal)
    if not folder.exists():
        folder.mkdir(mode=0o700)
        sync_folder(journal)


def begin_manifest(journal: Path) -> None:
    """Write a manifest if there is none: archived files without one would be a damage."""
    manifest = load_manifest(journal)
    if not (archive_folder(journal) / _NAME).exists():
        save_manifest(journal, manifest)
