"""OpenAPI for the parameters that `asked.py` reads by hand, from the tables that reading uses.

Parameters are read by hand because every fault is reported at once, filters are named like
dimensions, and each name has aliases; this keeps their description complete all the same.
"""

from __future__ import annotations

from typing import Any

from bursar.usage.asked import ALIASES
from bursar.usage.output_format import OutputFormat
from bursar.usage.periods import Grain
from bursar.usage.query import EVENTS_DEFAULT, EVENTS_LIMIT, OFFSET_LIMIT, ROWS_DEFAULT, ROWS_LIMIT, FilterOp
from bursar.usage.query_dimensions import DIMENSION_ALIASES, DIMENSIONS, Kind
from bursar.usage.query_measures import MEASURE_ALIASES, MEASURES
from bursar.usage.query_reader import DEFAULT_MEASURES
from bursar.window import DAYS_LIMIT, WINDOW_FORMS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MOMENT = {**_TEXT, "examples": ["2026-10-01", "2026-10-01T00:00:00Z"]}
_FLAG: Schema = {"type": "boolean", "default": False}
_GRAIN: Schema = {"type": "string", "enum": [grain.value for grain in Grain]}
_MEASURE: Schema = {"type": "string", "enum": [*MEASURES, *MEASURE_ALIASES]}
_DIMENSION_NAMES = [*DIMENSIONS, *DIMENSION_ALIASES]


def _parameter(name: str, description: str, schema: Schema) -> Schema:
    aliases = ALIASES.get(name, ())
    if aliases:
        description = f"{description} Also: {', '.join(f'`{alias}`' for alias in aliases)}."
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _number(default: int, least: int, most: int) -> Schema:
    return {"type": "integer", "default": default, "minimum": least, "maximum": most}


_WINDOW = [
    _parameter("window", f"Which time: {WINDOW_FORMS}. Half-open.", _TEXT),
    _parameter("days", "The last so many calendar days, today included.", _number(30, 1, DAYS_LIMIT)),
    *(
        _parameter(name, "The first moment or day.", _MOMENT)
        for name in ("start", "start_time", "start_date")
    ),
    *(_parameter(name, "The moment behind the last.", _MOMENT) for name in ("end", "end_time")),
    _parameter("end_date", "The last day, included.", _MOMENT),
    _parameter(
        "zone",
        "Whose calendar days: an IANA name, UTC or an offset such as +05:30; the tenant's if absent.",
        {**_TEXT, "examples": ["Europe/Berlin"]},
    ),
]
_FORM = [
    _parameter(
        "format", "The form of the answer; else `Accept` decides.", {**_TEXT, "enum": list(OutputFormat)}
    ),
]
_TYPES = {Kind.TEXT: "string", Kind.FLAG: "boolean", Kind.WHOLE: "integer", Kind.NUMBER: "number"}


def _filter(name: str) -> Schema:
    dimension = DIMENSIONS[DIMENSION_ALIASES.get(name, name)]
    description = (
        f"Only events with this: {dimension.meaning}. Repeat for any of several."
        f" `{name}.not`, `{name}.prefix` and `{name}.absent=true` compare otherwise."
    )
    schema: Schema = {"type": "array", "items": {"type": _TYPES[dimension.kind]}}
    return {**_parameter(name, description, schema), "style": "form", "explode": True}


