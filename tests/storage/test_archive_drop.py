"""The archive's own retention: the oldest segments go, and the journal says where it begins now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bursar import clock
from bursar.errors import ConfigurationError, Unavailable
from bursar.storage.journal.dropping import DropReport, DropRule, drop_oldest, replay_start
from bursar.storage.journal.holding import hold_archive
from bursar.storage.journal.manifest import archive_folder, load_manifest
from bursar.storage.journal.recover import recover_journal
from tests.support.archive import (
    StoppedError,
    archive_everything,
    archived_paths,
    files_of,
    lines_of,
    no_progress,
    records_received,
    seal,
    write_many,
)
from tests.support.journal import write_groups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.storage.journal.dropping import Carry
    from bursar.storage.journal.manifest import ArchivedSegment
    from bursar.usage.applying import RecordBatch

MICROSECOND_31 = datetime(1970, 1, 1, 0, 0, 0, 31, tzinfo=UTC)


def keep_lines(previous: Path | None, dropped: Iterator[RecordBatch], new: Path) -> None:
    """Keep all that goes, behind what an earlier drop kept."""
    earlier = previous.read_bytes() if previous else b""
    new.write_bytes(earlier + b"".join(batch.payload for batch in dropped))


def keep_nothing(_previous: Path | None, _dropped: Iterator[RecordBatch], _new: Path) -> None:
    """Nothing of it matters any more."""


def rule(
    before: datetime, carry: Carry = keep_lines, needed_from: int = 10**9, asked: list[int] | None = None
) -> DropRule:
    """Drop what is older, as long as nothing from `needed_from` on is in it."""

    def is_needed(entry: ArchivedSegment) -> bool:
        if asked is not None:
            asked.append(entry.first_seq)
        return entry.last_seq >= needed_from

    return DropRule(before=before, is_needed=is_needed, carry=carry)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """90 records in some ten archived segments; each was received at its seq in microseconds."""
    folder = tmp_path / "journal"
    write_many(folder)
    archive_everything(folder)
    return folder


def test_the_oldest_segments_go_and_the_rest_is_one_journal(journal: Path) -> None:
    before, files = lines_of(journal), load_manifest(journal).files
    report = drop_oldest(journal, rule(MICROSECOND_31), no_progress)
    start = replay_start(journal)
    old = [entry for entry in files if (entry.last_received or 0) < 31]
    assert report.files == len(old) > 1
    assert start.after_seq == old[-1].last_seq == report.records
    assert lines_of(journal, after_seq=start.after_seq) == before[start.after_seq :]
    assert recover_journal(journal).last_seq == 90
    assert len(files_of(journal)) == len(files) - len(old) + 4


def test_what_was_kept_is_handed_back_and_carried_on(journal: Path) -> None:
    before = lines_of(journal)
    drop_oldest(journal, rule(MICROSECOND_31), no_progress)
    first = replay_start(journal)
    drop_oldest(journal, rule(clock.now()), no_progress)
    second = replay_start(journal)
    assert second.payload
    assert first.payload
    assert not first.payload.exists()
    assert second.after_seq > first.after_seq
    assert second.payload.read_bytes().splitlines() == before[: second.after_seq]
    drop_all = load_manifest(journal).start
    assert drop_all
    assert drop_all.dropped_files > 5


def test_a_journal_that_lost_its_beginning_says_so(journal: Path) -> None:
    drop_oldest(journal, rule(MICROSECOND_31, keep_nothing), no_progress)
    start = replay_start(journal)
    assert start.payload is None
    with pytest.raises(ConfigurationError, match=f"begins behind seq {start.after_seq}.* from 1 on"):
        lines_of(journal)


def test_a_segment_that_is_needed_keeps_all_behind_it(journal: Path) -> None:
    asked: list[int] = []
    files = load_manifest(journal).files
    needed = files[1].last_seq
    assert drop_oldest(journal, rule(clock.now(), needed_from=needed, asked=asked), no_progress).files == 1
    assert asked == [files[0].first_seq, files[1].first_seq]


def test_nothing_old_enough_changes_nothing(journal: Path) -> None:
    before = files_of(journal)
    assert drop_oldest(journal, rule(datetime(1970, 1, 1, tzinfo=UTC)), no_progress) == DropReport()
    assert files_of(journal) == before


def test_without_an_archive_there_is_nothing_to_drop(tmp_path: Path) -> None:
    write_many(tmp_path)
    assert drop_oldest(tmp_path, rule(clock.now()), no_progress) == DropReport()
    assert replay_start(tmp_path).after_seq == 0


def test_a_journal_whose_records_all_went_goes_on_behind_them(tmp_path: Path) -> None:
    write_groups(tmp_path, [records_received(1, 5)])
    seal(tmp_path)
    archive_everything(tmp_path)
    drop_oldest(tmp_path, rule(clock.now()), no_progress)
    recovered = recover_journal(tmp_path)
    assert (recovered.last_seq, recovered.next_seq) == (5, 6)
    write_groups(tmp_path, [records_received(6, 2)])
    assert len(lines_of(tmp_path, after_seq=5)) == 2
    assert archived_paths(tmp_path) == []


def test_a_stopped_or_refused_drop_leaves_no_trace(journal: Path) -> None:
    before = files_of(journal)

    def stop(_step: str, done: int, _total: int | None) -> None:
        if done == 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        drop_oldest(journal, rule(clock.now()), stop)
    assert files_of(journal) == before
    with hold_archive(journal), pytest.raises(Unavailable):
        drop_oldest(journal, rule(clock.now()), no_progress, patience_seconds=0.1)
    assert files_of(journal) == before


def test_a_lost_file_of_kept_records_is_refused_by_name(journal: Path) -> None:
    drop_oldest(journal, rule(MICROSECOND_31), no_progress)
    payload = replay_start(journal).payload
    assert payload
    assert payload.parent == archive_folder(journal)
    payload.unlink()
    with pytest.raises(ConfigurationError, match=f"{payload.name} is missing"):
        recover_journal(journal)
