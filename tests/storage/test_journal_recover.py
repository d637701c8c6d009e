"""What the journal makes of its own end at start: a torn tail is left out, damage is refused.

The last frame is torn at every byte and flipped at every byte. Whatever is refused stays as it was, so
that it can be looked at and restored.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from bursar.errors import ConfigurationError, NewerFormat
from bursar.storage.journal.frame import FrameKind, encode_frame
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.segments import segment_paths
from bursar.storage.journal.writer import JournalLimits
from tests.support.journal import LIMITS, contents_of, names_in, some_records, write_groups

if TYPE_CHECKING:
    from pathlib import Path

SMALL_SEGMENTS = JournalLimits(segment_bytes=400, pending_bytes=2**20, min_free_disk_bytes=0)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Three frames of three records in one segment."""
    folder = tmp_path / "journal"
    write_groups(folder, [some_records("a"), some_records("b"), some_records("c")])
    return folder


def only_segment(folder: Path) -> Path:
    [path] = segment_paths(folder)
    return path


def last_frame_start(folder: Path) -> int:
    return only_segment(folder).read_bytes().rindex(b"~F1 ")


def test_an_untouched_journal_goes_on_where_it_ended(journal: Path) -> None:
    recovered = recover_journal(journal)
    assert (recovered.last_seq, recovered.next_seq, recovered.cut) == (9, 10, None)
    assert write_groups(journal, [some_records("d")]) == [10]
    assert names_in(journal)[-4:] == ["c2", "d0", "d1", "d2"]
    assert len(segment_paths(journal)) == 1


def test_a_tail_torn_at_any_byte_is_left_out_and_said(journal: Path) -> None:
    path, start = only_segment(journal), last_frame_start(journal)
    whole = path.read_bytes()
    for end in range(start + 1, len(whole)):
        path.write_bytes(whole[:end])
        recovered = recover_journal(journal)
        assert (recovered.last_seq, recovered.last_length) == (6, start)
        assert recovered.cut
        assert (recovered.cut.kept_bytes, recovered.cut.cut_bytes) == (start, end - start)


def test_a_last_frame_flipped_at_any_byte_is_never_read(journal: Path) -> None:
    path, start = only_segment(journal), last_frame_start(journal)
    whole = path.read_bytes()
    for place in range(start, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        assert recover_journal(journal).last_seq == 6


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 5000, b"garbage", os.urandom(10_000), b"~F1 ", b"~S1 {}\n", b"\n"],
    ids=["zeros", "words", "noise", "magic", "segment line", "newline"],
)
def test_what_no_commit_wrote_is_left_out(journal: Path, tail: bytes) -> None:
    with only_segment(journal).open("ab") as file:
        file.write(tail)
    recovered = recover_journal(journal)
    assert recovered.last_seq == 9
    assert recovered.cut
    assert recovered.cut.cut_bytes == len(tail)
    write_groups(journal, [some_records("d")])
    assert names_in(journal)[-4:] == ["c2", "d0", "d1", "d2"]


def test_a_seq_of_a_torn_frame_is_never_given_out_again_however_often_it_starts(journal: Path) -> None:
    torn = encode_frame(10, 500, FrameKind.USAGE, b'{"name":"torn"}\n' * 500)
    with only_segment(journal).open("ab") as file:
        file.write(torn[:-10])
    for _ in range(3):
        assert recover_journal(journal).next_seq > 509
    first_seq = write_groups(journal, [some_records("d")])[0]
    assert first_seq > 509
    assert write_groups(journal, [some_records("e")]) == [first_seq + 3]
    assert names_in(journal)[-6:] == ["d0", "d1", "d2", "e0", "e1", "e2"]


def test_damage_before_whole_frames_is_refused_and_nothing_is_changed(journal: Path) -> None:
    path, last_frame = only_segment(journal), last_frame_start(journal)
    whole = path.read_bytes()
    first_frame = whole.index(b"~F1 ")
    for place in range(first_frame, last_frame, 7):
        damaged = whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(ConfigurationError, match=r"damaged at byte \d+.*Restore the segment"):
            recover_journal(journal)
        assert path.read_bytes() == damaged


