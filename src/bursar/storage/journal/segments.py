"""The journal's segments in order, plain and archived as one chain.

A segment starts with one line that names the journal and says how much of the segment before it is
valid. That matters after a failed `fdatasync`: what was written past the last good mark may or may
not be on disk and was never acknowledged, so every reader stops at the length recorded here. A segment
is sealed when it has a successor: only then nothing can be added to it any more, and only a sealed one
is archived. An archived segment's place in the chain is kept by the manifest, so listing opens no file
of the archive; where a plain file is still beside its archived one, the archived one counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import ConfigurationError, NewerFormat
from bursar.storage.journal.content import ArchivedContent, damaged, missing
from bursar.storage.journal.identity import JOURNAL_VERSION, JournalIdentity, read_identity
from bursar.storage.journal.manifest import ArchivedSegment, Manifest, archive_folder, load_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.storage.journal.content import Content

_MAGIC = b"~S1 "
_SUFFIX = ".journal"
UNBORN_SUFFIX = ".unborn"
"""Of a segment whose first line is being written."""
_LISTINGS = 100
"""Listings tried again because a segment was archived meanwhile; more than a few are never needed."""


class SegmentHeader(msgspec.Struct, frozen=True):
    """The first line of a segment."""

    format: int
    journal_id: str
    first_seq: int
    previous: str | None = None
    """File name of the segment before, if there is one."""
    previous_length: int | None = None
    """How many bytes of it are valid."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: a plain file whose header could be read, or a file that the archive's manifest names."""

    path: Path
    header: SegmentHeader
    data_start: int
    """Offset of the first frame."""
    valid_length: int | None
    """Where readers must stop, once a later segment says so; the whole content of an archived one."""
    archived: ArchivedSegment | None = None

    @property
    def name(self) -> str:
        """What it is or was called as a plain file; its successor knows it by this name."""
        return self.archived.segment if self.archived else self.path.name

    @property
    def sealed_length(self) -> int | None:
        """The plain file's valid length, once a successor vouches for it."""
        return self.archived.sealed_bytes if self.archived else self.valid_length

    def open(self) -> Content:
        """Its content, from the beginning.

        Raises:
            FileNotFoundError: it was archived or rewritten since it was listed, or it is missing.
            ConfigurationError: the file is another segment's.
        """
        if self.archived is None:
            return self.path.open("rb")
        content = ArchivedContent(self.path)
        try:
            self._check_beginning(content.read(self.data_start))
        except BaseException:
            content.close()
            raise
        return content

    def open_surely(self) -> Content:
        """Its content, where nobody can have moved it since it was listed.

        Raises:
            ConfigurationError: the file is missing or another segment's.
        """
        try:
            return self.open()
        except FileNotFoundError:
            raise missing(self.path) from None

    def _check_beginning(self, line: bytes) -> None:
        found = _decode_header(line)
        ours = (self.header.journal_id, self.header.first_seq)
        if found is None or (found.journal_id, found.first_seq) != ours:
            raise damaged(self.path, "or foreign: it doesn't begin as the manifest says")


def segment_name(first_seq: int) -> str:
    """The file name of the segment that starts with this seq; names sort like seqs."""
    return f"{first_seq:020d}{_SUFFIX}"


def encode_segment_header(header: SegmentHeader) -> bytes:
    """The first line of a segment file."""
    return _MAGIC + msgspec.json.encode(header) + b"\n"


def read_segment_header(path: Path) -> tuple[SegmentHeader, int] | None:
    """The header and its length in bytes, or None where the file doesn't start with a whole one."""
    with path.open("rb") as file:
        line = file.readline(4096)
    header = _decode_header(line)
    return (header, len(line)) if header else None


def segment_paths(folder: Path) -> list[Path]:
    """The plain segment files in order of their first seq."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def load_segments(folder: Path) -> list[Segment]:
    """Every segment in order, each with the length that its successor vouches for. Safe beside an archiving.

    Raises:
        ConfigurationError: a segment's first line is damaged, a segment is missing or foreign, or the
            archive's manifest can't be read.
        NewerFormat: a newer Bursar wrote a segment.
    """
    for _ in range(_LISTINGS):
        try:
            # In this order: a plain file that has gone before it was listed is in the manifest.
            plain = [_read_segment(path) for path in segment_paths(folder)]
        except FileNotFoundError:
            continue
        manifest = load_manifest(folder)
        known = {entry.segment for entry in manifest.files}
        segments = [from_archive(folder, entry) for entry in manifest.files]
        segments += [segment for segment in plain if segment.name not in known]
        _check_chain(segments, manifest)
        _check_ids(segments, read_identity(folder))
        return [
            *(_limited_by(earlier, later.header) for earlier, later in pairwise(segments)),
            *segments[-1:],
        ]
    raise missing(folder)


def from_archive(folder: Path, entry: ArchivedSegment) -> Segment:
    """The segment of an entry of the manifest; its file isn't looked at."""
    header = SegmentHeader(
        entry.format, entry.journal_id, entry.first_seq, entry.previous, entry.previous_length
    )
    return Segment(archive_folder(folder) / entry.name, header, entry.data_start, entry.raw_bytes, entry)


def _read_segment(path: Path) -> Segment:
    found = read_segment_header(path)
    if found is None:
        message = f"Journal segment {path} is damaged in its first line; restore it from a backup."
        raise ConfigurationError(message)
    header, data_start = found
    if header.format > JOURNAL_VERSION:
        message = f"{path} has format {header.format}; this Bursar reads up to {JOURNAL_VERSION}."
        raise NewerFormat(message)
    return Segment(path, header, data_start, None)


def _decode_header(line: bytes) -> SegmentHeader | None:
    if not line.startswith(_MAGIC) or not line.endswith(b"\n"):
        return None
    try:
        return msgspec.json.decode(line[len(_MAGIC) :], type=SegmentHeader)
    except msgspec.DecodeError:
        return None


def _limited_by(earlier: Segment, header: SegmentHeader) -> Segment:
    return earlier if earlier.archived else replace(earlier, valid_length=header.previous_length)


def _check_chain(segments: list[Segment], manifest: Manifest) -> None:
    """Each segment follows the one before it, the first one what was dropped or nothing."""
    start = manifest.start
    before = (start.previous, start.previous_length) if start else (None, None)
    for segment in segments:
        header = segment.header
        length = header.previous_length if before[1] is None else before[1]
        if (header.previous, header.previous_length) != (before[0], length):
            message = (
                f"Journal segment {segment.path} follows {header.previous or 'none'}"
                f" ({header.previous_length or 0} bytes), but {before[0] or 'none'} ({length or 0} bytes)"
                " is there: a segment is missing or belongs to another journal. Restore it from a backup."
            )
            raise ConfigurationError(message)
        before = (segment.name, segment.archived.sealed_bytes if segment.archived else None)


def _check_ids(segments: list[Segment], identity: JournalIdentity | None) -> None:
    """Every segment belongs to this journal or, in their order, to those that it continues."""
    if identity is None:
        return
    latest = 0
    for segment in segments:
        generation = identity.generation_of(segment.header.journal_id)
        if generation is None or generation < latest:
            message = (
                f"Journal segment {segment.path} belongs to journal {segment.header.journal_id}, not"
                f" {identity.journal_id}: a segment is missing or belongs to another journal."
            )
            raise ConfigurationError(message)
        latest = generation
