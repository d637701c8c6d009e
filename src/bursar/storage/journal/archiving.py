"""Moves sealed segments into the archive, one after the other, each safe at every moment.

The order for each is: compress the valid part into a new file, make it durable, read it back and
compare, name it in the manifest, and only then remove the plain file. A crash leaves a file that nobody
names or a plain one that nobody needs; the next start or run removes them (`leftovers.py`). It works
beside a writer, which never touches a sealed segment, and beside readers: those keep what they have open.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from bursar import clock
from bursar.errors import DiskFull, Unavailable
from bursar.storage.durable_files import sync_folder
from bursar.storage.journal.content import ContentWriter, walk_frames
from bursar.storage.journal.frame import FrameKind
from bursar.storage.journal.holding import change_archive, unless_held
from bursar.storage.journal.leftovers import remove_leftovers, waiting_files
from bursar.storage.journal.manifest import (
    ArchivedSegment,
    archive_folder,
    archive_name,
    begin_manifest,
    load_manifest,
    make_archive_folder,
    save_manifest,
)
from bursar.storage.journal.segments import Segment, load_segments

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from bursar.storage.journal.frame import FrameHeader
    from bursar.storage.journal.holding import Progress

RETRY_SECONDS = 300
"""When to come back after a full disk: the job's next run does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReport:
    """What an archiving did."""

    files: int = 0
    records: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    waiting_files: int = 0
    """Files to be removed later, because somebody was reading the journal as it was."""


@dataclass(frozen=True, slots=True)
class ArchiveSize:
    """What the archive holds."""

    files: int
    records: int
    raw_bytes: int
    stored_bytes: int


class Tally:
    """Counts records by kind and notes when they were received, frame by frame."""

    def __init__(self) -> None:
        """Nothing was counted yet."""
        self.records: dict[str, int] = {}
        self.first_received: int | None = None
        self.last_received: int | None = None
        self.last_seq: int | None = None
        self._decoder = msgspec.json.Decoder(_Line)

    def add(self, header: FrameHeader, payload: bytes) -> None:
        """Count a frame's records."""
        received: list[int] = []
        for line in payload.splitlines():
            said = self._read(line)
            kind = "usage" if header.kind is FrameKind.USAGE else str(said.kind)
            self.records[kind] = self.records.get(kind, 0) + 1
            if isinstance(said.received, int):
                received.append(said.received)
        self.last_seq = header.last_seq
        if received:
            first, last = min(received), max(received)
            self.first_received = min(first, self.first_received or first)
            self.last_received = max(last, self.last_received or last)

    def _read(self, line: bytes) -> _Line:
        try:
            return self._decoder.decode(line)
        except msgspec.DecodeError:
            return _Line(kind="unreadable")


class _Line(msgspec.Struct):
    kind: object = "unknown"
    received: object = None


def archive_sealed(journal: Path, up_to_seq: int, progress: Progress) -> ArchiveReport:
    """Archive every sealed segment whose records all have a seq up to `up_to_seq`, oldest first.

    Safe beside a writer, appliers and readers; call it from a worker thread. `progress` gets a step, how
    many segments are done and how many there are; what it raises stops the work without a trace.

    Raises:
        Conflict: another job is changing the archive.
        DiskFull, Unavailable: the disk is full or fails; what was archived so far stays so.
        ConfigurationError: a segment is damaged; it stays where it is.
    """
    if not journal.exists():
        return ArchiveReport()
    with told_by_name():
        make_archive_folder(journal)
        remove_leftovers(journal)
        with change_archive(journal):
            begin_manifest(journal)
            report = _archive_all(journal, up_to_seq, progress)
            return replace(report, waiting_files=waiting_files(journal))


def archive_size(journal: Path) -> ArchiveSize:
    """Counts and bytes of the archive, from its manifest alone."""
    files = load_manifest(journal).files
    return ArchiveSize(
        len(files),
        sum(sum(entry.records.values()) for entry in files),
        sum(entry.raw_bytes for entry in files),
        sum(entry.stored_bytes for entry in files),
    )


@contextmanager
def told_by_name() -> Generator[None]:
    """Say what a failing disk means to who asked for a change of the archive.

    Raises:
        DiskFull, Unavailable: instead of the OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = "The disk is full; the archive was not changed, and nothing is lost."
            raise DiskFull(message, retry_after_seconds=RETRY_SECONDS) from error
        message = f"The archive could not be changed ({error.strerror}); nothing is lost."
        raise Unavailable(message, retry_after_seconds=RETRY_SECONDS) from error


def _archive_all(journal: Path, up_to_seq: int, progress: Progress) -> ArchiveReport:
    sealed = [s for s in load_segments(journal)[:-1] if s.archived is None]
    ready = [s for s in sealed if s.header.first_seq <= up_to_seq]
    report, manifest = ArchiveReport(), load_manifest(journal)
    for done, segment in enumerate(ready):
        progress("archiving", done, len(ready))
        entry = _compress(journal, segment, up_to_seq)
        if entry is None:
            break
        manifest = msgspec.structs.replace(manifest, files=(*manifest.files, entry))
        save_manifest(journal, manifest)
        _remove_plain(journal, segment)
        report = ArchiveReport(
            files=report.files + 1,
            records=report.records + sum(entry.records.values()),
            raw_bytes=report.raw_bytes + entry.raw_bytes,
            stored_bytes=report.stored_bytes + entry.stored_bytes,
        )
    progress("archiving", report.files, len(ready))
    return report


def _remove_plain(journal: Path, segment: Segment) -> None:
    """Remove the plain file of a segment that is in the archive, unless somebody holds it."""
    with unless_held(journal) as is_free:
        if is_free:
            segment.path.unlink()
            sync_folder(journal)


def _compress(journal: Path, segment: Segment, up_to_seq: int) -> ArchivedSegment | None:
    """Write the segment's archived file and prove it; None where the segment holds later records."""
    end = segment.valid_length or 0
    name = archive_name(segment.header.first_seq, 0)
    path = archive_folder(journal) / name
    tally = Tally()
    writer = ContentWriter(path)
    try:
        with segment.path.open("rb") as file:
            writer.write(file.read(segment.data_start))
            for line, header, payload in walk_frames(file, segment.path, segment.data_start, end):
                if header.last_seq > up_to_seq:
                    writer.discard()
                    return None
                tally.add(header, payload)
                writer.write(line + payload)
        stored_bytes, digest = writer.finish()
    except BaseException:
        writer.discard()
        raise
    header = segment.header
    return ArchivedSegment(
        name=name,
        segment=segment.path.name,
        format=header.format,
        journal_id=header.journal_id,
        first_seq=header.first_seq,
        last_seq=tally.last_seq or header.first_seq - 1,
        records=tally.records,
        previous=header.previous,
        previous_length=header.previous_length,
        sealed_bytes=end,
        data_start=segment.data_start,
        raw_bytes=writer.raw_bytes,
        stored_bytes=stored_bytes,
        content_xxh3=digest,
        first_received=tally.first_received,
        last_received=tally.last_received,
        archived_at=clock.to_micros(clock.now()),
    )
