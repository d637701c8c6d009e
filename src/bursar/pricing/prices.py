"""What a price source says, as values: price lists with their dates, hours, tiers and request variants.

Nothing here decides anything: `genai_source.py` fills these values, `match.py` finds a model among
them, `tariff.py` turns them into rates. Prices are exact decimals in US dollars for so many
units at once (`PriceKey.per`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime
    from decimal import Decimal

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class PriceKey:
    """One kind of price that a source knows, such as `input_mtok`."""

    name: str
    per: int
    """So many of the unit cost one price: 1,000,000 tokens, 1,000 searches, 3,600 seconds."""
    dimensions: frozenset[tuple[str, str]]
    """What it is a price of; a price covers every unit whose dimensions include its own."""


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """A price, and what it becomes for long prompts."""

    amount: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()
    """(start, amount), ascending: a prompt of more than `start` tokens is priced so, wholly."""

    def at(self, context_tokens: int) -> Decimal:
        """The amount for a prompt of this size: the highest tier whose start it exceeds."""
        amount = self.amount
        for start, tier_amount in self.tiers:
            if context_tokens > start:
                amount = tier_amount
        return amount


PriceList = dict[str, UnitPrice]
"""Price key to price, as one price list of a model has them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """When a price holds; no part of it set means always."""

    starts: date | None = None
    """The first UTC day."""
    daily: tuple[int, int] | None = None
    """From and to (exclusive) in seconds of the UTC day; from > to runs over midnight."""

    def is_met(self, moment: datetime) -> bool:
        """Whether a call at this aware moment falls under it."""
        utc = moment.astimezone(UTC)
        if self.starts is not None and utc.date() < self.starts:
            return False
        if self.daily is None:
            return True
        start, end = self.daily
        second = utc.hour * 3600 + utc.minute * 60 + utc.second
        return start <= second < end if start <= end else second >= start or second < end


@dataclass(frozen=True, slots=True)
class DatedPrices:
    """A price list and when it holds; of those that hold, the last one in the book counts."""

    prices: PriceList
    condition: Condition = Condition()


@dataclass(frozen=True, slots=True)
class PriceVariant:
    """Prices for calls made in a certain way; those that it doesn't name stay as they are."""

    when: Mapping[str, str]
    """How the call was made: `processing`, `service_tier`, `speed`, …"""
    prices: PriceList
    condition: Condition = Condition()


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model as one provider sells it."""

    id: str
    name: str
    dated: tuple[DatedPrices, ...]
    """Never empty; where none of them holds, the first one counts."""
    variants: tuple[PriceVariant, ...] = ()
    is_free: bool = False
    """The source says that tokens cost nothing, rather than nothing about their price."""
    minimums: Mapping[str, int] = field(default_factory=dict[str, int])
    """Unit to the least quantity billed, in steps."""
    unknown_units: frozenset[str] = frozenset()
    """Units that the provider bills at a price of their own which the source doesn't have."""


@dataclass(frozen=True, slots=True)
class ModelIndex:
    """A provider's models in the order in which they are tried, and the names they answer to."""

    models: tuple[PricedModel, ...]
    names: Mapping[str, int]
    """Lower-case name to the first model that lists it."""
    patterns: tuple[tuple[int, Callable[[str], bool]], ...]
    """(model, rule) for names that are not listed one by one, in the order of the models."""

    def find(self, name: str) -> PricedModel | None:
        """The first model that answers to a lower-case name."""
        listed = self.names.get(name, len(self.models))
        for position, matches in self.patterns:
            if position >= listed:
                break
            if matches(name):
                return self.models[position]
        return self.models[listed] if listed < len(self.models) else None


@dataclass(frozen=True, slots=True)
class PricedProvider:
    """A provider, its models, and whose prices it charges for models that it doesn't list."""

    id: str
    name: str
    source: str
    """Where it publishes its prices."""
    models: ModelIndex
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceData:
    """Everything that one version of a price source says."""

    version: str
    providers: Mapping[str, PricedProvider]
    keys: Mapping[str, PriceKey]
