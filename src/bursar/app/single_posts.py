"""Single posts as nearly all are, answered without a task: a key seen lately, canonical JSON, a good event.

It refuses nothing and waits for nothing but the disk. Whatever takes more goes the long way through the app
(`ingest_asgi.py`), which gives the same answer to what both can take; a test holds them to it. The connection
that calls it is in `post_protocol.py`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bursar import clock, tracing
from bursar.app.bodies import ALWAYS_TAKEN_BYTES
from bursar.app.ingest_answers import answer_single
from bursar.app.ingest_asgi import DOORS, EVENTS
from bursar.app.logs import request_id_for
from bursar.app.middleware import head_of
from bursar.errors import BursarError
from bursar.identity.permissions import Permission
from bursar.usage.bodies import decode_event
from bursar.usage.checks import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.types import Scope

    from bursar.app.addresses import Sender
    from bursar.app.edge import Edge
    from bursar.app.ingest_asgi import IngestParts
    from bursar.app.metrics import HttpMetrics
    from bursar.app.post_shares import PostShares
    from bursar.app.rate_limits import RateLimits
    from bursar.identity.caller import Caller

    Headers = list[tuple[bytes, bytes]]
    Found = dict[bytes, bytes]
    Answered = Callable[[bytes | None], None]

STATUS = 202
_JSON = (None, b"application/json", b"application/json; charset=utf-8")
"""Media types as nearly all clients spell them; the long way reads every spelling."""
_NOT_FOR_THIS = (BursarError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
_NEEDS_CARE = frozenset([b"content-encoding", b"idempotency-key", b"ce-specversion", b"origin"])


class SinglePosts:
    """Takes single posts. Use from the event loop."""

    def __init__(
        self, parts: IngestParts, metrics: HttpMetrics, edge: Edge, limits: RateLimits, shares: PostShares
    ) -> None:
        """Share the parts, the numbers, the edge and the limits of the long way."""
        self._edge = edge
        self._ingestor = parts.ingestor
        self._doorkeeper = parts.doorkeeper
        self._rules = parts.rules[DOORS[EVENTS]]
        self._knows_tenant = parts.knows_tenant
        self._suspended_in = parts.suspended_in
        self._metrics = metrics
        self._shares = shares
        self._limits = limits
        self._is_exempt = EVENTS in limits.exempt
        self.largest = min(ALWAYS_TAKEN_BYTES, parts.limits.body.max_bytes)
        """Bytes of a body; such ones are always taken, so none of the budget for memory is asked for."""

    def take(self, scope: Scope, body: bytes, answered: Answered) -> bool:
        """Take a whole POST of an event, or return False: then it was counted for rate limits at most.

        Args:
            scope: the request, as ASGI tells of it; whoever takes it finds there whether it was counted.
            body: all of it, of at most `largest` bytes.
            answered: called once the event is durable, with the answer as it is sent behind its status;
                with None where it could not be made durable, for the long way to say why.
        """
        headers: Headers = scope["headers"]
        found = dict(headers)
        if (
            # A span has a place among the tasks; this has no task.
            tracing.current_destination() is not None
            or len(found) != len(headers)
            or found.get(b"content-type") not in _JSON
            or not _NEEDS_CARE.isdisjoint(found)
            or not self._edge.hosts.takes(found.get(b"host"))
        ):
            return False
        try:
            return self._take(scope, found, body, answered)
        except _NOT_FOR_THIS:
            return False

    def _begin(self, scope: Scope, found: Found, body: bytes, answered: Answered, started: float) -> bool:
        """Take a post that had to wait; whether it could be taken."""
        try:
            is_taken = self._take(scope, found, body, answered, started)
        except _NOT_FOR_THIS:
            is_taken = False
        if not is_taken:
            answered(None)
        return is_taken

    def _take(
        self, scope: Scope, found: Found, body: bytes, answered: Answered, since: float | None = None
    ) -> bool:
        metrics, shares, now = self._metrics, self._shares, clock.now()
        started = clock.monotonic() if since is None else since
        sender = self._edge.proxies.mark(scope)
        caller = self._caller_of(scope, sender, now)
        if caller is None:
            return False
        tenant_id = caller.tenant_id
        if since is None and shares.must_wait(tenant_id, started):
            shares.wait(tenant_id, partial(self._begin, scope, found, body, answered, started))
            return True
        receipt = Receipt.of(caller, DOORS[EVENTS], now, self._rules, self._knows_tenant)
        receipt.suspended_in = self._suspended_in

        def settle(failure: BursarError | None) -> None:
            metrics.in_flight -= 1
            shares.leave(tenant_id)
            if failure is not None:
                answered(None)
                return
            metrics.ingest_bytes.inc(len(body))
            answered(answer)
            metrics.observe("POST", EVENTS, STATUS, clock.monotonic() - started)

        event = decode_event(body)
        told = self._count(caller, scope) if self._limits.is_counting else b""
        if told is None:
            return False
        taken = self._ingestor.take_at_once(event, receipt, settle)
        if taken is None:
            return False
        metrics.in_flight += 1
        shares.enter(tenant_id)
        content = answer_single(taken)
        answer = head_of(_request_id_of(found), len(content), is_secure=sender.is_secure, more=told) + content
        return True

    def _caller_of(self, scope: Scope, sender: Sender, now: datetime) -> Caller | None:
        """Who may post and is known without asking a store."""
        caller = self._doorkeeper.recall(scope["headers"], now)
        if caller is None or caller.is_suspended or not caller.may(Permission.USAGE_INGEST):
            return None
        if caller.networks:
            caller.refuse_elsewhere(sender.address)
        return caller

    def _count(self, caller: Caller, scope: Scope) -> bytes | None:
        """Count the post; None where it is refused, or counting has to wait for others."""
        if self._is_exempt:
            return b""
        return None if self._limits.is_shared else self._limits.take_post(caller, scope)


def _request_id_of(found: Found) -> str:
    presented = found.get(b"x-request-id")
    return request_id_for(None if presented is None else presented.decode("latin-1"))