_FILTERS = [
    *(_filter(name) for name in (*DIMENSIONS, "service_provider", "event_type", "model_name")),
    _parameter("tag:<key>", "Only events whose tag has this value, as in `tag:team=search`.", _TEXT),
]
_PAGE = [
    _parameter("limit", "At most so many.", _number(EVENTS_DEFAULT, 1, EVENTS_LIMIT)),
    _parameter("offset", "Leave out so many; a cursor is faster.", _number(0, 0, OFFSET_LIMIT)),
    _parameter("cursor", "`next_cursor` of the answer before.", _TEXT),
    _parameter("total_count", "Also count all events that are selected.", _FLAG),
]
_ROWS = [
    _parameter("limit", "At most so many rows.", _number(ROWS_DEFAULT, 1, ROWS_LIMIT)),
    _parameter("offset", "Leave out so many rows.", _number(0, 0, OFFSET_LIMIT)),
]
_GROUP = _parameter(
    "group_by",
    "Dimensions, with commas between; `tag:<key>` for a tag.",
    {"type": "array", "items": {**_TEXT, "examples": _DIMENSION_NAMES}},
)
_REPORTING = _parameter(
    "reporting_currency",
    "Also tell the total in this currency, by the exchange rates of each UTC day; the tenant's if absent.",
    {**_TEXT, "pattern": "^[A-Z]{3}$", "examples": ["EUR"]},
)
_METRIC = _parameter("metric", "The measure.", _MEASURE)


def _document(*parameters: Schema) -> Schema:
    return {"parameters": [*parameters, *_WINDOW, *_FILTERS, *_FORM]}


EVENTS = _document(*_PAGE)
USAGE = _document(*_PAGE, _parameter("include_billing", "Accepted; cost is always included.", _FLAG))
SUMMARY = _document(_REPORTING)
BREAKDOWN = _document({**_GROUP, "style": "form", "explode": False}, *_ROWS, _REPORTING)
TRENDS = _document(_METRIC, _parameter("grain", "How long a period is.", {**_GRAIN, "default": "day"}))
TOP = _document(_METRIC, _parameter("group_by", "What to rank.", {**_TEXT, "default": "user_id"}), *_ROWS)
EVENT = {"parameters": _FORM}
USAGE_OF_KEY = {
    "parameters": [
        _parameter(
            "measures",
            "Measures, with commas between.",
            {"type": "array", "items": _MEASURE, "default": list(DEFAULT_MEASURES)},
        )
        | {"style": "form", "explode": False},
        {**_GROUP, "name": "dimensions", "style": "form", "explode": False},
        _parameter("grain", "Rows per period of this length.", _GRAIN),
        *_ROWS,
        *_WINDOW,
        *_FORM,
    ]
}
UNPRICED = {
    "parameters": [
        _parameter("as", "Also say what they would cost as calls of this model: `provider/model`.", _TEXT),
        _parameter("limit", "At most so many models.", _number(20, 1, 100)),
        _parameter("cursor", "`next_cursor` of the answer before.", _TEXT),
        *_WINDOW,
        *_FILTERS,
    ]
}

UNALLOCATED = {
    "parameters": [
        _parameter("dimension", "`cost_centre` (the default) or `owner`.", _TEXT),
        _parameter("limit", "At most so many projects, users and keys.", _number(10, 1, ROWS_LIMIT)),
        *_WINDOW,
        *_FILTERS,
        *_FORM,
    ]
}

_COMPARED: Schema = {"type": ["string", "number", "boolean", "null"]}
_COMPARED_WITH: Schema = {"anyOf": [_COMPARED, {"type": "array", "items": _COMPARED}]}
_COMPARISON: Schema = {
    "type": "object",
    "properties": {op.value: _COMPARED_WITH for op in FilterOp},
    "additionalProperties": False,
}
_QUERY: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "measures": {
            "type": "array",
            "items": {"type": "string"},
            "default": list(DEFAULT_MEASURES),
            "description": f"What to compute: {', '.join(MEASURES)}, or `unit:<custom unit>`.",
        },
        "dimensions": {
            "type": "array",
            "items": {"type": "string"},
            "description": f"What to group by: {', '.join(DIMENSIONS)}, or `tag:<key>`. Also: `group_by`.",
        },
        "filters": {
            "type": "object",
            "additionalProperties": {"anyOf": [_COMPARED_WITH, _COMPARISON]},
            "description": "By dimension: a value, a list of values, null for absent, or comparisons.",
        },
        "window": {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"start": _MOMENT, "end": _MOMENT}},
            ],
            "description": f"{WINDOW_FORMS}; or an object with `start` and `end`.",
        },
        **{parameter["name"]: parameter["schema"] for parameter in _WINDOW[1:]},
        "grain": {**_GRAIN, "description": "Adds a column `period`."},
        "order": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Columns to sort by, `-` in front for descending.",
        },
        "limit": _number(ROWS_DEFAULT, 1, ROWS_LIMIT),
        "offset": _number(0, 0, OFFSET_LIMIT),
        "explain": {**_FLAG, "description": "Say which tables were read."},
        "reporting_currency": {**_REPORTING["schema"], "description": _REPORTING["description"]},
        "tenant_id": _TEXT,
        "format": {**_TEXT, "enum": list(OutputFormat)},
    },
}
QUERY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _QUERY,
                "examples": {
                    "models": {
                        "summary": "Cost by model and day, for two teams",
                        "value": {
                            "measures": ["cost", "events", "latency_p95_ms"],
                            "dimensions": ["model"],
                            "filters": {"tag:team": ["search", "support"]},
                            "window": "30d",
                            "grain": "day",
                            "order": ["period", "-cost"],
                        },
                    }
                },
            }
        },
    },
    "parameters": [*_FORM, _parameter("explain", "Say which tables were read.", _FLAG)],
}


