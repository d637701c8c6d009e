"""What every request goes through: a pure ASGI frame around the app, and a guard before FastAPI.

The frame gives the request its id, its log line, its numbers and its trace, and turns an error that
nobody caught into a problem document. The guard bounds what FastAPI is handed (bodies, requests at
the same time) and ends a question whose client has left. Events skip the guard: their door bounds
itself (`ingest_asgi.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from bursar import clock
from bursar.app.addresses import Proxies, client_address, is_secure
from bursar.app.auth import CALLER_MARK, OPERATOR_MARK
from bursar.app.logs import bind_request_id
from bursar.app.places import Places
from bursar.app.problems import problem_response
from bursar.app.safety_headers import end_of_head, safety_headers
from bursar.app.tracing import request_span
from bursar.errors import Overloaded, TooLarge, Unavailable
from bursar.identity.caller import Caller

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bursar.app.metrics import HttpMetrics

REQUEST_ID = "request_id"
"""Key of the ASGI scope that holds the request's id."""
API_BODY_LIMIT = 2**20
"""Bytes of a body that FastAPI decodes: questions, keys and prices are a few kB. Events have a door of
their own with limits of their own."""
FILE_BODY_LIMIT = 16 * 2**20
"""Bytes of a price file; LiteLLM's map has 3 MB, genai-prices' data half a MB."""
FILE_PATHS = frozenset(["/api/v1/prices/updates", "/api/v1/prices/diff", "/api/v1/prices/compare"])
"""POST paths that take a file."""
FILES_AT_ONCE = 4
"""Files of more than `API_BODY_LIMIT` taken at the same time, which bounds the memory for them."""
API_REQUESTS_LIMIT = 512
"""Requests that FastAPI works on at the same time. Some dozens of threads do the work, so more would
only wait; with the body limit this bounds their memory to half a GiB. Requests whose bodies come slowly, or
whose answers nobody reads, are at work too: so one client's address has half of it at most, and a quarter
beside others."""
QUESTIONS = frozenset(["/api/v1/query"])
"""POST paths that only ask, so that their work may be dropped half-way."""
EVENT_PATHS = frozenset(["/api/v1/events", "/api/v1/events/batch", "/api/v1/events/import"])
"""What the door for events answers, without a route that FastAPI knows."""
DOCUMENT_PATHS = frozenset(["/docs", "/redoc", "/openapi.json"])
QUIET_PATHS = frozenset(["/live", "/ready", "/ping", "/health", "/metrics"])
"""Asked every few seconds by machines: logged at `debug` while all is well."""
_ROUTINE_PATHS = QUIET_PATHS | EVENT_PATHS
_PATHS_WITHOUT_ROUTE = EVENT_PATHS | DOCUMENT_PATHS
_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_CLIENT_GONE = 499
"""nginx's word for an answer that nobody waited for; seen in logs and metrics only."""
_SERVER_FAULT = 500

_STOPPING = (
    "The server is stopping and did not finish this; what it was asked to keep may have been kept. "
    "A retry with the same event ids or Idempotency-Key is safe."
)
_RESTART_SECONDS = 5

_HEAD_END = {secure: end_of_head(is_secure=secure) for secure in (False, True)}

log = structlog.get_logger()


def head_of(request_id: str, length: int, *, is_secure: bool, more: bytes = b"") -> bytes:
    """The headers of a JSON answer with so many bytes as the frame sends them, up to the empty line.

    `more` are header lines of its own.
    """
    return b"content-type: application/json\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n%b" % (
        length,
        more,
        request_id.encode("ascii"),
        _HEAD_END[is_secure],
    )


