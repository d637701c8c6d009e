"""Which files of a journal make a copy of it, and how much of each: for backups, beside a writer or not.

Sealed segments and archived files never change again, so a backup copies each once. The last segment is
copied up to the durable mark: whatever lies behind was never acknowledged. Hold the archive
(`holding.py`) from before the manifest is read until everything is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.storage.journal.frame import HEADER_BYTES, decode_header
from bursar.storage.journal.manifest import archive_folder, load_manifest
from bursar.storage.journal.segments import load_segments, read_segment_header

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.storage.journal.manifest import Manifest
    from bursar.storage.journal.segments import Segment
    from bursar.storage.journal.writer import DurableMark


@dataclass(frozen=True, slots=True)
class JournalFile:
    """One file to copy."""

    path: Path
    length: int
    """Its first so many bytes."""
    is_final: bool
    """Nobody changes it any more."""


def journal_files(folder: Path, manifest: Manifest, mark: DurableMark | None) -> list[JournalFile]:
    """The files that make the journal up to the mark, or all of it where no writer runs; in order.

    Args:
        folder: the journal's.
        manifest: what the archive held when the copying began; what was archived since is still there
            as a plain file.
        mark: how far the journal was durable at some moment after that.

    Raises:
        ConfigurationError: a segment is damaged in its first line, missing or foreign.
    """
    archive = archive_folder(folder)
    files = [JournalFile(archive / one.name, one.stored_bytes, is_final=True) for one in manifest.files]
    if manifest.start and manifest.start.payload:
        payload = archive / manifest.start.payload
        files.append(JournalFile(payload, payload.stat().st_size, is_final=True))
    known = {one.segment for one in manifest.files}
    for segment in load_segments(folder):
        if segment.name in known:
            continue
        if mark is not None and mark.path is not None and segment.name == mark.path.name:
            files.append(JournalFile(mark.path, mark.offset, is_final=False))
            break
        files.append(_plain_file(folder / segment.name, segment))
    return files


def last_seq_in(folder: Path) -> int:
    """The seq of the last whole frame, by headers alone; 0 in an empty journal. Changes nothing."""
    for segment in reversed(load_segments(folder)):
        last_seq = segment.archived.last_seq if segment.archived else _last_seq_of(segment)
        if last_seq >= segment.header.first_seq:
            return last_seq
    start = load_manifest(folder).start
    return start.last_seq if start else 0


def _plain_file(path: Path, segment: Segment) -> JournalFile:
    if segment.sealed_length is not None:
        return JournalFile(path, segment.sealed_length, is_final=True)
    return JournalFile(path, path.stat().st_size, is_final=False)


def _last_seq_of(segment: Segment) -> int:
    found = read_segment_header(segment.path)
    length = segment.path.stat().st_size if segment.valid_length is None else segment.valid_length
    offset, last_seq = found[1] if found else length, 0
    with segment.path.open("rb") as content:
        while offset < length:
            content.seek(offset)
            header = decode_header(content.read(HEADER_BYTES))
            if header is None or offset + HEADER_BYTES + header.length > length:
                break
            last_seq = header.last_seq
            offset += HEADER_BYTES + header.length
    return last_seq
