"""A process that dies at any step of changing the archive loses nothing and leaves nothing behind.

A child process does the work and is ended, as by SIGKILL, right before its n-th change of the file
system; n grows until the work gets through.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from bursar.storage.journal.manifest import load_manifest
from bursar.storage.journal.recover import recover_journal
from tests.support.archive import (
    archive_everything,
    archived_paths,
    copied,
    files_of,
    lines_of,
    plain_names,
    write_many,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of several small segments."""
    folder = tmp_path / "journal"
    write_many(folder, groups=9)
    return folder


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
