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

import asyncio
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
from bursar.identity.limits.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bursar.app.auth import Doorkeeper
    from bursar.app.metrics import LimitMetrics
    from bursar.errors import RateLimited
    from bursar.identity.caller import Caller
    from bursar.identity.limits.own import OwnLimit
    from bursar.identity.limits.policy import Ask
    from bursar.settings import Settings
    from bursar.usage.tracking import NamedToken

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
        self.refusals = Refusals()
        """Who was refused lately, by `name_of`."""
        self.metrics = metrics
        self.token_policy: Policy | None = None
        """For events that name a tracking token."""
        self.is_counting = any(policies.values())
        """Whether anybody is limited."""
        self._policies = policies
        self._own: Mapping[tuple[Use, str], Policy] = {}
        self._drawn_by: Mapping[tuple[Use, str], Policy] = self._own
        self._shared = shared
        self._ask_again_at = 0.0
        self._local = LocalBuckets()

    async def judge_tokens(self, named: Mapping[int, NamedToken]) -> dict[int, RateLimited]:
        """Count events that name tracking tokens, by their place: those that are refused."""
        policy = self.token_policy
        if policy is None:
            return {}
        # By its characters: servers with data folders of their own have other ids for them.
        asks = [((policy, f"{one.tenant_id} {one.token}"),) for one in named.values()]
        verdicts = await asyncio.gather(*[self._take(one) for one in asks])
        refused = {
            place: verdict.error()
            for place, verdict in zip(named, verdicts, strict=True)
            if verdict is not None and verdict.is_refused
        }
        self.metrics.refused.labels(Use.INGEST, Counted.TOKEN).inc(len(refused))
        return refused

    def replace_own(self, owns: Iterable[OwnLimit]) -> None:
        """Count by these limits of single tenants from now on; safe from any thread."""
        before, after = self._own, dict[tuple[Use, str], Policy]()
        for own in owns:
            place = (own.use, own.tenant_id)
            known = before.get(place)
            is_same = known is not None and known.limit == own.limit
            after[place] = known if known and is_same else Policy(own.use, Counted.TENANT, own.limit)
        self._own = after
        self.is_counting = bool(after) or any(self._policies.values())
        self.refusals = Refusals()
        self._local.lines.clear()

    def redraw(self) -> None:
        """Draw lines anew if limits of tenants were replaced while one was drawn. From the event loop."""
        if self._drawn_by is not self._own:
            self._drawn_by = self._own
            self._local.lines.clear()

    def defaults(self) -> dict[Use, Limit]:
        """The limits per tenant that hold for those without one of their own."""
        return {
            use: policy.limit
            for use, policies in self._policies.items()
            for policy in policies
            if policy.counted is Counted.TENANT
        }

    def take_post(self, caller: Caller, scope: Scope) -> bytes | None:
        """Count a post of events in this process without waiting: its answer's lines; None if it is refused.

        Once counted, the scope holds the verdict.
        """
        name = name_of(Use.INGEST, caller, scope)
        now = clock.monotonic_nanoseconds()
        line = self._local.lines.get(name)
        if line is None:
            asks = self._asks(Use.INGEST, caller, scope)
            if not asks:
                return b""
            line = self._local.draw_line(name, asks, now)
        verdict = line.take(now)
        if verdict.left < 0:
            self._note(name, verdict, now)
            return None
        scope[VERDICT_MARK] = verdict
        return line.lines(verdict)

    async def judge(self, use: Use, scope: Scope, doorkeeper: Doorkeeper) -> Verdict | None:
        """Count a request; None where no limit counts it."""
        asked_at = clock.monotonic_nanoseconds()
        caller = self.recalled(scope, doorkeeper)
        first = await self._take(self._asks(use, caller, scope))
        if first is not None and first.is_refused:
            self._note(name_of(use, caller, scope), first, asked_at)
        if caller is not None or (first is not None and first.is_refused):
            return first
        try:
            caller = await doorkeeper.identify(scope)
        except BursarError:
            # The app says what is wrong with the credential, if the path needs one.
            return first
        asks = self._asks(use, caller, scope)
        return await self._take([ask for ask in asks if ask[0].counted is not Counted.ADDRESS]) or first

    def recalled(self, scope: Scope, doorkeeper: Doorkeeper) -> Caller | None:
        """The caller, if that is known without asking a store."""
        try:
            caller = doorkeeper.recall(scope["headers"], clock.now())
            if caller is not None and caller.networks:
                # Whoever took a key elsewhere must not use up what its owner may do.
                caller.refuse_elsewhere(client_address(scope))
        except BursarError:
            return None
        return caller

    def counts(self, use: Use, path: str) -> bool:
        """Whether any limit counts such requests to this path."""
        is_limited = self._policies[use] or any(one is use for one, _ in self._own)
        return bool(is_limited) and path not in self.exempt

    def count_refusal(self, verdict: Verdict) -> None:
        """Tell the metrics."""
        self.metrics.refused.labels(verdict.tightest.use, verdict.tightest.counted).inc()

    async def close(self) -> None:
        """Let go of what is shared."""
        if self._shared is not None:
            await self._shared.close()

    def _note(self, name: str, verdict: Verdict, asked_at: int) -> None:
        if self.refusals.note(name, verdict, asked_at):
            use, _, who = name.partition(" ")
            log.info("rate limited", use=use, who=who, limit=verdict.tightest.name)

    def _asks(self, use: Use, caller: Caller | None, scope: Scope) -> list[Ask]:
        asks: list[Ask] = []
        own = None if caller is None or caller.is_operator else self._own.get((use, caller.tenant_id))
        if own is not None and caller is not None:
            asks.append((own, caller.tenant_id))
        for policy in self._policies[use]:
            if own is not None and policy.counted is Counted.TENANT:
                continue
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
        if self._shared is not None and self._may_ask():
            try:
                verdict = tightest_of(asks, await self._shared.take(asks))
            except Unavailable as error:
                self._go_on_alone(error)
            else:
                self._go_on_together()
                return verdict
        if self._shared is not None:
            self.metrics.counted_alone.inc()
        return self._local.take(asks, clock.monotonic_nanoseconds())

    def _may_ask(self) -> bool:
        """Whether to ask Redis; while it is away one request finds out if it is back, and no other waits."""
        now = clock.monotonic()
        if now < self._ask_again_at:
            return False
        if self.is_alone:
            self._ask_again_at = now + ALONE_SECONDS
        return True

    def _go_on_alone(self, error: Unavailable) -> None:
        self._ask_again_at = clock.monotonic() + ALONE_SECONDS
        self.metrics.redis_failures.inc()
        if not self.is_alone:
            self.is_alone = True
            log.warning("Redis is away: this server counts rate limits by itself", error=error.detail)

    def _go_on_together(self) -> None:
        if self.is_alone:
            self.is_alone = False
            self._ask_again_at = 0.0
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
        is_counted = (
            self._limits.is_counting and scope["type"] == "http" and scope.get(OPERATOR_MARK) is not True
        )
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


