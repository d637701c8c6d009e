"""Rate limits in front of everything: who asks too often gets a 429 and costs next to nothing.

It stands between the frame and the door for events, so that every path is counted, those that don't exist
too. Whose bucket is asked is decided in `identity/limits`; here is when. A caller who is known already is
counted by address, key and tenant together. One who isn't is counted by address first, since finding out
may ask a store. Single posts are counted by `single_posts.py` with the same buckets, and only once.

With Redis, servers count together. While it is away each counts by itself, which is told in the log, in
`/ready` and in metrics: refusing usage would lose it where callers don't retry, and letting everything
through would make an outage of Redis one of Bursar.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Protocol

import structlog

from bursar import clock
from bursar.app.addresses import client_address
from bursar.app.auth import OPERATOR_MARK
from bursar.app.middleware import EVENT_PATHS, REQUEST_ID
from bursar.app.problems import problem_response
from bursar.errors import BursarError, Unavailable
from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.local import LocalBuckets
from bursar.identity.limits.policy import Counted, Policy, Use, Verdict, owner_of, tightest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bursar.app.auth import Doorkeeper
    from bursar.app.metrics import LimitMetrics
    from bursar.identity.caller import Caller
    from bursar.identity.limits.policy import Ask
    from bursar.settings import Settings

VERDICT_MARK = "bursar.rate_limit"
"""Key of the ASGI scope under which the verdict is found once the request was counted."""
ALONE_SECONDS = 1.0
"""After a failure Redis isn't asked for so long: requests must not wait for what doesn't answer."""

log = structlog.get_logger()


class SharedBuckets(Protocol):
    """Buckets that several servers take from."""

    async def take(self, asks: Sequence[Ask]) -> list[int]:
        """What is left in each bucket after taking a token from all, or from none if one is below 0.

        Raises:
            Unavailable: they can't be reached.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class RateLimits:
    """Counts requests against the limits of the settings. Use from one event loop."""

    def __init__(
        self,
        policies: Mapping[Use, Sequence[Policy]],
        exempt: frozenset[str],
        metrics: LimitMetrics,
        shared: SharedBuckets | None = None,
    ) -> None:
        """Without `shared` buckets this process has its own."""
        self.exempt = exempt
        self.is_shared = shared is not None
        self.is_alone = False
        """Whether shared buckets can't be reached."""
        self._policies = policies
        self._metrics = metrics
        self._shared = shared
        self._ask_again_at = 0.0
        self._local = LocalBuckets()

    def take_post(self, caller: Caller, scope: Scope) -> bytes | None:
        """Count a post of events in this process without waiting: its answer's lines; None if it is refused.

        Once counted, the scope holds the verdict.
        """
        name = f"{caller.tenant_id} {caller.key_id} {client_address(scope)}"
        now = clock.monotonic_nanoseconds()
        line = self._local.lines.get(name)
        if line is None:
            asks = self._asks(Use.INGEST, caller, scope)
            if not asks:
                return b""
            line = self._local.draw_line(name, asks, now)
        verdict = line.take(now)
        if verdict.left < 0:
            return None
        scope[VERDICT_MARK] = verdict
        return line.lines(verdict)

    async def judge(self, use: Use, scope: Scope, doorkeeper: Doorkeeper) -> Verdict | None:
        """Count a request; None where no limit counts it."""
        caller = _recalled(scope, doorkeeper)
        if caller is not None:
            return await self._take(self._asks(use, caller, scope))
        first = await self._take(self._asks(use, None, scope))
        if first is not None and first.is_refused:
            return first
        try:
            caller = await doorkeeper.identify(scope)
        except BursarError:
            # The app says what is wrong with the credential, if the path needs one.
            return first
        asks = self._asks(use, caller, scope)
        return await self._take([ask for ask in asks if ask[0].counted is not Counted.ADDRESS]) or first

    def counts(self, use: Use, path: str) -> bool:
        """Whether any limit counts such requests to this path."""
        return bool(self._policies[use]) and path not in self.exempt

    def count_refusal(self, verdict: Verdict) -> None:
        """Tell the metrics."""
        self._metrics.refused.labels(verdict.tightest.use, verdict.tightest.counted).inc()

    async def close(self) -> None:
        """Let go of what is shared."""
        if self._shared is not None:
            await self._shared.close()

    def _asks(self, use: Use, caller: Caller | None, scope: Scope) -> list[Ask]:
        asks: list[Ask] = []
        for policy in self._policies[use]:
            if policy.counted is Counted.ADDRESS:
                address = client_address(scope)
                owner = None if address is None else network_of(address)
            else:
                owner = None if caller is None else owner_of(policy.counted, caller)
            if owner is not None:
                asks.append((policy, owner))
        return asks

    async def _take(self, asks: Sequence[Ask]) -> Verdict | None:
        if not asks:
            return None
        if self._shared is not None and clock.monotonic() >= self._ask_again_at:
            try:
                verdict = tightest_of(asks, await self._shared.take(asks))
            except Unavailable as error:
                self._go_on_alone(error)
            else:
                self._go_on_together()
                return verdict
        if self._shared is not None:
            self._metrics.counted_alone.inc()
        return self._local.take(asks, clock.monotonic_nanoseconds())

    def _go_on_alone(self, error: Unavailable) -> None:
        self._ask_again_at = clock.monotonic() + ALONE_SECONDS
        self._metrics.redis_failures.inc()
        if not self.is_alone:
            self.is_alone = True
            log.warning("Redis is away: this server counts rate limits by itself", error=error.detail)

    def _go_on_together(self) -> None:
        if self.is_alone:
            self.is_alone = False
            log.info("Redis is back: rate limits are counted together")


