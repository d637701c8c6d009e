"""The reference pages about usage: the fields of an event with their limits, and what can be asked.

Limits come from the schema that msgspec checks bodies with, meanings from the docstrings beside the
fields, so neither can differ from what the server does. `generate_docs.py` says where the pages lie.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bursar.described import field_words
from bursar.units import TOKEN_TOTALS, UNITS
from bursar.usage import event
from bursar.usage.field_names import ALIASES, UNIT_ALIASES
from bursar.usage.query_dimensions import DIMENSION_ALIASES, DIMENSIONS
from bursar.usage.query_measures import MEASURE_ALIASES, MEASURES

_EVENT_HEAD = f"""\
# The usage event

What `POST /api/v1/events` takes for each event. Every field is optional, though an event without a model
or without quantities is stored `unpriced`. An unknown field is refused by name. Metadata and the raw
`usage` object take up to {event.JSON_BYTES_LIMIT // 1024} KiB of JSON each, nested at most
{event.JSON_DEPTH_LIMIT} deep.
This page is written by `make docs` from `src/bursar/usage/event.py`; a test fails when it is stale.

| Field | Allowed | Meaning |
|---|---|---|
"""
_UNITS_HEAD = """
## Units

Units never overlap. Totals that people know are derived from them. Any other name in `units` is a custom
unit with up to six decimal places.

| Unit | Meaning |
|---|---|
"""
_TOTALS_HEAD = """
| Total | Sum of |
|---|---|
"""
_ALIASES_HEAD = """
## Other names

Clients of other systems say the same under other names. Two names for one field may not disagree.

| Name | Field |
|---|---|
"""
_QUERY_HEAD = """\
# What can be asked

`POST /api/v1/query` and its views answer measures by dimensions in a window; dimensions also serve
as filters. This page is written by `make docs` from `src/bursar/usage/query_measures.py` and
`query_dimensions.py`; a test fails when it is stale.

## Measures

| Measure | Meaning |
|---|---|
"""
_CUSTOM_MEASURE = "| `unit:<name>` | a custom unit in all |\n"
_DIMENSIONS_HEAD = """
## Dimensions

| Dimension | Kind | Meaning |
|---|---|---|
"""
_TAG_DIMENSION = "| `tag:<key>` | string | the value of a tag |\n"
_QUERY_ALIASES_HEAD = """
## Other names

| Name | Stands for |
|---|---|
"""
_BESIDE = {
    "latency_ms": "How long the call took.",
    "time_to_first_token_ms": "How long the first token took.",
    "cost": "A cost that the caller has already; used only where ours is unknown.",
    "tags": "Free dimensions of your own; group and filter by `tag:<key>`.",
    "metadata": "Anything else worth keeping with the event; not a dimension.",
}
"""Fields that speak for themselves in the code, but not in a table."""
_OBJECTS = {
    "ReportedCost": '{"amount": "0.0123", "currency": "USD"}',
    "Estimate": '{"method": "characters:4", "input_known": true}',
}
"""Fields that are objects, by their types in `event.py`: an example of each."""


def event_page() -> str:
    """The reference of all fields of an event, their limits, the units and the aliases."""
    schema = msgspec.json.schema(event.UsageEvent)["$defs"]["UsageEvent"]["properties"]
    meanings = {name: _sentence(one.meaning) for name, one in DIMENSIONS.items()} | _BESIDE
    meanings |= {name: " ".join(words.split()) for name, words in field_words(event.UsageEvent).items()}
    fields = [(f"`{name}`", allowed_form(schema[name]), meanings[name]) for name in schema]
    units = [(f"`{unit.name}`", unit.meaning) for unit in UNITS.values()]
    totals = [(f"`{name}`", ", ".join(f"`{part}`" for part in parts)) for name, parts in TOKEN_TOTALS.items()]
    aliases = [(f"`{name}`", f"`{field}`") for name, field in ALIASES.items()]
    aliases += [(f"`{name}`", f"the unit `{unit}`") for name, unit in UNIT_ALIASES.items()]
    return (
        f"{_EVENT_HEAD}{_rows(fields)}{_UNITS_HEAD}{_rows(units)}"
        f"{_TOTALS_HEAD}{_rows(totals)}{_ALIASES_HEAD}{_rows(aliases)}"
    )


def query_page() -> str:
    """The reference of all measures and dimensions."""
    measures = [(f"`{one.name}`", one.meaning) for one in MEASURES.values()]
    dimensions = [(f"`{one.name}`", str(one.kind), one.meaning) for one in DIMENSIONS.values()]
    aliases = [(f"`{name}`", f"`{other}`") for name, other in (MEASURE_ALIASES | DIMENSION_ALIASES).items()]
    return (
        f"{_QUERY_HEAD}{_rows(measures)}{_CUSTOM_MEASURE}{_DIMENSIONS_HEAD}{_rows(dimensions)}{_TAG_DIMENSION}"
        f"{_QUERY_ALIASES_HEAD}{_rows(aliases)}"
    )


def allowed_form(schema: dict[str, Any]) -> str:
    """A JSON schema of one field in words."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return " or ".join(_one_form(option) for option in options)


def _one_form(schema: dict[str, Any]) -> str:
    match schema:
        case {"enum": [*values]}:
            form = " or ".join(f"`{value}`" for value in values if value is not None)
        case {"$ref": str(kind)}:
            form = f"`{_OBJECTS[kind.rpartition('/')[2]]}`"
        case {"format": "date-time"}:
            form = "RFC 3339 time with its offset"
        case {"type": "string", "maxLength": longest}:
            form = f"{schema.get('minLength', 0)} to {longest} characters"
        case {"minimum": low, "maximum": high}:
            form = f"{schema['type']} from {low} to {high}"
        case {"maxProperties": most}:
            form = f"object of at most {most} entries{_entries(schema)}"
        case _:
            form = str(schema.get("type"))
    return form


def _entries(schema: dict[str, Any]) -> str:
    key, value = schema.get("propertyNames", {}), schema.get("additionalProperties", {})
    if "maxLength" in key and "maxLength" in value:
        return f", keys up to {key['maxLength']} and values up to {value['maxLength']} characters"
    return f", keys like `{key['pattern']}`" if "pattern" in key else ""


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text.endswith("…") else ".")


def _rows(rows: list[tuple[str, ...]]) -> str:
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)
