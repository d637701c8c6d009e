"""The key index: which delivery of an id counts, and when what is on disk can't be believed.

A plain dictionary that keeps the lowest position of each key is the measure of it.
"""

from __future__ import annotations

import gc
import os
import weakref
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.storage.keyindex.index import RunKeyIndex
from bursar.storage.keyindex.trust import IndexState, boot_id, close_index, open_index
from bursar.usage.applying import Delivery, event_key
from tests.support.descriptors import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

Keys = tuple[list[bytes], "NDArray[np.uint64]", "NDArray[np.uint64]"]
JOURNAL = "journal-1"
NEW, DUPLICATE, CONFLICT = Delivery.NEW, Delivery.DUPLICATE, Delivery.CONFLICT


def key(name: object) -> bytes:
    return event_key("acme", str(name))


def sorted_keys(deliveries: Iterable[tuple[bytes, int, int]]) -> Keys:
    """Keys, seqs and fingerprints as the store hands them over."""
    rows = sorted(deliveries)
    seqs, prints = (np.array([row[i] for row in rows], dtype=np.uint64) for i in (1, 2))
    return [row[0] for row in rows], seqs, prints


def record(index: RunKeyIndex, *deliveries: tuple[object, int, int]) -> dict[int, tuple[Delivery, int]]:
    """Record (name, seq, fingerprint); returns outcome and first seq by seq."""
    keys, seqs, prints = sorted_keys((key(name), seq, fingerprint) for name, seq, fingerprint in deliveries)
    seen = index.record(keys, seqs, prints)
    outcomes = [Delivery(one) for one in seen.outcomes.tolist()]
    return dict(zip(seqs.tolist(), zip(outcomes, seen.first_seqs.tolist(), strict=True), strict=True))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RunKeyIndex]:
    opened = RunKeyIndex(tmp_path / "keys.index")
    yield opened
    opened.close()


def test_a_first_delivery_is_new_and_a_second_is_not(index: RunKeyIndex) -> None:
    assert record(index, ("a", 1, 7), ("b", 2, 7)) == {1: (NEW, 1), 2: (NEW, 2)}
    assert record(index, ("a", 3, 7), ("b", 4, 8)) == {3: (DUPLICATE, 1), 4: (CONFLICT, 2)}
    assert (index.find(key("a")), index.find(key("b")), index.find(key("c"))) == (1, 2, None)


def test_of_equal_ids_in_one_batch_the_first_counts(index: RunKeyIndex) -> None:
    found = record(index, ("a", 5, 1), ("a", 6, 1), ("a", 7, 2))
    assert found == {5: (NEW, 5), 6: (DUPLICATE, 5), 7: (CONFLICT, 5)}


def test_the_same_batch_again_gets_the_same_answer(index: RunKeyIndex) -> None:
    batch = [("a", 5, 1), ("b", 6, 1), ("a", 7, 2)]
    first = record(index, *batch)
    assert record(index, *batch) == first
    assert index.count() == 2


def test_the_lowest_position_wins_whatever_came_first(index: RunKeyIndex) -> None:
    record(index, ("a", 9, 1))
    assert record(index, ("a", 4, 2)) == {4: (NEW, 4)}
    assert index.find(key("a")) == 4
    assert record(index, ("a", 9, 1)) == {9: (CONFLICT, 4)}


def test_tenants_share_no_key() -> None:
    assert event_key("acme", "1") != event_key("umbrella", "1")
    assert event_key("a", "b") != event_key("ab", "")


def test_it_knows_how_far_it_has_looked(index: RunKeyIndex) -> None:
    assert index.position() == 0
    record(index, ("a", 5, 1))
    assert index.position() == 5
    index.advance(90)
    index.advance(7)
    record(index, ("b", 6, 1))
    assert index.position() == 90


def test_it_counts_the_keys_up_to_a_position(index: RunKeyIndex) -> None:
    record(index, ("a", 5, 1), ("b", 6, 1), ("c", 700, 1), ("a", 800, 1))
    index.advance(1000)
    assert [index.count_up_to(seq) for seq in (4, 5, 6, 699, 700, 1000)] == [0, 1, 2, 2, 3, 3]


deliveries = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=60)
cuts = st.lists(st.integers(0, 60), max_size=8)


@given(deliveries, cuts, st.data())
def test_runs_replayed_after_crashes_end_as_if_there_had_been_none(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[int, int]], cut: list[int], data: st.DataObject
) -> None:
    opened = RunKeyIndex(tmp_path_factory.mktemp("index"))
    journal = [(name, seq, fingerprint) for seq, (name, fingerprint) in enumerate(sent, start=1)]
    first: dict[int, tuple[int, int]] = {}
    for name, seq, fingerprint in journal:
        first.setdefault(name, (seq, fingerprint))
    bounds = sorted({0, len(journal), *(one for one in cut if one < len(journal))})
    for committed, end in pairwise(bounds):
        # Before a run is committed a crash may have repeated it from any earlier commit on.
        start = data.draw(st.sampled_from([one for one in bounds if one <= committed]))
        for seq, (outcome, first_seq) in record(opened, *journal[start:end]).items():
            name, _, fingerprint = journal[seq - 1]
            expected = (
                NEW if first[name][0] == seq else DUPLICATE if first[name][1] == fingerprint else CONFLICT
            )
            assert (outcome, first_seq) == (expected, first[name][0])
    assert {name: opened.find(key(name)) for name in first} == {name: seq for name, (seq, _) in first.items()}
    opened.close()


# Whether it is believed.