def _body(properties: dict[str, Any], **shown: object) -> dict[str, Any]:
    """A body of JSON with these fields and no others; `shown` is its `example` or `examples`."""
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    content = {"application/json": {"schema": schema, **shown}}
    return {"requestBody": {"required": True, "content": content}}


_SELECTED = {name: schema for name, schema in _QUERY["properties"].items() if name in {"filters", "window"}}
VOID = _body(
    {
        "event_ids": {
            "type": "array",
            "items": {"type": "string"},
            "description": "These events; up to 5,000. Or `filters` and `window`.",
        },
        **_SELECTED,
        **{parameter["name"]: parameter["schema"] for parameter in _WINDOW[1:]},
        "reason": {**_TEXT, "description": "Why; it stays with the change for good."},
        "dry_run": {
            "type": "boolean",
            "description": "Only count. True for filters and false for ids, if absent.",
        },
        "expect_events": {
            "type": "integer",
            "description": "Refuse (409) if it comes to another number of events.",
        },
        "up_to_event": {
            "type": "string",
            "description": "Only events recorded no later than this one, from a dry run.",
        },
        "tenant_id": _TEXT,
    },
    examples={
        "ids": {
            "summary": "Two events, at once",
            "value": {"event_ids": ["call-1", "call-2"], "reason": "sent by a test"},
        },
        "filters": {
            "summary": "All of a test run; first without effect",
            "value": {
                "filters": {"environment": "loadtest"},
                "window": "7d",
                "reason": "a load test wrote to production",
                "dry_run": True,
            },
        },
    },
)
REPRICE = _body(
    {
        **_SELECTED,
        **{parameter["name"]: parameter["schema"] for parameter in _WINDOW[1:]},
        "reason": {**_TEXT, "description": "Why; it stays with the ratings for good."},
        "dry_run": {"type": "boolean", "default": True},
        "up_to_event": {
            "type": "string",
            "description": "Only events recorded no later than this one, from a dry run.",
        },
        "tenant_id": _TEXT,
        "all_tenants": {
            "type": "boolean",
            "description": "A run for each tenant; for the operator only.",
        },
    },
    example={
        "filters": {"model": "o3"},
        "window": "30d",
        "reason": "o3 got cheaper on the 10th",
        "dry_run": False,
    },
)
REPLAY = _body(
    {
        "ids": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "These records; up to 1,000. Or `filter`.",
        },
        "filter": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"reason": _TEXT, "event_id": _TEXT, "window": _TEXT},
            "description": "Up to 1,000 at once; `remaining` says how many are left.",
        },
        "as": {
            "enum": ["retry", "correction", "discard"],
            "default": "retry",
            "description": "Put them in again, correct the counted events, or drop them.",
        },
        "reason": {**_TEXT, "description": "Why; it stays with the change for good."},
        "dry_run": {"type": "boolean", "default": False},
        "tenant_id": _TEXT,
    },
)
