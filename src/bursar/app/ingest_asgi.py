"""The door for events: a raw ASGI app in front of FastAPI, for the three POST paths that are hot.

It reads and inflates the body within bounds, hands its items to `usage/ingest.py`, waits until they
are durable (and applied, where asked), and writes the account of every item. The same paths are
described in the OpenAPI document by `openapi.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect

from bursar import clock
from bursar.app.answer_posts import ANSWER_PARAMETERS, event_of_answer, is_answer
from bursar.app.bodies import BodyLimits, MemoryBudget, Reservation, inflate_body, read_body
from bursar.app.ingest_answers import Answer, answer_accepted, refuse_all
from bursar.app.middleware import REQUEST_ID
from bursar.app.problems import problem_response
from bursar.errors import BursarError, Invalid, Malformed, Reason, TenantSuspended, Unauthenticated
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.pricing.rating import CostStatus
from bursar.tracing import span
from bursar.usage.applying import Delivery
from bursar.usage.bodies import Shape, read_items, rescued_items, shape_of
from bursar.usage.checks import Receipt, TimeRules
from bursar.usage.ingest import AcceptOptions
from bursar.usage.intake import CostAnswer
from bursar.usage.known_services import finder_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as Connection

    from bursar.app.applier import Applier
    from bursar.app.auth import Doorkeeper
    from bursar.app.ingest_answers import StoredCosts
    from bursar.app.metrics import HttpMetrics
    from bursar.app.watches import Watch
    from bursar.usage.bodies import Items
    from bursar.usage.ingest import Accepted, Ingestor
    from bursar.usage.known_services import FindService

EVENTS = "/api/v1/events"
BATCH = "/api/v1/events/batch"
IMPORT = "/api/v1/events/import"
DOORS = {EVENTS: "native", BATCH: "native", IMPORT: "import"}
"""Path to the name that events keep of the door they came in by."""
IDEMPOTENCY_KEY_LIMIT = 255
_PARAMETERS = ("wait", "return", "tenant_id")
_IMPORT_PARAMETERS = (*_PARAMETERS, *ANSWER_PARAMETERS)


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What one body may hold, and how long a caller may wait for it to be applied."""

    body: BodyLimits
    max_items: int
    wait_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class IngestParts:
    """What the door is wired to."""

    ingestor: Ingestor
    applier: Applier
    doorkeeper: Doorkeeper
    rules: Mapping[str, TimeRules]
    """Time rules by door name."""
    limits: IngestLimits
    memory: MemoryBudget
    knows_tenant: Callable[[str], bool]
    suspended_in: Callable[[str], frozenset[str]]
    """The suspended projects of a tenant."""
    stored_costs: StoredCosts


# Made for every request: frozen would set each field at ten times the cost.
@dataclass(slots=True)
class _Ask:
    """What the request line and headers say."""

    path: str
    door: str
    shape: Shape
    encoding: str
    headers: Mapping[str, str]
    wait: bool
    wants_events: bool
    tenant_id: str | None
    idempotency_key: str | None
    answer: Mapping[str, str] | None
    """What the query says of a provider's answer; None where the body holds events."""


