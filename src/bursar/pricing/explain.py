"""Explanations: how a cost came about, unit by unit, as values that any edge can print.

An explanation needs a rate card and the units, nothing else; so an event can be explained as long
as its card is kept, whatever became of the price book.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from bursar.money import format_picos
from bursar.pricing.card import RateCard
from bursar.pricing.origin import Origin, trace_card
from bursar.pricing.rating import CostStatus
from bursar.pricing.rules.card import KIND
from bursar.units import format_steps

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook
    from bursar.pricing.card import Line
    from bursar.pricing.cards import Card
    from bursar.pricing.rating import PricingSubject, Rating
    from bursar.pricing.rules.card import RuleCard
    from bursar.units import Quantities


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """One unit's share of a cost; all numbers are decimal strings."""

    unit: str
    quantity: str
    rate: str
    """As price pages show it: `2.5 USD / 1M tokens`."""
    amount: str
    list_rate: str | None = None
    """The rate of the price list, which a customer's own terms may have changed; null where unknown."""
    list_amount: str | None = None


@dataclass(frozen=True, slots=True)
class ExplainedTerm:
    """One of a customer's own terms in the rates, in the order of their arithmetic."""

    id: str
    kind: str
    """`contract_price`, `discount`, `markup`, `multiplier` or `fee`."""
    amount: str
    """Such as `12 %`."""


@dataclass(frozen=True, slots=True)
class ExplainedCard:
    """Which rates applied, and why these."""

    id: str
    provider: str | None
    model: str | None
    """Null where a billing rule is for all of them."""
    rule: str
    """How the prices were found; `billing_rule:model`, `:provider` or `:default` where a rule was."""
    conditions: dict[str, str]
    valid_from: str | None
    source: str
    book_version: str
    """The version of the price book, or the id of the billing rule."""
    kind: str = "prices"
    """`prices` or `billing_rule`."""
    valid_to: str | None = None
    terms: tuple[ExplainedTerm, ...] = ()
    """A customer's own terms in these rates."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A cost, its lines and their source; or the reason why it is not known."""

    status: str
    reason: str | None
    currency: str
    total: str | None
    """The sum of the lines' amounts; None where the cost is not known."""
    lines: tuple[ExplainedLine, ...]
    card: ExplainedCard | None
    list_total: str | None = None
    """What the price list charges; null where own terms applied and that isn't known."""
    origin: Origin | None = None
    """The rules and price rows behind the card, while the book would still make the same card."""


def explain_rating(rating: Rating, units: Quantities) -> Explanation:
    """How a rating of these units came about."""
    if rating.card is None or rating.picos is None:
        return Explanation(rating.status.value, rating.reason, rating.currency, None, (), None)
    return explain_card(rating.card, units, status=rating.status)


def explain_origin(
    explanation: Explanation, book: PriceBook, subject: PricingSubject, card: Card | None
) -> Explanation:
    """The same with the rules and price rows behind its lines, as far as the book knows them."""
    origin = trace_card(book, card, (subject.provider, subject.model), subject.time)
    if origin is None:
        return explanation
    billed = {line.unit for line in explanation.lines}
    prices = tuple(price for price in origin.prices if price.unit in billed)
    return replace(explanation, origin=replace(origin, prices=prices))


def explain_card(card: Card, units: Quantities, *, status: CostStatus = CostStatus.PRICED) -> Explanation:
    """How a card prices these units, from the card alone.

    Raises:
        ValueError: a unit has no rate on the card.
    """
    lines = card.lines(units)
    by_list = card.list_amount_for(units) if isinstance(card, RateCard) else None
    return Explanation(
        status=status.value,
        reason=None,
        currency=card.currency,
        total=format_picos(sum(line.amount_picos for line in lines)),
        lines=tuple(_explained_line(card, line) for line in lines),
        card=_explained_prices(card) if isinstance(card, RateCard) else _explained_rule(card),
        list_total=None if by_list is None else format_picos(by_list),
    )


def _explained_line(card: Card, line: Line) -> ExplainedLine:
    by_list = card.list_amount_of(line) if isinstance(card, RateCard) else None
    return ExplainedLine(
        line.unit,
        format_steps(line.unit, line.quantity_steps),
        line.rate_text,
        format_picos(line.amount_picos),
        card.list_rate_text(line.unit) if isinstance(card, RateCard) else None,
        None if by_list is None else format_picos(by_list),
    )


def _explained_prices(card: RateCard) -> ExplainedCard:
    return ExplainedCard(
        id=card.id,
        provider=card.provider,
        model=card.model,
        rule=card.rule,
        conditions=dict(card.conditions),
        valid_from=card.valid_from.isoformat() if card.valid_from else None,
        source=card.source,
        book_version=card.book_version,
        terms=tuple(ExplainedTerm(*msgspec.structs.astuple(term)) for term in card.terms or ()),
    )


def _explained_rule(card: RuleCard) -> ExplainedCard:
    return ExplainedCard(
        id=card.id,
        provider=card.provider,
        model=card.model,
        rule=f"{KIND}:{card.matched}",
        conditions=dict(card.conditions),
        valid_from=card.valid_from.isoformat() if card.valid_from else None,
        source=card.source,
        book_version=card.rule_id,
        kind=KIND,
        valid_to=card.valid_to.isoformat() if card.valid_to else None,
    )
