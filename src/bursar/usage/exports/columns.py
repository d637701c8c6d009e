"""The columns of the plain export: one row per event, in this order, with these meanings.

The order is part of the contract: columns may be added at the end, never moved or taken away. What a
column's values look like is its `Shape`; how a store makes them is the store's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bursar.units import TOKEN_TOTALS, UNITS
from bursar.usage.query_dimensions import DIMENSIONS


class Shape(StrEnum):
    """How the values of a column are written."""

    TEXT = "text"
    WHOLE = "whole number"
    DECIMAL = "decimal"
    """Exact; without exponent and without zeros at the end."""
    NUMBER = "number"
    FLAG = "true or false"
    TIME = "RFC 3339 time in UTC"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column of an export."""

    name: str
    shape: Shape
    meaning: str
    places: int = 12
    """Decimal places that a file of typed columns has room for."""


def _dimensions(*names: str) -> tuple[ExportColumn, ...]:
    return tuple(ExportColumn(name, Shape.TEXT, DIMENSIONS[name].meaning) for name in names)


_UNITS = tuple(
    ExportColumn(unit.name, Shape.DECIMAL if unit.scale else Shape.WHOLE, unit.meaning)
    for unit in UNITS.values()
)
_TOTALS = tuple(
    ExportColumn(name, Shape.WHOLE, f"{' + '.join(parts)}") for name, parts in TOKEN_TOTALS.items()
)

EVENT_EXPORT: tuple[ExportColumn, ...] = (
    *_dimensions("event_id"),
    ExportColumn("time", Shape.TIME, "when it happened"),
    ExportColumn("received_at", Shape.TIME, "when it was recorded"),
    *_dimensions(
        "project_id",
        "user_id",
        "service_type",
        "provider",
        "model",
        "response_model",
        "operation",
        "endpoint",
        "environment",
        "region",
        "service_tier",
    ),
    ExportColumn("batch", Shape.FLAG, DIMENSIONS["batch"].meaning),
    *_dimensions("speed"),
    ExportColumn("context_tokens", Shape.WHOLE, "the whole prompt's size, where it decides the price"),
    *_dimensions("status", "error_code", "category"),
    ExportColumn("message", Shape.TEXT, "the error's message"),
    *_UNITS,
    ExportColumn("custom_units", Shape.JSON, "quantities of units of one's own, as decimal strings"),
    *_TOTALS,
    *_dimensions("units_source"),
    ExportColumn("cost", Shape.DECIMAL, "what it cost; empty where that isn't known, never 0 instead"),
    *_dimensions("currency", "cost_status", "cost_reason", "rate_card"),
    ExportColumn("parts", Shape.JSON, "the shares of other models of the same call"),
    ExportColumn("reported_cost", Shape.DECIMAL, "the cost that the caller or the provider reported"),
    ExportColumn("reported_currency", Shape.TEXT, "the currency of that"),
    ExportColumn("latency_ms", Shape.DECIMAL, "how long the call took"),
    ExportColumn("time_to_first_token_ms", Shape.DECIMAL, "how long its first token took"),
    ExportColumn("retry_count", Shape.WHOLE, DIMENSIONS["retry_count"].meaning),
    ExportColumn("temperature", Shape.NUMBER, DIMENSIONS["temperature"].meaning),
    ExportColumn("max_tokens", Shape.WHOLE, DIMENSIONS["max_tokens"].meaning),
    *_dimensions(
        "prompt_version",
        "session_id",
        "request_id",
        "correlation_id",
        "trace_id",
        "span_id",
        "parent_span_id",
        "tracking_token_id",
        "door",
        "key_id",
    ),
    ExportColumn("is_corrected", Shape.FLAG, "whether a correction has replaced what was first reported"),
    ExportColumn("tags", Shape.JSON, "its tags"),
    ExportColumn("metadata", Shape.JSON, "what else was sent with it"),
    ExportColumn("usage", Shape.JSON, "the provider's own usage object, as it came"),
    *_dimensions("cost_centre", "owner"),
)
