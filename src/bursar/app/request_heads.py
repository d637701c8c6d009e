"""Bounds of what a request asks for: how long path and query may be, and how many parameters a query has.

They stand before everything else, on every path, so that no long question is taken apart. The size of a head
as a whole is bounded while it comes in, by `bounded_protocol.py`; bodies have their bounds further in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.app.problems import problem_response
from bursar.errors import TargetTooLong, TooManyParameters

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bursar.errors import BursarError

TARGET_BYTES_LIMIT = 16 * 2**10
"""Path and query. Proxies seldom let more than 8 KiB through; longer questions have a body (`/query`)."""
PARAMETERS_LIMIT = 500
"""Query parameters, counted before they are taken apart."""


class HeadBounds:
    """The ASGI app that refuses requests with too much of a head."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is what the others reach."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        refusal = fault_of_head(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        # An answer need not repeat a target that is too long to be read.
        status, headers, body = problem_response(refusal, scope["path"][:200], scope.get("request_id", ""))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def fault_of_head(scope: Scope) -> BursarError | None:
    """What is too much about a request's head; None where it is within bounds."""
    query: bytes = scope["query_string"]
    length = len(scope.get("raw_path") or b"") + len(query)
    if length > TARGET_BYTES_LIMIT:
        return TargetTooLong(f"Path and query have {length} bytes; up to {TARGET_BYTES_LIMIT} are read.")
    parameters = query.count(b"&") + 1
    if parameters > PARAMETERS_LIMIT:
        return TooManyParameters(f"The query has {parameters} parameters; up to {PARAMETERS_LIMIT} are read.")
    return None
