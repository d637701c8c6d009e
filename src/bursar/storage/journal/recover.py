"""What happens to the journal at start: find its end, cut a torn tail off, and say so.

A write that a crash interrupted leaves half a frame at the end of the last segment. It was never
acknowledged, so it is cut off: the next segment, which the first write begins, says how much of this
one is valid, and every reader stops there. (The bytes stay in the file. Were they removed, a second
start before any write would no longer know which seqs were used.) Half a frame *followed by whole
ones* can't come from a crash, because each group was synced before the next was written: that is
damage, and the start is refused rather than losing what was acknowledged.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.errors import ConfigurationError
from bursar.storage.durable_files import sync_folder
from bursar.storage.journal.frame import HEADER_BYTES, MAGIC, FrameHeader, decode_header, is_intact
from bursar.storage.journal.identity import JOURNAL_VERSION, JournalIdentity, claim_identity, write_identity
from bursar.storage.journal.leftovers import check_files, remove_leftovers
from bursar.storage.journal.manifest import load_manifest
from bursar.storage.journal.segments import (
    UNBORN_SUFFIX,
    Segment,
    load_segments,
    read_segment_header,
    segment_paths,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

SEQ_GAP = 2**20
"""Seqs skipped after a cut tail, so that none of the cut frame's is ever given out again. A frame
holds fewer records than this: the writer closes a group at 8 MiB plus one body."""


@dataclass(frozen=True, slots=True)
class CutTail:
    """What recovery left out: bytes that were written but never acknowledged."""

    path: Path
    kept_bytes: int
    cut_bytes: int


@dataclass(frozen=True, slots=True)
class RecoveredJournal:
    """The journal as it stands after recovery, ready for a writer."""

    folder: Path
    identity: JournalIdentity
    last: Segment | None
    last_length: int
    last_seq: int
    """The highest seq that is durable; 0 in a new journal."""
    next_seq: int
    cut: CutTail | None
    continues: bool
    """Whether the writer may go on in the last segment: nothing was cut off it, and it is of this
    journal's own id and of today's format."""


@dataclass(frozen=True, slots=True)
class _End:
    """Where the whole frames of a segment end."""

    offset: int
    last_seq: int | None
    """None in a segment without frames."""
    last_frame: int
    """Where the last whole frame starts; the end itself where there is none."""


def recover_journal(folder: Path) -> RecoveredJournal:
    """Bring the journal to its last whole frame and make everything up to there durable.

    Raises:
        ConfigurationError: the journal is damaged in a way that a crash can't explain.
    """
    identity = claim_identity(folder)
    _drop_unborn_segment(folder)
    segments = load_segments(folder)
    check_files(folder)
    remove_leftovers(folder)
    if not segments:
        return RecoveredJournal(folder, identity, None, 0, 0, 1, None, continues=False)
    last = segments[-1]
    if last.archived:
        message = f"The segment behind {last.path} is missing from {folder}; restore it from a backup."
        raise ConfigurationError(message)
    end = _find_end(last)
    _make_durable(last.path, end)
    cut_bytes = last.path.stat().st_size - end.offset
    cut = CutTail(last.path, end.offset, cut_bytes) if cut_bytes else None
    last_seq = end.last_seq or _last_seq_before(segments, folder)
    if not identity.covers(last.header.journal_id, last_seq):
        message = (
            f"{last.path} reaches seq {last_seq} of journal {last.header.journal_id}, beyond what"
            f" {identity.journal_id} continues: it belongs to the journal that this one was restored from."
        )
        raise ConfigurationError(message)
    next_seq = max(last_seq + 1, last.header.first_seq) + (SEQ_GAP if cut else 0)
    ours = (last.header.journal_id, last.header.format) == (identity.journal_id, JOURNAL_VERSION)
    return RecoveredJournal(
        folder, identity, last, end.offset, last_seq, next_seq, cut, continues=ours and cut is None
    )


def adopt_journal(folder: Path) -> JournalIdentity:
    """Begin a new identity that continues the journal in this folder; for a restored one, before it is used.

    Whatever the original goes on to write, its positions and this journal's can't be mistaken for each
    other. Only where no writer runs. Positions of the old id up to its end stay acceptable
    (`JournalIdentity.covers`).

    Raises:
        ConfigurationError: the journal is damaged.
    """
    recovered = recover_journal(folder)
    return write_identity(folder, recovered.identity.descendant(recovered.last_seq))


def _last_seq_before(segments: list[Segment], folder: Path) -> int:
    """The seq of the last record before the last segment, which has none; 0 if there is no record."""
    start = load_manifest(folder).start
    dropped = start.last_seq if start else 0
    last_seq = 0
    for segment in reversed(segments[:-1]):
        if segment.archived:
            if segment.archived.last_seq >= segment.header.first_seq:
                return segment.archived.last_seq
            continue
        offset = segment.data_start
        with segment.path.open("rb") as file:
            file.seek(offset)
            while offset < (segment.valid_length or 0) and (header := decode_header(file.read(HEADER_BYTES))):
                last_seq = header.last_seq
                offset = file.seek(header.length, os.SEEK_CUR)
        if last_seq:
            return last_seq
    return dropped


def _find_end(segment: Segment) -> _End:
    last_seq: int | None = None
    offset = last_frame = segment.data_start
    with segment.path.open("rb") as file:
        file.seek(offset)
        while header := _read_intact(file):
            last_seq, last_frame = header.last_seq, offset
            offset += HEADER_BYTES + header.length
        if _whole_frame_after(file, offset):
            message = (
                f"Journal segment {segment.path} is damaged at byte {offset}: a broken frame is followed"
                " by whole ones. Restore the segment from a backup; nothing was changed."
            )
            raise ConfigurationError(message)
    return _End(offset, last_seq, last_frame)


def _read_intact(file: BinaryIO) -> FrameHeader | None:
    line = file.read(HEADER_BYTES)
    header = decode_header(line)
    if header is None or not is_intact(line, header, file.read(header.length)):
        return None
    return header


def _whole_frame_after(file: BinaryIO, offset: int) -> bool:
    file.seek(offset + 1)
    rest = file.read()
    start = rest.find(MAGIC)
    while start >= 0:
        line = rest[start : start + HEADER_BYTES]
        header = decode_header(line)
        body = start + HEADER_BYTES
        if header and is_intact(line, header, rest[body : body + header.length]):
            return True
        start = rest.find(MAGIC, start + 1)
    return False


def _make_durable(path: Path, end: _End) -> None:
    """Make the last whole frame durable: it was written before the crash, but perhaps not synced.

    It is written again first. If its sync failed, the kernel holds its pages for clean, and another
    sync would report a success that never was.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        frame = os.pread(descriptor, end.offset - end.last_frame, end.last_frame)
        written = 0
        while written < len(frame):
            written += os.pwrite(descriptor, frame[written:], end.last_frame + written)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop_unborn_segment(folder: Path) -> None:
    """Remove a last segment whose first line was never finished: nothing in it was acknowledged."""
    for unborn in folder.glob(f"*{UNBORN_SUFFIX}"):
        unborn.unlink()
    # Version 0.1 gave a segment its name before its first line was written.
    paths = segment_paths(folder)
    if paths and read_segment_header(paths[-1]) is None and paths[-1].stat().st_size < HEADER_BYTES * 16:
        if MAGIC in paths[-1].read_bytes():
            return
        paths[-1].unlink()
        sync_folder(folder)
