"""Group commit: many requests' records in one write and one `fdatasync`, then every answer.

`append` is called on the event loop and returns a future that is done once the records are on disk;
`append_one` calls back instead, which spares each single post a task. One commit is in flight at a time,
in a thread; what arrives meanwhile forms the next group, so a slow disk makes groups larger instead of a
queue longer; what waits of one tenant leaves others room. What can't be made durable is refused with an
error that says when to come back; it is never half kept, which `last_segment.py` sees to.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.errors import BursarError, DiskFull, Overloaded, Unavailable
from bursar.storage.journal.frame import FrameKind, encode_frame
from bursar.storage.journal.last_segment import LastSegment
from bursar.tracing import span
from bursar.usage.record import encode_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bursar.storage.journal.recover import RecoveredJournal
    from bursar.usage.record import UnnumberedLines, UsageLine

    WhenDurable = Callable[[BursarError | None], None]

GROUP_BYTES = 8 * 2**20
"""A group stops growing here, so that one frame stays small enough to check and apply in memory."""
DISK_RETRY_SECONDS = 5
_ROOM_CHECK_SECONDS = 0.2

log = structlog.get_logger()
_FORGETTING = 1.02
"""After 35 commits the quickest one counts half as quick."""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Sizes that bound the journal's files and memory."""

    segment_bytes: int = 64 * 2**20
    pending_bytes: int = 256 * 2**20
    """Bytes that may wait to become durable; beyond, appends are refused. A tenant has three quarters of
    them, and half while something of others waits."""
    min_free_disk_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class DurableMark:
    """Up to where the journal is on disk: readers stop here."""

    path: Path | None
    offset: int
    last_seq: int


@dataclass(slots=True)
class JournalCounters:
    """What the journal did since it was opened; read by metrics."""

    bytes_written: int = 0
    records: int = 0
    commits: int = 0
    failures: int = 0
    sync_seconds: float = 0.0
    quick_sync_seconds: float = 0.0
    """Of the quickest commit lately: what the disk takes, without waiting for a processor."""


@dataclass(slots=True)
class _Group:
    kind: FrameKind
    first_seq: int
    parts: list[bytes] = field(default_factory=list[bytes])
    """Whole lines, one or many in each."""
    count: int = 0
    size: int = 0
    waiters: list[WhenDurable] = field(default_factory=list["WhenDurable"])
    owners: dict[str, int] = field(default_factory=dict[str, int])
    """Bytes by whose they are."""


