"""Records are replaced in the archive: all at once, each at its position, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.errors import ConfigurationError, Unavailable
from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.content import check_content
from bursar.storage.journal.holding import hold_archive, holders_of
from bursar.storage.journal.manifest import archive_folder, load_manifest
from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.rewriting import RewriteReport, rewrite
from bursar.storage.journal.segments import segment_paths
from bursar.storage.journal.writer import DurableMark
from bursar.usage.applying import BatchKind
from tests.support.archive import (
    SMALL_SEGMENTS,
    StoppedError,
    archive_everything,
    archived_paths,
    files_of,
    lines_of,
    no_progress,
    records_received,
    seal,
    tombstone,
    write_many,
)
from tests.support.journal import EVERYTHING, some_records, write_groups
from tests.support.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """90 records in some ten archived segments."""
    folder = tmp_path / "journal"
    write_many(folder)
    archive_everything(folder)
    return folder


def bury(seqs: set[int]) -> Callable[[int, bytes], bytes | None]:
    """Make tombstones of these."""
    return lambda seq, line: tombstone(seq, line) if seq in seqs else None


def test_records_become_tombstones_at_their_positions(journal: Path) -> None:
    before = lines_of(journal)
    report = rewrite(journal, bury({5, 6, 40}), EVERYTHING, no_progress)
    after = lines_of(journal)
    assert (report.rewritten_files, report.changed, report.tombstones) == (2, 3, 3)
    assert [i + 1 for i in range(90) if before[i] != after[i]] == [5, 6, 40]
    assert [msgspec.json.decode(line)["seq"] for line in after] == list(range(1, 91))
    assert b'"r5"' not in b"".join(after)
    assert len(archived_paths(journal)) == report.files


def test_tombstones_stand_in_frames_of_their_own(journal: Path) -> None:
    rewrite(journal, bury({5, 6, 8}), EVERYTHING, no_progress)
    found = [(b.kind, b.first_seq, b.last_seq) for b in batches_up_to(journal, 12)]
    usage, tombstones = BatchKind.USAGE, BatchKind.TOMBSTONE
    assert found == [
        (usage, 1, 3),
        (usage, 4, 4),
        (tombstones, 5, 6),
        (usage, 7, 7),
        (tombstones, 8, 8),
        (usage, 9, 9),
        (usage, 10, 12),
    ]


def test_untouched_segments_keep_their_file_and_the_manifest_says_what_changed(journal: Path) -> None:
    before = load_manifest(journal)
    contents = files_of(journal)
    rewrite(journal, bury({5, 6}), EVERYTHING, no_progress)
    after = load_manifest(journal)
    assert after.generation == before.generation + 1
    assert after.files[1:] == before.files[1:]
    first = after.files[0]
    assert first.name != before.files[0].name
    assert first.records == {"usage": before.files[0].records["usage"] - 2, "tombstone": 2}
    assert (first.segment, first.sealed_bytes) == (before.files[0].segment, before.files[0].sealed_bytes)
    assert files_of(journal).keys() == contents.keys() - {before.files[0].name} | {first.name}
    for entry in after.files:
        check_content(archive_folder(journal) / entry.name, entry)


def test_a_changed_record_that_is_no_tombstone_stays_in_its_frame(tmp_path: Path) -> None:
    write_groups(tmp_path, [records_received(1, 3)])
    write_groups(tmp_path, [records_received(4, 3, "erase")], usage_only=False)
    seal(tmp_path)
    archive_everything(tmp_path)
    new = msgspec.json.encode
    changed = {2: new({"seq": 2, "kind": "usage"}), 5: new({"seq": 5, "kind": "expire"})}
    report = rewrite(tmp_path, lambda seq, _line: changed.get(seq), EVERYTHING, no_progress)
    assert (report.changed, report.tombstones) == (2, 0)
    lines = lines_of(tmp_path)
    assert (lines[1], lines[4]) == (changed[2], changed[5])
    assert [batch.kind for batch in batches_up_to(tmp_path, 6)] == [BatchKind.USAGE, BatchKind.OTHER]
    assert load_manifest(tmp_path).files[0].records == {"usage": 3, "erase": 2, "expire": 1}


def test_only_records_up_to_the_given_seq_are_asked_about(journal: Path) -> None:
    asked: list[int] = []

    def note(seq: int, _line: bytes) -> None:
        asked.append(seq)

    assert rewrite(journal, note, 17, no_progress).last_seq == 17
    assert asked == list(range(1, 18))


def test_a_rewrite_that_changes_nothing_touches_nothing(journal: Path) -> None:
    before = files_of(journal)
    rewrite(journal, lambda _seq, line: line, EVERYTHING, no_progress)
    assert files_of(journal) == before


def test_rewriting_again_goes_on_from_what_is_there(journal: Path) -> None:
    rewrite(journal, bury({5}), EVERYTHING, no_progress)
    again = rewrite(journal, bury({5, 6, 7}), EVERYTHING, no_progress)
    assert (again.changed, again.tombstones) == (2, 2)
    kinds = [msgspec.json.decode(line)["kind"] for line in lines_of(journal)]
    assert [i + 1 for i in range(90) if kinds[i] == "tombstone"] == [5, 6, 7]
    assert lines_of(journal, after_seq=5)[0] == tombstone(6, b'{"kind":"usage"}')


def test_a_journal_without_archive_has_nothing_to_rewrite(tmp_path: Path) -> None:
    write_many(tmp_path)
    assert rewrite(tmp_path, bury({5}), EVERYTHING, no_progress) == RewriteReport()


@pytest.mark.parametrize(
    "line", [b'{"seq":6,"kind":"usage"}', b'{"seq":5,\n"kind":"usage"}', b'{"seq":5}', b""]
)
def test_a_new_record_that_would_move_others_is_refused(journal: Path, line: bytes) -> None:
    before = files_of(journal)
    with pytest.raises((ValueError, msgspec.DecodeError)):
        rewrite(journal, lambda seq, _line: line if seq == 5 else None, EVERYTHING, no_progress)
    assert files_of(journal) == before


@pytest.mark.parametrize("stop_at", [0, 1, 5])
def test_a_stopped_rewrite_leaves_no_trace(journal: Path, stop_at: int) -> None:
    before = files_of(journal)

    def stop(_step: str, done: int, _total: int | None) -> None:
        if done == stop_at:
            raise StoppedError

    with pytest.raises(StoppedError):
        rewrite(journal, bury(set(range(1, 91))), EVERYTHING, stop)
    assert files_of(journal) == before


def test_a_rewrite_waits_for_a_replay_and_gives_up_without_a_trace(journal: Path) -> None:
    before = files_of(journal)
    with hold_archive(journal), pytest.raises(Unavailable, match="being read"):
        rewrite(journal, bury({5}), EVERYTHING, no_progress, patience_seconds=0.1)
    assert files_of(journal) == before


def test_a_rewrite_says_for_whom_it_waits_and_for_how_long(journal: Path) -> None:
    told: list[tuple[str, int]] = []

    def listen(step: str, done: int, _total: int | None) -> None:
        if step.startswith("waiting"):
            told.append((step, done))
            if done >= 1:
                raise StoppedError

    with hold_archive(journal, "a recount"), hold_archive(journal, "a backup"):
        assert holders_of(journal) == ["a backup", "a recount"]
        with pytest.raises(StoppedError):
            rewrite(journal, bury({5}), EVERYTHING, listen)
    assert {step for step, _ in told} == {"waiting until a backup and a recount is done with the archive, s"}
    assert [told[0][1], told[-1][1]] == [0, 1]
    assert holders_of(journal) == []


def test_a_rewrite_comes_into_force_when_the_replay_has_ended(journal: Path) -> None:
    replay = batches_up_to(journal, 90)
    seen = [next(replay)]

    def read_on(step: str, _done: int, _total: int | None) -> None:
        if step.startswith("waiting"):
            seen.extend(replay)

    rewrite(journal, bury(set(range(1, 60))), EVERYTHING, read_on)
    assert [batch.kind for batch in seen] == [BatchKind.USAGE] * 30
    assert next(iter(batches_up_to(journal, 90))).kind is BatchKind.TOMBSTONE


def test_a_follower_in_the_middle_finds_its_place_in_the_new_files(journal: Path) -> None:
    end = recover_journal(journal)
    mark = DurableMark(segment_paths(journal)[-1], end.last_length, end.last_seq)
    reader = JournalReader(journal, after_seq=0)
    seqs = [next(iter(reader.read(mark, 1))).header.last_seq]
    rewrite(journal, bury(set(range(1, 91, 2))), EVERYTHING, no_progress)
    seqs += [header.last_seq for header in (frame.header for frame in reader.read(mark, EVERYTHING))]
    reader.close()
    assert seqs[0] == 3
    assert seqs[-1] == 90
    assert seqs == sorted(set(seqs))


def test_a_damaged_file_stops_the_rewrite_by_name(journal: Path) -> None:
    path = archived_paths(journal)[2]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    before = files_of(journal)
    with pytest.raises(ConfigurationError, match=f"{path.name} is damaged"):
        rewrite(journal, bury({1, 89}), EVERYTHING, no_progress)
    assert files_of(journal) == before


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_failing_disk_leaves_the_old_archive(
    journal: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines_of(journal)
    fsync, calls = os.fsync, iter(range(1, 100))

    def sometimes(descriptor: int) -> None:
        if next(calls) == failing:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sometimes)
    with pytest.raises(Unavailable, match="Input/output error"):
        rewrite(journal, bury({5, 40}), EVERYTHING, no_progress)
    assert len(files_of(journal)) == len(archived_paths(journal)) + 3
    monkeypatch.undo()
    assert lines_of(journal) == before
    assert rewrite(journal, bury({5, 40}), EVERYTHING, no_progress).changed == 2


groups = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=8)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), groups),
        st.tuples(st.just("archive"), st.integers(0, 60)),
        st.tuples(st.just("bury"), st.sets(st.integers(1, 60), max_size=30)),
        st.tuples(st.just("change"), st.sets(st.integers(1, 60), max_size=5)),
        st.tuples(st.just("seal"), st.none()),
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=rounds(10), deadline=None)
@given(actions)
def test_any_journal_archived_and_rewritten_at_any_time_reads_back_equal(
    steps: list[tuple[str, object]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = _History(Path(folder) / "journal")
        for step in steps:
            history.take(*step)
            assert lines_of(history.journal) == history.lines


class _History:
    """A journal and the plain list of lines that it must read as."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.lines: list[bytes] = []

    def take(self, action: str, argument: object) -> None:
        """Do it to the journal and to the list."""
        match action, argument:
            case "write", list():
                self._write(argument)  # pyright: ignore[reportUnknownArgumentType]
            case "archive", int():
                archive_sealed(self.journal, argument, no_progress)
            case "bury", set():
                self._rewrite(argument, tombstone)  # pyright: ignore[reportUnknownArgumentType]
            case "change", set():
                self._rewrite(argument, _changed)  # pyright: ignore[reportUnknownArgumentType]
            case _:
                seal(self.journal)

    def _write(self, wanted: list[tuple[int, bool]]) -> None:
        for count, usage_only in wanted:
            records = [
                b'{"kind":"%b",%b' % (b"usage" if usage_only else b"void", record[1:])
                for record in some_records(f"{len(self.lines)}-", count)
            ]
            first = len(self.lines) + 1
            self.lines += [b'{"seq":%d,%b' % (first + i, record[1:]) for i, record in enumerate(records)]
            write_groups(self.journal, [records], usage_only=usage_only, limits=SMALL_SEGMENTS)

    def _rewrite(self, seqs: set[int], change: Callable[[int, bytes], bytes]) -> None:
        files = load_manifest(self.journal).files
        archived = files[-1].last_seq if files else 0
        through = max(seqs, default=0)
        rewrite(
            self.journal, lambda seq, line: change(seq, line) if seq in seqs else None, through, no_progress
        )
        for seq in seqs:
            if seq <= archived:
                self.lines[seq - 1] = change(seq, self.lines[seq - 1])


def _changed(_seq: int, line: bytes) -> bytes:
    return line[:-1] + b',"changed":true}' if b"changed" not in line else line
