"""What a price agreed on in another currency leaves without a rate: one call is billed in one currency.

A contract or a fee in a currency that isn't the list's takes the list's prices out of the card, those too
that it says nothing about (`pricing/layers.py`). That may be meant, so it is told and not refused. Known
models are looked at as they are rated when the override holds, in the way of calling that it is about.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from bursar.pricing.agreements.override import OverrideKind
from bursar.pricing.match import plain_provider
from bursar.pricing.terms import fits_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bursar.pricing.agreements.override import Override
    from bursar.pricing.book import PriceBook
    from bursar.pricing.match import Offer
    from bursar.pricing.tariff import Quote

LOOKED_AT = 200
"""Models at most that a pattern is held against, some 100 ms; what is told of these is true of the others."""
NAMED = 5
"""Models named in a sentence."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Units of some models that the list prices and that have no rate any more."""

    currency: str
    units: tuple[str, ...]
    """Units of the list's prices, as a contract names them."""
    models: tuple[str, ...]
    """As `provider/model`."""

    @property
    def message(self) -> str:
        """What that means, and what to do."""
        more = len(self.models) - NAMED
        models = ", ".join(self.models[:NAMED]) + (f" and {more} more" if more > 0 else "")
        return (
            f"Calls of {models} that use {', '.join(self.units)} are unpriced: the list has no price of"
            f" these in {self.currency}. Agree on prices of them in {self.currency} as well."
        )


def units_left_out(said: Override, listed: PriceBook, own: PriceBook, now: datetime) -> list[LeftOut]:
    """What has a price by the list and none by the tenant's own book, of the models that it is about.

    Args:
        said: what was agreed on; it counts in `own` already.
        listed: the book without any terms.
        own: the book of the tenant, or of its project.
        now: the moment that is looked at, where the override holds by then.
    """
    if said.kind not in {OverrideKind.CONTRACT, OverrideKind.FEE}:
        return []
    moment, prompt = _moment_of(said, now), (said.context_over or 0) + 1
    models: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for offer in islice(_offers_of(said, listed), LOOKED_AT):
        key = (
            offer.provider.id,
            offer.model.id,
            said.service_tier,
            said.batch,
            said.speed,
            said.region,
        )
        before = listed.tariff(key).quote_at(moment, prompt)
        left = _lost(before, own.tariff(key).quote_at(moment, prompt))
        if left:
            models[left].append(f"{offer.provider.id}/{offer.model.id}")
    return [LeftOut(said.currency, units, tuple(names)) for units, names in models.items()]


def _offers_of(said: Override, book: PriceBook) -> Iterator[Offer]:
    provider = plain_provider(said.provider) if said.provider else None
    for offer in book.offers(provider):
        if fits_pattern(said.model, offer.model.id.lower()):
            yield offer


def _lost(before: Quote, after: Quote) -> tuple[str, ...]:
    """The list's price units behind the rates that are gone."""
    if before.card is None:
        return ()
    kept = () if after.card is None else after.card.rates
    lost = [unit for unit in before.card.rates if unit not in kept]
    return tuple(sorted({before.rows[unit].unit if unit in before.rows else unit for unit in lost}))


def _moment_of(said: Override, now: datetime) -> datetime:
    """A moment at which it holds: now, if it does by then; else on its first days."""
    is_over = said.valid_to is not None and said.valid_to <= now
    moment = said.valid_from if is_over else max(said.valid_from, now)
    if said.hours is None and said.weekdays is None:
        return moment
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while said.weekdays is not None and day.weekday() not in said.weekdays:
        day += timedelta(days=1)
    begins = day + timedelta(seconds=said.hours[0] if said.hours else 0)
    return begins if begins >= moment else begins + timedelta(weeks=1)
