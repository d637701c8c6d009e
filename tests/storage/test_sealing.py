"""Words under seal: opened with their pad alone, which neither the words nor a backup has."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Unavailable
from bursar.storage.sealing import BLOCK_BYTES, Seals

if TYPE_CHECKING:
    from pathlib import Path


def test_sealed_words_are_opened_until_their_pad_is_destroyed(tmp_path: Path) -> None:
    seals = Seals(tmp_path / "pads")
    sealed = seals.seal(["ada@example.com", "u-4711"])
    assert Seals(tmp_path / "pads").open(sealed) == ["ada@example.com", "u-4711"]
    (pad,) = (tmp_path / "pads").iterdir()
    assert pad.stat().st_mode & 0o077 == 0
    for half in (pad.read_bytes(), base64.b64decode(sealed["text"])):
        assert b"ada" not in half
        assert len(half) == BLOCK_BYTES
    seals.destroy(sealed)
    seals.destroy(sealed)
    with pytest.raises(Unavailable):
        seals.open(sealed)


def test_two_seals_of_the_same_words_have_nothing_in_common(tmp_path: Path) -> None:
    seals = Seals(tmp_path / "pads")
    one, other = seals.seal(["ada"]), seals.seal(["ada"])
    assert one["text"] != other["text"]
    seals.keep_only({one["pad"]})
    assert seals.open(one) == ["ada"]
    with pytest.raises(Unavailable):
        seals.open(other)


@given(words=st.lists(st.text(max_size=300), max_size=20))
def test_any_words_come_back(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    seals = Seals(tmp_path_factory.mktemp("sealed") / "pads")
    assert seals.open(seals.seal(words)) == words