def test_a_missing_segment_is_refused_by_name(tmp_path: Path) -> None:
    write_groups(tmp_path, [some_records(name, 10) for name in "abcd"], limits=SMALL_SEGMENTS)
    second = segment_paths(tmp_path)[1]
    second.unlink()
    before = contents_of(tmp_path)
    with pytest.raises(ConfigurationError, match=f"follows {second.name}.*a segment is missing"):
        recover_journal(tmp_path)
    assert contents_of(tmp_path) == before


def test_a_segment_of_another_journal_is_refused(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        write_groups(folder, [some_records("a"), some_records("b")], limits=SMALL_SEGMENTS)
    foreign = segment_paths(theirs)[0]
    (ours / foreign.name).write_bytes(foreign.read_bytes())
    with pytest.raises(ConfigurationError, match="belongs to"):
        recover_journal(ours)


def test_a_damaged_first_line_is_refused(journal: Path) -> None:
    path = only_segment(journal)
    whole = path.read_bytes()
    path.write_bytes(b"~S1 {oops" + whole[9:])
    with pytest.raises(ConfigurationError, match="damaged in its first line"):
        recover_journal(journal)


@pytest.mark.parametrize(
    "content", [b"", b"~S1 {", b'~S1 {"format":1,"journal_id":"'], ids=["empty", "begun", "half"]
)
def test_a_segment_that_a_crash_kept_from_being_born_is_removed(journal: Path, content: bytes) -> None:
    unborn = journal / f"{10:020d}.journal"
    unborn.write_bytes(content)
    assert recover_journal(journal).last_seq == 9
    assert not unborn.exists()


def test_a_segment_without_a_frame_goes_on_at_its_own_first_seq(journal: Path) -> None:
    first = only_segment(journal)
    header = msgspec.json.decode(first.read_bytes().splitlines()[0][4:])
    header |= {"first_seq": 100, "previous": first.name, "previous_length": first.stat().st_size}
    (journal / f"{100:020d}.journal").write_bytes(b"~S1 " + msgspec.json.encode(header) + b"\n")
    recovered = recover_journal(journal)
    assert (recovered.last_seq, recovered.next_seq) == (9, 100)
    assert write_groups(journal, [some_records("d")]) == [100]
    assert names_in(journal)[-4:] == ["c2", "d0", "d1", "d2"]


def test_a_first_frame_that_was_torn_leaves_the_end_in_the_segment_before(journal: Path) -> None:
    test_a_segment_without_a_frame_goes_on_at_its_own_first_seq(journal)
    second = segment_paths(journal)[1]
    second.write_bytes(second.read_bytes()[:-1])
    recovered = recover_journal(journal)
    assert recovered.last_seq == 9
    assert recovered.next_seq > 102
    assert names_in(journal)[-1] == "c2"
    write_groups(journal, [some_records("e")])
    assert names_in(journal)[-4:] == ["c2", "e0", "e1", "e2"]
    assert len(segment_paths(journal)) == 3


def test_a_journal_of_a_newer_version_is_refused_by_name(journal: Path) -> None:
    identity = journal / "IDENTITY"
    identity.write_bytes(identity.read_bytes().replace(b'"format":2', b'"format":3'))
    with pytest.raises(NewerFormat, match="format 3; this Bursar reads up to 2"):
        recover_journal(journal)


def test_a_last_frame_is_written_again_before_it_is_synced(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its own sync may have failed: then the kernel counts its pages as clean and would sync nothing.
    path, start = only_segment(journal), last_frame_start(journal)
    whole = path.read_bytes()
    done: list[tuple[str, bytes]] = []
    pwrite, fsync = os.pwrite, os.fsync

    def noting_pwrite(descriptor: int, content: bytes, offset: int) -> int:
        done.append((f"write at {offset}", bytes(content)))
        return pwrite(descriptor, content, offset)

    def noting_fsync(descriptor: int) -> None:
        done.append(("sync", b""))
        fsync(descriptor)

    monkeypatch.setattr(os, "pwrite", noting_pwrite)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    recover_journal(journal)
    assert done == [(f"write at {start}", whole[start:]), ("sync", b"")]
    assert path.read_bytes() == whole


def test_a_new_journal_begins_at_one(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    recovered = recover_journal(folder)
    assert (recovered.last, recovered.last_seq, recovered.next_seq) == (None, 0, 1)
    assert write_groups(folder, [some_records("a")], limits=LIMITS) == [1]
    assert recover_journal(folder).identity == recovered.identity
