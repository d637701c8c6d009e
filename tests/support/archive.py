"""Archives for tests: journals of many small segments, archived, read back, and looked at file by file."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.manifest import archive_folder, load_manifest
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.segments import segment_paths
from bursar.storage.journal.writer import JournalLimits
from bursar.usage.changes import TOMBSTONE, Tombstone
from tests.support.journal import EVERYTHING, journal_writer, write_groups

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.storage.journal.archiving import ArchiveReport

SMALL_SEGMENTS = JournalLimits(segment_bytes=600, pending_bytes=2**20, min_free_disk_bytes=0)


class StoppedError(Exception):
    """What a caller's progress raises to stop the work."""


def no_progress(_step: str, _done: int, _total: int | None) -> None:
    """Nobody wants to know."""


def records_received(first: int, count: int, kind: str = "usage") -> list[bytes]:
    """Records of a kind, each received at its number in microseconds."""
    return [
        msgspec.json.encode({"v": 1, "kind": kind, "received": first + i, "name": f"r{first + i}"})
        for i in range(count)
    ]


def write_many(journal: Path, groups: int = 30) -> None:
    """A journal of some ten segments, three records to a commit."""
    write_groups(journal, [records_received(3 * i + 1, 3) for i in range(groups)], limits=SMALL_SEGMENTS)


def archive_everything(journal: Path) -> ArchiveReport:
    """Archive all that is sealed."""
    return archive_sealed(journal, EVERYTHING, no_progress)


def tombstone(seq: int, line: bytes) -> bytes:
    """What stands in a rewritten archive in place of a record."""
    kind = msgspec.json.decode(line)["kind"]
    return (
        msgspec.json.encode(Tombstone(seq=seq, v=1, kind=TOMBSTONE, by=10**6)) if kind != TOMBSTONE else line
    )


def seal(journal: Path) -> None:
    """Seal the last segment, with a writer of its own."""

    async def with_writer() -> None:
        async with journal_writer(journal) as writer:
            await writer.seal()

    asyncio.run(with_writer())


def lines_of(journal: Path, last_seq: int | None = None, after_seq: int = 0) -> list[bytes]:
    """Every record as it stands in the journal."""
    end = recover_journal(journal).last_seq if last_seq is None else last_seq
    return [line for batch in batches_up_to(journal, end, after_seq) for line in batch.payload.splitlines()]


def files_of(journal: Path) -> dict[str, bytes]:
    """Everything in the journal's folder and its archive, by name."""
    archive = archive_folder(journal)
    paths = [path for folder in (journal, archive) if folder.exists() for path in folder.iterdir()]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def archived_paths(journal: Path) -> list[Path]:
    """The files that the manifest names, in order."""
    return [archive_folder(journal) / entry.name for entry in load_manifest(journal).files]


def plain_names(journal: Path) -> list[str]:
    """The segments that are still plain."""
    return [path.name for path in segment_paths(journal)]


def copied(journal: Path, to: Path) -> Path:
    """A copy of the whole journal."""
    shutil.copytree(journal, to)
    return to
