"""A restored journal goes on under an id of its own, and knows the journals that it continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from bursar.errors import ConfigurationError
from bursar.storage.journal.identity import Ancestor, JournalIdentity, claim_identity, read_identity
from bursar.storage.journal.manifest import load_manifest
from bursar.storage.journal.recover import SEQ_GAP, adopt_journal, recover_journal
from bursar.storage.journal.segments import load_segments, segment_paths
from tests.support.archive import archive_everything, copied, lines_of, write_many
from tests.support.journal import names_in, some_records, write_groups

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """A copy of a journal of 90 records, half of it archived, with an identity of its own."""
    write_many(tmp_path / "original")
    archive_everything(tmp_path / "original")
    folder = copied(tmp_path / "original", tmp_path / "restored")
    adopt_journal(folder)
    return folder


def test_a_restored_journal_continues_behind_the_original(restored: Path, tmp_path: Path) -> None:
    original, ours = read_identity(tmp_path / "original"), read_identity(restored)
    assert original
    assert ours
    assert ours.journal_id != original.journal_id
    assert ours.lineage == (Ancestor(original.journal_id, 90),)
    write_groups(restored, [some_records("new")])
    assert [msgspec.json.decode(line)["seq"] for line in lines_of(restored)] == list(range(1, 94))
    assert load_segments(restored)[-1].header.journal_id == ours.journal_id
    archive_everything(restored)
    assert len(lines_of(restored)) == 93
    assert load_manifest(restored).files[-1].journal_id == original.journal_id


def test_what_follows_a_restore_stands_in_a_segment_of_its_own(restored: Path) -> None:
    before = segment_paths(restored)[-1].read_bytes()
    write_groups(restored, [some_records("new")])
    assert segment_paths(restored)[-2].read_bytes() == before


def test_positions_of_ancestors_are_covered_up_to_their_end(restored: Path, tmp_path: Path) -> None:
    original = claim_identity(tmp_path / "original").journal_id
    ours = claim_identity(restored)
    assert ours.covers(original, 90)
    assert not ours.covers(original, 91)
    assert ours.covers(ours.journal_id, 10**9)
    assert not ours.covers("another", 1)


def test_a_restore_of_a_restore_knows_both(restored: Path) -> None:
    first = claim_identity(restored)
    write_groups(restored, [some_records("b")])
    second = adopt_journal(restored)
    assert second.lineage == (*first.lineage, Ancestor(first.journal_id, 93))
    write_groups(restored, [some_records("c")])
    archive_everything(restored)
    assert len(lines_of(restored)) == 96


def test_segments_that_the_original_wrote_later_are_refused(restored: Path, tmp_path: Path) -> None:
    write_groups(tmp_path / "original", [some_records("later")])
    last = segment_paths(tmp_path / "original")[-1]
    (restored / last.name).write_bytes(last.read_bytes())
    with pytest.raises(ConfigurationError, match=r"reaches seq 93 of journal .*, beyond"):
        recover_journal(restored)


def test_a_segment_of_an_ancestor_behind_our_own_is_refused(restored: Path) -> None:
    write_groups(restored, [some_records("ours")])
    newest = segment_paths(restored)[-1]
    header, rest = newest.read_bytes().split(b"\n", 1)
    identity = claim_identity(restored)
    foreign = header.replace(identity.journal_id.encode(), identity.lineage[0].journal_id.encode())
    newest.write_bytes(foreign + b"\n" + rest)
    with pytest.raises(ConfigurationError, match="beyond what"):
        recover_journal(restored)


def test_a_torn_tail_stays_out_of_a_restored_journal(tmp_path: Path) -> None:
    write_groups(tmp_path, [some_records("a")])
    with segment_paths(tmp_path)[0].open("ab") as file:
        file.write(b"~F1 half a frame")
    adopt_journal(tmp_path)
    assert recover_journal(tmp_path).next_seq == 4 + SEQ_GAP
    write_groups(tmp_path, [some_records("b")])
    assert names_in(tmp_path) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_a_journal_of_format_1_is_read_and_goes_on_in_format_2(tmp_path: Path) -> None:
    write_groups(tmp_path, [some_records("a")])
    for path in (tmp_path / "IDENTITY", segment_paths(tmp_path)[0]):
        path.write_bytes(path.read_bytes().replace(b'"format":2', b'"format":1', 1))
    assert names_in(tmp_path) == ["a0", "a1", "a2"]
    write_groups(tmp_path, [some_records("b")])
    archive_everything(tmp_path)
    assert names_in(tmp_path) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert [segment.header.format for segment in load_segments(tmp_path)] == [1, 2]
    assert claim_identity(tmp_path) == JournalIdentity(2, claim_identity(tmp_path).journal_id)
