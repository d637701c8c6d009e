"""What the store of price snapshots promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict
from bursar.storage.relational.snapshots import PriceSnapshotStore

if TYPE_CHECKING:
    from sqlalchemy import Engine

CARD = '{"model": "gpt-4o", "note": "¢ ünï \\\\u0000", "rates": {"input_text": [2500000, 1]}}'


@pytest.fixture
def store(state_engine: Engine) -> PriceSnapshotStore:
    return PriceSnapshotStore(state_engine)


def test_a_card_comes_back_to_the_letter(store: PriceSnapshotStore) -> None:
    store.save("a" * 32, CARD)
    store.save("b" * 32, "x" * 100_000)
    assert store.load("a" * 32) == CARD
    assert store.load("b" * 32) == "x" * 100_000
    assert store.known() == {"a" * 32, "b" * 32}


def test_an_unknown_card_is_none(store: PriceSnapshotStore) -> None:
    assert store.load("a" * 32) is None
    assert store.known() == set()


def test_saving_a_card_again_changes_nothing(store: PriceSnapshotStore) -> None:
    store.save("a" * 32, CARD)
    store.save("a" * 32, CARD)
    assert store.load("a" * 32) == CARD


def test_an_id_never_gets_another_content(store: PriceSnapshotStore) -> None:
    store.save("a" * 32, CARD)
    with pytest.raises(Conflict):
        store.save("a" * 32, "{}")
    assert store.load("a" * 32) == CARD


def test_a_card_saved_through_one_engine_is_seen_through_another(
    store: PriceSnapshotStore, state_engine: Engine
) -> None:
    store.save("a" * 32, CARD)
    state_engine.dispose()
    assert PriceSnapshotStore(state_engine).load("a" * 32) == CARD
