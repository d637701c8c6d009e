"""Refuses requests of callers whose buckets are known to be empty, before anything is done for them.

It stands before the app, in the connection itself (`gated_protocol.py`), and looks at a request's head alone.
What it says is what `rate_limits.py` would have said, to the byte; what takes more to refuse than a look at
`identity/limits/refusals.py` is left to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar import clock
from bursar.app.logs import request_id_for
from bursar.app.middleware import method_of, route_of
from bursar.app.problems import problem_response
from bursar.app.rate_limits import name_of, use_of
from bursar.app.safety_headers import end_of_head

if TYPE_CHECKING:
    from starlette.types import Scope

    from bursar.app.auth import Doorkeeper
    from bursar.app.edge import Edge
    from bursar.app.metrics import HttpMetrics
    from bursar.app.rate_limits import RateLimits
    from bursar.identity.limits.policy import Policy, Verdict
    from bursar.identity.limits.refusals import Refused

STATUS = 429
HELD_LIMIT = 2_000
"""Connections whose refusals are held back at the same time; beyond, they are refused at once and closed."""
_TARGET_BYTES = 1_024
"""Of path and query; longer ones are judged by the app, which also knows those that are too long."""
_PREPARED_LIMIT = 2_000
"""Refusals that are kept ready, of about 1 kB each."""
_METHODS = frozenset(["GET", "POST", "PUT", "PATCH", "DELETE"])
_ID_MARK = "req_prepared"
_END = {secure: end_of_head(is_secure=secure) for secure in (False, True)}


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A refusal but for the request's id, which stands in its head and in its body."""

    fields: bytes
    before_id: bytes
    after_id: bytes

    def with_id(self, request_id: bytes, *, is_secure: bool) -> bytes:
        """Head and body as they are sent."""
        body = self.before_id + request_id + self.after_id
        head = b"%bcontent-length: %d\r\nx-request-id: %b\r\n" % (self.fields, len(body), request_id)
        return head + _END[is_secure] + body


class FloodGate:
    """Says no. Use from the event loop."""

    def __init__(self, limits: RateLimits, doorkeeper: Doorkeeper, edge: Edge, metrics: HttpMetrics) -> None:
        """Share the limits, the edge and the numbers of the app behind it."""
        self._limits = limits
        self._doorkeeper = doorkeeper
        self._edge = edge
        self._metrics = metrics
        self._prepared: dict[tuple[str, int, Policy, tuple[Policy, ...]], _Prepared] = {}

    @property
    def is_crowded(self) -> bool:
        """Whether as many refusals are held back as may be."""
        return self._limits.metrics.held >= HELD_LIMIT

    def find(self, scope: Scope) -> Refused | None:
        """Who is to be refused, and now counted so; None lets the request through to be judged as ever."""
        now = clock.monotonic_nanoseconds()
        if not self._limits.refusals.are_any(now) or not self._is_plain(scope):
            return None
        self._edge.proxies.mark(scope)
        caller = self._limits.recalled(scope, self._doorkeeper)
        refused = self._limits.refusals.find(name_of(use_of(scope), caller, scope), now)
        if refused is not None:
            refused.count_one(now)
        return refused

    def hold(self, refused: Refused) -> float:
        """Seconds after which to answer; where it is above 0, `release` is to be called then."""
        seconds = 0.0 if self.is_crowded else refused.hold_seconds(clock.monotonic_nanoseconds())
        if seconds:
            refused.held += 1
            self._limits.metrics.held += 1
        return seconds

    def release(self, refused: Refused) -> None:
        """A refusal that was held back is told, or nobody is left to be told."""
        refused.held -= 1
        self._limits.metrics.held -= 1

    def answer(self, scope: Scope, refused: Refused, seconds: float) -> bytes:
        """The refusal as it is sent behind its status, counted as an answer that took so long."""
        verdict = refused.verdict(clock.monotonic_nanoseconds())
        self._limits.count_refusal(verdict)
        self._metrics.observe(method_of(scope), route_of(scope), STATUS, seconds)
        presented = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        request_id = request_id_for(None if presented is None else presented.decode("latin-1"))
        prepared = self._prepared_for(verdict, scope["path"])
        is_secure = self._edge.proxies.mark(scope).is_secure
        return prepared.with_id(request_id.encode("ascii"), is_secure=is_secure)

    def _prepared_for(self, verdict: Verdict, path: str) -> _Prepared:
        key = (path, verdict.wait_seconds, verdict.tightest, tuple([policy for policy, _ in verdict.asks]))
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= _PREPARED_LIMIT:
                self._prepared.clear()
            prepared = self._prepared[key] = _prepare(verdict, path)
        return prepared

    def _is_plain(self, scope: Scope) -> bool:
        """Whether nothing else would be said of the request before its caller is counted."""
        if scope["method"] not in _METHODS or scope["path"] in self._limits.exempt:
            return False
        if len(scope["raw_path"]) + len(scope["query_string"]) > _TARGET_BYTES:
            return False
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        is_of_another_origin = any(name == b"origin" for name, _ in scope["headers"])
        return not is_of_another_origin and len(hosts) == 1 and self._edge.hosts.takes(hosts[0])


def _prepare(verdict: Verdict, path: str) -> _Prepared:
    _, headers, body = problem_response(verdict.error(), path, _ID_MARK)
    told = [one for one in (*headers, *verdict.fields()) if one[0] != b"content-length"]
    # The path is a caller's text, and stands before the id.
    before, _, after = body.rpartition(_ID_MARK.encode("ascii"))
    return _Prepared(b"".join([b"%b: %b\r\n" % one for one in told]), before, after)
