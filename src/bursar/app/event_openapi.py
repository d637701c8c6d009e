"""The door for events in OpenAPI words: bodies, parameters and answers of the raw ASGI app.

Schemas come from the types that `usage/` decodes into and encodes from, so they can't drift; field
descriptions are the docstrings below the fields. Aliases and nested bodies of older clients are taken
too (`usage/translate.py`); they are described in words, for their form is not ours.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bursar.app.answer_posts import ANSWER_PARAMETERS, STREAM_TYPES
from bursar.described import describe_fields
from bursar.usage.bodies import MEDIA_TYPES, Shape
from bursar.usage.event import Estimate, ReportedCost, UsageEvent
from bursar.usage.intake import CostAnswer, EventAnswer

Json = dict[str, Any]

_SECURITY: list[Json] = [{"Bearer": []}, {"X-API-Key": []}]
_RECORD = (
    "Answers when every accepted event is durable. Times may lie from 35 days back to 5 minutes ahead "
    "(settings). A retry with an `event_id` or an `Idempotency-Key` never counts twice."
)
_RECORD_BATCH = (
    "The same as `/api/v1/events`, and the answer also has `success`, `processed_count`, `failed_count` "
    "and `failed_events`."
)
_IMPORT = (
    "The same as `/api/v1/events` without its limit of age: each event is priced at its own time. It also "
    "takes a provider's own answer as it came: a JSON body with `provider` in the query, a stream of "
    "server-sent events, or AWS's event stream. Headers of the answer (`x-amzn-…`, `x-request-id`, `date`) "
    "may be passed on with it. An answer with an id counts once, however often it is posted."
)
_OPERATIONS = {
    "/api/v1/events": ("record_events", "Record usage: one event or many", _RECORD),
    "/api/v1/events/batch": (
        "record_event_batch",
        "Record many events, with the counts that batch clients expect",
        _RECORD_BATCH,
    ),
    "/api/v1/events/import": ("import_events", "Record events of any past time", _IMPORT),
}
_BODY_WORDS = (
    'One event, a list of events, `{"events": [...]}`, one event a line (NDJSON), or CloudEvents 1.0, one '
    "or a batch. `Content-Encoding` may be `gzip` or `zstd`. Good events of a body are accepted although "
    "others are refused. Older clients' names of fields and their nested form (`metadata`, `metrics`) are "
    "understood; any other unknown field is refused by name."
)
_EXAMPLE = {
    "event_id": "chat-7f3a",
    "time": "2026-11-20T09:30:00Z",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "operation": "answer_ticket",
    "user_id": "mara",
    "input_tokens": 1200,
    "cached_tokens": 1000,
    "output_tokens": 300,
    "latency_ms": 812.5,
    "tags": {"feature": "support"},
}
_RAW_EXAMPLE = {
    "event_id": "msg_01",
    "provider": "anthropic",
    "model": "claude-sonnet-4-5",
    "usage": {"input_tokens": 20, "cache_read_input_tokens": 4000, "output_tokens": 512},
}
_ANSWER_EXAMPLE = {
    "accepted": 1,
    "rejected": [
        {
            "index": 1,
            "errors": [
                {
                    "field": "input_tokens",
                    "code": "out_of_range",
                    "message": "input_tokens must be at least 0.",
                }
            ],
        }
    ],
    "events": [
        {
            "event_id": "chat-7f3a",
            "retry_safe": True,
            "cost": {"status": "priced", "currency": "USD", "total": "0.000285"},
        }
    ],
}


class ReasonAnswer(msgspec.Struct):
    """One reason why an event was refused."""

    field: str
    """Dotted path of the field, `$` for the whole event."""
    code: str
    message: str


class RejectedAnswer(msgspec.Struct, omit_defaults=True):
    """An event that was refused, with every reason."""

    index: int
    """Its place in the body, from 0."""
    errors: list[ReasonAnswer]
    event_id: str | None = None


class FailedAnswer(msgspec.Struct):
    """The same in the words of batch clients."""

    index: int
    error: str


class IngestAnswer(msgspec.Struct, omit_defaults=True):
    """The account of a body: every event is either accepted or rejected."""

    accepted: int
    rejected: list[RejectedAnswer]
    events: list[EventAnswer] = []
    """The accepted ones in the order of the body; absent with `return=none`."""
    applied: bool | None = None
    """Only with `wait=applied`: whether all were in the store before the time was up."""
    success: bool | None = None
    """This and the next two for a body that is a single event, and for batches."""
    event_id: str | None = None
    message: str | None = None
    processed_count: int | None = None
    """This and the next two at `/api/v1/events/batch`."""
    failed_count: int | None = None
    failed_events: list[FailedAnswer] | None = None


class CloudEvent(msgspec.Struct):
    """A CloudEvent 1.0 whose `data` is a usage event; its id is `source` and `id` together."""

    specversion: str
    id: str
    source: str
    type: str
    data: dict[str, Any]
    subject: str | None = None
    time: str | None = None


def event_paths() -> Json:
    """The paths of the door for events."""
    paths: Json = {path: {"post": _operation(*words)} for path, words in _OPERATIONS.items()}
    operation = paths["/api/v1/events/import"]["post"]
    schema: Json = {"type": "string", "maxLength": 256}
    operation["parameters"] += [_parameter(name, schema, words) for name, words in ANSWER_PARAMETERS.items()]
    answer = {"schema": {"type": "string", "description": "A provider's answer, as it was streamed."}}
    operation["requestBody"]["content"] |= dict.fromkeys(STREAM_TYPES, answer)
    return paths


def event_schemas() -> Json:
    """The schemas that those paths refer to, each field with its description."""
    _, schemas = msgspec.json.schema_components(
        [UsageEvent, CloudEvent, IngestAnswer], ref_template="#/components/schemas/{name}"
    )
    for kind in (UsageEvent, Estimate, ReportedCost, EventAnswer, CostAnswer, IngestAnswer, RejectedAnswer):
        describe_fields(schemas[kind.__name__], kind)
    schemas["CloudEvent"]["properties"]["specversion"] = {"const": "1.0"}
    schemas["EventList"] = {
        "title": "EventList",
        "description": "Events in an envelope.",
        "type": "object",
        "properties": {"events": {"type": "array", "items": _ref("UsageEvent")}},
        "required": ["events"],
        "additionalProperties": False,
    }
    return dict(schemas)


def _operation(operation_id: str, summary: str, description: str) -> Json:
    return {
        "operationId": operation_id,
        "tags": ["events"],
        "summary": summary,
        "description": description,
        "security": _SECURITY,
        "parameters": _parameters(),
        "requestBody": {"required": True, "description": _BODY_WORDS, "content": _contents()},
        "responses": {
            "200": _answer("Applied: with `wait=applied`, each event has its `outcome`"),
            "202": _answer("Durable: accepted events are on disk and will be counted within a second"),
            "415": {"$ref": "#/components/responses/Refused415"},
        },
    }


def _parameters() -> list[Json]:
    return [
        _parameter(
            "wait",
            {"type": "string", "enum": ["applied"]},
            "Answer when the events are in the store, with their outcomes: `new`, `duplicate`, `conflict`.",
        ),
        _parameter(
            "return",
            {"type": "string", "enum": ["events", "none"], "default": "events"},
            "`none` leaves the list of accepted events out of the answer.",
        ),
        _parameter(
            "tenant_id",
            {"type": "string", "maxLength": 256},
            "The credential's own tenant (another is refused); the operator may name any.",
        ),
        {
            **_parameter(
                "Idempotency-Key",
                {"type": "string", "minLength": 1, "maxLength": 255},
                "Events without an id get one derived from this and their place, so that a retry is safe.",
            ),
            "in": "header",
        },
    ]


def _parameter(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _contents() -> Json:
    by_shape: dict[Shape, Json] = {
        Shape.JSON: {
            "schema": {
                "anyOf": [
                    _ref("UsageEvent"),
                    {"type": "array", "items": _ref("UsageEvent")},
                    _ref("EventList"),
                    _ref("CloudEvent"),
                ]
            },
            "examples": {
                "totals": {"summary": "Totals that people know", "value": _EXAMPLE},
                "raw usage": {"summary": "A provider's own usage object", "value": _RAW_EXAMPLE},
                "several": {"summary": "Several events", "value": {"events": [_EXAMPLE, _RAW_EXAMPLE]}},
            },
        },
        Shape.NDJSON: {"schema": {"type": "string", "description": "One JSON event a line."}},
        Shape.CLOUDEVENT: {"schema": _ref("CloudEvent")},
        Shape.CLOUDEVENT_BATCH: {"schema": {"type": "array", "items": _ref("CloudEvent")}},
    }
    return {media_type: by_shape[shape] for media_type, shape in MEDIA_TYPES.items() if media_type}


def _answer(description: str) -> Json:
    content = {"schema": _ref("IngestAnswer"), "example": _ANSWER_EXAMPLE}
    return {"description": description, "content": {"application/json": content}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
