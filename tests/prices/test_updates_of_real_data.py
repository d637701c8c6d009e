"""The real data with some thousand random changes, as an update over itself: the past stays, the rest is new.

What counts is what rating sees: the rates of every model at random moments, prompt sizes and ways of
calling, from before and after the update.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from bursar.pricing.book import PriceBook
from bursar.pricing.entries import ModelIndex, PriceData, Seller
from bursar.pricing.keeping.book_data import data_of_kept
from bursar.pricing.keeping.installed import read_installed
from bursar.pricing.keeping.keeper import Author, PriceKeeper
from bursar.pricing.keeping.update import Wish
from bursar.storage.relational.price_book import RelationalPriceBook

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from bursar.pricing.card import Rate
    from bursar.pricing.keeping.source import PriceSource
    from bursar.pricing.rows import PriceRow

NOW = datetime(2026, 11, 20, 7, 30, tzinfo=UTC)
WAYS: tuple[tuple[str | None, bool], ...] = (
    (None, False),
    ("flex", False),
    ("priority", False),
    (None, True),
)
Key = tuple[str, str, str | None, bool]


def changed(source: PriceSource, chance: random.Random) -> PriceSource:
    """The same source with other prices here and there, and some gone."""

    def other(row: PriceRow) -> PriceRow:
        return msgspec.structs.replace(row, price=row.price + 1) if chance.random() < 0.1 else row

    rows = {
        place: tuple(other(row) for row in found if row.unit != "searches" or chance.random() < 0.8)
        for place, found in source.rows.items()
    }
    return replace(source, version="99", rows=rows)


def book_of(source: PriceSource) -> PriceBook:
    """A book of just this source."""
    providers = {
        one.id: Seller(one, ModelIndex(tuple(entry for entry in source.entries if entry.provider == one.id)))
        for one in source.providers
    }
    return PriceBook(PriceData(version="x", providers=providers, rows=source.rows))


def rates(book: PriceBook, key: Key, moment: datetime, context: int) -> dict[str, Rate] | str | None:
    """What rating sees: the rates of a call, or why there are none."""
    provider, model, tier, batch = key
    quote = book.tariff((provider, model, tier, batch, None, None)).quote_at(moment, context)
    return quote.card.rates if quote.card else quote.reason


@pytest.mark.parametrize("seed", [20261120, 20261121])
def test_an_update_of_the_real_data_leaves_the_past_and_takes_the_source_from_now_on(
    seed: int, sqlite_state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    chance = random.Random(seed)
    source = read_installed()
    other = changed(source, chance)
    keeper = PriceKeeper(RelationalPriceBook(open_engine(sqlite_state_url)), lambda: NOW)
    before = keeper.open_book()
    plan, _ = keeper.update(other, Wish(NOW), Author("key_1"))
    assert plan.counts()["changed"] > 300
    after, fresh = PriceBook(data_of_kept(keeper.store.load())), book_of(other)
    for entry in chance.sample(source.entries, 800):
        tier, batch = chance.choice(WAYS)
        key = (entry.provider, entry.id, tier, batch)
        context = chance.choice((0, 128_000, 200_001, 300_000))
        dates = [row.valid_from for row in source.rows[entry.provider, entry.id] if row.valid_from]
        first = min((NOW, *dates))
        earlier = first - timedelta(seconds=chance.randrange(1, 10**8))
        assert rates(after, key, earlier, context) == rates(before, key, earlier, context)
        later = NOW + timedelta(seconds=chance.randrange(10**8))
        assert rates(after, key, later, context) == rates(fresh, key, later, context)
