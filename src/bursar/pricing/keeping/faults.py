"""What is odd in the kept book itself: entries without prices, rows that would hold at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.keeping.told import conditions_of
from bursar.pricing.rows import overlapping_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bursar.pricing.entries import PriceData


class BookFault(msgspec.Struct, frozen=True):
    """One oddity."""

    kind: str
    """`no_prices`, `no_price_now` or `overlapping_rows`."""
    provider: str
    model: str
    detail: str


def faults_of(data: PriceData, moment: datetime) -> Iterator[BookFault]:
    """Every oddity, by provider and model; a free model without prices is none."""
    for provider, seller in sorted(data.providers.items()):
        for entry in sorted(seller.models.models, key=lambda one: one.id):
            rows = data.rows.get((provider, entry.id), ())
            if not rows and not entry.is_free:
                yield BookFault("no_prices", provider, entry.id, "the sources list it without a price")
            elif rows and all(row.valid_to is not None and row.valid_to <= moment for row in rows):
                yield BookFault("no_price_now", provider, entry.id, "its last price has ended")
            for one, other in overlapping_rows(rows):
                words = f"{one.unit} {conditions_of(one)}: {one.price} and {other.price}"
                yield BookFault("overlapping_rows", provider, entry.id, words)
