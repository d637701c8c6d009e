"""The tariff: all rate cards of one model for one way of calling it, over all times and prompt sizes.

Three things choose among the cards: the moment (seasons), the hour of the UTC day or week (slices) and
the size of the prompt (bands). A tariff is made once from rows (`tariff_cards.py`), so that rating an
event only looks up the card for its time and prompt size.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

from bursar.pricing.rows import DAY_SECONDS, second_of_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from bursar.pricing.card import RateCard
    from bursar.pricing.rows import PriceRow

CURRENCY = "USD"
"""The currency of list prices, and of what has no price."""


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """A rate card's picos per token for the units that token totals are made of."""

    card: RateCard
    input_text: int
    cache_read_text: int
    cache_write_5m: int
    output_text: int
    output_reasoning: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A rate card ready for rating, or the reason why there is none."""

    card: RateCard | None
    picos: dict[str, int]
    """Unit to picos per step, for rates that multiply without rounding; empty where a bill needs care."""
    reason: str | None = None
    tokens: TokenPrices | None = None
    """The same for token totals, where `picos` has them all."""
    currency: str = CURRENCY
    rows: Mapping[str, PriceRow] = field(default_factory=dict[str, "PriceRow"])
    """The row behind the rate of each unit that has one."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Quotes by prompt size: a prompt of more than `starts[i]` tokens has at least `quotes[i + 1]`."""

    starts: tuple[int, ...]
    quotes: tuple[Quote, ...]

    def quote_for(self, context_tokens: int) -> Quote:
        """The quote for a prompt of this size."""
        return self.quotes[bisect_left(self.starts, context_tokens)]


@dataclass(frozen=True, slots=True)
class Season:
    """A time with unchanging prices, but for the hours and the size of the prompt."""

    cuts: tuple[int, ...]
    """Seconds of the UTC day, or of the week from Monday, at which the slices begin; the first is 0."""
    slices: tuple[Bands, ...]
    is_weekly: bool = False

    def bands_at(self, moment: datetime) -> Bands:
        """The quotes for a call at this aware moment of the season."""
        if len(self.slices) == 1:
            return self.slices[0]
        second = second_of_day(moment)
        if self.is_weekly:
            second += moment.astimezone(UTC).weekday() * DAY_SECONDS
        return self.slices[bisect_right(self.cuts, second) - 1]


@dataclass(frozen=True, slots=True)
class Tariff:
    """All quotes for one model and one way of calling it."""

    starts: tuple[datetime, ...]
    """When the second and later seasons begin; the first began before any price known."""
    seasons: tuple[Season, ...]
    single: Quote | None
    """The one quote, where there is only one."""

    @classmethod
    def of(cls, starts: Sequence[datetime], seasons: Sequence[Season]) -> Tariff:
        """The tariff of these seasons; there is one more of them than of starts."""
        quotes = [quote for season in seasons for bands in season.slices for quote in bands.quotes]
        return cls(tuple(starts), tuple(seasons), quotes[0] if len(quotes) == 1 else None)

    def quote_at(self, moment: datetime, context_tokens: int) -> Quote:
        """The quote for a call at this aware moment with a prompt of this size."""
        bands = self.bands_at(moment)
        return bands.quote_for(context_tokens) if bands.starts else bands.quotes[0]

    def bands_at(self, moment: datetime) -> Bands:
        """The quotes for a call at this aware moment, by the size of its prompt."""
        return self.seasons[bisect_right(self.starts, moment) if self.starts else 0].bands_at(moment)

    def quotes(self) -> Iterator[Quote]:
        """Every quote, from the earliest season to the latest, each once."""
        seen: set[int] = set()
        for season in self.seasons:
            for bands in season.slices:
                for quote in bands.quotes:
                    if id(quote) not in seen:
                        seen.add(id(quote))
                        yield quote


def tariff_without_prices(reason: str) -> Tariff:
    """A tariff that answers every call with the same reason."""
    return Tariff.of((), (Season((0,), (Bands((), (Quote(None, {}, reason),)),)),))


def splice_tariffs(pieces: Sequence[tuple[datetime | None, Tariff]]) -> Tariff:
    """One tariff of several, each of which holds from its moment (the first from ever) to the next one's."""
    starts: list[datetime] = []
    seasons: list[Season] = []
    for position, (begins, tariff) in enumerate(pieces):
        ends = pieces[position + 1][0] if position + 1 < len(pieces) else None
        for number, season in enumerate(tariff.seasons):
            start = tariff.starts[number - 1] if number else None
            end = tariff.starts[number] if number < len(tariff.starts) else None
            if (ends and start and start >= ends) or (begins and end and end <= begins):
                continue
            opens = max((one for one in (start, begins) if one is not None), default=None)
            if opens is not None:
                starts.append(opens)
            seasons.append(season)
    return Tariff.of(starts, seasons)
