"""The one seam through which requests get into the audit log: announced before, concluded after.

`auth.require` calls `announce` once it knows that the caller may do it, before the endpoint runs: an act
that can't be written down isn't carried out (503). `Concluding` stands around FastAPI, reads the answer on
its way out, writes down what came of the act, and only then lets the answer go; of an export, which goes out
as it is made, its last byte. What an act is called and what is kept of it is in `audited_acts.py`; the log
itself in `identity/audit/`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from fastapi.concurrency import run_in_threadpool

from bursar.app.addresses import client_address
from bursar.app.audited_acts import ACTS, OPEN_ACTS, Act, OpenAct
from bursar.app.audited_owner import owner_of
from bursar.app.audited_ways_in import Knock, WaysIn
from bursar.app.problems import problem_response
from bursar.errors import BursarError, NotFound, Unavailable
from bursar.identity.audit.deed import Deed, Origin, Outcome, actor_of
from bursar.identity.audit.entry import PLATFORM
from bursar.identity.audit.noting import Note, open_note
from bursar.identity.audit.showing import showable
from bursar.usage.output_format import asks_for_file

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bursar.identity.audit.log import AuditLog
    from bursar.identity.caller import Caller

LOG_MARK = "bursar.audit"
"""Key of the ASGI scope under which the audit log is found; absent in apps that keep none."""
ANNOUNCED_MARK = "bursar.audit.announced"
"""Key of the ASGI scope under which an act is found that was announced."""
NOTE_MARK = "bursar.audit.note"
"""Key of the ASGI scope under which is found what the endpoint notes."""
CALLER_MARK = "bursar.caller"
REQUEST_ID = "request_id"
"""Keys that `auth.py` and `middleware.py` set."""
ANSWER_LIMIT = 256 * 1024
"""Bytes of an answer that is read for what it says; of a longer one only that it went out is kept."""
BODY_LIMIT = 64 * 1024
"""Bytes of a body that is read for what it asks; of a longer one only how long it is."""
_REFUSED, _FAILED = 400, 500
_UNCONCLUDED = (
    "What was asked may have been done, but the audit log can't say so: it does not answer. Look before you"
    " ask again."
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Announced:
    """An act that is written down and not yet concluded."""

    act: Act
    owner: str
    deed: Deed
    number: int
    note: Note


async def announce(request: Request, caller: Caller) -> None:
    """Write down that the caller is about to do this, if it is an act; once per request.

    Raises:
        Unavailable: it can't be written down; nothing may be done.
    """
    scope = request.scope
    audit: AuditLog | None = scope.get(LOG_MARK)
    act = ACTS.get(_operation_of(scope))
    if audit is None or act is None or ANNOUNCED_MARK in scope:
        return
    if act.only_as_file and not _asks_for_file(request):
        return
    asked = _kept(act, {**request.query_params, **await _body_of(request)})
    deed = Deed(
        act.word,
        Outcome.BEGUN,
        actor_of(caller),
        _origin_of(scope),
        target=_target_of(act, scope["path_params"]),
        asked=showable(asked) or None,
    )
    owner = await owner_of(request, caller, act)
    try:
        number = await run_in_threadpool(audit.record, owner, deed)
    except NotFound:
        if not caller.is_operator:
            raise
        # There is no tenant of the name that the operator gave: the endpoint will say so.
        owner = PLATFORM
        number = await run_in_threadpool(audit.record, owner, deed)
    scope[ANNOUNCED_MARK] = Announced(act, owner, deed, number, scope[NOTE_MARK])


class Concluding:
    """Stands around FastAPI: an answer to an act goes out once its conclusion is written down."""

    def __init__(self, app: ASGIApp, audit: AuditLog) -> None:
        self._app = app
        self._audit = audit
        self._ways_in = WaysIn()
        self._entries: set[asyncio.Future[Any]] = set()
        """Being written, after the answers that they are about."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope[LOG_MARK], scope[NOTE_MARK] = self._audit, open_note()
        answer = _Answer(scope, send, self._audit, self._ways_in, self._entries)
        try:
            await self._app(scope, receive, answer.send)
        except BaseException:
            await answer.conclude_failed()
            raise
        await answer.conclude_broken_off()


