"""The key index beyond what fits into memory: runs in files, merges, kills in between, a full disk.

Limits are made small, so that some hundred keys go through every level. A plain dictionary that keeps the
lowest position of each key is the measure.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import structlog

from bursar.storage.keyindex import files as files_module
from bursar.storage.keyindex import levels as levels_module
from bursar.storage.keyindex import merge as merge_module
from bursar.storage.keyindex.index import RunKeyIndex
from bursar.storage.keyindex.run import fill_filter, filter_bits, filter_size, filter_words, make_file
from bursar.storage.keyindex.trust import close_index, open_index
from bursar.usage.applying import Delivery, event_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

Known = dict[bytes, tuple[int, int]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "TAIL_KEYS", 16)
    monkeypatch.setattr(levels_module, "LAST_LEVEL", 3)
    monkeypatch.setattr(merge_module, "SLICE_KEYS", 8)


def record(index: RunKeyIndex, known: Known, deliveries: list[tuple[bytes, int, int]]) -> None:
    """Record deliveries and compare every answer with the dictionary's."""
    rows = sorted(deliveries)
    seqs, prints = (np.array([row[i] for row in rows], np.uint64) for i in (1, 2))
    seen = index.record([row[0] for row in rows], seqs, prints)
    for key, seq, fingerprint in rows:
        if key not in known or seq < known[key][0]:
            known[key] = (seq, fingerprint)
    for i, (key, seq, fingerprint) in enumerate(rows):
        first, first_print = known[key]
        same = Delivery.DUPLICATE if fingerprint == first_print else Delivery.CONFLICT
        assert (seen.outcomes[i], seen.first_seqs[i]) == (Delivery.NEW if seq == first else same, first)


def remove(index: RunKeyIndex, known: Known, keys: list[bytes]) -> None:
    index.remove(keys, np.array([known[key][0] for key in keys], np.uint64))
    for key in keys:
        del known[key]


def compare(index: RunKeyIndex, known: Known) -> None:
    assert list(index.items()) == sorted((key, *value) for key, value in known.items())
    assert index.count() == len(known)
    assert index.find_all(sorted(known)) == {key: seq for key, (seq, _) in known.items()}
    half = index.position() // 2
    assert index.count_up_to(half) == sum(seq <= half for seq, _ in known.values())


@pytest.mark.parametrize("seed", range(6))
def test_it_says_the_same_as_a_dictionary_through_merges_removals_and_kills(
    tmp_path: Path, seed: int
) -> None:
    chance, known, seq = random.Random(seed), Known(), 0
    index = RunKeyIndex(tmp_path / "keys")
    for _ in range(120):
        count = chance.randrange(1, 30)
        names = [event_key("acme", str(chance.randrange(3000))) for _ in range(count)]
        record(index, known, [(key, seq + i, chance.randrange(2)) for i, key in enumerate(names, start=1)])
        seq += count
        if chance.random() < 0.2:
            remove(index, known, chance.sample(sorted(known), min(5, len(known))))
        if chance.random() < 0.1:
            # As after a kill: nothing is closed, a merge may be half done.
            index = RunKeyIndex(tmp_path / "keys")
            assert index.position() == seq
    compare(index, known)
    assert len(list((tmp_path / "keys").glob("*.run"))) < 20
    index.close()
    index = RunKeyIndex(tmp_path / "keys")
    compare(index, known)
    index.close()


def test_an_earlier_delivery_takes_a_key_over_wherever_the_later_one_is(tmp_path: Path) -> None:
    index, known = RunKeyIndex(tmp_path / "keys"), Known()
    keys = [event_key("acme", str(i)) for i in range(200)]
    for i, key in enumerate(keys):
        record(index, known, [(key, 1000 + i, 1)])
    record(index, known, [(key, 10 + i, 2) for i, key in enumerate(keys)])
    compare(index, known)
    assert index.count_up_to(999) == 200
    index.close()


def test_keys_of_equal_upper_halves_are_told_apart(tmp_path: Path) -> None:
    index, known = RunKeyIndex(tmp_path / "keys"), Known()
    keys = [b"\x07" * 8 + i.to_bytes(8, "big") for i in range(100)]
    for i, key in enumerate(keys):
        record(index, known, [(key, i + 1, 1)])
    record(index, known, [(key, 500 + i, 1) for i, key in enumerate(keys)])
    compare(index, known)
    index.close()


def test_a_copy_is_a_whole_index_of_its_own(tmp_path: Path) -> None:
    index, known = RunKeyIndex(tmp_path / "keys"), Known()
    record(index, known, [(event_key("acme", str(i)), i + 1, 1) for i in range(300)])
    record(index, known, [(event_key("acme", "last"), 400, 1)])
    (tmp_path / "copy").mkdir()
    index.copy_to(tmp_path / "copy")
    index.close()
    copy = RunKeyIndex(tmp_path / "copy")
    compare(copy, known)
    assert copy.position() == 400
    copy.close()


