"""Following the journal: every durable record once, in order, and not one byte behind the mark."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bursar.errors import ConfigurationError
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.frame import FrameKind, encode_frame
from bursar.storage.journal.segments import segment_paths
from bursar.storage.journal.writer import DurableMark, JournalLimits
from tests.support.journal import Follower, journal_writer, names_in, read_records, some_records, write_groups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL_SEGMENTS = JournalLimits(segment_bytes=400, pending_bytes=2**20, min_free_disk_bytes=0)


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    (tmp_path / "journal").mkdir()
    following = Follower(tmp_path / "journal")
    yield following
    following.close()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def expected(count: int) -> list[str]:
    return [f"{i}-{n}" for i in range(count) for n in range(3)]


def test_a_follower_goes_from_segment_to_segment_as_they_are_written(
    journal: Path, follower: Follower
) -> None:
    async def write() -> None:
        async with journal_writer(journal, SMALL_SEGMENTS) as writer:
            follower.see(writer.mark)
            for i in range(30):
                await writer.append(some_records(f"{i}-"), usage_only=True)[1]
                follower.see(writer.mark)

    asyncio.run(write())
    assert len(segment_paths(journal)) > 3
    assert follower.names == expected(30)


def test_a_follower_that_fell_behind_reads_on_in_bounded_pieces(journal: Path, follower: Follower) -> None:
    async def write() -> None:
        async with journal_writer(journal, SMALL_SEGMENTS) as writer:
            for i in range(30):
                await writer.append(some_records(f"{i}-"), usage_only=True)[1]
            follower.see(writer.mark, max_bytes=1)
            assert follower.names == expected(1)
            for _ in range(40):
                follower.see(writer.mark, max_bytes=150)

    asyncio.run(write())
    assert follower.names == expected(30)


def test_a_follower_reads_again_what_it_could_not_use(journal: Path, follower: Follower) -> None:
    async def write() -> None:
        async with journal_writer(journal, SMALL_SEGMENTS) as writer:
            for i in range(20):
                await writer.append(some_records(f"{i}-"), usage_only=True)[1]
            follower.see(writer.mark)
            follower.names.clear()
            follower.go_back(after_seq=30)
            follower.see(writer.mark)

    asyncio.run(write())
    assert follower.names == expected(20)[30:]


@pytest.mark.parametrize("after_seq", [0, 1, 3, 29, 60, 89])
def test_reading_begins_right_behind_the_given_seq(journal: Path, after_seq: int) -> None:
    write_groups(journal, [some_records(f"{i}-") for i in range(30)], limits=SMALL_SEGMENTS)
    seqs = [record["seq"] for record in read_records(journal, after_seq=after_seq)]
    assert seqs == list(range(after_seq + 1, 91))


def test_what_lies_behind_the_mark_is_not_read(journal: Path) -> None:
    write_groups(journal, [some_records("a"), some_records("b")])
    path = segment_paths(journal)[0]
    mark = DurableMark(path, path.read_bytes().rindex(b"~F1 "), 3)
    assert [record["name"] for record in read_records(journal, mark)] == ["a0", "a1", "a2"]


def test_a_durable_frame_that_changed_is_refused_by_place(journal: Path) -> None:
    write_groups(journal, [some_records(f"{i}-") for i in range(30)], limits=SMALL_SEGMENTS)
    first = segment_paths(journal)[0]
    content = first.read_bytes()
    place = content.index(b"0-1")
    first.write_bytes(content[:place] + b"9" + content[place + 1 :])
    with pytest.raises(ConfigurationError, match=rf"{first.name} is damaged at byte \d+"):
        names_in(journal)


def test_a_recount_beside_a_writer_minds_nothing_behind_its_position(journal: Path) -> None:
    # A frame that is just being written looks torn, and by the next look another may stand behind it.
    write_groups(journal, [some_records("a"), some_records("b")])
    begun = encode_frame(7, 1, FrameKind.USAGE, b'{"seq":7,"name":"begun"}\n')
    whole = encode_frame(8, 1, FrameKind.USAGE, b'{"seq":8,"name":"whole"}\n')
    with segment_paths(journal)[0].open("ab") as file:
        file.write(begun[:-5] + whole)
    batches = list(batches_up_to(journal, 6))
    assert [(batch.first_seq, batch.last_seq) for batch in batches] == [(1, 3), (4, 6)]


def test_a_batch_ends_at_the_wanted_seq_in_the_middle_of_a_frame(journal: Path) -> None:
    write_groups(journal, [some_records("a"), some_records("b")], usage_only=False)
    batches = list(batches_up_to(journal, 5))
    assert [(batch.first_seq, batch.last_seq, batch.payload.count(b"\n")) for batch in batches] == [
        (1, 3, 3),
        (4, 5, 2),
    ]


def test_an_empty_journal_has_no_batches(journal: Path) -> None:
    assert list(batches_up_to(journal, 0)) == []