class _Answer:
    """An answer on its way out, held back until its act is concluded."""

    def __init__(
        self, scope: Scope, send: Send, audit: AuditLog, ways_in: WaysIn, entries: set[asyncio.Future[Any]]
    ) -> None:
        self._entries = entries
        self._scope = scope
        self._send = send
        self._audit = audit
        self._ways_in = ways_in
        self._held: list[Message] = []
        self._body = b""
        self._streamed: int | None = None
        """Bytes that went out of an act that is streamed; None where nothing is streamed."""
        self._is_concluded = False

    async def send(self, message: Message) -> None:
        """Hold a part of the answer back, or let everything go that is to."""
        if self._is_concluded or not self._is_act():
            await self._send(message)
            return
        if self._is_of_stream(message):
            await self._pass_on(message)
            return
        self._held.append(message)
        if message["type"] == "http.response.body":
            self._body += message.get("body", b"")
        if self._is_enough(message):
            await self._conclude()

    async def conclude_failed(self) -> None:
        """Say that the act went wrong, if nothing else was said of it."""
        announced: Announced | None = self._scope.get(ANNOUNCED_MARK)
        if self._streamed is not None:
            await self.conclude_broken_off()
        elif announced is not None and not self._is_concluded:
            self._is_concluded = True
            with suppress(BursarError):
                await run_in_threadpool(
                    self._audit.record, announced.owner, _concluded(announced, _FAILED, {})
                )

    async def conclude_broken_off(self) -> None:
        """Say of a stream that didn't come to its end how far it came: its reader left, or it went wrong."""
        if self._streamed is not None and not self._is_concluded:
            self._is_concluded = True
            with suppress(BursarError):
                await self._conclude_stream(self._streamed, Outcome.FAILED, "broken_off")

    def _is_of_stream(self, message: Message) -> bool:
        """Whether this is part of an act's answer that is let through as it comes."""
        announced: Announced | None = self._scope.get(ANNOUNCED_MARK)
        is_begun = message["type"] == "http.response.start" and message["status"] < _REFUSED
        if is_begun and announced is not None and announced.act.is_streamed:
            self._streamed = 0
        return self._streamed is not None

    async def _pass_on(self, message: Message) -> None:
        """Let a part of a stream go; before its last one the act is concluded, or that one doesn't go."""
        self._streamed = (self._streamed or 0) + len(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._conclude_stream(self._streamed, Outcome.DONE, None)
            self._is_concluded = True
        await self._send(message)

    async def _conclude_stream(self, count: int, outcome: Outcome, reason: str | None) -> None:
        announced: Announced = self._scope[ANNOUNCED_MARK]
        begun, progress = announced.deed, announced.note.progress
        after = {**(progress() if progress else {}), "bytes": count}
        deed = Deed(
            begun.act, outcome, begun.actor, begun.origin, after=after, reason=reason, begun=announced.number
        )
        with suppress(NotFound):  # the tenant was deleted meanwhile, and its chain with it
            await run_in_threadpool(self._audit.record, announced.owner, deed)

    def _is_enough(self, message: Message) -> bool:
        """Whether the answer is here as far as it is read; of a stream that is its head."""
        if message["type"] == "http.response.start":
            return not _is_short_json(message)
        return not message.get("more_body", False) or len(self._body) > ANSWER_LIMIT

    def _is_act(self) -> bool:
        return ANNOUNCED_MARK in self._scope or _operation_of(self._scope) in OPEN_ACTS

    async def _conclude(self) -> None:
        status: int = self._held[0]["status"]
        owner, deed = self._outcome(status, _fields_of(self._body) or {})
        if ANNOUNCED_MARK not in self._scope and status >= _REFUSED:
            # Nothing was done. Nobody may learn by the time of a refusal whether it has an entry.
            self._is_concluded = True
            try:
                await self._let_go()
            finally:
                # Who hangs up at once cancels this request, but not the entry.
                entry = asyncio.ensure_future(self._record(owner, deed))
                self._entries.add(entry)
                entry.add_done_callback(self._entries.discard)
            await asyncio.shield(entry)
            return
        error = await self._record(owner, deed)
        if error is not None:
            self._held = _refusal(self._scope, error)
        self._is_concluded = True
        await self._let_go()

    async def _record(self, owner: str, deed: Deed | None) -> Unavailable | None:
        """Write down what came of it; answers why that can't be done."""
        try:
            if deed is not None:
                await run_in_threadpool(self._audit.record, owner, deed)
        except NotFound:
            # The tenant was deleted meanwhile, and its chain with it.
            log.info("an act's tenant is gone", owner=owner)
        except Unavailable as error:
            log.exception("an act could not be concluded in the audit log", owner=owner)
            return error
        return None

    async def _let_go(self) -> None:
        held, self._held = self._held, []
        for one in held:
            await self._send(one)

    def _outcome(self, status: int, answer: dict[str, Any]) -> tuple[str, Deed | None]:
        """Into whose chain goes what; nothing of what goes well too often to be told."""
        announced: Announced | None = self._scope.get(ANNOUNCED_MARK)
        if announced is not None:
            return announced.owner, _concluded(announced, status, answer)
        act = OPEN_ACTS[_operation_of(self._scope)]
        return self._ways_in.entry(_knock(self._scope, act, status, answer))


def _concluded(announced: Announced, status: int, answer: dict[str, Any]) -> Deed:
    begun, act = announced.deed, announced.act
    outcome = _outcome_of(status)
    is_done = outcome is Outcome.DONE
    target = begun.target or announced.note.target or _target_of(act, answer)
    return Deed(
        begun.act,
        outcome,
        begun.actor,
        begun.origin,
        target=target,
        before=showable(announced.note.before) if is_done else None,
        after=(showable(_kept(act, answer)) or None) if is_done else None,
        reason=_reason_of(outcome, answer),
        begun=announced.number,
    )


def _knock(scope: Scope, act: OpenAct, status: int, answer: dict[str, Any]) -> Knock:
    outcome = _outcome_of(status)
    return Knock(
        act,
        outcome,
        _origin_of(scope),
        _reason_of(outcome, answer),
        scope.get(CALLER_MARK),
        answer.get("user") or {},
        scope[NOTE_MARK],
    )


def _outcome_of(status: int) -> Outcome:
    if status < _REFUSED:
        return Outcome.DONE
    return Outcome.REFUSED if status < _FAILED else Outcome.FAILED


def _reason_of(outcome: Outcome, answer: dict[str, Any]) -> str | None:
    code = None if outcome is Outcome.DONE else answer.get("code")
    return code if isinstance(code, str) else None


def _operation_of(scope: Scope) -> str:
    name: object = getattr(scope.get("route"), "name", "")
    return name if isinstance(name, str) else ""


def _asks_for_file(request: Request) -> bool:
    return asks_for_file(request.query_params.getlist("format"), request.headers.get("accept", ""))


def _kept(act: Act, fields: dict[str, Any]) -> dict[str, Any]:
    return fields if act.keeps is None else {name: fields[name] for name in fields if name in act.keeps}


def _target_of(act: Act, fields: dict[str, Any]) -> str | None:
    target = fields.get(act.target) if act.target else None
    return str(showable(str(target))) if target is not None else None


def _origin_of(scope: Scope) -> Origin:
    return Origin(client_address(scope), scope.get(REQUEST_ID))


async def _body_of(request: Request) -> dict[str, Any]:
    """What a body asks, as fields; nothing where it has none or is a file."""
    if request.method == "GET" or "json" not in request.headers.get("content-type", ""):
        return {}
    body = await request.body()
    if len(body) > BODY_LIMIT:
        return {"bytes": len(body)}
    return _fields_of(body) or {}


def _fields_of(body: bytes) -> dict[str, Any] | None:
    """JSON as fields; None where it is none that is read."""
    if not body or len(body) > ANSWER_LIMIT:
        return None
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else {"items": found}  # pyright: ignore[reportUnknownVariableType]


def _is_short_json(message: Message) -> bool:
    """Whether an answer is JSON of a known length that is read."""
    headers = dict(message.get("headers", ()))
    kind, length = headers.get(b"content-type", b""), headers.get(b"content-length", b"")
    return b"json" in kind and length.isdigit() and int(length) <= ANSWER_LIMIT


def _refusal(scope: Scope, cause: Unavailable) -> list[Message]:
    error = Unavailable(_UNCONCLUDED, retry_after_seconds=cause.retry_after_seconds)
    status, headers, body = problem_response(error, scope["path"], scope.get(REQUEST_ID, ""))
    return [
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    ]
