"""What an interrupted archiving left behind: recognised by the manifest, removed, and logged.

Nothing is removed that might be the only copy of a record: a plain segment goes when the manifest
names its archived file and that file is there in full; a file of the archive goes when another one is
named for the same segment, when the plain segment is still there, or when the segment was dropped.
Whatever can't be explained like that stays where it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog

from bursar.errors import ConfigurationError, Conflict
from bursar.storage.durable_files import sync_folder
from bursar.storage.journal.content import damaged, missing
from bursar.storage.journal.holding import change_archive, unless_held
from bursar.storage.journal.manifest import ARCHIVE_SUFFIX, archive_folder, load_manifest
from bursar.storage.journal.segments import read_segment_header, segment_name, segment_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bursar.storage.journal.manifest import Manifest

_ARCHIVED_NAME = re.compile(rf"(\d{{20}})\.\d+{re.escape(ARCHIVE_SUFFIX)}")

log = structlog.get_logger()


def check_files(journal: Path) -> None:
    """See that every file that the manifest names is there in full length; their content isn't read.

    Raises:
        ConfigurationError: one is missing or has another length.
    """
    folder = archive_folder(journal)
    manifest = load_manifest(journal)
    for entry in manifest.files:
        _check_file(folder / entry.name, entry.stored_bytes)
    if manifest.start and manifest.start.payload and not (folder / manifest.start.payload).exists():
        raise missing(folder / manifest.start.payload)


def remove_leftovers(journal: Path) -> list[str]:
    """Remove what an interrupted archiving, rewriting or dropping left; returns the names.

    Where somebody holds or changes the archive, everything stays for the next time.
    """
    if not archive_folder(journal).exists():
        return []
    try:
        with change_archive(journal), unless_held(journal) as is_free:
            names = remove_unneeded(journal) if is_free else []
    except Conflict:
        return []
    if names:
        log.info("removed what an interrupted archiving left", files=len(names), first=names[0])
    return names


def remove_unneeded(journal: Path) -> list[str]:
    """The same for who changes the archive and has made sure that nobody holds it, without a log line."""
    manifest = load_manifest(journal)
    plain = list(_plain_leftovers(journal, manifest))
    archived = list(_archive_leftovers(journal, manifest))
    if plain or archived:
        # The rename that made them unneeded must be durable before they go.
        sync_folder(archive_folder(journal))
    for folder, paths in ((journal, plain), (archive_folder(journal), archived)):
        for path in paths:
            path.unlink()
        if paths:
            sync_folder(folder)
    return [path.name for path in (*plain, *archived)]


def waiting_files(journal: Path) -> int:
    """How many files are to be removed as soon as nobody holds the archive."""
    manifest = load_manifest(journal)
    leftovers = (_plain_leftovers(journal, manifest), _archive_leftovers(journal, manifest))
    return sum(1 for paths in leftovers for _ in paths)


def discard(paths: Iterable[Path]) -> None:
    """Remove files that never came into force, whether or not they are there."""
    for path in paths:
        path.unlink(missing_ok=True)


def _plain_leftovers(journal: Path, manifest: Manifest) -> Iterator[Path]:
    entries = {entry.segment: entry for entry in manifest.files}
    for path in segment_paths(journal):
        entry = entries.get(path.name)
        if entry is None:
            continue
        _check_file(archive_folder(journal) / entry.name, entry.stored_bytes)
        found = read_segment_header(path)
        if found is None or (found[0].journal_id, found[0].first_seq) != (entry.journal_id, entry.first_seq):
            message = f"{path} is not the segment that the archive has under this name; move it away."
            raise ConfigurationError(message)
        yield path


def _archive_leftovers(journal: Path, manifest: Manifest) -> Iterator[Path]:
    folder = archive_folder(journal)
    yield from folder.glob("*.tmp")
    payload = manifest.start.payload if manifest.start else None
    yield from (path for path in folder.glob("start.*") if path.name != payload)
    named = {entry.name for entry in manifest.files}
    segments = {entry.segment for entry in manifest.files}
    dropped = manifest.start.previous if manifest.start else ""
    for path in sorted(folder.glob(f"*{ARCHIVE_SUFFIX}")):
        match = _ARCHIVED_NAME.fullmatch(path.name)
        if path.name in named or match is None:
            continue
        plain = segment_name(int(match[1]))
        if plain in segments or (journal / plain).exists() or plain <= dropped:
            yield path


def _check_file(path: Path, stored_bytes: int) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise missing(path) from None
    if size != stored_bytes:
        raise damaged(path, f"or foreign: it has {size} bytes, the manifest says {stored_bytes}")
