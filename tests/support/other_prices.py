"""Prices that are others than those of the installed data: models that cost a multiple, or aren't known.

For tests of what a change of prices does to what is stored. Everything else is as the real book has it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.book import PriceBook
from bursar.pricing.card import Rate
from bursar.pricing.genai_source import load_book
from bursar.pricing.tariff import Bands, Quote, Tariff, TokenPrices, tariff_without_prices

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bursar.pricing.book import TariffKey


class OtherBook(PriceBook):
    """The real book, but for some models."""

    __slots__ = ("_factors", "_hidden", "_made")

    def __init__(self, factors: Mapping[str, int] | None = None, hidden: Collection[str] = ()) -> None:
        super().__init__(load_book().data)
        self._factors = dict(factors or {})
        self._hidden = frozenset(hidden)
        self._made: dict[TariffKey, Tariff] = {}

    def tariff(self, key: TariffKey) -> Tariff:
        """The tariff of the real book, or another one."""
        model = key[1] or ""
        if model in self._hidden:
            return tariff_without_prices("unknown_model")
        if model not in self._factors:
            return super().tariff(key)
        if key not in self._made:
            self._made[key] = _dearer(super().tariff(key), self._factors[model])
        return self._made[key]


def _dearer(tariff: Tariff, factor: int) -> Tariff:
    seasons = tuple(
        replace(
            season,
            slices=tuple(
                Bands(bands.starts, tuple(_quote(quote, factor) for quote in bands.quotes))
                for bands in season.slices
            ),
        )
        for season in tariff.seasons
    )
    single = None if tariff.single is None else seasons[0].slices[0].quotes[0]
    return replace(tariff, seasons=seasons, single=single)


def _quote(quote: Quote, factor: int) -> Quote:
    if quote.card is None:
        return quote
    rates = {
        unit: Rate(rate.numerator * factor, rate.denominator, rate.minimum)
        for unit, rate in quote.card.rates.items()
    }
    card = msgspec.structs.replace(quote.card, rates=rates, source="a test").sealed()
    picos = {unit: price * factor for unit, price in quote.picos.items()}
    tokens = quote.tokens and TokenPrices(
        card,
        *(
            getattr(quote.tokens, name) * factor
            for name in ("input_text", "cache_read_text", "cache_write_5m", "output_text", "output_reasoning")
        ),
    )
    return Quote(card, picos, quote.reason, tokens)
