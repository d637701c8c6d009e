"""A full disk while the archive is changed: a clear error, nothing lost, and the next attempt succeeds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bursar.errors import DiskFull
from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.journal.content import ContentWriter
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.rewriting import rewrite
from bursar.storage.journal.writer import JournalLimits
from tests.support.archive import archived_paths, lines_of, no_progress, seal, tombstone
from tests.support.journal import EVERYTHING, write_groups
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.small_disk import SmallDisk

MEGABYTE = 2**20
LIMITS = JournalLimits(segment_bytes=MEGABYTE, pending_bytes=8 * MEGABYTE, min_free_disk_bytes=0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 16 MB with a journal of some 4 MB that can't be compressed, in sealed segments."""
    with small_disk(tmp_path / "disk", 16 * MEGABYTE) as found:
        noise = [b'{"kind":"usage","noise":"%b"}' % os.urandom(30_000).hex().encode() for _ in range(60)]
        write_groups(found.path / "journal", [[record] for record in noise], limits=LIMITS)
        seal(found.path / "journal")
        yield found


def test_archiving_on_a_full_disk_loses_nothing_and_is_done_later(disk: SmallDisk) -> None:
    journal = disk.path / "journal"
    before = lines_of(journal)
    disk.leave_only(MEGABYTE // 4)
    with pytest.raises(DiskFull, match="nothing is lost"):
        archive_sealed(journal, EVERYTHING, no_progress)
    assert archived_paths(journal) == []
    assert not list((journal / "archive").glob("*.zst"))
    assert lines_of(journal) == before
    disk.make_room()
    assert archive_sealed(journal, EVERYTHING, no_progress).files > 2
    assert lines_of(journal) == before


def test_rewriting_on_a_full_disk_leaves_the_old_archive(disk: SmallDisk) -> None:
    journal = disk.path / "journal"
    archive_sealed(journal, EVERYTHING, no_progress)
    before, files = lines_of(journal), archived_paths(journal)
    disk.leave_only(MEGABYTE // 4)

    def bury_odd(seq: int, line: bytes) -> bytes | None:
        return tombstone(seq, line) if seq % 2 else None

    with pytest.raises(DiskFull, match="nothing is lost"):
        rewrite(journal, bury_odd, EVERYTHING, no_progress)
    assert archived_paths(journal) == files == sorted((journal / "archive").glob("*.zst"))
    recover_journal(journal)
    assert lines_of(journal) == before
    disk.make_room()
    assert rewrite(journal, bury_odd, EVERYTHING, no_progress).tombstones == 30


def test_a_file_is_gone_though_its_last_bytes_find_no_room_either(disk: SmallDisk) -> None:
    path = disk.path / "new.zst"
    disk.leave_only(0)
    writer = ContentWriter(path)
    writer.write(b"a few bytes, which wait in memory")
    with pytest.raises(OSError, match="No space left"):
        writer.finish()
    writer.discard()
    assert not path.exists()
