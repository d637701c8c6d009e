"""What the audit log keeps of a request: never a secret, never a text without an end, always JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.identity.audit.entry import Words, read_words, spell
from bursar.identity.audit.showing import CUT, ITEMS_LIMIT, MASK, TEXT_LIMIT, showable
from bursar.ids import make_secret
from tests.support.audit import NOON, a_deed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@pytest.mark.parametrize(
    "name",
    [
        *("key", "api_key", "password", "new_password", "token", "refresh_token", "client_secret"),
        *("apiKey", "apikey", "API-Key", "X-Api-Key", "clientSecret", "openai.api_key", "secrets", "pwd"),
    ],
)
def test_a_field_that_is_named_like_a_secret_is_masked(name: str) -> None:
    assert showable({name: "hunter2", "deep": [{name: {"a": 1}}]}) == {name: MASK, "deep": [{name: MASK}]}


@pytest.mark.parametrize(
    "name", ["key_id", "label", "tokens", "input_tokens", "keys", "idempotency_key", "keyId"]
)
def test_a_field_that_only_sounds_like_one_is_kept(name: str) -> None:
    assert showable({name: "kept"}) == {name: "kept"}


def test_what_is_looked_for_in_texts_is_no_secret_but_what_was_sent_in_its_place_is() -> None:
    assert showable({"detectors": {"key": "off"}, "key": "off"}) == {"detectors": {"key": "off"}, "key": MASK}
    sent = {"detectors": {"key": "hunter2", "password": {"a": "off"}}}
    assert showable(sent) == {"detectors": {"key": MASK, "password": MASK}}


@given(st.text(max_size=300), st.text(max_size=20))
def test_a_key_of_bursar_is_masked_wherever_it_stands(before: str, after: str) -> None:
    secret = make_secret("bur")
    shown = json.dumps(showable({"note": [f"{before} {secret} {after}"]}))
    assert secret[:20] not in shown


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-Ab12345678",
        "eyJhbGci.eyJzdWIiOiIxIn0.",
        "postgres://me:hunter2@db/x",
        "hf_abcdefgh1",
    ],
)
def test_usual_secrets_are_masked_in_any_text(secret: str) -> None:
    assert MASK in showable(f"it was {secret}!")


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert showable({"key": None, "token": ""}) == {"key": None, "token": ""}


def test_long_texts_lists_and_deep_objects_are_cut() -> None:
    assert showable("a" * 1000) == "a" * TEXT_LIMIT + CUT
    assert len(showable(list(range(1000)))) == ITEMS_LIMIT + 1
    assert showable({str(n): n for n in range(40)})[CUT] == 40 - ITEMS_LIMIT
    deep: object = "end"
    for _ in range(50):
        deep = {"a": [deep]}
    assert len(json.dumps(showable(deep))) < 100


@given(JSON)
def test_whatever_is_kept_can_be_spelled_and_read_again(value: object) -> None:
    words = Words("aud_1", "acme", 1, NOON, a_deed(after=showable(value)))
    assert spell(read_words(spell(words))) == spell(words)
