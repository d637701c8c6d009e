"""Journals for tests: written group by group with the real writer, read back as plain records."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.segments import segment_paths
from bursar.storage.journal.writer import DurableMark, JournalLimits, JournalWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

LIMITS = JournalLimits(segment_bytes=64 * 1024, pending_bytes=2**20, min_free_disk_bytes=0)
EVERYTHING = 2**40


@asynccontextmanager
async def journal_writer(folder: Path, limits: JournalLimits = LIMITS) -> AsyncGenerator[JournalWriter]:
    """A writer that continues the journal in this folder."""
    writer = JournalWriter(recover_journal(folder), limits, on_durable=lambda: None)
    try:
        yield writer
    finally:
        await writer.close()


def write_groups(
    folder: Path,
    groups: Sequence[Sequence[bytes]],
    *,
    usage_only: bool = True,
    limits: JournalLimits = LIMITS,
) -> list[int]:
    """Append each group in a commit of its own; returns their first seqs."""

    async def write() -> list[int]:
        first_seqs: list[int] = []
        async with journal_writer(folder, limits) as writer:
            for records in groups:
                first_seq, durable = writer.append(records, usage_only=usage_only)
                await durable
                first_seqs.append(first_seq)
        return first_seqs

    return asyncio.run(write())


def some_records(name: str, count: int = 3) -> list[bytes]:
    """Records that are told apart by their name and number."""
    return [msgspec.json.encode({"name": f"{name}{i}"}) for i in range(count)]


def read_records(folder: Path, mark: DurableMark | None = None, after_seq: int = 0) -> list[dict[str, Any]]:
    """Every record behind `after_seq`, up to the mark, or to the journal's recovered end without one."""
    if mark is None:
        recovered = recover_journal(folder)
        mark = DurableMark(
            recovered.last.path if recovered.last else None, recovered.last_length, recovered.last_seq
        )
    reader = JournalReader(folder, after_seq)
    try:
        return [
            msgspec.json.decode(line)
            for frame in reader.read(mark, EVERYTHING)
            for line in frame.payload.splitlines()
        ]
    finally:
        reader.close()


def names_in(folder: Path) -> list[str]:
    """The names of all records, in order."""
    return [record["name"] for record in read_records(folder)]


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every segment's bytes by file name."""
    return {path.name: path.read_bytes() for path in segment_paths(folder)}


class Follower:
    """Reads a journal on and on, as the applier does."""

    def __init__(self, folder: Path) -> None:
        self.names: list[str] = []
        self._reader = JournalReader(folder, after_seq=0)

    def see(self, mark: DurableMark, max_bytes: int = EVERYTHING) -> None:
        """Read what is new up to the mark."""
        for frame in self._reader.read(mark, max_bytes):
            self.names += [msgspec.json.decode(line)["name"] for line in frame.payload.splitlines()]

    def go_back(self, after_seq: int) -> None:
        """Read again from behind `after_seq`."""
        self._reader.rewind(after_seq)

    def close(self) -> None:
        """Let go of the journal."""
        self._reader.close()
