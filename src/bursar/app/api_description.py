"""The OpenAPI document: what FastAPI derives from the routes, and what it can't know.

The door for events is raw ASGI (`ingest_asgi.py`), so it is described in `event_openapi.py` and added
here. Every operation says which problem documents it may answer. `openapi.py` makes the same document
without a running platform.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi.openapi.utils import get_openapi

from bursar.app.declared import EXTENSION, IN_PROJECTS_TOO, declare_permissions
from bursar.app.event_openapi import event_paths, event_schemas
from bursar.app.problems import MEDIA_TYPE, TYPE_PREFIX
from bursar.identity.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

Json = dict[str, Any]

DESCRIPTION = """\
Bursar records AI usage, prices it exactly and shows who spent what.

Send a key as `Authorization: Bearer <key>` or `X-API-Key: <key>`. A key belongs to one tenant and sees
nothing else. Money is a decimal string, times are RFC 3339 in UTC, windows are half-open, lists go on with
`next_cursor`. Every refusal is an RFC 9457 problem document: decide by its `code`.
"""
TAGS = (
    ("events", "Recording usage, and reading single events"),
    ("usage", "Questions about usage and spend"),
    ("prices", "What models cost"),
    ("billing", "What months come to, paid seats, who owns and bears what, currencies and exchange rates"),
    ("identity", "Tenants, projects, API keys, tracking tokens and credentials for providers"),
    ("audit", "Who did what, and whether that log is whole"),
    ("retention", "For how long data is kept"),
    ("quotas", "What a tenant or a project may record in a month, and what it may cost"),
    ("privacy", "What is taken out of events before they are kept"),
    ("scheduler", "Jobs, their runs and their times"),
    ("system", "How Bursar is"),
)
_REFUSALS = {
    "400": "The request can't be read",
    "401": "No usable API key",
    "403": "The key may not do this, or the tenant is not its own",
    "404": "No such thing for this caller",
    "409": "It clashes with what is there already",
    "413": "The body is larger than the limit",
    "414": "Path and query are longer than the limit",
    "415": "A content type or encoding that isn't taken here",
    "422": "Readable, but refused; `errors` has every reason",
    "429": "Too often or too much: nothing was accepted, and a retry after `Retry-After` seconds is safe",
    "503": "Not now: nothing was accepted, and a retry after `Retry-After` seconds is safe",
}
_OF_EVERY_OPERATION = frozenset(["400", "414", "429"])
"""Refused before an operation is looked at: what a request's head holds, and who asks too often."""
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
_HEADERS: dict[str, Json] = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}}},
    "429": {
        **_RETRY_AFTER,
        "RateLimit": {"schema": {"type": "string"}, "description": "The limit with the least left"},
        "RateLimit-Policy": {"schema": {"type": "string"}, "description": "Every limit that counted this"},
    },
    "503": _RETRY_AFTER,
}
_METHODS = frozenset(["get", "post", "put", "patch", "delete"])
_FIRST_SENTENCE = re.compile(r"(?<=\.)\s|: |; |\n")
_CHANGING = frozenset(["post", "put", "patch", "delete"])


def describe(api: FastAPI) -> Json:
    """The whole document of an app: its routes and the door for events."""
    found: Json = get_openapi(
        title=api.title,
        version=api.version,
        openapi_version=api.openapi_version,
        description=api.description,
        routes=api.routes,
        tags=api.openapi_tags,
        license_info=api.license_info,
    )
    declare_permissions(api, found)
    for path, operations in event_paths().items():
        asked = {EXTENSION: Permission.USAGE_INGEST, IN_PROJECTS_TOO: True}
        declared = {method: {**one, **asked} for method, one in operations.items()}
        found["paths"].setdefault(path, {}).update(declared)
    schemas: Json = found["components"]["schemas"]
    # FastAPI's own error form, which no answer of ours has.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    ours: Json = {**event_schemas(), **_problem_schemas()}
    if taken := schemas.keys() & ours.keys():
        message = f"two different schemas are called {sorted(taken)}"
        raise ValueError(message)
    schemas.update(ours)
    found["components"]["responses"] = {
        f"Refused{status}": _refusal(status, meaning) for status, meaning in _REFUSALS.items()
    }
    for method, operation in _operations(found):
        _add_words(operation)
        _add_refusals(method, operation)
    found["paths"] = dict(sorted(found["paths"].items()))
    return found


def _operations(found: Json) -> Iterator[tuple[str, Json]]:
    for item in found["paths"].values():
        for method, operation in item.items():
            if method in _METHODS:
                yield method, operation


def _add_words(operation: Json) -> None:
    """Let the first sentence of a description be the summary, and a summary alone be the description."""
    made_up = operation["operationId"].replace("_", " ").title()
    if "description" not in operation:
        operation["description"] = operation["summary"] + "."
    elif operation["summary"] == made_up:
        operation["summary"] = _FIRST_SENTENCE.split(operation["description"], maxsplit=1)[0].rstrip(".")


def _add_refusals(method: str, operation: Json) -> None:
    """Say which refusals an operation may answer, by what it takes."""
    responses: Json = operation["responses"]
    declared = {status for status in responses if status in _REFUSALS}
    for status in sorted(_OF_EVERY_OPERATION | _refusals_of(method, operation) | declared):
        # What FastAPI says of its own 422, and a refusal that a route only names, are replaced.
        responses[status] = {"$ref": f"#/components/responses/Refused{status}"}


def _refusals_of(method: str, operation: Json) -> set[str]:
    security: list[Json] = operation.get("security", [])
    if not security or {} in security:
        return _refusals_of_open(operation)
    statuses = {"401", "403", "503"}
    if operation.get("parameters"):
        statuses |= {"404", "422"}
    if "requestBody" in operation:
        statuses |= {"413", "422"}
    if method in _CHANGING:
        statuses.add("409")
    return statuses


def _refusals_of_open(operation: Json) -> set[str]:
    """What may be answered without a credential: a way in takes one by its parameters or its body."""
    if "identity" not in operation["tags"]:
        return set()
    statuses = {"401", "403", "404", "422", "503"}
    if "requestBody" in operation:
        statuses |= {"409", "413", "415"}
    return statuses


def _refusal(status: str, meaning: str) -> Json:
    refusal: Json = {
        "description": meaning,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _HEADERS:
        refusal["headers"] = _HEADERS[status]
    return refusal


class Reason(msgspec.Struct):
    """One reason why an input was refused."""

    field: str
    code: str
    message: str


class Problem(msgspec.Struct, kw_only=True):
    """An RFC 9457 problem document; decide by `code`, never by the words."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[Reason] = []


def _problem_schemas() -> Json:
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    schemas["Problem"]["example"] = {
        "type": TYPE_PREFIX + "missing_scope",
        "title": "The permission that is needed is not granted to this caller",
        "status": 403,
        "detail": "This needs the permission 'usage:read', which this API key doesn't grant.",
        "instance": "/api/v1/query",
        "code": "missing_scope",
        "request_id": "req_5d0f3c9a1b7e4f2a8c6d0e13",
    }
    return dict(schemas)
