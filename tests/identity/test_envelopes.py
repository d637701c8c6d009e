"""Envelopes and master keys: what opens a secret, what doesn't, and what never shows one."""

from __future__ import annotations

import base64
import os
import traceback
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import ConfigurationError, NoEncryptionKey, SecretUnreadable
from bursar.identity.credentials.credential import hint_of
from bursar.identity.credentials.envelope import seal, unseal
from bursar.identity.credentials.master_keys import (
    KeyRing,
    master_key,
    new_key_text,
    read_keys,
)

SECRET = "sk-" + "proj-0123456789abcdefXYZW"
ABOUT = ("credential", "acme", "crd_1", "openai", "admin")


def a_ring(*contents: bytes) -> KeyRing:
    return KeyRing(map(master_key, contents))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=700))
def test_what_was_sealed_comes_back_to_the_letter(secret: str) -> None:
    ring = a_ring(os.urandom(32))
    assert unseal(seal(secret, ABOUT, ring), ABOUT, ring) == secret


def test_equal_secrets_look_different_and_lengths_tell_little() -> None:
    ring = a_ring(os.urandom(32))
    one, other, short = (seal(text, ABOUT, ring) for text in (SECRET, SECRET, "x"))
    assert one.sealed != other.sealed
    assert one.wrapped_key != other.wrapped_key
    assert len(one.sealed) == len(short.sealed)


@pytest.mark.parametrize("place", range(len(ABOUT)))
def test_an_envelope_opens_only_for_what_it_is_about(place: int) -> None:
    ring = a_ring(os.urandom(32))
    envelope = seal(SECRET, ABOUT, ring)
    moved = (*ABOUT[:place], "other", *ABOUT[place + 1 :])
    with pytest.raises(SecretUnreadable, match="doesn't open"):
        unseal(envelope, moved, ring)


def test_names_cannot_be_shifted_into_each_other() -> None:
    ring = a_ring(os.urandom(32))
    envelope = seal(SECRET, ("a", "bc"), ring)
    with pytest.raises(SecretUnreadable):
        unseal(envelope, ("ab", "c"), ring)


def test_an_envelope_whose_key_id_is_changed_to_another_key_at_hand_does_not_open() -> None:
    ring = a_ring(os.urandom(32), os.urandom(32))
    envelope = seal(SECRET, ABOUT, ring)
    assert envelope.key_id == ring.ids[0]
    with pytest.raises(SecretUnreadable, match=ring.ids[1]):
        unseal(replace(envelope, key_id=ring.ids[1]), ABOUT, ring)


@pytest.mark.parametrize("part", ["wrapped_key", "sealed"])
@pytest.mark.parametrize("place", [0, 13, -1])
def test_one_changed_bit_is_noticed(part: str, place: int) -> None:
    ring = a_ring(os.urandom(32))
    envelope = seal(SECRET, ABOUT, ring)
    content = bytearray(base64.b64decode(getattr(envelope, part)))
    content[place] ^= 1
    with pytest.raises(SecretUnreadable):
        unseal(replace(envelope, **{part: base64.b64encode(content).decode()}), ABOUT, ring)


@pytest.mark.parametrize("part", ["wrapped_key", "sealed"])
@pytest.mark.parametrize("text", ["", "AAAA", "not base64!"])
def test_a_cut_envelope_is_refused_in_the_same_words(part: str, text: str) -> None:
    ring = a_ring(os.urandom(32))
    with pytest.raises(SecretUnreadable, match="doesn't open"):
        unseal(replace(seal(SECRET, ABOUT, ring), **{part: text}), ABOUT, ring)


def test_a_missing_key_is_named_and_so_are_those_at_hand() -> None:
    envelope = seal(SECRET, ABOUT, a_ring(os.urandom(32)))
    ring = a_ring(os.urandom(32))
    with pytest.raises(SecretUnreadable) as caught:
        unseal(envelope, ABOUT, ring)
    assert envelope.key_id in caught.value.detail
    assert ring.ids[0] in caught.value.detail


def test_the_first_key_seals_and_the_others_open() -> None:
    old, new = os.urandom(32), os.urandom(32)
    before = seal(SECRET, ABOUT, a_ring(old))
    ring = a_ring(new, old)
    assert unseal(before, ABOUT, ring) == SECRET
    assert seal(SECRET, ABOUT, ring).key_id == master_key(new).id


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(NoEncryptionKey, match="BURSAR_ENCRYPTION_KEY"):
        seal(SECRET, ABOUT, KeyRing(()))


def test_a_key_is_made_once() -> None:
    made = [master_key(os.urandom(32)), master_key(os.urandom(32))]
    ring = KeyRing((), made.pop)
    assert ring.sealing() == ring.sealing()
    assert len(made) == 1


def test_keys_are_read_in_every_spelling_with_comments_between() -> None:
    content = os.urandom(32)
    spellings = [
        base64.b64encode(content).decode(),
        base64.urlsafe_b64encode(content).decode().rstrip("="),
        content.hex(),
        content.hex().upper(),
    ]
    text = "# the keys\n" + ",\n".join(f"{one}  # {one[:3]}" for one in spellings)
    assert {key.id for key in read_keys(text.replace(",", ""), "file")} == {master_key(content).id}
    assert len(read_keys(",".join([*spellings, new_key_text()]), "setting")) == len(spellings) + 1


@pytest.mark.parametrize("word", ["short", "A" * 42, "é" * 43, "ff" * 31, "g" * 64, "AAAA" * 11 + "!"])
def test_what_is_no_key_is_refused_by_its_place_and_not_repeated(word: str) -> None:
    with pytest.raises(ConfigurationError, match="file, key 2") as caught:
        read_keys(f"{new_key_text()} {word}", "file")
    assert word not in str(caught.value)


def test_neither_keys_nor_envelopes_nor_tracebacks_show_what_is_inside() -> None:
    content = os.urandom(32)
    key, ring = master_key(content), a_ring(content)
    envelope = seal(SECRET, ABOUT, ring)
    shown = repr(key) + repr(envelope) + repr(ring)
    try:
        unseal(envelope, ("moved",), ring)
    except SecretUnreadable as error:
        shown += "".join(traceback.format_exception(error))
    assert "doesn't open" in shown
    for hidden in (SECRET, content.hex(), repr(content), envelope.sealed, envelope.wrapped_key):
        assert hidden not in shown


def test_a_hint_is_four_characters_of_a_secret_that_is_long_enough() -> None:
    assert hint_of("0123456789abcdef") == "cdef"
    assert hint_of("0123456789abcde") == ""
