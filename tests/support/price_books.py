"""Price books small enough to check by eye: one provider, `acme`, with the models of the given rows.

Their version is `test 1`. The book of the package comes from `load_book`; tests of prices share one by a
fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.pricing.book import PriceBook
from bursar.pricing.entries import ModelEntry, ModelIndex, NameRule, PriceData, ProviderEntry, Seller

if TYPE_CHECKING:
    from bursar.pricing.rows import PriceRow

LINK = "https://acme.example/prices"


def acme_book(*rows: PriceRow, models: tuple[str, ...] = ("m",)) -> PriceBook:
    """A book of these rows; models answer to their ids."""
    entries = tuple(
        ModelEntry(
            provider="acme", id=model, name=model.upper(), position=number, match=(NameRule("equals", model),)
        )
        for number, model in enumerate(models)
    )
    seller = Seller(ProviderEntry(id="acme", name="Acme", link=LINK), ModelIndex(entries))
    by_model: dict[tuple[str, str], list[PriceRow]] = {}
    for row in rows:
        by_model.setdefault((row.provider, row.model), []).append(row)
    return PriceBook(PriceData("test 1", {"acme": seller}, by_model))