class Limiting:
    """The ASGI app that refuses whoever asks too often and tells everybody else what is left."""

    def __init__(self, app: ASGIApp, limits: RateLimits, doorkeeper: Doorkeeper) -> None:
        """`app` is what those reach who may."""
        self._app = app
        self._limits = limits
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        is_counted = scope["type"] == "http" and scope.get(OPERATOR_MARK) is not True
        if not is_counted or scope["path"] in self._limits.exempt:
            await self._app(scope, receive, send)
            return
        verdict: Verdict | None = scope.get(VERDICT_MARK)
        if verdict is None:
            verdict = await self._limits.judge(use_of(scope), scope, self._doorkeeper)
        if verdict is None:
            await self._app(scope, receive, send)
            return
        told = _telling(verdict, send)
        if not verdict.is_refused:
            await self._app(scope, receive, told)
            return
        self._limits.count_refusal(verdict)
        status, headers, body = problem_response(verdict.error(), scope["path"], scope.get(REQUEST_ID, ""))
        await told({"type": "http.response.start", "status": status, "headers": headers})
        await told({"type": "http.response.body", "body": body})


def limits_of(
    settings: Settings, metrics: LimitMetrics, shared: SharedBuckets | None = None
) -> RateLimits | None:
    """The rate limits that the settings ask for; None where there are none, so that they cost nothing."""
    policies = {
        Use.READ: tuple(_policies(settings, Use.READ, "rate_limit")),
        Use.INGEST: tuple(_policies(settings, Use.INGEST, "rate_limit_ingest")),
    }
    if not any(policies.values()):
        return None
    return RateLimits(policies, frozenset(settings.rate_limit_exempt.split(",")), metrics, shared)


def _policies(settings: Settings, use: Use, prefix: str) -> Iterator[Policy]:
    for counted in Counted:
        name = prefix if counted is Counted.KEY else f"{prefix}_{counted}"
        per_minute: int = getattr(settings, f"{name}_rpm")
        burst: int = getattr(settings, f"{name}_burst")
        if per_minute:
            yield Policy(use, counted, Limit(per_minute, burst or per_minute))


def use_of(scope: Scope) -> Use:
    """What a request is for."""
    return Use.INGEST if scope["path"] in EVENT_PATHS and scope["method"] == "POST" else Use.READ


def network_of(address: str) -> str:
    """Whom an address counts for: an IPv6 address is one of the 2**64 that its owner has."""
    if ":" not in address:
        return address
    # A link-local address may name its interface.
    return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))


def _recalled(scope: Scope, doorkeeper: Doorkeeper) -> Caller | None:
    """The caller, if that is known without asking a store."""
    try:
        return doorkeeper.recall(scope["headers"], clock.now())
    except BursarError:
        return None


def _telling(verdict: Verdict, send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *verdict.fields()]}
        await send(message)

    return told
