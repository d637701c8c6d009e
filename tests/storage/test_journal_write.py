"""Group commit: nothing is acknowledged before its sync, and one sync serves all who wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest

from bursar.errors import DiskFull, Overloaded, Unavailable
from bursar.storage.journal.segments import UNBORN_SUFFIX, segment_paths
from bursar.storage.journal.writer import JournalLimits
from bursar.usage.record import UsageRecord
from tests.support.descriptors import path_of
from tests.support.journal import LIMITS, journal_writer, names_in, read_records, some_records, write_groups
from tests.support.ledger import a_usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.errors import BursarError
    from bursar.storage.journal.writer import JournalWriter

SMALL_SEGMENTS = JournalLimits(segment_bytes=400, pending_bytes=2**20, min_free_disk_bytes=0)


class SlowDisk:
    """A `fdatasync` that waits until it is told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._fdatasync = os.fdatasync

    def fdatasync(self, descriptor: int) -> None:
        self.reached.set()
        assert self.go_on.wait(30)
        self._fdatasync(descriptor)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk()
    monkeypatch.setattr(os, "fdatasync", disk.fdatasync)
    yield disk
    disk.go_on.set()


def test_nothing_is_acknowledged_before_its_sync(tmp_path: Path, slow_disk: SlowDisk) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            _, durable = writer.append(some_records("a"), usage_only=True)
            await asyncio.to_thread(slow_disk.reached.wait, 30)
            assert not durable.done()
            assert writer.mark.last_seq == 0
            assert writer.pending_bytes > 0
            slow_disk.go_on.set()
            await durable
            assert writer.mark.last_seq == 3
            assert writer.pending_bytes == 0

    asyncio.run(write())


def test_requests_of_one_moment_share_one_sync(tmp_path: Path) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            appended = [writer.append(some_records(f"{i}-"), usage_only=True) for i in range(50)]
            assert [first_seq for first_seq, _ in appended] == list(range(1, 151, 3))
            await asyncio.gather(*(durable for _, durable in appended))
            assert (writer.counters.commits, writer.counters.records) == (1, 150)

    asyncio.run(write())
    assert [record["seq"] for record in read_records(tmp_path)] == list(range(1, 151))


def test_what_comes_during_a_sync_waits_for_the_next_one_together(
    tmp_path: Path, slow_disk: SlowDisk
) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            _, first = writer.append(some_records("first"), usage_only=True)
            await asyncio.to_thread(slow_disk.reached.wait, 30)
            late = [writer.append(some_records(f"late{i}-"), usage_only=True)[1] for i in range(20)]
            slow_disk.go_on.set()
            await asyncio.gather(first, *late)
            assert writer.counters.commits == 2

    asyncio.run(write())


def test_usage_and_changes_never_share_a_frame_and_keep_their_order(tmp_path: Path) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            kinds = [True, True, False, True]
            waiting = [
                writer.append(some_records(f"{i}-", 1), usage_only=kind)[1] for i, kind in enumerate(kinds)
            ]
            await asyncio.gather(*waiting)
            assert writer.counters.commits == 3

    asyncio.run(write())
    assert names_in(tmp_path) == ["0-0", "1-0", "2-0", "3-0"]


def test_a_full_segment_is_followed_by_one_that_vouches_for_its_length(tmp_path: Path) -> None:
    write_groups(tmp_path, [some_records(f"{i}-", 5) for i in range(12)], limits=SMALL_SEGMENTS)
    paths = segment_paths(tmp_path)
    assert len(paths) > 3
    for earlier, later in pairwise(paths):
        header = msgspec.json.decode(later.read_bytes().splitlines()[0][4:])
        assert header["previous"] == earlier.name
        assert header["previous_length"] == earlier.stat().st_size
    assert len(names_in(tmp_path)) == 60


def test_file_and_folder_are_synced_before_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync, fdatasync = os.fsync, os.fdatasync

    def noting_fsync(descriptor: int) -> None:
        synced.append(path_of(descriptor))
        fsync(descriptor)

    def noting_fdatasync(descriptor: int) -> None:
        synced.append(f"{path_of(descriptor)} (data)")
        fdatasync(descriptor)

    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            monkeypatch.setattr(os, "fsync", noting_fsync)
            monkeypatch.setattr(os, "fdatasync", noting_fdatasync)
            await writer.append(some_records("a"), usage_only=True)[1]

    asyncio.run(write())
    segment = segment_paths(tmp_path)[0]
    assert synced == [str(segment.with_suffix(UNBORN_SUFFIX)), str(tmp_path), f"{segment} (data)"]


