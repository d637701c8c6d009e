"""The price lists of genai-prices as it tells them, and what they mean for one call at one moment.

The source has lists with dates, hours, tiers and variants for ways of calling, of which later ones
override earlier ones. `prices_at` says in one place which prices hold; `unfold_lists` asks it for every
moment at which the answer can change and writes the answers down as rows, which have no order
(`rows.py`). Reading the package's own objects is the business of `genai_source.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from bursar.pricing.rows import DAY_SECONDS, Way, is_within, second_of_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """A price, and what it becomes for long prompts."""

    amount: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()
    """(start, amount), ascending: a prompt of more than `start` tokens is priced so, wholly."""

    def bands(self) -> Iterator[tuple[int | None, int | None, Decimal]]:
        """(more than, up to, amount) for every size of prompt that it tells apart."""
        starts = [None, *(start for start, _ in self.tiers)]
        ends = [*(start for start, _ in self.tiers), None]
        amounts = [self.amount, *(amount for _, amount in self.tiers)]
        yield from zip(starts, ends, amounts, strict=True)


PriceList = dict[str, UnitPrice]
"""Price unit to price, as one price list of a model has them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """When a price holds; no part of it set means always."""

    starts: date | None = None
    """The first UTC day."""
    daily: tuple[int, int] | None = None
    """From and to (exclusive) in seconds of the UTC day; from > to runs over midnight."""

    def is_met(self, moment: datetime) -> bool:
        """Whether a call at this aware moment falls under it."""
        if self.starts is not None and moment.astimezone(UTC).date() < self.starts:
            return False
        return self.daily is None or is_within(self.daily, second_of_day(moment))


@dataclass(frozen=True, slots=True)
class DatedPrices:
    """A price list and when it holds; of those that hold, the last one in the data counts."""

    prices: PriceList
    condition: Condition = Condition()


@dataclass(frozen=True, slots=True)
class PriceVariant:
    """Prices for calls made in a certain way; those that it doesn't name stay as they are."""

    way: Way
    prices: PriceList
    condition: Condition = Condition()


@dataclass(frozen=True, slots=True)
class ModelLists:
    """All lists of one model."""

    dated: tuple[DatedPrices, ...]
    """Never empty; where none of them holds, the first one counts."""
    variants: tuple[PriceVariant, ...] = ()


class Unfolded(NamedTuple):
    """One price with all its conditions spelled out."""

    unit: str
    price: Decimal
    way: Way
    context: tuple[int | None, int | None]
    """More than, and up to, so many tokens."""
    hours: tuple[int, int] | None
    valid_from: datetime | None
    valid_to: datetime | None


def prices_at(lists: ModelLists, way: Way, moment: datetime) -> PriceList:
    """The prices for a call at a moment; none are empty.

    Of the dated lists the last that holds counts, and the first where none does. A call that is not
    a standard one needs a variant for just its way; the variants that hold override the prices they
    name, the earlier ones first. Where there is a variant that doesn't hold yet, what such calls cost
    before is not known.
    """
    holding = [dated.prices for dated in lists.dated if dated.condition.is_met(moment)]
    prices = holding[-1] if holding else lists.dated[0].prices
    if way == Way() or not prices:
        return prices
    active = [
        variant.prices
        for variant in lists.variants
        if variant.way == way and variant.condition.is_met(moment)
    ]
    if not active:
        return {}
    merged = dict(prices)
    for overrides in reversed(active):
        merged.update(overrides)
    return merged


def unfold_lists(lists: ModelLists) -> Iterator[Unfolded]:
    """What the lists say, price by price: of the same unit and way no two hold at once."""
    for way in dict.fromkeys((Way(), *(variant.way for variant in lists.variants))):
        grid = _Grid.of(lists, way)
        for unit in dict.fromkeys(unit for season in grid.outcomes for outcome in season for unit in outcome):
            yield from _unfold_unit(grid, way, unit)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The prices of one way of calling in every season and slice of the day."""

    starts: tuple[datetime | None, ...]
    """When each season begins; the first has begun before any price known."""
    cuts: tuple[int, ...]
    """Seconds of the UTC day at which the slices begin; the first is 0."""
    outcomes: list[list[PriceList]]
    """By season and slice."""

    @classmethod
    def of(cls, lists: ModelLists, way: Way) -> _Grid:
        conditions = [entry.condition for entry in lists.dated]
        conditions += [variant.condition for variant in lists.variants if variant.way == way]
        days = sorted({one.starts for one in conditions if one.starts is not None})
        hours = [one.daily for one in conditions if one.daily is not None]
        cuts = tuple(sorted({0, *(second % DAY_SECONDS for window in hours for second in window)}))
        midnights = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (date.min, *days)]
        return cls(
            (None, *midnights[1:]),
            cuts,
            [
                [prices_at(lists, way, midnight + timedelta(seconds=cut)) for cut in cuts]
                for midnight in midnights
            ],
        )

    def windows_of(self, chosen: Sequence[bool]) -> list[tuple[int, int] | None]:
        """The chosen slices of the day as few windows; one over midnight where both ends are chosen."""
        if all(chosen):
            return [None]
        windows = [
            [start, end]
            for start, end, is_chosen in zip(self.cuts, (*self.cuts[1:], 0), chosen, strict=True)
            if is_chosen
        ]
        merged = [windows[0]]
        for start, end in windows[1:]:
            if merged[-1][1] == start:
                merged[-1][1] = end
            else:
                merged.append([start, end])
        if len(merged) > 1 and merged[0][0] == merged[-1][1] == 0:
            merged[0][0] = merged.pop()[0]
        return [(start, end) for start, end in merged]


def _unfold_unit(grid: _Grid, way: Way, unit: str) -> Iterator[Unfolded]:
    """One unit's prices: seasons in which nothing changes for it are one."""
    columns = [[outcome.get(unit) for outcome in season] for season in grid.outcomes]
    changes = [
        number for number in range(len(columns)) if number == 0 or columns[number] != columns[number - 1]
    ]
    for position, number in enumerate(changes):
        later = changes[position + 1 :]
        valid_to = grid.starts[later[0]] if later else None
        column = columns[number]
        for price in dict.fromkeys(price for price in column if price is not None):
            for hours in grid.windows_of([other == price for other in column]):
                for over, upto, amount in price.bands():
                    yield Unfolded(unit, amount, way, (over, upto), hours, grid.starts[number], valid_to)


def requestable(when: Mapping[str, str]) -> Way | None:
    """The way of calling that a variant is for; None where no call can be told to be made so.

    A variant for the tier `default` repeats the standard prices, and routes and kinds of search aren't
    in what calls tell us.
    """
    known = {"processing", "service_tier", "speed"}
    if not when.keys() <= known or when.get("processing", "batch") != "batch":
        return None
    if when.get("service_tier") == "default":
        return None
    return Way(when.get("service_tier"), "processing" in when, when.get("speed"))