class IngestDoor:
    """Answers POSTs of events; passes everything else on."""

    def __init__(self, parts: IngestParts, then: ASGIApp, metrics: HttpMetrics) -> None:
        """`then` answers what is not for this door."""
        self._parts = parts
        self._then = then
        self._metrics = metrics

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in DOORS:
            await self._then(scope, receive, send)
            return
        try:
            status, headers, body = await self._answer(scope, receive)
        except ClientDisconnect:
            raise
        except BursarError as error:
            status, headers, body = problem_response(error, scope["path"], scope.get(REQUEST_ID, ""))
        headers = [one for one in headers if one[0] != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Connection, receive: Receive) -> Answer:
        caller = await self._parts.doorkeeper.identify(scope)
        caller.projects_with(Permission.USAGE_INGEST)
        ask = _read_ask(scope)
        caller = await self._parts.doorkeeper.act_for(caller, ask.tenant_id)
        caller.refuse_suspended()
        with Reservation(self._parts.memory, caller.tenant_id) as memory:
            limits = self._parts.limits.body
            raw = await read_body(receive, ask.headers.get("content-length"), limits, memory)
            self._metrics.ingest_bytes.inc(len(raw))
            body = await inflate_body(raw, ask.encoding, limits, memory)
            if ask.answer is not None:
                body = await asyncio.to_thread(event_of_answer, body, ask.headers, ask.answer)
            with span("ingest.accept", bytes=len(body)):
                return await self._accept(body, caller, ask, scope)

    async def _accept(self, body: bytes, caller: Caller, ask: _Ask, scope: Connection) -> Answer:
        parts = self._parts
        find_service = finder_for(parts.ingestor.services, caller)
        items = await _read_items(body, ask, parts.limits.max_items, find_service)
        knows_tenant = parts.knows_tenant
        if caller.is_operator and items.count > 1:
            # An operator's body may name the same tenant ten thousand times.
            knows_tenant = cache(knows_tenant)
        receipt = Receipt.of(caller, ask.door, clock.now(), parts.rules[ask.door], knows_tenant)
        receipt.suspended_in = parts.suspended_in
        receipt.projects = caller.projects_with(Permission.USAGE_INGEST)
        watches: list[Watch] = []

        def watch(first_seq: int, count: int) -> None:
            watches.append(parts.applier.watches.begin(first_seq, count))

        options = AcceptOptions(
            idempotency_key=ask.idempotency_key,
            admit=lambda: self._refusal(scope),
            wants_answers=ask.wants_events,
            on_appended=watch if ask.wait else None,
        )
        try:
            accepted = await parts.ingestor.accept(items, receipt, options)
            if not accepted.count:
                return refuse_all(accepted, ask.path, scope.get(REQUEST_ID, ""))
            applied = await self._note_outcomes(accepted, receipt, watches[0]) if watches else None
        finally:
            for one in watches:
                parts.applier.watches.forget(one)
        return await answer_accepted(
            accepted,
            parts.ingestor.turns,
            applied=applied,
            wants_events=ask.wants_events,
            batch=ask.path == BATCH,
        )

    def _refusal(self, scope: Connection) -> Reason | None:
        """The admission step: what was revoked or suspended while the body came in is refused by name."""
        try:
            self._parts.doorkeeper.recheck(scope)
        except (Unauthenticated, TenantSuspended) as error:
            return Reason("$", error.code, f"{error.detail}.")
        return None

    async def _note_outcomes(self, accepted: Accepted, receipt: Receipt, watch: Watch) -> bool:
        """Put each item's outcome into its answer; False where that took too long."""
        parts = self._parts
        repeats = await parts.applier.watches.outcomes(watch, parts.limits.wait_timeout_seconds)
        if repeats is None:
            return False
        stored = await asyncio.to_thread(
            parts.stored_costs, accepted.tenants, [one.first_seq for one in repeats.values()]
        )
        for i, answer in enumerate(accepted.answers):
            repeat = repeats.get(accepted.first_seq + i)
            answer.outcome = "new" if repeat is None else repeat.outcome.name.lower()
            # A conflict may be with an event of a project that the caller has no part in.
            is_told = receipt.projects is None or answer.outcome != "conflict"
            if repeat is not None and is_told and repeat.first_seq in stored:
                answer.cost = stored[repeat.first_seq]
            elif repeat is not None and repeat.outcome is Delivery.QUARANTINED:
                answer.cost = CostAnswer(CostStatus.UNPRICED, answer.cost.currency, None, "quarantined")
        return True


async def _read_items(body: bytes, ask: _Ask, max_items: int, find_service: FindService) -> Items:
    """The items of a body, those of a broken list too, as far as they can be told apart."""
    try:
        return read_items(body, ask.shape, ask.headers, max_items, find_service)
    except Malformed:
        items = await asyncio.to_thread(rescued_items, body, ask.shape, max_items, find_service)
        if items is None:
            raise
        return items


def _read_ask(scope: Connection) -> _Ask:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope["path"]
    parameters = _read_parameters(
        scope["query_string"], _IMPORT_PARAMETERS if path == IMPORT else _PARAMETERS
    )
    posts_answer = path == IMPORT and is_answer(headers, parameters)
    key = headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_LIMIT:
        text = f"Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_LIMIT} characters."
        raise Invalid(text, reasons=(Reason("Idempotency-Key", "wrong_length", text),))
    return _Ask(
        path=path,
        door=DOORS[path],
        shape=Shape.JSON if posts_answer else shape_of(headers),
        encoding=headers.get("content-encoding", "").strip().lower(),
        headers=headers,
        wait=parameters.get("wait") == "applied",
        wants_events=parameters.get("return") != "none",
        tenant_id=parameters.get("tenant_id"),
        idempotency_key=key,
        answer=parameters if posts_answer else None,
    )


def _read_parameters(query: bytes, known: Sequence[str]) -> dict[str, str]:
    if not query:
        return {}
    parameters = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    reasons = [
        Reason(
            name,
            "unknown_parameter",
            f"'{name[:64]}' is no parameter here; known are {', '.join(known)}.",
        )
        for name in parameters
        if name not in known
    ]
    if parameters.get("wait", "applied") != "applied":
        reasons.append(Reason("wait", "invalid_value", "wait must be 'applied'."))
    if parameters.get("return", "none") not in {"none", "events"}:
        reasons.append(Reason("return", "invalid_value", "return must be 'none' or 'events'."))
    if reasons:
        raise Invalid("The query parameters were refused.", reasons=tuple(reasons))
    return parameters