def test_a_file_of_another_length_is_noticed_and_the_index_made_anew(tmp_path: Path) -> None:
    path, known = tmp_path / "keys", Known()
    index, _ = open_index(path, "journal", 0, list)
    record(index, known, [(event_key("acme", str(i)), i + 1, 1) for i in range(300)])
    close_index(index, path, "journal")
    run = next(path.glob("*.run"))
    os.truncate(run, run.stat().st_size - 8)
    index, distrust = open_index(path, "journal", 300, list)
    assert "not the length" in (distrust or "")
    index.close()


def test_without_room_for_files_keys_stay_in_memory_and_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, known = RunKeyIndex(tmp_path / "keys"), Known()
    with monkeypatch.context() as full, structlog.testing.capture_logs() as lines:
        full.setattr(os, "posix_fallocate", _no_room)
        for i in range(100):
            record(index, known, [(event_key("acme", str(i)), i + 1, 1)])
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "the key index can't be tidied; it will be retried")
    ]
    assert "No space left on device" in lines[0]["error"]
    compare(index, known)
    assert not list((tmp_path / "keys").glob("*.run"))
    record(index, known, [(event_key("acme", "more"), 200, 1)])
    assert list((tmp_path / "keys").glob("*.run"))
    compare(index, known)
    index.close()


def test_each_trouble_of_tidying_is_logged_once_until_it_succeeds_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, known = RunKeyIndex(tmp_path / "keys"), Known()
    for start in (1, 51):
        with monkeypatch.context() as full, structlog.testing.capture_logs() as lines:
            full.setattr(files_module, "write_manifest", _no_room)
            full.setattr(Path, "unlink", _not_allowed)
            for seq in range(start, start + 49):
                record(index, known, [(event_key("acme", str(seq)), seq, 1)])
        assert [line["event"] for line in lines] == [
            "the key index can't be tidied; it will be retried",
            "the key index has files that can't be deleted yet",
        ]
        record(index, known, [(event_key("acme", str(start + 49)), start + 49, 1)])
    compare(index, known)
    index.close()


def test_what_is_begun_and_not_finished_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, known = RunKeyIndex(tmp_path / "keys"), Known()
    with monkeypatch.context() as full:
        full.setattr(files_module, "write_manifest", _no_room)
        for i in range(100):
            record(index, known, [(event_key("acme", str(i)), i + 1, 1)])
    assert {path.suffix for path in (tmp_path / "keys").iterdir()} == {".log", ".json"}
    assert len(list((tmp_path / "keys").iterdir())) == 2
    compare(index, known)
    index.close()


def test_a_file_is_not_begun_that_would_take_the_last_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def noting(_file: int, _start: int, size: int) -> None:
        asked.append(size)

    monkeypatch.setattr(os, "posix_fallocate", noting)
    disk = os.statvfs(tmp_path)
    room = disk.f_bavail * disk.f_frsize // 32
    with pytest.raises(OSError, match="No space left"):
        make_file(tmp_path, "a.run", room, 4)
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_removed_keys_leave_the_largest_files_too(tmp_path: Path) -> None:
    index, known = RunKeyIndex(tmp_path / "keys"), Known()
    for start in range(0, 6000, 20):
        keys = [event_key("acme", str(i)) for i in range(start, start + 20)]
        record(index, known, [(key, start + i, 1) for i, key in enumerate(keys, start=1)])
    before = _bytes_of(tmp_path / "keys")
    oldest = sorted(known, key=known.__getitem__)[:5500]
    for start in range(0, len(oldest), 50):
        remove(index, known, sorted(oldest[start : start + 50]))
    for i in range(6000, 6600):
        record(index, known, [(event_key("acme", str(i)), i + 1, 1)])
    compare(index, known)
    assert _bytes_of(tmp_path / "keys") < before / 2
    index.close()
    index = RunKeyIndex(tmp_path / "keys")
    compare(index, known)
    index.close()


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.run"))


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def _not_allowed(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_filter_passes_every_known_key_and_few_others() -> None:
    rng = np.random.default_rng(5)
    known, others = (np.sort(rng.integers(0, 2**64, 50_000, dtype=np.uint64)) for _ in range(2))
    words = np.zeros(filter_size(len(known)), np.uint64)
    assert 2 <= words.nbytes / len(known) <= 4
    fill_filter(words, known)

    def passing(upper: NDArray[np.uint64]) -> int:
        bits = filter_bits(upper)
        return int(((words[filter_words(upper, len(words))] & bits) == bits).sum())

    assert passing(known) == len(known)
    assert passing(others) < len(others) / 100