class JournalWriter:
    """The only writer of a journal. Use from one event loop."""

    def __init__(
        self, recovered: RecoveredJournal, limits: JournalLimits, on_durable: Callable[[], None]
    ) -> None:
        """Continue a recovered journal; `on_durable` is called from a thread after each commit."""
        self._folder = recovered.folder
        self._segment = LastSegment(recovered, limits.segment_bytes)
        self._limits = limits
        self._on_durable = on_durable
        self._next_seq = recovered.next_seq
        self._groups: list[_Group] = []
        self._pending_bytes = 0
        self._pending_of: dict[str, int] = {}
        """By owner, for those of whom something waits."""
        self._committing: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, "journal")
        self._room_checked = 0.0
        self._has_room = True
        self._mark_lock = threading.Lock()
        self._mark = DurableMark(self._segment.path, self._segment.length, recovered.last_seq)
        self.counters = JournalCounters()

    @property
    def journal_id(self) -> str:
        """Which journal this is."""
        return self._segment.journal_id

    @property
    def mark(self) -> DurableMark:
        """Up to where everything is on disk; safe from any thread."""
        with self._mark_lock:
            return self._mark

    @property
    def last_seq(self) -> int:
        """The last position that holds a record, or may come to hold one that isn't durable yet."""
        return self._next_seq - 1 if self._pending_bytes else self.mark.last_seq

    @property
    def pending_bytes(self) -> int:
        """Bytes appended but not yet durable."""
        return self._pending_bytes

    def check_room(self, owner: str = "") -> None:
        """Refuse work that could not be kept, before any of it is accepted.

        Args:
            owner: the tenant whose it is; Bursar's own records have none, and no share.

        Raises:
            DiskFull: less space is left than the setting asks for.
            Overloaded: as much is waiting as memory is reserved for, or as may be of one tenant.
            Unavailable: the journal is closing.
        """
        if self._closed:
            raise Unavailable("The server is stopping.", retry_after_seconds=DISK_RETRY_SECONDS)
        if self._pending_bytes >= self._limits.pending_bytes // 2:
            self._check_share(owner)
        now = clock.monotonic()
        if now - self._room_checked >= _ROOM_CHECK_SECONDS:
            self._room_checked = now
            self._has_room = self._free_bytes() >= self._limits.min_free_disk_bytes
        if not self._has_room:
            raise DiskFull(retry_after_seconds=DISK_RETRY_SECONDS)

    def _check_share(self, owner: str) -> None:
        waiting, limit = self._pending_bytes, self._limits.pending_bytes
        own = self._pending_of.get(owner, 0) if owner else 0
        # A quarter is always left for whoever comes next.
        share = limit // 2 if waiting > own else limit // 4 * 3
        if waiting >= limit or own >= share:
            raise Overloaded

    def append(self, records: Sequence[bytes], *, usage_only: bool) -> tuple[int, asyncio.Future[None]]:
        """Queue records (JSON objects) and give them consecutive seqs.

        `usage_only` says that all of them are of kind `usage`, so that they can be applied in bulk.
        Returns the first seq, and a future that is done when all of them are durable, or fails with
        the error to answer with when they are not.
        """
        self.check_room()
        kind = FrameKind.USAGE if usage_only else FrameKind.OTHER
        numbered = enumerate(records, self._next_seq)
        lines = [b'{"seq":%d,%b\n' % (seq, record[1:]) for seq, record in numbered]
        waiter = _waiter()
        return self._queue(lines, len(records), kind, partial(_settle, waiter)), waiter

    def append_usage(self, records: Sequence[UsageLine], owner: str = "") -> tuple[int, asyncio.Future[None]]:
        """Queue usage records as `append` does: the hot path, which encodes them all at once.

        `owner` is the tenant who sent them.
        """
        self.check_room(owner)
        for seq, record in enumerate(records, self._next_seq):
            record.seq = seq
        waiter = _waiter()
        lines, settle = (encode_records(records),), partial(_settle, waiter)
        return self._queue(lines, len(records), FrameKind.USAGE, settle, owner), waiter

    def append_lines(
        self, parts: Sequence[UnnumberedLines], owner: str = ""
    ) -> tuple[int, asyncio.Future[None]]:
        """Queue usage records as `append_usage` does, encoded before: 0.2 instead of 1 µs a record."""
        self.check_room(owner)
        numbered: list[bytes] = []
        first_seq = seq = self._next_seq
        for part in parts:
            numbered.append(part.numbered(seq))
            seq += part.count
        waiter = _waiter()
        self._queue(numbered, seq - first_seq, FrameKind.USAGE, partial(_settle, waiter), owner)
        return first_seq, waiter

    def append_one(self, record: UsageLine, when_durable: WhenDurable) -> None:
        """Queue one usage record as `append_usage` does.

        `when_durable` is called on the event loop once it is on disk, or with the error to answer with
        if it never will be. It should be quick: all of a commit are called in one turn.
        """
        owner = record.tenant_id
        self.check_room(owner)
        record.seq = self._next_seq
        self._queue((encode_records((record,)),), 1, FrameKind.USAGE, when_durable, owner)

    def _queue(
        self, lines: Sequence[bytes], count: int, kind: FrameKind, waiter: WhenDurable, owner: str = ""
    ) -> int:
        """Hand lines that bear the next seqs to the next commit; returns the first seq."""
        first_seq = self._next_seq
        self._next_seq += count
        group = self._open_group(kind, first_seq)
        size = sum(map(len, lines))
        group.parts += lines
        group.count += count
        group.size += size
        group.waiters.append(waiter)
        group.owners[owner] = group.owners.get(owner, 0) + size
        self._pending_of[owner] = self._pending_of.get(owner, 0) + size
        self._pending_bytes += size
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_groups())
        return first_seq

    async def seal(self) -> None:
        """Close the current segment, so that it can be archived; without records in it nothing happens.

        Its successor is begun at once: that is what vouches for its length, also after a power cut.

        Raises:
            DiskFull, Unavailable: the successor could not be written; the segment goes on.
        """
        if self._closed:
            raise Unavailable("The server is stopping.", retry_after_seconds=DISK_RETRY_SECONDS)
        first_seq = self._groups[0].first_seq if self._groups else self._next_seq
        try:
            # The thread works in order: a commit that is in flight comes before, waiting groups behind.
            await asyncio.get_running_loop().run_in_executor(self._thread, self._seal, first_seq)
        except OSError as error:
            raise _refusal(error) from error

    async def close(self) -> None:
        """Make everything appended durable, then take nothing more."""
        self._closed = True
        if self._committing is not None:
            await self._committing
        self._thread.shutdown()
        self._segment.close()

    def _open_group(self, kind: FrameKind, first_seq: int) -> _Group:
        if self._groups:
            last = self._groups[-1]
            follows = last.first_seq + last.count == first_seq
            if last.kind is kind and last.size < GROUP_BYTES and follows:
                return last
        group = _Group(kind, first_seq)
        self._groups.append(group)
        return group

    async def _commit_groups(self) -> None:
        loop = asyncio.get_running_loop()
        # Requests that are ready in this turn of the loop join the first group.
        await asyncio.sleep(0)
        while self._groups:
            group = self._groups.pop(0)
            failure: BursarError | None = None
            try:
                await loop.run_in_executor(self._thread, self._commit, group)
            except OSError as error:
                failure = _refusal(error)
            except Exception:
                # Nothing of the group is kept, whatever it was (see `LastSegment`), so the next may follow;
                # and who waits must hear of it, or they and all after them would hang.
                log.exception("a commit of the journal failed")
                failure = Unavailable("The journal could not be written; nothing was accepted.")
            self._release(group)
            _tell(group.waiters, failure)
        self._committing = None

    def _release(self, group: _Group) -> None:
        self._pending_bytes -= group.size
        for owner, size in group.owners.items():
            left = self._pending_of[owner] - size
            if left:
                self._pending_of[owner] = left
            else:
                del self._pending_of[owner]

    def _commit(self, group: _Group) -> None:
        payload = b"".join(group.parts)
        frame = encode_frame(group.first_seq, group.count, group.kind, payload)
        try:
            with span("journal.commit", records=group.count, bytes=len(frame)):
                sync_seconds = self._segment.append(group.first_seq, frame)
        except Exception:
            self.counters.failures += 1
            raise
        counters = self.counters
        counters.sync_seconds += sync_seconds
        forgetting = (counters.quick_sync_seconds or sync_seconds) * _FORGETTING
        counters.quick_sync_seconds = min(sync_seconds, forgetting)
        counters.bytes_written += len(frame)
        counters.records += group.count
        counters.commits += 1
        with self._mark_lock:
            last_seq = group.first_seq + group.count - 1
            self._mark = DurableMark(self._segment.path, self._segment.length, last_seq)
        try:
            self._on_durable()
        except Exception:
            # It is durable all the same: to refuse it now would have it sent, and counted, once more.
            log.exception("nobody was told that records are durable")

    def _seal(self, first_seq: int) -> None:
        segment = self._segment
        if self._mark.last_seq < segment.first_seq or not segment.begin_next(first_seq):
            return
        with self._mark_lock:
            self._mark = DurableMark(segment.path, segment.length, self._mark.last_seq)

    def _free_bytes(self) -> int:
        status = os.statvfs(self._folder)
        return status.f_bavail * status.f_frsize


def _waiter() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _tell(waiters: Sequence[WhenDurable], failure: BursarError | None) -> None:
    for waiter in waiters:
        try:
            waiter(failure)
        except Exception:
            # It is on disk, or refused, all the same; the others have nothing to do with it.
            log.exception("an answer to what is durable failed")


def _settle(waiter: asyncio.Future[None], failure: BursarError | None) -> None:
    if not waiter.done():
        waiter.set_exception(failure) if failure else waiter.set_result(None)


def _refusal(error: OSError) -> BursarError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(retry_after_seconds=DISK_RETRY_SECONDS)
    message = f"The journal could not be written ({error.strerror}); nothing was accepted."
    return Unavailable(message, retry_after_seconds=DISK_RETRY_SECONDS)
