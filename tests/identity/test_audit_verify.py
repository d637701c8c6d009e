"""Whatever is changed in a chain of the audit log, verifying it says so; what is whole stays clean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bursar.identity.audit.entry import hash_of, new_head, read_words, spell
from bursar.identity.audit.store import KeptEntry, Remembered
from bursar.identity.audit.verify import FAULTS_LIMIT, ChainReport, refuse_replaced, verify_chain
from tests.support.audit import NOON, a_chain, a_deed, kept_of

if TYPE_CHECKING:
    from bursar.identity.audit.deed import Deed
    from bursar.identity.audit.entry import Head

DEEDS = st.lists(
    st.builds(
        a_deed,
        st.sampled_from(["key.create", "key.revoke", "tenant.change"]),
        target=st.text(max_size=5),
        after=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=3),
    ),
    min_size=3,
    max_size=8,
)


def kinds(head: Head, kept: list[KeptEntry], *places: Remembered) -> set[str]:
    return {fault.kind for fault in verify_chain(head, kept, places).faults}


def place_of(head: Head) -> Remembered:
    return Remembered(head.owner, head.chain, head.number, head.hash, NOON)


@given(DEEDS)
def test_a_whole_chain_is_clean(deeds: list[Deed]) -> None:
    head, kept = a_chain("acme", deeds)
    report = verify_chain(head, kept, [place_of(head)])
    assert (report.is_clean, report.entries, report.last_hash) == (True, len(kept), head.hash)


@given(DEEDS, st.data())
def test_a_changed_byte_shows(deeds: list[Deed], data: st.DataObject) -> None:
    head, kept = a_chain("acme", deeds)
    index = data.draw(st.integers(0, len(kept) - 1))
    spelled = kept[index].spelled
    where = data.draw(st.integers(0, len(spelled) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda one: one != spelled[where]))
    kept[index] = replace(kept[index], spelled=spelled[:where] + other + spelled[where + 1 :])
    assert "changed" in kinds(head, kept)


@given(DEEDS, st.data())
def test_a_removed_entry_shows(deeds: list[Deed], data: st.DataObject) -> None:
    head, kept = a_chain("acme", deeds)
    del kept[data.draw(st.integers(0, len(kept) - 1))]
    assert kinds(head, kept) & {"missing", "cut"}


@given(DEEDS, st.data())
def test_entries_in_another_order_show(deeds: list[Deed], data: st.DataObject) -> None:
    head, kept = a_chain("acme", deeds)
    first, second = data.draw(
        st.lists(st.integers(0, len(kept) - 1), min_size=2, max_size=2, unique=True).map(sorted)
    )
    one, other = kept[first], kept[second]
    kept[first], kept[second] = replace(other, number=one.number), replace(one, number=other.number)
    assert "moved" in kinds(head, kept)


@given(DEEDS, st.data())
def test_an_inserted_entry_shows_even_with_a_hash_that_fits(deeds: list[Deed], data: st.DataObject) -> None:
    head, kept = a_chain("acme", deeds)
    index = data.draw(st.integers(0, len(kept)))
    before = kept[index - 1].hash if index else head.first_hash
    words = structs.replace(read_words(kept[0].spelled), number=index + 1)
    later = [replace(one, number=one.number + 1) for one in kept[index:]]
    assert kinds(head, [*kept[:index], kept_of(words, before), *later])


@given(DEEDS, st.data())
def test_a_cut_tail_shows_by_the_head_and_with_a_forged_head_by_the_remembered_place(
    deeds: list[Deed], data: st.DataObject
) -> None:
    head, kept = a_chain("acme", deeds)
    left = data.draw(st.integers(0, len(kept) - 1))
    cut = kept[:left]
    assert "cut" in kinds(head, cut)
    forged = replace(head, number=left, hash=cut[-1].hash if cut else head.first_hash)
    assert kinds(forged, cut) == set()
    assert kinds(forged, cut, place_of(head)) == {"cut"}


@given(DEEDS, st.data())
def test_a_chain_that_is_written_anew_shows_by_the_remembered_place(
    deeds: list[Deed], data: st.DataObject
) -> None:
    head, kept = a_chain("acme", deeds)
    index = data.draw(st.integers(0, len(kept) - 1))
    place = place_of(head)
    before = kept[index - 1].hash if index else head.first_hash
    for number in range(index, len(kept)):
        spelled = kept[number].spelled.replace('"key_1"', '"key_2"')
        before = hash_of(before, spelled)
        kept[number] = replace(kept[number], spelled=spelled, hash=before, actor_id="key_2")
    forged = replace(head, hash=before)
    assert kinds(forged, kept) == set()
    assert kinds(forged, kept, place) == {"rewritten"}


def test_an_entry_that_is_listed_under_another_act_shows() -> None:
    head, kept = a_chain("acme", [a_deed("key.revoke")])
    assert kinds(head, [replace(kept[0], act="key.create")]) == {"changed"}


def test_entries_taken_off_the_beginning_show_unless_a_later_entry_says_so() -> None:
    head, kept = a_chain("acme", [a_deed()] * 3)
    signed = a_deed("audit.trim", after={"through": 2, "hash": kept[1].hash})
    trimmed = replace(head, trimmed_number=2, trimmed_hash=kept[1].hash)
    assert kinds(trimmed, kept[2:]) == {"unsigned_trim"}
    words = structs.replace(read_words(kept[2].spelled), number=4, deed=signed)
    last = kept_of(words, kept[2].hash)
    assert kinds(replace(trimmed, number=4, hash=last.hash), [kept[2], last]) == set()


def test_faults_are_counted_beyond_those_that_are_told() -> None:
    head, kept = a_chain("acme", [a_deed()] * 40)
    report = verify_chain(head, [replace(one, act="x") for one in kept])
    assert (report.fault_count, len(report.faults)) == (40, FAULTS_LIMIT)


def test_another_chain_in_the_place_of_one_shows_unless_its_tenant_was_made_later() -> None:
    old, new = new_head("acme"), new_head("acme")
    for since, found in ((None, 1), (NOON.replace(hour=11), 1), (NOON.replace(hour=13), 0)):
        report = ChainReport("acme", new.chain)
        refuse_replaced(report, [place_of(old)], since)
        assert report.fault_count == found


def test_the_words_of_an_entry_are_the_same_each_time_they_are_spelled() -> None:
    _, kept = a_chain("acme", [a_deed(after={"b": 1, "a": [1.5, None, "ü\0"]})])
    assert spell(read_words(kept[0].spelled)) == kept[0].spelled
