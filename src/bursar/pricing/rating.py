"""Rating: from the units of one call to its exact cost, or to the reason why it is not known.

A cost that can't be known is never zero and never a guess: the rating is `unpriced` and names one
of these reasons.

    no_usage                            nothing was counted
    no_model                            the event names no model
    unknown_provider, unknown_model     not in the price book
    no_price_for_fine_tune              a fine-tuned model that the book has no price of its own for
    no_price_for_model                  in the book, without prices
    no_price_for_unit:<unit>            this unit was used and has no price
    tier_not_priced:<tier>              the book has no price for calls made that way
    tier_not_priced_at_this_time:<tier> it has one, from a later day on
    prices_in_several_currencies        a list or contract that doesn't agree with itself
    fee_in_another_currency             a customer's fee isn't in the currency of the prices
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import Invalid, Reason
from bursar.money import AMOUNT_LIMIT_PICOS, PICOS_PER_UNIT
from bursar.pricing.cards import Card
from bursar.pricing.tariff import CURRENCY
from bursar.units import INPUT_UNITS

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook
    from bursar.pricing.card import RateCard
    from bursar.units import Quantities


class CostStatus(StrEnum):
    """How an event's cost is known."""

    PRICED = "priced"
    """Rated by us, with a rate card."""
    PROVIDER_REPORTED = "provider_reported"
    CLIENT_REPORTED = "client_reported"
    ESTIMATED = "estimated"
    UNPRICED = "unpriced"
    """Not known, for a named reason."""


class PricingSubject(msgspec.Struct, frozen=True, gc=False):
    """What besides the units decides a call's price."""

    provider: str | None
    model: str | None
    """The model whose price counts; where the answer named one, that one."""
    time: datetime
    """When the call was made, aware."""
    service_tier: str | None = None
    batch: bool = False
    speed: str | None = None
    region: str | None = None
    """Where the provider ran the call, as its answer names it."""
    context_tokens: int | None = None
    """The whole prompt's size, which chooses long-context prices; the sum of input units if None."""


class Rating(msgspec.Struct, frozen=True, gc=False):
    """A cost with the card it was made from, or the reason why there is none."""

    status: CostStatus
    picos: int | None
    """The amount in 1e-12 of the currency; None if and only if unpriced."""
    currency: str
    card: Card | None
    reason: str | None


_PRICED = CostStatus.PRICED
_UNPRICED = CostStatus.UNPRICED


def rate_usage(book: PriceBook, subject: PricingSubject, units: Quantities) -> Rating:
    """The exact cost of a call's units by the price book, at the time of the call.

    Quantities are in steps (`units.scale_of`). Every line is rounded half-even once to 1e-12.

    Raises:
        Invalid: the amount is one million or more (`out_of_range`).
    """
    tariff = book.tariff(
        (
            subject.provider,
            subject.model,
            subject.service_tier,
            subject.batch,
            subject.speed,
            subject.region,
        )
    )
    quote = tariff.single
    if quote is None:
        context = subject.context_tokens
        quote = tariff.quote_at(subject.time, _input_total(units) if context is None else context)
    total = 0
    picos = quote.picos
    for unit, steps in units.items():
        rate = picos.get(unit)
        if rate is None:
            break
        total += rate * steps
    else:
        if 0 < total < AMOUNT_LIMIT_PICOS:
            return Rating(_PRICED, total, quote.currency, quote.card, None)
    return _rate_with_care(quote.card, quote.reason, units)


def priced(card: Card, picos: int) -> Rating:
    """The rating of units that come to this amount by a card.

    Raises:
        Invalid: the amount is one million or more (`out_of_range`).
    """
    if picos >= AMOUNT_LIMIT_PICOS:
        limit = AMOUNT_LIMIT_PICOS // PICOS_PER_UNIT
        message = (
            f"the usage costs {card.currency} {picos // PICOS_PER_UNIT}; an event must stay under {limit}"
        )
        raise Invalid(reasons=(Reason("units", "out_of_range", message),))
    return Rating(_PRICED, picos, card.currency, card, None)


def unpriced(reason: str) -> Rating:
    """A rating that says why the cost is not known."""
    return Rating(_UNPRICED, None, CURRENCY, None, reason)


def _input_total(units: Quantities) -> int:
    return sum(units.get(unit, 0) for unit in INPUT_UNITS)


def _rate_with_care(card: RateCard | None, reason: str | None, units: Quantities) -> Rating:
    """The same rating line by line, for what is not a plain sum of whole products."""
    if not any(units.values()):
        return unpriced("no_usage")
    if card is None:
        return unpriced(reason or "no_price_for_model")
    missing = card.missing_unit(units)
    if missing is not None:
        return unpriced(f"no_price_for_unit:{missing}")
    return priced(card, card.amount_for(units))
