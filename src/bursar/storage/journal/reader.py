"""Reads frames back in order: for the applier up to the durable mark, for `verify` to the end.

A reader remembers where it is, so following the journal costs no more than reading it once. Every
frame's checksum is checked again here: what was durable must still be what was written.

Archived segments are decompressed while they are read. Segments may be archived, or their archived files
replaced, beside a reader: it keeps the file that it has open to its end, whoever removes it, and lists
the segments again when the next one has moved. Who needs the content of one moment holds the archive.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bursar.errors import ConfigurationError
from bursar.storage.journal.content import damaged
from bursar.storage.journal.frame import HEADER_BYTES, Frame, FrameHeader, decode_header, is_intact
from bursar.storage.journal.manifest import load_manifest
from bursar.storage.journal.segments import Segment, load_segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.storage.journal.content import Content
    from bursar.storage.journal.writer import DurableMark


class JournalReader:
    """Follows one journal folder from a position onwards. Not shared between threads."""

    def __init__(self, folder: Path, after_seq: int) -> None:
        """Start behind `after_seq`; 0 reads from the beginning."""
        self._folder = folder
        self._after_seq = after_seq
        self._segments: list[Segment] = []
        self._file: Content | None = None
        self._offset = 0

    @property
    def position(self) -> int:
        """The seq of the last record that was read (or skipped at the start)."""
        return self._after_seq

    def read(self, mark: DurableMark, max_bytes: int) -> Iterator[Frame]:
        """Whole frames that are durable by `mark`, in order, about `max_bytes` of them.

        Raises:
            ConfigurationError: a durable frame is damaged, or its segment is gone, or it was dropped
                for its age.
        """
        budget = max_bytes
        while budget > 0 and self._after_seq < mark.last_seq:
            frame = self._next(mark)
            if frame is None:
                return
            self._after_seq = frame.header.last_seq
            budget -= len(frame.payload)
            yield frame

    def rewind(self, after_seq: int) -> None:
        """Read again from behind `after_seq`."""
        self.close()
        self._segments = []
        self._after_seq = after_seq

    def close(self) -> None:
        """Let go of the open segment."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next(self, mark: DurableMark) -> Frame | None:
        while True:
            if self._file is None and not self._open_segment():
                return None
            segment = self._segments[0]
            end = mark.offset if segment.path == mark.path else self._end_of(segment)
            if self._offset >= end:
                if segment.path == mark.path:
                    return None
                self._leave_segment()
                continue
            frame = self._read_frame(segment)
            if frame is not None:
                return frame

    def _read_frame(self, segment: Segment) -> Frame | None:
        """The frame at the offset; None where it lies before the start position."""
        assert self._file is not None  # noqa: S101 - `_next` opened it
        self._file.seek(self._offset)
        line = self._file.read(HEADER_BYTES)
        header = decode_header(line)
        if header is not None and header.last_seq <= self._after_seq:
            self._offset += HEADER_BYTES + header.length
            return None
        payload = self._file.read(header.length) if header else b""
        if header is None or not is_intact(line, header, payload):
            raise damaged(segment.path, f"at byte {self._offset}")
        self._offset += HEADER_BYTES + header.length
        return _behind(Frame(header, payload), self._after_seq)

    def _open_segment(self) -> bool:
        """Open the segment that holds the next seq, if it is there."""
        if not self._segments:
            self._segments = self._unread_segments()
        if not self._segments:
            return False
        try:
            self._file = self._segments[0].open()
        except FileNotFoundError:
            # Archived or rewritten since we listed the folder, so it must be there by another name.
            self._segments = self._unread_segments()
            self._file = self._segments[0].open_surely()
        self._offset = self._segments[0].data_start
        return True

    def _unread_segments(self) -> list[Segment]:
        segments = load_segments(self._folder)
        self._refuse_dropped(segments)
        later = [s.header.first_seq for s in segments[1:]]
        starts = sum(1 for first_seq in later if first_seq <= self._after_seq + 1)
        return segments[starts:]

    def _refuse_dropped(self, segments: list[Segment]) -> None:
        """A journal whose oldest segments were dropped can't be read from before them."""
        start = load_manifest(self._folder).start if segments and segments[0].header.previous else None
        if start and self._after_seq < start.last_seq:
            message = (
                f"The journal {self._folder} begins behind seq {start.last_seq}: older segments were dropped"
                f" by the archive's retention. What was asked for, from {self._after_seq + 1} on, is gone."
            )
            raise ConfigurationError(message)

    def _end_of(self, segment: Segment) -> int:
        if segment.valid_length is not None:
            return segment.valid_length
        # Its successor was made after we listed the folder; only it knows the valid length. What is open
        # here is the plain file, even if it was archived meanwhile.
        segments = load_segments(self._folder)
        self._segments = [s for s in segments if s.header.first_seq >= segment.header.first_seq]
        sealed = self._segments[0].sealed_length
        if sealed is None:
            return segment.path.stat().st_size
        self._segments[0] = replace(segment, valid_length=sealed)
        return sealed

    def _leave_segment(self) -> None:
        self.close()
        self._segments = self._segments[1:]


def _behind(frame: Frame, seq: int) -> Frame:
    """The frame's records behind `seq`: rewriting cuts frames anew, so a position may lie in one."""
    header = frame.header
    if header.first_seq > seq:
        return frame
    lines = frame.payload.splitlines(keepends=True)[seq - header.first_seq + 1 :]
    payload = b"".join(lines)
    return Frame(FrameHeader(seq + 1, len(lines), len(payload), header.kind, header.checksum), payload)
