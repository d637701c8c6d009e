"""Compressed bodies of everything that FastAPI answers: undone before the routes see them.

The door for events undoes its own, which are larger (`ingest_asgi.py`). Here a body may inflate to no
more than an uncompressed one may have, so the bound on
requests bounds its memory too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from bursar.app.bodies import MEMORY_FACTOR, BodyLimits, MemoryBudget, Reservation, inflate_body, read_body
from bursar.app.middleware import API_BODY_LIMIT, FILE_BODY_LIMIT, REQUEST_ID, takes_file
from bursar.app.problems import problem_response
from bursar.errors import BursarError, TooLarge

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ENCODING = b"content-encoding"
_DESCRIBING = (_ENCODING, b"content-length")


class Inflating:
    """Hands requests on with their content encoding undone."""

    def __init__(self, app: ASGIApp, body_limit: int = API_BODY_LIMIT) -> None:
        """Bodies have at most `body_limit` bytes, as sent and inflated."""
        self._app = app
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        encoding = _encoding_of(scope)
        if encoding:
            try:
                limit = FILE_BODY_LIMIT if takes_file(scope) else self._body_limit
                body = await _inflated(receive, encoding, limit)
            except BursarError as error:
                status, headers, text = problem_response(error, scope["path"], scope.get(REQUEST_ID, ""))
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": text})
                return
            # In place: the frame outside reads what the routes note in this very scope.
            scope["headers"] = [one for one in scope["headers"] if one[0] not in _DESCRIBING]
            receive = _first(body, receive)
        await self._app(scope, receive, send)


async def _inflated(receive: Receive, encoding: str, limit: int) -> bytes:
    limits = BodyLimits(limit, limit)
    with Reservation(MemoryBudget(2 * limit * MEMORY_FACTOR), "") as memory:
        try:
            body = await read_body(receive, None, limits, memory)
        except HTTPException as error:
            raise TooLarge(f"The body is too large; this path takes up to {limit} bytes.") from error
        return await inflate_body(body, encoding, limits, memory)


def _encoding_of(scope: Scope) -> str:
    """The content encoding; empty where there is nothing to undo."""
    if scope["type"] != "http":
        return ""
    for name, value in scope["headers"]:
        if name == _ENCODING:
            encoding: str = value.decode("latin-1").strip().lower()
            return "" if encoding == "identity" else encoding
    return ""


def _first(body: bytes, then: Receive) -> Receive:
    """Receive the whole body once, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else await then()

    return receive
