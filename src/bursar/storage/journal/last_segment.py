"""The segment file that is written to: continued after a start, left when it is full or its disk fails.

A frame is on disk when `append` returns, or nothing of it is left. `writer.py` decides what is written and
calls this from its one thread; how segments are named and read is in `segments.py`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bursar import clock
from bursar.storage.durable_files import sync_folder, write_all
from bursar.storage.journal.identity import JOURNAL_VERSION
from bursar.storage.journal.segments import UNBORN_SUFFIX, SegmentHeader, encode_segment_header, segment_name

if TYPE_CHECKING:
    from bursar.storage.journal.recover import RecoveredJournal


class LastSegment:
    """The end of a journal, on disk. Use from one thread at a time."""

    def __init__(self, recovered: RecoveredJournal, segment_bytes: int) -> None:
        """Continue a recovered journal; a segment of this size is left for the next one."""
        last = recovered.last
        self.path = last.path if last else None
        """None before the first segment."""
        self.length = recovered.last_length
        """Up to where the file is good."""
        self.first_seq = last.header.first_seq if last else 0
        self.journal_id = recovered.identity.journal_id
        self._folder = recovered.folder
        self._segment_bytes = segment_bytes
        self._continues = recovered.continues
        self._descriptor: int | None = None

    def append(self, first_seq: int, frame: bytes) -> float:
        """Write a frame, whose first record has this seq, and sync it; the seconds that the sync took.

        Raises:
            OSError: nothing of it is kept; the next frame begins where this one would have.
        """
        descriptor = self._open_for(first_seq)
        try:
            write_all(descriptor, frame)
        except BaseException:
            # Nothing of a half-written frame may stay, whatever cut it short (the memory may be full too):
            # the next one must start at the good mark.
            self._return_to_good(descriptor)
            raise
        started = clock.monotonic()
        try:
            os.fdatasync(descriptor)
        except OSError:
            # After a failed sync the kernel may have dropped the pages and would report success the
            # next time; this file is never synced again. The next segment records the good mark.
            self._leave(descriptor)
            raise
        self.length += len(frame)
        return clock.monotonic() - started

    def begin_next(self, first_seq: int) -> bool:
        """Leave this segment for the next one, whose first record will have this seq; False if there is none.

        Raises:
            OSError: the next one could not be made; this one goes on.
        """
        if self.path is None:
            return False
        sealed = self._descriptor
        self._begin(first_seq)
        self._continues = False
        if sealed is not None:
            os.close(sealed)
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            self._leave(self._descriptor)

    def _open_for(self, first_seq: int) -> int:
        continues, self._continues = self._continues, False
        has_room = self.length < self._segment_bytes
        if self._descriptor is not None:
            if has_room:
                return self._descriptor
            self._leave(self._descriptor)
        elif continues and has_room and self.path is not None:
            # The first write after a start continues the recovered segment.
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
            os.lseek(self._descriptor, self.length, os.SEEK_SET)
            return self._descriptor
        return self._begin(first_seq)

    def _begin(self, first_seq: int) -> int:
        path = self._folder / segment_name(first_seq)
        header = SegmentHeader(
            format=JOURNAL_VERSION,
            journal_id=self.journal_id,
            first_seq=first_seq,
            previous=self.path.name if self.path else None,
            previous_length=self.length if self.path else None,
        )
        content = encode_segment_header(header)
        # It gets its name when its first line is whole, because others list segments at any moment.
        unborn = path.with_suffix(UNBORN_SUFFIX)
        descriptor = os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
            unborn.rename(path)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            unborn.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
        self._descriptor, self.path, self.length = descriptor, path, len(content)
        self.first_seq = first_seq
        return descriptor

    def _return_to_good(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, self.length)
            os.lseek(descriptor, self.length, os.SEEK_SET)
        except OSError:
            self._leave(descriptor)

    def _leave(self, descriptor: int) -> None:
        self._descriptor = None
        os.close(descriptor)
