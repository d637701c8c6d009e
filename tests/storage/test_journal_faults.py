"""Disks that fail: whoever waits is told so, nothing half-written stays, and the journal goes on.

A failing sync is played by `os.fdatasync` (no disk fails on request); a full disk by the limit that the
system puts on the size of this process's files, which ends writes half-way just as a full disk does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog

from bursar.errors import DiskFull, Unavailable
from bursar.storage.journal import last_segment
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.segments import segment_paths
from bursar.storage.journal.writer import JournalWriter
from bursar.usage.record import UsageRecord
from tests.support.descriptors import path_of
from tests.support.journal import (
    LIMITS,
    Follower,
    journal_writer,
    names_in,
    read_records,
    some_records,
    write_groups,
)
from tests.support.ledger import a_usage

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from bursar.errors import BursarError


class FailingSync:
    """A `fdatasync` that fails when it is told to."""

    def __init__(self) -> None:
        self.failures_left = 0
        self.failed: list[str] = []
        self.synced: list[str] = []
        self._fdatasync = os.fdatasync

    def fdatasync(self, descriptor: int) -> None:
        path = path_of(descriptor)
        if self.failures_left:
            self.failures_left -= 1
            self.failed.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.synced.append(path)
        self._fdatasync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FailingSync:
    failing = FailingSync()
    monkeypatch.setattr(os, "fdatasync", failing.fdatasync)
    return failing


async def append(writer: JournalWriter, name: str) -> int:
    first_seq, durable = writer.append(some_records(name), usage_only=True)
    await durable
    return first_seq


def a_line(event_id: str) -> UsageRecord:
    return msgspec.json.decode(msgspec.json.encode({"seq": 0, **a_usage(event_id)}), type=UsageRecord)


def test_a_failed_sync_is_told_to_all_who_wait_and_never_tried_again(
    tmp_path: Path, disk: FailingSync
) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            await append(writer, "a")
            good_mark = writer.mark
            disk.failures_left = 1
            waiting = [writer.append(some_records(f"lost{i}-"), usage_only=True)[1] for i in range(3)]
            for durable in waiting:
                with pytest.raises(Unavailable, match="nothing was accepted") as refusal:
                    await durable
                assert refusal.value.retry_after_seconds > 0
            assert writer.mark == good_mark
            await append(writer, "b")
            await append(writer, "c")

    asyncio.run(write())
    assert len(disk.failed) == 1
    # One sync before the failure; all later ones are of another file.
    assert [path == disk.failed[0] for path in disk.synced] == [True, False, False]
    assert names_in(tmp_path) == ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"]


def test_frames_behind_a_failed_sync_are_on_disk_yet_never_read(tmp_path: Path, disk: FailingSync) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            await append(writer, "a")
            disk.failures_left = 1
            with pytest.raises(Unavailable):
                await append(writer, "lost")
            await append(writer, "b")

    asyncio.run(write())
    first, second = segment_paths(tmp_path)
    assert b"lost0" in first.read_bytes()
    assert b"lost0" not in second.read_bytes()
    assert names_in(tmp_path) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    # Their seqs are gone for good.
    assert [record["seq"] for record in read_records(tmp_path)] == [1, 2, 3, 7, 8, 9]


def test_after_a_failed_sync_a_crash_leaves_a_journal_that_goes_on(tmp_path: Path, disk: FailingSync) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            await append(writer, "a")
            disk.failures_left = 1
            with pytest.raises(Unavailable):
                await append(writer, "unsure")

    asyncio.run(write())
    # Nobody was told that these are durable; they may count, or not, but all of them alike.
    first_seq = write_groups(tmp_path, [some_records("b")])[0]
    assert names_in(tmp_path) == ["a0", "a1", "a2", "unsure0", "unsure1", "unsure2", "b0", "b1", "b2"]
    assert first_seq == 7


def test_syncs_that_go_on_failing_give_each_write_a_segment_of_its_own(
    tmp_path: Path, disk: FailingSync
) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            disk.failures_left = 3
            for i in range(3):
                with pytest.raises(Unavailable):
                    await append(writer, f"lost{i}-")
            await append(writer, "kept")
            assert writer.counters.failures == 3

    asyncio.run(write())
    assert len(set(disk.failed)) == 3
    assert names_in(tmp_path) == ["kept0", "kept1", "kept2"]
    assert recover_journal(tmp_path).last_seq == 12


def test_a_failure_that_nobody_foresaw_is_logged_and_told_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_written(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[: len(content) // 2])
        raise MemoryError

    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            await append(writer, "a")
            with monkeypatch.context() as broken, structlog.testing.capture_logs() as lines:
                broken.setattr(last_segment, "write_all", half_written)
                with pytest.raises(Unavailable, match="nothing was accepted"):
                    await append(writer, "lost")
            assert [(line["event"], line["log_level"]) for line in lines] == [
                ("a commit of the journal failed", "error")
            ]
            assert lines[0]["exc_info"]
            assert writer.counters.failures == 1
            await append(writer, "b")

    asyncio.run(write())
    assert names_in(tmp_path) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_a_listener_that_fails_takes_back_nothing_that_is_durable(tmp_path: Path) -> None:
    def failing() -> None:
        raise RuntimeError

    async def write() -> None:
        writer = JournalWriter(recover_journal(tmp_path), LIMITS, on_durable=failing)
        with structlog.testing.capture_logs() as lines:
            await append(writer, "a")
        assert [line["event"] for line in lines] == ["nobody was told that records are durable"]
        await writer.close()

    asyncio.run(write())
    assert names_in(tmp_path) == ["a0", "a1", "a2"]


def test_an_answer_that_fails_keeps_no_other_from_its_own(tmp_path: Path) -> None:
    def failing(_: BursarError | None) -> None:
        raise RuntimeError

    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            with structlog.testing.capture_logs() as lines:
                told: list[BursarError | None] = []
                writer.append_one(a_line("a"), failing)
                writer.append_one(a_line("b"), told.append)
                await append(writer, "after")
            assert told == [None]
            assert [line["event"] for line in lines] == ["an answer to what is durable failed"]

    asyncio.run(write())


def test_a_sync_that_fails_for_want_of_space_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            monkeypatch.setattr(os, "fdatasync", no_space)
            with pytest.raises(DiskFull):
                await append(writer, "a")
            monkeypatch.undo()
            await append(writer, "b")

    asyncio.run(write())
    assert names_in(tmp_path) == ["b0", "b1", "b2"]


@contextlib.contextmanager
def files_limited_to(size: int) -> Generator[None]:
    """No file of this process may grow beyond this size while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_ends_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            await append(writer, "a")
            path, size = segment_paths(tmp_path)[0], segment_paths(tmp_path)[0].stat().st_size
            with files_limited_to(size + 50):
                for i in range(3):
                    with pytest.raises(Unavailable, match="nothing was accepted"):
                        await append(writer, f"lost{i}-")
                    assert path.stat().st_size == size
            await append(writer, "b")

    asyncio.run(write())
    assert len(segment_paths(tmp_path)) == 1
    assert names_in(tmp_path) == ["a0", "a1", "a2", "b0", "b1", "b2"]


