"""Price sources made for tests: a handful of models, each price in a line, as any reader would give them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bursar.pricing.documents import content_hash
from bursar.pricing.entries import ModelEntry, NameRule, ProviderEntry
from bursar.pricing.keeping.source import GENAI, PriceSource
from bursar.pricing.rows import PriceRow

if TYPE_CHECKING:
    from collections.abc import Iterable

LINK = "https://example.com/prices"


def a_row(model: str = "small-1", unit: str = "input_tokens", price: str = "1", **more: Any) -> PriceRow:  # noqa: ANN401 - fields of a row
    """A row of the provider `acme`, for a million of the unit."""
    values: dict[str, Any] = {"provider": "acme", "per": 1_000_000, "source": GENAI, "link": LINK, **more}
    return PriceRow(model=model, unit=unit, price=Decimal(price), **values)


def a_source(
    *rows: PriceRow,
    name: str = GENAI,
    version: str = "1",
    models: Iterable[str] = (),
    **entry: Any,  # noqa: ANN401 - fields of an entry
) -> PriceSource:
    """A source with these rows, and entries for their models and for those that have none."""
    grouped: dict[tuple[str, str], list[PriceRow]] = {("acme", model): [] for model in models}
    for row in rows:
        grouped.setdefault((row.provider, row.model), []).append(row)
    return PriceSource(
        name=name,
        version=version,
        content_hash=content_hash(version.encode()),
        providers=tuple(
            ProviderEntry(id=provider, name=provider, link=LINK)
            for provider in {place[0] for place in grouped}
        ),
        entries=tuple(
            ModelEntry(
                provider=place[0], id=place[1], name=place[1], match=(NameRule("equals", place[1]),), **entry
            )
            for place in grouped
        ),
        rows={place: tuple(found) for place, found in grouped.items()},
    )


def litellm_file(**entries: dict[str, Any]) -> bytes:
    """A price map in LiteLLM's form, with the entry that describes its fields; `__` in a name is a slash."""
    named = {name.replace("__", "/"): entry for name, entry in entries.items()}
    return json.dumps({"sample_spec": {"input_cost_per_token": 0.0}, **named}).encode()