def limits_of(settings: Settings, metrics: LimitMetrics, shared: SharedBuckets | None = None) -> RateLimits:
    """The rate limits that the settings ask for; those of single tenants come to them."""
    policies = {
        Use.READ: tuple(_policies(settings, Use.READ, "rate_limit")),
        Use.INGEST: tuple(_policies(settings, Use.INGEST, "rate_limit_ingest")),
    }
    limits = RateLimits(policies, frozenset(settings.rate_limit_exempt.split(",")), metrics, shared)
    if settings.rate_limit_ingest_token_rpm:
        per_minute = settings.rate_limit_ingest_token_rpm
        limit = Limit(per_minute, settings.rate_limit_ingest_token_burst or per_minute)
        limits.token_policy = Policy(Use.INGEST, Counted.TOKEN, limit)
    return limits


def _policies(settings: Settings, use: Use, prefix: str) -> Iterator[Policy]:
    for counted in (Counted.KEY, Counted.TENANT, Counted.ADDRESS):
        name = prefix if counted is Counted.KEY else f"{prefix}_{counted}"
        per_minute: int = getattr(settings, f"{name}_rpm")
        burst: int = getattr(settings, f"{name}_burst")
        if per_minute:
            yield Policy(use, counted, Limit(per_minute, burst or per_minute))


def use_of(scope: Scope) -> Use:
    """What a request is for."""
    return Use.INGEST if scope["path"] in EVENT_PATHS and scope["method"] == "POST" else Use.READ


def name_of(use: Use, caller: Caller | None, scope: Scope) -> str:
    """Whose requests ask the same buckets: a caller from an address, or all that are unknown from there."""
    address = client_address(scope)
    return f"{use} {address}" if caller is None else f"{use} {caller.tenant_id} {caller.key_id} {address}"


def network_of(address: str) -> str:
    """Whom an address counts for: an IPv6 address is one of the 2**64 that its owner has."""
    if ":" not in address:
        return address
    # A link-local address may name its interface.
    return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))


def _telling(verdict: Verdict, send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *verdict.fields()]}
        await send(message)

    return told