@pytest.mark.parametrize("room", [0, 20], ids=["no byte", "half a line"])
def test_a_segment_that_can_not_be_begun_is_not_left_lying_about(tmp_path: Path, room: int) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            with files_limited_to(room), pytest.raises(Unavailable):
                await append(writer, "lost")
            assert segment_paths(tmp_path) == []
            await append(writer, "a")

    asyncio.run(write())
    assert names_in(tmp_path) == ["a0", "a1", "a2"]


def test_what_waits_behind_a_failed_group_is_written_all_the_same(tmp_path: Path, disk: FailingSync) -> None:
    async def write() -> None:
        async with journal_writer(tmp_path) as writer:
            disk.failures_left = 1
            _, failing = writer.append(some_records("lost"), usage_only=True)
            _, waiting = writer.append(some_records("void"), usage_only=False)
            with pytest.raises(Unavailable):
                await failing
            await waiting
            assert writer.pending_bytes == 0

    asyncio.run(write())
    assert names_in(tmp_path) == ["void0", "void1", "void2"]


def test_a_reader_that_follows_never_sees_what_was_not_acknowledged(
    tmp_path: Path, disk: FailingSync
) -> None:
    async def write() -> list[str]:
        async with journal_writer(tmp_path) as writer:
            for i in range(12):
                disk.failures_left = 1 if i % 3 == 1 else 0
                with contextlib.suppress(Unavailable):
                    await append(writer, f"{i}-")
                follower.see(writer.mark)
        return follower.names

    recover_journal(tmp_path)
    follower = Follower(tmp_path)
    try:
        assert asyncio.run(write()) == [f"{i}-{n}" for i in range(12) if i % 3 != 1 for n in range(3)]
    finally:
        follower.close()
