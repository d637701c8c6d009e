"""Sealed segments move into the archive and read back as one journal with the plain ones.

What a crash leaves at each step is in `test_archive_crash.py`, rewriting in `test_archive_rewrite.py`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

import pytest

from bursar.errors import ConfigurationError, Conflict, NewerFormat, Unavailable
from bursar.storage.journal.archiving import archive_sealed, archive_size
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.content import check_content
from bursar.storage.journal.holding import change_archive, hold_archive
from bursar.storage.journal.manifest import archive_folder, load_manifest
from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.segments import load_segments, segment_paths
from bursar.storage.journal.writer import DurableMark
from tests.support.archive import (
    SMALL_SEGMENTS,
    StoppedError,
    archive_everything,
    archived_paths,
    copied,
    files_of,
    lines_of,
    no_progress,
    plain_names,
    records_received,
    seal,
    write_many,
)
from tests.support.journal import EVERYTHING, Follower, journal_writer, names_in, some_records, write_groups

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """An empty folder for a journal."""
    return tmp_path / "journal"


def test_archived_and_plain_segments_read_back_as_one_journal(journal: Path) -> None:
    write_many(journal)
    before, segments = lines_of(journal), segment_paths(journal)
    report = archive_everything(journal)
    assert report.files == len(segments) - 1 == len(archived_paths(journal)) > 5
    assert plain_names(journal) == [segments[-1].name]
    assert lines_of(journal) == before
    assert len(before) == 90


def test_the_manifest_says_what_is_in_each_file(journal: Path) -> None:
    write_groups(journal, [records_received(5, 2), records_received(3, 1)])
    write_groups(journal, [records_received(9, 1, "void")], usage_only=False)
    seal(journal)
    plain = segment_paths(journal)[0]
    content = plain.read_bytes()
    report = archive_everything(journal)
    (entry,) = load_manifest(journal).files
    assert (entry.first_seq, entry.last_seq, entry.records) == (1, 4, {"usage": 3, "void": 1})
    assert (entry.first_received, entry.last_received) == (3, 9)
    assert (entry.segment, entry.raw_bytes, entry.sealed_bytes) == (plain.name, len(content), len(content))
    path = archive_folder(journal) / entry.name
    assert path.stat().st_size == entry.stored_bytes == report.stored_bytes
    check_content(path, entry)
    size = archive_size(journal)
    assert (size.files, size.records, size.raw_bytes, size.stored_bytes) == (
        1,
        4,
        len(content),
        entry.stored_bytes,
    )


def test_only_what_is_applied_is_archived(journal: Path) -> None:
    write_many(journal)
    first, second = load_segments(journal)[:2]
    assert archive_sealed(journal, first.header.first_seq, no_progress).files == 0
    assert archive_sealed(journal, second.header.first_seq - 2, no_progress).files == 0
    assert archive_sealed(journal, second.header.first_seq - 1, no_progress).files == 1
    assert not [name for name in files_of(journal) if name.startswith(f"{second.header.first_seq:020d}.0")]


def test_a_journal_that_is_not_there_has_nothing_to_archive(journal: Path) -> None:
    assert archive_everything(journal).files == 0
    assert not journal.exists()


def test_sealing_lets_everything_be_archived_and_the_journal_go_on(journal: Path) -> None:
    write_groups(journal, [some_records("a")])
    seal(journal)
    assert len(segment_paths(journal)) == 2
    assert archive_everything(journal).files == 1
    write_groups(journal, [some_records("b")])
    assert names_in(journal) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert recover_journal(journal).next_seq == 7


def test_sealing_twice_makes_one_segment(journal: Path) -> None:
    seal(journal)
    assert segment_paths(journal) == []
    write_groups(journal, [some_records("a")])
    seal(journal)
    seal(journal)
    assert len(segment_paths(journal)) == 2


def test_sealing_keeps_what_is_in_flight_and_what_waits_in_order(journal: Path) -> None:
    async def write() -> None:
        async with journal_writer(journal) as writer:
            await writer.append(some_records("a"), usage_only=True)[1]
            waiters = [writer.append(some_records("b"), usage_only=True)[1]]
            await asyncio.sleep(0)
            sealing = asyncio.create_task(writer.seal())
            await asyncio.sleep(0)
            waiters.append(writer.append(some_records("c"), usage_only=False)[1])
            await asyncio.gather(*waiters, sealing)
            assert writer.mark.last_seq == 9

    asyncio.run(write())
    segments = load_segments(journal)
    assert len(segments) == 2
    assert names_in(journal) == [f"{group}{i}" for group in "abc" for i in range(3)]
    archive_everything(journal)
    assert names_in(journal) == [f"{group}{i}" for group in "abc" for i in range(3)]


def test_a_writer_that_closes_seals_nothing(journal: Path) -> None:
    async def close_and_seal() -> None:
        async with journal_writer(journal) as writer:
            await writer.append(some_records("a"), usage_only=True)[1]
        with pytest.raises(Unavailable):
            await writer.seal()

    asyncio.run(close_and_seal())


def test_a_follower_goes_on_while_the_segments_behind_it_are_archived(journal: Path) -> None:
    async def write(follower: Follower) -> None:
        async with journal_writer(journal, SMALL_SEGMENTS) as writer:
            for i in range(40):
                await writer.append(some_records(f"{i}-"), usage_only=True)[1]
                follower.see(writer.mark)
                if i % 7 == 3:
                    await writer.seal()
                if i % 3 == 0:
                    archive_sealed(journal, writer.mark.last_seq, no_progress)

    follower = Follower(journal)
    asyncio.run(write(follower))
    follower.close()
    assert follower.names == [f"{i}-{k}" for i in range(40) for k in range(3)]
    assert len(archived_paths(journal)) > 5


def test_a_reader_finds_the_segments_that_were_archived_since_it_listed_them(journal: Path) -> None:
    write_many(journal)
    reader = JournalReader(journal, after_seq=0)
    last = segment_paths(journal)[-1]
    end = recover_journal(journal)
    mark = DurableMark(last, end.last_length, end.last_seq)
    seqs = [next(iter(reader.read(mark, 1))).header.first_seq]
    archive_everything(journal)
    seqs += [frame.header.first_seq for frame in reader.read(mark, EVERYTHING)]
    reader.close()
    assert seqs == list(range(1, 91, 3))


def test_a_replay_that_began_keeps_every_file_until_it_ends(journal: Path) -> None:
    write_many(journal)
    replay = batches_up_to(journal, 90)
    seqs = [next(replay).first_seq]
    report = archive_everything(journal)
    assert report.files == report.waiting_files > 5
    seqs += [batch.first_seq for batch in replay]
    assert seqs == list(range(1, 91, 3))
    assert archive_everything(journal).waiting_files == 0
    assert len(plain_names(journal)) == 1


def test_two_jobs_dont_change_the_archive_at_once(journal: Path) -> None:
    write_many(journal)
    archive_sealed(journal, 0, no_progress)
    with change_archive(journal), pytest.raises(Conflict, match="by another job"):
        archive_everything(journal)
    assert archive_everything(journal).files > 0


def test_a_stopped_archiving_keeps_what_it_had_done(journal: Path) -> None:
    write_many(journal)
    before = lines_of(journal)

    def stop_at_the_third(_step: str, done: int, _total: int | None) -> None:
        if done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        archive_sealed(journal, EVERYTHING, stop_at_the_third)
    assert len(archived_paths(journal)) == 2
    assert lines_of(journal) == before
    archive_everything(journal)
    assert lines_of(journal) == before


def test_a_start_opens_no_archived_file(journal: Path) -> None:
    write_many(journal)
    archive_everything(journal)
    for path in archived_paths(journal):
        path.write_bytes(b"\0" * path.stat().st_size)
    assert recover_journal(journal).last_seq == 90


def test_a_start_finds_the_last_seq_in_the_archive(journal: Path) -> None:
    write_many(journal)
    seal(journal)
    archive_everything(journal)
    recovered = recover_journal(journal)
    assert (recovered.last_seq, recovered.next_seq) == (90, 91)


def test_a_missing_archived_file_is_refused_by_name(journal: Path) -> None:
    write_many(journal)
    archive_everything(journal)
    lost = archived_paths(journal)[2]
    lost.unlink()
    with pytest.raises(ConfigurationError, match=f"{lost.name} is missing. Restore"):
        recover_journal(journal)
    with pytest.raises(ConfigurationError, match=f"{lost.name} is missing. Restore"):
        lines_of(journal, 90)


def test_a_damaged_archived_file_is_refused_by_name(journal: Path) -> None:
    write_many(journal)
    archive_everything(journal)
    path = archived_paths(journal)[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"{path.name} is damaged at byte .*Restore it"):
        lines_of(journal, 90)


def test_a_cut_archived_file_is_refused_by_name(journal: Path) -> None:
    write_many(journal)
    archive_everything(journal)
    path = archived_paths(journal)[1]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigurationError, match=rf"{path.name} is damaged or foreign: it has \d+ bytes"):
        recover_journal(journal)
    with pytest.raises(ConfigurationError, match=rf"{path.name} is damaged"):
        lines_of(journal, 90)


def test_another_archived_file_under_the_name_is_refused(journal: Path) -> None:
    write_many(journal)
    archive_everything(journal)
    first, second = archived_paths(journal)[:2]
    second.write_bytes(first.read_bytes())
    with pytest.raises(ConfigurationError, match=rf"{second.name} is damaged or foreign"):
        lines_of(journal, 90)


def test_a_missing_segment_at_the_border_is_refused(journal: Path) -> None:
    write_many(journal)
    first_three = load_segments(journal)[3].header.first_seq - 1
    archive_sealed(journal, first_three, no_progress)
    lost = segment_paths(journal)[0]
    lost.unlink()
    with pytest.raises(ConfigurationError, match=f"follows {lost.name}.*a segment is missing"):
        recover_journal(journal)


def test_a_missing_first_segment_is_refused(journal: Path) -> None:
    write_many(journal)
    segment_paths(journal)[0].unlink()
    with pytest.raises(ConfigurationError, match=r"but none .* is there: a segment is missing"):
        recover_journal(journal)


def test_an_archive_of_another_journal_is_refused(journal: Path, tmp_path: Path) -> None:
    write_many(journal)
    foreign = tmp_path / "foreign"
    write_many(foreign)
    archive_everything(foreign)
    for path in segment_paths(journal)[:-1]:
        path.unlink()
    copied(archive_folder(foreign), archive_folder(journal))
    with pytest.raises(ConfigurationError, match="belongs to another journal"):
        recover_journal(journal)


def test_a_lost_manifest_is_refused_and_nothing_removed(journal: Path) -> None:
    write_many(journal)
    archive_everything(journal)
    (archive_folder(journal) / "MANIFEST.json").unlink()
    before = files_of(journal)
    with pytest.raises(ConfigurationError, match=r"MANIFEST.json is missing, but archived segments"):
        recover_journal(journal)
    assert files_of(journal) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format":"x"}'])
def test_a_damaged_manifest_is_refused_by_name(journal: Path, content: bytes) -> None:
    write_many(journal)
    archive_everything(journal)
    (archive_folder(journal) / "MANIFEST.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"MANIFEST.json can't be read"):
        recover_journal(journal)


def test_a_manifest_of_a_newer_version_is_refused_by_name(journal: Path) -> None:
    write_many(journal)
    archive_everything(journal)
    path = archive_folder(journal) / "MANIFEST.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(NewerFormat, match="format 2; this Bursar reads up to 1"):
        recover_journal(journal)


def test_a_damaged_segment_is_not_archived(journal: Path) -> None:
    write_many(journal)
    path = segment_paths(journal)[1]
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"r1', b'"q1', 1))
    with pytest.raises(ConfigurationError, match=rf"{path.name} is damaged at byte \d+"):
        archive_everything(journal)
    assert len(archived_paths(journal)) == 1
    assert path.exists()


def test_what_stands_behind_a_segments_valid_length_is_not_archived(journal: Path) -> None:
    write_groups(journal, [some_records("a")])
    with segment_paths(journal)[0].open("ab") as file:
        file.write(b"half a frame")
    write_groups(journal, [some_records("b")])
    archive_everything(journal)
    check_content(archived_paths(journal)[0], load_manifest(journal).files[0])
    assert names_in(journal) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_archiving_beside_a_busy_writer_and_a_follower_loses_nothing(journal: Path) -> None:
    # As in a server the jobs begin when the journal is recovered: that removes what a stopped one left,
    # for which nobody else may change the archive.
    stop = threading.Event()
    failures: list[BaseException] = []

    def archive_on_and_on() -> None:
        try:
            while not stop.is_set():
                archive_everything(journal)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    async def write(follower: Follower) -> None:
        async with journal_writer(journal, SMALL_SEGMENTS) as writer:
            thread.start()
            try:
                for i in range(300):
                    await writer.append(some_records(f"{i}-"), usage_only=True)[1]
                    await asyncio.to_thread(follower.see, writer.mark)
            finally:
                stop.set()
                await asyncio.to_thread(thread.join)

    follower = Follower(journal)
    thread = threading.Thread(target=archive_on_and_on)
    try:
        asyncio.run(write(follower))
    finally:
        follower.close()
    assert failures == []
    assert follower.names == names_in(journal) == [f"{i}-{k}" for i in range(300) for k in range(3)]


def test_several_may_hold_the_archive_at_once(journal: Path) -> None:
    write_many(journal)
    with hold_archive(journal), hold_archive(journal):
        assert archive_everything(journal).waiting_files > 0
    assert len(lines_of(journal)) == 90
