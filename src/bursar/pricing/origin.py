"""Where the rates of a card come from: the rules that led to its entry, and the price rows behind it.

A card says enough to be billed and explained alone. This tells more, from the book that would still
make the same card: each step from the call's words to the entry, and for each unit the row of the book,
by its content hash. A book that would make another card today has nothing to tell of this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.money import format_decimal
from bursar.pricing.card import RateCard

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.pricing.book import PriceBook, TariffKey
    from bursar.pricing.cards import Card
    from bursar.pricing.rows import PriceRow


@dataclass(frozen=True, slots=True)
class AppliedRule:
    """One rule that was applied on the way from a call's words to an entry of the book."""

    rule: str
    """Such as `provider_spelling:claude`, `alias:<id>`, `path_removed`, `name:starts_with:gpt-5`."""
    result: str


@dataclass(frozen=True, slots=True)
class PriceBehind:
    """The row of the book that a unit is billed by."""

    unit: str
    row: str
    """Its content hash."""
    price: str
    """As the row says it: `2.5 USD per 1000000 input_tokens`."""
    source: str
    link: str
    valid_from: str | None
    valid_to: str | None
    recorded: str
    """The whole row as canonical JSON, of which `row` is the hash."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Rules and rows behind a card."""

    rules: tuple[AppliedRule, ...]
    prices: tuple[PriceBehind, ...]
    """By unit; none where a model is free."""


def trace_card(
    book: PriceBook, card: Card | None, called: tuple[str | None, str | None], moment: datetime
) -> Origin | None:
    """The rules and rows that make this card for a call of `called` (provider, model) at a moment.

    None where no prices rated it, and where the book would rate such a call by another card.
    """
    if not isinstance(card, RateCard):
        return None
    offer = book.offer(*called, moment)
    steps = () if isinstance(offer, str) else offer.steps
    rows = book.rows_behind(card, _key_of(card, called))
    if rows is None:
        return None
    return Origin(
        tuple(AppliedRule(step.rule, step.result) for step in steps),
        tuple(_price_behind(unit, row) for unit, row in rows.items()),
    )


def _key_of(card: RateCard, called: tuple[str | None, str | None]) -> TariffKey:
    """How the call was made, as far as it decided the price: by the card's own conditions."""
    said = card.conditions
    region = said.get("region", "").partition(":")[0] or None
    return (*called, said.get("service_tier"), "processing" in said, said.get("speed"), region)


def _price_behind(unit: str, row: PriceRow) -> PriceBehind:
    return PriceBehind(
        unit=unit,
        row=row.hash,
        price=f"{format_decimal(row.price)} {row.currency} per {row.per} {row.unit}",
        source=row.source,
        link=row.link,
        valid_from=row.valid_from.isoformat() if row.valid_from else None,
        valid_to=row.valid_to.isoformat() if row.valid_to else None,
        recorded=row.to_json(),
    )
