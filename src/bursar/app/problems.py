"""Every refusal as an RFC 9457 problem document, from whichever part of the program it comes.

`errors.py` says what went wrong and knows no HTTP; this module gives each kind its status and
writes the body. Framework errors (no such route, wrong method, a parameter that doesn't fit) and
errors nobody expected take the same form. `problem_response` serves raw ASGI, `install` FastAPI.
The list of all kinds, for readers, is `docs/reference/errors.md`, written by `reference`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from bursar import errors
from bursar.app.fault_words import sentence_of
from bursar.errors import BursarError, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:bursar:problem:"
"""A problem's `type` is this and its code: stable, and a promise about no web site."""
CHALLENGE = 'Bearer realm="bursar"'
"""RFC 6750: what a client without a usable key should send."""


class MethodNotAllowed(BursarError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"
    title = "This path doesn't take this method"


STATUS_BY_ERROR: tuple[tuple[type[BursarError], int], ...] = (
    (errors.UnsupportedMedia, 415),
    (errors.TooLarge, 413),
    (errors.TargetTooLong, 414),
    (errors.Invalid, 422),
    (errors.BadRequest, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (MethodNotAllowed, 405),
    (errors.RateLimited, 429),
    (errors.QuotaExceeded, 429),
    (errors.Unavailable, 503),
    (BursarError, 500),
)
"""The first class that an error is an instance of decides."""


class InternalError(BursarError):
    """A fault of Bursar; the request id finds it in the log."""

    code = "internal_error"
    title = "Something went wrong inside Bursar"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document together with its status and its headers."""

    status: int
    code: str
    title: str
    detail: str
    reasons: tuple[Reason, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def body(self, path: str, request_id: str, extra: Mapping[str, Any] | None = None) -> bytes:
        """The JSON document for the request at `path`, with further members."""
        document: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": quote(path, errors="replace"),
            "code": self.code,
            "request_id": request_id,
        }
        if self.reasons:
            document["errors"] = [
                {"field": one.field, "code": one.code, "message": one.message} for one in self.reasons
            ]
        # Callers' text may hold lone surrogates, which no UTF-8 body can carry.
        text = json.dumps(document | dict(extra or {}), ensure_ascii=False, allow_nan=False, default=str)
        return text.encode("utf-8", "replace")


def problem_of(error: BaseException) -> Problem:
    """The problem that tells a caller about an error, without any of our internals."""
    if isinstance(error, RequestValidationError):
        return _problem_of_parameters(error)
    if isinstance(error, HTTPException):
        return _problem_of_framework(error)
    if not isinstance(error, BursarError):
        error = InternalError("The request id finds the cause in Bursar's log.")
    return Problem(
        status=status_of(error),
        code=error.code,
        title=error.title,
        detail=error.detail,
        reasons=error.reasons,
        headers=_headers_of(error),
    )


def status_of(error: BursarError) -> int:
    """The HTTP status of an error of the tree."""
    return next(status for kind, status in STATUS_BY_ERROR if isinstance(error, kind))


def problem_response(
    error: BaseException, path: str, request_id: str, extra: Mapping[str, Any] | None = None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of an error's answer, for raw ASGI; `extra` adds members to the document."""
    problem = problem_of(error)
    body = problem.body(path, request_id, extra)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers),
    ]
    return problem.status, headers, body


def answer(request: Request, error: Exception, extra: Mapping[str, Any] | None = None) -> Response:
    """The same answer for FastAPI."""
    problem = problem_of(error)
    request_id = str(request.scope.get("request_id", ""))
    return Response(
        problem.body(request.scope["path"], request_id, extra),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type=MEDIA_TYPE,
    )


def install(api: FastAPI) -> None:
    """Answer every error inside this app as a problem document."""
    for kind in (BursarError, HTTPException, RequestValidationError, Exception):
        api.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    return answer(request, error)


def _headers_of(error: BursarError) -> tuple[tuple[str, str], ...]:
    if isinstance(error, errors.Unauthenticated):
        return (("www-authenticate", CHALLENGE),)
    if isinstance(error, errors.Unavailable):
        return (("retry-after", str(error.retry_after_seconds)),)
    return ()


def _problem_of_framework(error: HTTPException) -> Problem:
    kinds: dict[int, type[BursarError]] = {
        400: errors.Malformed,
        404: errors.NotFound,
        405: MethodNotAllowed,
        413: errors.TooLarge,
        415: errors.UnsupportedMedia,
    }
    kind = kinds.get(error.status_code, errors.BadRequest if error.status_code < 500 else InternalError)  # noqa: PLR2004 - the border between the caller's faults and ours
    headers = tuple((error.headers or {}).items())
    return Problem(error.status_code, kind.code, kind.title, kind.title, headers=headers)


def _problem_of_parameters(error: RequestValidationError) -> Problem:
    faults = cast("Sequence[Mapping[str, Any]]", error.errors())
    if any(fault["type"] == "json_invalid" for fault in faults):
        kind, status = errors.Malformed, 400
    else:
        kind, status = errors.Invalid, 422
    reasons = tuple(_reason_of(fault) for fault in faults)
    return Problem(status, kind.code, kind.title, " ".join(one.message for one in reasons), reasons)


def _reason_of(fault: Mapping[str, Any]) -> Reason:
    """A fault found by FastAPI in our words: where it is, and never the input."""
    origin, *place = (str(part) for part in fault["loc"])
    if fault["type"] == "json_invalid":
        return Reason("$", "json_invalid", f"The body is not JSON (at character {place[0]}).")
    name = ".".join(place) or "$"
    return Reason(name, str(fault["type"]), f"{name} ({origin}): {sentence_of(fault)}.")


def reference() -> str:
    """The reference page of all problem kinds, in Markdown."""
    rows = [
        f"| `{kind.code}` | {status_of(kind())} | {kind.title} | {(kind.__doc__ or '').splitlines()[0]} |"
        for kind in all_kinds()
    ]
    return _REFERENCE_HEAD + "\n".join(rows) + "\n" + _REFERENCE_TAIL


def all_kinds() -> list[type[BursarError]]:
    """Every kind of error that can reach a caller, from the general to the particular."""
    return [kind for kind in _descendants(BursarError) if not issubclass(kind, errors.ConfigurationError)]


def _descendants(kind: type[BursarError]) -> Iterator[type[BursarError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


_REFERENCE_HEAD = """\
# Errors

Every refusal is an RFC 9457 problem document, `application/problem+json`:

```json
{
  "type": "urn:bursar:problem:missing_scope",
  "title": "The permission that is needed is not granted to this caller",
  "status": 403,
  "detail": "This needs the permission 'usage:read', which this API key doesn't grant.",
  "instance": "/api/v1/events",
  "code": "missing_scope",
  "request_id": "req_5d0f3c9a1b7e4f2a8c6d0e13"
}
```

`type` and `code` are stable; decide by them, never by the words of `title` and `detail`. `errors`, where
it is there, lists every reason found: `field` (a dotted path, `$` for the whole), `code`, `message`.
`request_id` stands in the answer's `X-Request-ID` and in Bursar's log too. A 401 has
`WWW-Authenticate`; a 429 or 503 has `Retry-After` in seconds, and nothing of such a request was accepted.
This page is written by `make docs`; a test fails when it is stale.

| Code | Status | Title | When |
|---|---|---|---|
"""
_REFERENCE_TAIL = """
Reasons inside `errors` have codes of their own: for an event's fields they are listed with the event,
for parameters they are pydantic's codes (`missing`, `int_parsing`, `enum`, …).
"""
