"""A data file of genai-prices (its public `data.json`, version 2), which is often newer than the package.

The installed package defines what the file may hold, so it checks the form; numbers are read as exact
decimals before it sees them. What this version of the package doesn't know makes the file refused.
Format: https://github.com/pydantic/genai-prices/tree/main/prices
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pydantic

from bursar.errors import Invalid, Reason
from bursar.pricing.documents import content_hash
from bursar.pricing.keeping.installed import installed_version, source_of
from bursar.pricing.keeping.source import (
    Remarks,
    decode_file,
    refuse_bad_content,
    refuse_faults,
)
from bursar.pricing.price_units import PRICE_UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genai_prices import types as genai

    from bursar.pricing.keeping.source import PriceSource

WHAT = "data file of genai-prices"
WRONG_FORM = f"The file is no {WHAT}: a list of providers with 'id' and 'models' is expected."


def read_genai_file(content: bytes) -> PriceSource:
    """The prices in a data file's bytes.

    Raises:
        Malformed: it is no JSON.
        Invalid: it isn't of that form; provider, model and field are named.
    """
    providers = _decode(content)
    from bursar.pricing.genai_source import data_of  # noqa: PLC0415 - imports the package

    digest = content_hash(content)
    version = f"{installed_version()}+file.{digest[:12]}"
    validated = _validated(providers)
    refuse_faults(WHAT, [*_twice(validated), *_empty_lists(validated)])
    source = source_of(data_of(validated, version), version, digest)
    return refuse_bad_content(WHAT, _without_unknown_units(source))


def _decode(content: bytes) -> list[dict[str, Any]]:
    found = decode_file(content)
    providers = cast("list[Any]", found) if isinstance(found, list) else []
    if not providers or any(not isinstance(one, dict) or "models" not in one for one in providers):
        raise Invalid(WRONG_FORM, reasons=(Reason("$", "wrong_file", WRONG_FORM),))
    return providers


def _validated(providers: list[dict[str, Any]]) -> list[genai.Provider]:
    from genai_prices import types as genai  # noqa: PLC0415 - slow; see `installed.py`

    prices = pydantic.TypeAdapter(dict[str, Decimal | genai.TieredPrices | None])
    whole = pydantic.TypeAdapter(
        list[genai.Provider], config=pydantic.ConfigDict(arbitrary_types_allowed=True)
    )
    faults: list[Reason] = []

    def priced(value: object, place: tuple[str | int, ...]) -> object:
        """The same with every flat price list as the package's own object."""
        if isinstance(value, list):
            parts = cast("list[object]", value)
            return [priced(one, (*place, number)) for number, one in enumerate(parts)]
        if not isinstance(value, dict):
            return value
        fields = cast("dict[str, object]", value)
        made: dict[str, Any] = {}
        for key in fields:
            if key != "prices" or isinstance(fields[key], list):
                made[key] = priced(fields[key], (*place, key))
                continue
            try:
                made[key] = genai.ModelPrice(**prices.validate_python(fields[key]))
            except pydantic.ValidationError as error:
                faults.extend(_reasons(error, providers, (*place, key)))
        return made

    converted = priced(providers, ())
    refuse_faults(WHAT, faults)
    try:
        return whole.validate_python(converted)
    except pydantic.ValidationError as error:
        refuse_faults(WHAT, _reasons(error, providers, ()))
        raise


def _twice(providers: Sequence[genai.Provider]) -> list[Reason]:
    """Providers and models that stand in the file more than once: which of their prices is meant?"""
    named = Counter(one.id for one in providers)
    named.update(f"{one.id}.{model.id}" for one in providers for model in one.models)
    return [
        Reason(name, "duplicate_entry", f"{name} stands {count} times in the file")
        for name, count in named.items()
        if count > 1
    ]


def _empty_lists(providers: Sequence[genai.Provider]) -> list[Reason]:
    """Models whose dated prices are a list of none, of which not even the first one counts."""
    return [
        Reason(f"{one.id}.{model.id}.prices", "wrong_form", "must name a price list, or be an object")
        for one in providers
        for model in one.models
        if isinstance(model.prices, list) and not model.prices
    ]


def _reasons(
    error: pydantic.ValidationError, providers: Sequence[dict[str, Any]], before: tuple[str | int, ...]
) -> list[Reason]:
    return [
        Reason(_place((*before, *one["loc"]), providers), "wrong_form", one["msg"])
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _place(place: tuple[str | int, ...], providers: Sequence[dict[str, Any]]) -> str:
    """A place in the file with the ids of provider and model instead of their numbers."""
    words: list[str] = []
    found: object = providers
    for part in place:
        if isinstance(part, str) and "[" in part:
            # Not of the file: which of several forms was tried.
            continue
        if isinstance(part, int) and isinstance(found, list) and part < len(cast("list[Any]", found)):
            found = cast("list[Any]", found)[part]
            name = cast("dict[str, Any]", found).get("id") if isinstance(found, dict) else None
            words.append(name if isinstance(name, str) else str(part))
            continue
        found = cast("dict[Any, Any]", found).get(part) if isinstance(found, dict) else None
        words.append(str(part))
    return ".".join(word for word in words if word != "models")


def _without_unknown_units(source: PriceSource) -> PriceSource:
    """Leave out prices of units that nothing here counts, and say so."""
    remarks = Remarks()
    for (provider, model), rows in source.rows.items():
        for row in rows:
            if row.unit not in PRICE_UNITS:
                remarks.add(row.unit, "nothing here counts this unit", f"{provider}/{model}")
    kept = {
        place: tuple(row for row in rows if row.unit in PRICE_UNITS) for place, rows in source.rows.items()
    }
    return replace(source, rows=kept, remarks=remarks.all())