RAW = [(key("a"), 1, 11), (key("b"), 2, 12)]
"""What the raw rows say: all that was applied, up to position 2."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cleanly closed index that knows what the raw rows say."""
    path = tmp_path / "keys.index"
    opened, _ = open_index(path, JOURNAL, 2, lambda: [sorted_keys(RAW)])
    close_index(opened, path, JOURNAL)
    return path


def opened_again(path: Path, journal_id: str = JOURNAL, applied_seq: int = 2) -> str | None:
    """Open it; returns why it was rebuilt, if so. Either way it must know what it should."""
    opened, distrust = open_index(path, journal_id, applied_seq, lambda: [sorted_keys(RAW)])
    try:
        assert record(opened, ("a", 5, 11), ("b", 6, 99)) == {5: (DUPLICATE, 1), 6: (CONFLICT, 2)}
        assert opened.count() == 2
    finally:
        opened.close()
    return distrust


def rewrite_state(path: Path, **changes: object) -> None:
    state = msgspec.json.decode(path.with_suffix(".state").read_bytes(), type=IndexState)
    changed = msgspec.structs.replace(state, **changes)
    path.with_suffix(".state").write_bytes(msgspec.json.encode(changed))


def test_a_clean_close_is_believed_on_any_boot(folder: Path) -> None:
    rewrite_state(folder, boot_id="another")
    assert opened_again(folder) is None


def test_a_killed_process_is_believed_on_the_same_boot(folder: Path) -> None:
    rewrite_state(folder, is_clean=False)
    assert boot_id()
    assert opened_again(folder) is None


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"boot_id": "another", "is_clean": False}, "restarted without a clean stop"),
        ({"boot_id": "", "is_clean": False}, "restarted without a clean stop"),
        ({"version": 0}, "another version or journal"),
        ({"scheme": 0}, "another version or journal"),
        ({"journal_id": "journal-2"}, "another version or journal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_another_state_left_is_made_anew(folder: Path, changes: dict[str, object], because: str) -> None:
    rewrite_state(folder, **changes)
    assert because in (opened_again(folder) or "")


def newest(path: Path) -> Path:
    return next(path.glob("*.log"))


def flip_a_bit(path: Path) -> None:
    content = bytearray(newest(path).read_bytes())
    content[60] ^= 1
    newest(path).write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no folder": lambda path: path.rename(path.with_name("elsewhere")),
    "no log": lambda path: newest(path).unlink(),
    "empty log": lambda path: newest(path).write_bytes(b""),
    "noise": lambda path: newest(path).write_bytes(os.urandom(20_000)),
    "a bit": flip_a_bit,
    "half a log": lambda path: os.truncate(newest(path), newest(path).stat().st_size // 2),
    "no list of runs": lambda path: (path / "runs.json").unlink(),
    "torn list of runs": lambda path: os.truncate(path / "runs.json", 20),
    "no state": lambda path: path.with_suffix(".state").unlink(),
    "empty state": lambda path: path.with_suffix(".state").write_bytes(b""),
    "torn state": lambda path: path.with_suffix(".state").write_bytes(b'{"version":1,'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_index_is_made_anew(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder)
    assert opened_again(folder) is not None
    assert opened_again(folder) is None


def test_an_index_behind_the_store_has_lost_writes_and_is_made_anew(folder: Path) -> None:
    assert "it is at 2, the store at 3" in (opened_again(folder, applied_seq=3) or "")


def test_a_rebuild_that_was_cut_short_is_begun_again(folder: Path) -> None:
    def half_of_the_keys() -> Iterator[Keys]:
        yield sorted_keys(RAW[1:])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_index(folder, "journal-2", 2, half_of_the_keys)
    assert opened_again(folder, "journal-2") == "there was none"


def test_an_index_ahead_of_the_store_is_believed(folder: Path) -> None:
    # A crash between the two: the run is applied again and finds itself.
    opened, distrust = open_index(folder, JOURNAL, 1, list)
    assert distrust is None
    assert record(opened, ("b", 2, 12)) == {2: (NEW, 2)}
    opened.close()


def test_an_index_in_use_is_marked_so_durably_before_it_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a power cut could leave half-written pages beside a note that says all is well.
    synced: list[bytes] = []
    fsync = os.fsync

    def noting_fsync(descriptor: int) -> None:
        path = Path(path_of(descriptor))
        if not path.is_dir():
            synced.append(path.read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    opened, _ = open_index(folder, JOURNAL, 2, list)
    assert [msgspec.json.decode(one)["is_clean"] for one in synced] == [False]
    opened.close()


def test_what_the_index_says_otherwise_is_found_in_bulk(index: RunKeyIndex) -> None:
    keys, seqs, prints = sorted_keys((key(f"e{i}"), i + 1, 7) for i in range(1000))
    index.record(keys, seqs, prints)
    assert index.differences(keys, seqs) == {}
    assert index.count_up_to(600) == 600
    moved = seqs.copy()
    moved[3] += 1
    assert index.differences(keys, moved) == {3: int(seqs[3])}
    more = sorted([*keys, key("unknown")])
    place = more.index(key("unknown"))
    with_more = np.insert(moved, place, 5)
    three = 3 if place > 3 else 4
    assert index.differences(more, with_more) == {place: None, three: int(seqs[3])}
    assert index.differences([], np.array([], np.uint64)) == {}


def test_an_index_that_nobody_refers_to_lets_go_of_its_files_at_once(tmp_path: Path) -> None:
    abandoned = RunKeyIndex(tmp_path / "keys.index")
    record(abandoned, ("a", 1, 1))
    gone = weakref.ref(abandoned._files)
    gc.disable()
    try:
        del abandoned
        assert gone() is None
    finally:
        gc.enable()