class Frame:
    """The outermost app: whatever happens inside, there is one answer, one log line, one count."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: HttpMetrics,
        proxies: Proxies | None = None,
        *,
        logs_routine: bool = True,
    ) -> None:
        """`logs_routine`: whether `debug` lines are wanted; making one that isn't takes 10 µs."""
        self._app = app
        self._metrics = metrics
        self._proxies = proxies or Proxies()
        self._logs_routine = logs_routine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._proxies.mark(scope)
        exchange = _Exchange(scope, send)
        self._metrics.in_flight += 1
        try:
            with request_span(
                scope["method"], exchange.header(b"traceparent"), **{"url.path": str(scope["path"])}
            ):
                await self._answer(exchange, receive)
        finally:
            self._metrics.in_flight -= 1
            self._record(exchange)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        try:
            await self._app(exchange.scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.is_abandoned = True
        except asyncio.CancelledError:
            # A stopping server has waited long enough; an answer is better than a closed connection.
            if exchange.status is not None:
                raise
            await exchange.refuse(Unavailable(_STOPPING, retry_after_seconds=_RESTART_SECONDS))
        except Exception as error:
            log.exception("unexpected error", method=exchange.scope["method"], path=exchange.scope["path"])
            if exchange.status is None:
                await exchange.refuse(error)

    def _record(self, exchange: _Exchange) -> None:
        seconds = clock.monotonic() - exchange.started
        if exchange.is_abandoned:
            self._metrics.abandoned.inc()
        status = exchange.status or _CLIENT_GONE
        self._metrics.observe(method_of(exchange.scope), route_of(exchange.scope), status, seconds)
        is_routine = status < 400 and exchange.scope["path"] in _ROUTINE_PATHS  # noqa: PLR2004 - all went well
        if self._logs_routine or not is_routine:
            _log_line(exchange, status, seconds, is_routine=is_routine)


class _Exchange:
    """One request and what is known of its answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.started = clock.monotonic()
        self.status: int | None = None
        self.is_abandoned = False
        self.request_id = bind_request_id(self.header(b"x-request-id"))
        self._send = send
        scope[REQUEST_ID] = self.request_id

    def header(self, wanted: bytes) -> str | None:
        """The value of a request header."""
        for name, value in self.scope["headers"]:
            if name == wanted:
                return value.decode("latin-1")
        return None

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on; its head gets the id and the safety headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message.get("headers", ())
            own = (b"x-request-id", self.request_id.encode("ascii"))
            headers = [*given, own, *safety_headers(given, is_secure=is_secure(self.scope))]
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, error: Exception) -> None:
        """Answer with a problem document."""
        status, headers, body = problem_response(error, self.scope["path"], self.request_id)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class Guard:
    """Stands before FastAPI: bounded bodies, bounded work, and none for a client that has left."""

    def __init__(
        self, app: ASGIApp, body_limit: int = API_BODY_LIMIT, requests_limit: int = API_REQUESTS_LIMIT
    ) -> None:
        self._app = app
        self._body_limit = body_limit
        self._requests_limit = requests_limit
        self._at_work = Places(requests_limit)
        self._files = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The operator and the probes must get through while everybody else waits.
        is_counted = scope.get(OPERATOR_MARK) is not True and scope["path"] not in QUIET_PATHS
        refusal = self._refusal(scope) or (self._crowded(scope) if is_counted else None)
        if refusal is not None:
            status, headers, body = problem_response(refusal, scope["path"], scope.get(REQUEST_ID, ""))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        is_file = takes_file(scope) and _is_longer(scope, self._body_limit)
        self._files += is_file
        try:
            await self._work(scope, _Ear(receive, self._limit_of(scope)), send)
        finally:
            self._files -= is_file
            if is_counted:
                self._at_work.leave(client_address(scope))

    def _crowded(self, scope: Scope) -> Overloaded | None:
        """Take a place among those at work; the refusal where there is none."""
        is_full = len(self._at_work) >= self._requests_limit
        return Overloaded() if is_full or not self._at_work.take(client_address(scope)) else None

    def _limit_of(self, scope: Scope) -> int:
        return max(self._body_limit, FILE_BODY_LIMIT) if takes_file(scope) else self._body_limit

    def _refusal(self, scope: Scope) -> TooLarge | Overloaded | None:
        limit = self._limit_of(scope)
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                return TooLarge(f"The body has {int(value)} bytes; this path takes up to {limit}.")
        if self._files >= FILES_AT_ONCE and takes_file(scope) and _is_longer(scope, self._body_limit):
            return Overloaded("Other price files are being read; try again shortly.")
        return None

    async def _work(self, scope: Scope, ear: _Ear, send: Send) -> None:
        work = asyncio.create_task(self._pass_on(scope, ear, send))
        listening = asyncio.create_task(ear.listen())
        try:
            await asyncio.wait((work, listening), return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and _only_asks(scope):
                # Cancelling reaches the pool of queries, which interrupts the one that is running.
                work.cancel()
                await asyncio.wait((work,))
                if work.cancelled():
                    raise ClientDisconnect
            await work
        finally:
            work.cancel()
            listening.cancel()
            await asyncio.gather(work, listening, return_exceptions=True)

    async def _pass_on(self, scope: Scope, ear: _Ear, send: Send) -> None:
        await self._app(scope, ear.receive, send)


class _Ear:
    """Hears a request to its end and beyond: its body up to a limit, then whether its client leaves."""

    def __init__(self, receive: Receive, body_limit: int) -> None:
        self._receive = receive
        self._body_limit = body_limit
        self._heard: asyncio.Queue[Message | HTTPException] = asyncio.Queue()

    async def listen(self) -> None:
        """Hear until the client leaves; what goes beyond the limit is let pass unkept."""
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._heard.put_nowait(message)
                return
            was_within = size <= self._body_limit
            size += len(message.get("body", b""))
            if size <= self._body_limit:
                self._heard.put_nowait(message)
            elif was_within:
                self._heard.put_nowait(HTTPException(413))

    async def receive(self) -> Message:
        """The next part that was heard; after a disconnect, that again and again."""
        message = await self._heard.get()
        if isinstance(message, HTTPException):
            raise message
        if message["type"] == "http.disconnect":
            self._heard.put_nowait(message)
        return message


def takes_file(scope: Scope) -> bool:
    """Whether a request may have a price file as its body."""
    return scope["path"] in FILE_PATHS and scope["method"] == "POST"


def _is_longer(scope: Scope, limit: int) -> bool:
    """Whether a body may have more bytes: it says so, or says no length."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value) > limit
    return any(name == b"transfer-encoding" for name, _ in scope["headers"])


def _only_asks(scope: Scope) -> bool:
    return scope["method"] in {"GET", "HEAD"} or scope["path"] in QUESTIONS


def method_of(scope: Scope) -> str:
    """The request's method: a closed set, for metrics."""
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def route_of(scope: Scope) -> str:
    """The template of the route that took the request: a closed set, unlike paths."""
    template: Any = getattr(scope.get("route"), "path_format", None)
    if isinstance(template, str):
        return template
    return scope["path"] if scope["path"] in _PATHS_WITHOUT_ROUTE else "unmatched"


def _log_line(exchange: _Exchange, status: int, seconds: float, *, is_routine: bool) -> None:
    scope = exchange.scope
    path: str = scope["path"]
    caller = scope.get(CALLER_MARK)
    known = {"tenant_id": caller.tenant_id, "key_id": caller.key_id} if isinstance(caller, Caller) else {}
    write = log.debug if is_routine else log.warning if status >= _SERVER_FAULT else log.info
    write(
        "request",
        method=scope["method"],
        path=path,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        address=client_address(scope),
        **known,
    )
