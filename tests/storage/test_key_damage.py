"""A byte of the key index that changes on the disk: noticed before it gives a wrong answer.

Limits are made small, so that some hundred keys make several files, with removed keys and half-done merges.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bursar.storage.keyindex import files as files_module
from bursar.storage.keyindex import levels as levels_module
from bursar.storage.keyindex import merge as merge_module
from bursar.storage.keyindex.files import IndexFiles
from bursar.storage.keyindex.index import RunKeyIndex
from bursar.storage.keyindex.manifest import read_manifest
from bursar.storage.keyindex.trust import close_index, open_index
from bursar.usage.applying import Delivery, event_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.storage.keyindex.trust import Keys

JOURNAL = "journal-1"
EVENTS, EXPIRED = 700, 150
REGIONS = ("upper", "lower", "position", "fingerprint", "filter")
TRIES = 12


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "TAIL_KEYS", 16)
    monkeypatch.setattr(levels_module, "LAST_LEVEL", 3)
    monkeypatch.setattr(merge_module, "SLICE_KEYS", 8)


def key(number: int) -> bytes:
    return event_key("acme", str(number))


def sorted_keys(numbers: range, seq_from: int = 1) -> Keys:
    """Keys of these numbers; each event's position is its number and `seq_from`."""
    rows = sorted((key(number), number + seq_from) for number in numbers)
    seqs = np.array([seq for _, seq in rows], np.uint64)
    return [name for name, _ in rows], seqs, np.full(len(rows), 7, np.uint64)


def raw_keys() -> Iterator[Keys]:
    """What the store has: all events but those that expired."""
    yield sorted_keys(range(EXPIRED, EVENTS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index of 700 events, of which the first 150 expired while it grew; closed."""
    path = tmp_path / "keys"
    index, _ = open_index(path, JOURNAL, 0, list)
    for start in range(0, EVENTS, 10):
        index.record(*sorted_keys(range(start, start + 10)))
        expired = start - 100 if start < 200 else start - EVENTS + EXPIRED
        if 0 <= expired < EXPIRED:
            # Some leave with a merge, the last ones are still marked at the end.
            index.remove(*sorted_keys(range(expired, expired + 10))[:2])
    close_index(index, path, JOURNAL)
    return path


def answers_are_right(path: Path) -> str | None:
    """Ask for all ids again; returns why the index was made anew, if it was."""
    index, distrust = open_index(path, JOURNAL, EVENTS, raw_keys)
    keys, seqs, prints = sorted_keys(range(EVENTS), seq_from=10_001)
    firsts = {key(number): number + 1 for number in range(EXPIRED, EVENTS)}
    seen = index.record(keys, seqs, prints)
    for name, seq, outcome, first in zip(keys, seqs, seen.outcomes, seen.first_seqs, strict=True):
        expected = (Delivery.DUPLICATE, firsts[name]) if name in firsts else (Delivery.NEW, seq)
        assert (outcome, first) == expected
    index.close()
    return distrust


def flip(path: Path, at: int, mask: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


def test_what_is_whole_is_believed(folder: Path) -> None:
    assert answers_are_right(folder) is None


@pytest.mark.parametrize("region", range(len(REGIONS)), ids=REGIONS)
def test_a_changed_byte_of_a_run_is_noticed_at_the_start(folder: Path, tmp_path: Path, region: int) -> None:
    chance, runs = random.Random(region), read_manifest(folder).runs
    assert len(runs) > 3
    assert any(run.keys < run.room for run in runs), "a merge left removed keys out"
    for number in range(TRIES):
        copy = tmp_path / f"damaged-{number}"
        shutil.copytree(folder, copy)
        shutil.copy(folder.with_suffix(".state"), copy.with_suffix(".state"))
        run = chance.choice(runs)
        length = run.filter_words if REGIONS[region] == "filter" else run.keys
        flip(copy / run.name, 8 * region * run.room + chance.randrange(8 * length), 1 << chance.randrange(8))
        assert "isn't what was written" in (answers_are_right(copy) or "")
        shutil.rmtree(copy)


@pytest.mark.parametrize("name", ["runs.json", "log"])
def test_a_changed_byte_elsewhere_gives_no_wrong_answer(folder: Path, tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    path = folder / read_manifest(folder).log if name == "log" else folder / name
    for number in range(2 * TRIES):
        copy = tmp_path / f"damaged-{number}"
        shutil.copytree(folder, copy)
        shutil.copy(folder.with_suffix(".state"), copy.with_suffix(".state"))
        flip(copy / path.name, chance.randrange(path.stat().st_size), 1 << chance.randrange(8))
        assert answers_are_right(copy) is not None
        shutil.rmtree(copy)


def test_a_byte_that_changes_while_it_is_open_is_noticed_by_the_merge_that_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    index, _ = open_index(path, JOURNAL, 0, list)
    for start in range(0, 50, 10):
        index.record(*sorted_keys(range(start, start + 10)))
    run = next(path.glob("*.run"))
    flip(run, run.stat().st_size // 4, 1)

    def go_on(start: int, end: int) -> None:
        for first in range(start, end, 10):
            index.record(*sorted_keys(range(first, first + 10)))

    for start in (50, EVENTS - 10):
        with pytest.raises(RunKeyIndex.Damaged, match="isn't what was written"):
            go_on(start, EVENTS)
    assert "isn't what was written" in (answers_are_right(path) or "")


def test_a_kill_between_a_removal_and_its_marks_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = RunKeyIndex(folder)
    index.record(*sorted_keys(range(EVENTS, EVENTS + 4)))

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(IndexFiles, "_mark_gone", kill)
        with pytest.raises(KeyboardInterrupt):
            index.remove(*sorted_keys(range(EXPIRED, EXPIRED + 20))[:2])
    for _ in range(2):
        index = RunKeyIndex(folder)
        assert index.find(key(EXPIRED)) is None
        assert index.find(key(EXPIRED + 20)) == EXPIRED + 21
    index.close()
