"""A process that dies at any step of changing the archive loses nothing and leaves nothing behind.

A child process does the work and is ended, as by SIGKILL, right before its n-th change of the file
system; n grows until the work gets through.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from bursar import clock
from bursar.storage.journal.dropping import DropRule, drop_oldest, renew_start, replay_start
from bursar.storage.journal.manifest import load_manifest
from bursar.storage.journal.recover import adopt_journal, recover_journal
from bursar.storage.journal.rewriting import rewrite
from tests.support.archive import (
    archive_everything,
    archived_paths,
    copied,
    files_of,
    lines_of,
    no_progress,
    plain_names,
    tombstone,
    write_many,
)
from tests.support.journal import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bursar.usage.applying import RecordBatch

KILLED, DONE, FAILED = 9, 0, 1
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.truncate"})


def run_and_kill(work: Callable[[], object], before_change: int) -> bool:
    """Do the work in a child that dies right before this change; whether it got through instead."""
    child = os.fork()
    if child == 0:
        left = before_change

        def count_down(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            writes = event == "open" and len(arguments) > 2 and int(str(arguments[2])) & os.O_ACCMODE
            if event in CHANGES or writes:
                left -= 1
                if left < 0:
                    os._exit(KILLED)

        sys.addaudithook(count_down)
        try:
            work()
        except BaseException:  # noqa: BLE001 - told by the exit code
            os._exit(FAILED)
        os._exit(DONE)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {KILLED, DONE}
    return code == DONE


def killed_at_each_step(
    journal: Path, tmp_path: Path, work: Callable[[Path], object]
) -> Iterator[tuple[Path, bool]]:
    """A copy of the journal for each change that the work was killed before; the last says it got through."""
    steps, done = 0, False
    while not done:
        folder = copied(journal, tmp_path / f"killed-{steps}")
        done = run_and_kill(lambda folder=folder: work(folder), steps)
        yield folder, done
        steps += 1


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of several small segments."""
    folder = tmp_path / "journal"
    write_many(folder, groups=9)
    return folder


def keep_lines(_previous: Path | None, dropped: Iterator[RecordBatch], new: Path) -> None:
    """Keep all that goes."""
    new.write_bytes(b"".join(batch.payload for batch in dropped))


def leftovers(journal: Path) -> set[str]:
    """Files that neither the manifest nor the chain knows."""
    manifest = load_manifest(journal)
    known = {"MANIFEST.json", "IDENTITY", *(entry.name for entry in manifest.files)}
    if manifest.start and manifest.start.payload:
        known.add(manifest.start.payload)
    archived = {entry.segment for entry in manifest.files}
    return set(files_of(journal)) - known - (set(plain_names(journal)) - archived)


def test_an_archiving_killed_at_any_step_loses_nothing(journal: Path, tmp_path: Path) -> None:
    expected = lines_of(journal)
    folder, steps, littered, done = journal, 0, 0, False
    while not done:
        folder = copied(journal, tmp_path / f"killed-{steps}")
        done = run_and_kill(lambda folder=folder: archive_everything(folder), steps)
        assert lines_of(copied(folder, tmp_path / f"read-{steps}"), last_seq=27) == expected
        littered += bool(leftovers(folder))
        recover_journal(folder)
        assert not leftovers(folder)
        archive_everything(folder)
        assert lines_of(folder) == expected
        assert len(plain_names(folder)) == 1
        steps += 1
    assert len(archived_paths(folder)) >= 2
    assert steps > 3 + 4 * len(archived_paths(folder))
    assert littered > 2 * len(archived_paths(folder))


def test_a_rewrite_killed_at_any_step_shows_the_old_archive_or_the_new_one(
    journal: Path, tmp_path: Path
) -> None:
    archive_everything(journal)
    old = lines_of(journal)
    new = [tombstone(i + 1, line) if i < 18 and i % 2 else line for i, line in enumerate(old)]

    def bury(seq: int, line: bytes) -> bytes | None:
        return tombstone(seq, line) if seq <= 18 and seq % 2 == 0 else None

    littered, seen = 0, [old]
    for folder, _ in killed_at_each_step(
        journal, tmp_path, lambda folder: rewrite(folder, bury, EVERYTHING, no_progress)
    ):
        littered += bool(leftovers(folder))
        found = lines_of(copied(folder, tmp_path / f"read-{folder.name}"), last_seq=27)
        assert found in (old, new)
        seen += [found] if found != seen[-1] else []
        recover_journal(folder)
        assert not leftovers(folder)
        assert lines_of(folder) == found
        rewrite(folder, bury, EVERYTHING, no_progress)
        assert lines_of(folder) == new
    assert seen == [old, new]
    assert littered >= 5


def test_a_drop_killed_at_any_step_has_dropped_all_or_nothing(journal: Path, tmp_path: Path) -> None:
    archive_everything(journal)
    lines = lines_of(journal)
    rule = DropRule(before=clock.now(), is_needed=lambda entry: entry.last_seq > 18, carry=keep_lines)
    littered, starts = 0, [0]
    for folder, _ in killed_at_each_step(
        journal, tmp_path, lambda folder: drop_oldest(folder, rule, no_progress)
    ):
        littered += bool(leftovers(folder))
        recover_journal(folder)
        assert not leftovers(folder)
        start = replay_start(folder)
        kept = start.payload.read_bytes().splitlines() if start.payload else []
        assert kept == lines[: start.after_seq]
        assert lines_of(folder, after_seq=start.after_seq) == lines[start.after_seq :]
        starts += [start.after_seq] if start.after_seq != starts[-1] else []
    assert starts == [0, 18]
    assert littered >= 3


def test_an_adoption_killed_at_any_step_is_done_or_not(journal: Path, tmp_path: Path) -> None:
    archive_everything(journal)
    lines = lines_of(journal)
    original = recover_journal(journal).identity
    for steps, (folder, done) in enumerate(killed_at_each_step(journal, tmp_path, adopt_journal)):
        identity = recover_journal(folder).identity
        assert (identity == original) != bool(identity.lineage)
        assert done == bool(identity.lineage) or steps > 1
        assert lines_of(folder) == lines


def test_a_renewed_start_killed_at_any_step_keeps_the_old_lines_or_the_new_ones(
    journal: Path, tmp_path: Path
) -> None:
    archive_everything(journal)
    lines = lines_of(journal)
    rule = DropRule(before=clock.now(), is_needed=lambda entry: entry.last_seq > 18, carry=keep_lines)
    drop_oldest(journal, rule, no_progress)
    old = lines[:18]
    new = [tombstone(i + 1, line) for i, line in enumerate(old)]

    def bury(earlier: Path | None, _dropped: Iterator[RecordBatch], renewed: Path) -> None:
        kept = earlier.read_bytes().splitlines() if earlier else []
        renewed.write_bytes(b"".join(tombstone(i + 1, line) + b"\n" for i, line in enumerate(kept)))

    littered, seen = 0, [old]
    for folder, _ in killed_at_each_step(
        journal, tmp_path, lambda folder: renew_start(folder, bury, no_progress)
    ):
        littered += bool(leftovers(folder))
        recover_journal(folder)
        assert not leftovers(folder)
        start = replay_start(folder)
        assert (start.after_seq, start.payload is not None) == (18, True)
        kept = start.payload.read_bytes().splitlines() if start.payload else []
        assert kept in (old, new)
        seen += [kept] if kept != seen[-1] else []
        assert lines_of(folder, after_seq=18) == lines[18:]
    assert seen == [old, new]
    assert littered >= 2
