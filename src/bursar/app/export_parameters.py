"""OpenAPI for the parameters of exports, which are read by hand like those of all questions about usage."""

from __future__ import annotations

from typing import Any

from bursar.usage.export_selection import FocusGrain
from bursar.usage.exports.reading import ROWS_LIMIT, ExportFormat
from bursar.usage.parameter_docs import SUMMARY


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _flag(*, default: bool) -> dict[str, Any]:
    return {"type": "boolean", "default": default}


_OWN = [
    _parameter(
        "format",
        "What the file is: one row per event as CSV, a JSON array, JSON lines or Parquet; or FOCUS 1.2 rows,"
        " one per unit class, as CSV or Parquet.",
        {"type": "string", "enum": list(ExportFormat), "default": "csv"},
    ),
    _parameter(
        "grain",
        "Of FOCUS: what a row sums up.",
        {"type": "string", "enum": list(FocusGrain), "default": "day"},
    ),
    _parameter(
        "limit",
        "Answer with about so many rows and name the cursor of the next ones in `Bursar-Next-Cursor`; FOCUS"
        " ends with the day, or the piece of events, in which it reaches them, and an answer that has taken"
        " long ends earlier. All rows if absent.",
        {"type": "integer", "minimum": 1, "maximum": ROWS_LIMIT},
    ),
    _parameter(
        "cursor",
        "Go on where an answer ended, with the same format and filters; the window and the moment are those"
        " of the answer before.",
        {"type": "string"},
    ),
    _parameter("header", "Whether CSV begins with the columns' names.", _flag(default=True)),
    _parameter(
        "raw",
        "Leave texts in CSV as they are, those too that a spreadsheet would run as formulas.",
        _flag(default=False),
    ),
    _parameter(
        "allow_unpriced",
        "Of FOCUS: leave out events of unknown cost instead of refusing; `Bursar-Unpriced-Events` counts"
        " them.",
        _flag(default=False),
    ),
]

EXPORT: dict[str, Any] = {
    "parameters": [*_OWN, *(one for one in SUMMARY["parameters"] if one["name"] != "format")]
}