def test_closing_makes_durable_what_was_appended_and_takes_no_more(tmp_path: Path) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            _, durable = writer.append(some_records("a"), usage_only=True)
            await writer.close()
            assert durable.done()
            with pytest.raises(Unavailable, match="stopping"):
                writer.append(some_records("b"), usage_only=True)

    asyncio.run(write())
    assert names_in(tmp_path) == ["a0", "a1", "a2"]


def test_a_tenant_that_fills_the_memory_leaves_others_room_and_has_half_of_it_beside_them(
    tmp_path: Path, slow_disk: SlowDisk
) -> None:
    room = JournalLimits(segment_bytes=2**20, pending_bytes=100_000, min_free_disk_bytes=0)

    async def write() -> None:
        async with journal_writer(tmp_path, room) as writer:
            done: list[BursarError | None] = []

            def fill(tenant: str) -> int:
                """Append until that is refused; how many bytes were taken."""
                before = writer.pending_bytes
                with contextlib.suppress(Overloaded):
                    for _ in range(1_000):
                        writer.append_one(a_line(tenant), done.append)
                return writer.pending_bytes - before

            assert 75_000 <= fill("flooding") < 76_000
            writer.check_room("steady")
            writer.append_one(a_line("steady"), done.append)
            with pytest.raises(Overloaded):
                writer.check_room("flooding")
            # What Bursar records itself has no share, and the memory is bounded all the same.
            writer.check_room()
            assert 23_000 <= fill("steady") < 25_500
            with pytest.raises(Overloaded):
                writer.check_room("a third")
            slow_disk.go_on.set()
            await wait_until_empty(writer)
            # Nothing that was refused is still counted against anybody.
            assert 75_000 <= fill("steady") < 76_000
            await wait_until_empty(writer)
            assert set(done) == {None}

    asyncio.run(write())


async def wait_until_empty(writer: JournalWriter) -> None:
    async with asyncio.timeout(30):
        while writer.pending_bytes:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)


def a_line(tenant_id: str) -> UsageRecord:
    line = {"seq": 0, **a_usage("e"), "tenant_id": tenant_id}
    return msgspec.json.decode(msgspec.json.encode(line), type=UsageRecord)


def test_more_than_memory_is_reserved_for_is_refused_and_nothing_of_it_kept(
    tmp_path: Path, slow_disk: SlowDisk
) -> None:
    tight = JournalLimits(segment_bytes=64 * 1024, pending_bytes=1000, min_free_disk_bytes=0)

    async def write() -> int:
        async with journal_writer(tmp_path, tight) as writer:
            waiting: list[asyncio.Future[None]] = []

            def append_much() -> None:
                for i in range(1000):
                    waiting.append(writer.append(some_records(f"{i}-"), usage_only=True)[1])  # noqa: PERF401 - it raises

            with pytest.raises(Overloaded) as refusal:
                append_much()
            assert refusal.value.retry_after_seconds > 0
            assert writer.pending_bytes < 1200
            slow_disk.go_on.set()
            await asyncio.gather(*waiting)
            await writer.append(some_records("after"), usage_only=True)[1]
            return len(waiting)

    taken = asyncio.run(write())
    assert len(names_in(tmp_path)) == (taken + 1) * 3


def test_too_little_free_space_refuses_before_anything_is_written(tmp_path: Path) -> None:
    more_than_there_is = JournalLimits(min_free_disk_bytes=2**62)

    async def write() -> None:
        async with journal_writer(tmp_path, more_than_there_is) as writer:
            with pytest.raises(DiskFull) as refusal:
                writer.append(some_records("a"), usage_only=True)
            assert refusal.value.retry_after_seconds > 0

    asyncio.run(write())
    assert segment_paths(tmp_path) == []


def test_a_journal_goes_on_over_many_starts(tmp_path: Path) -> None:
    for i in range(5):
        assert write_groups(tmp_path, [some_records(f"{i}-")], limits=LIMITS) == [3 * i + 1]
    assert [record["seq"] for record in read_records(tmp_path)] == list(range(1, 16))
    assert len(segment_paths(tmp_path)) == 1
