"""What it costs a post to recognise its key, and to count it against a limit: processor time of each.

Both stand on a single post's short way, before its event is looked at: `Doorkeeper.recall` finds the caller
of a key that was seen lately, `RateLimits.take_post` counts the post in this process. Beside them is what no
design does without: one SHA-256 of the same key, and one look into a dict as large.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.options import Options, say
from bench.report import Line, Report, at_most
from bursar import clock
from bursar.app.addresses import SENDER_MARK, Sender
from bursar.app.auth import Doorkeeper
from bursar.app.metrics import Metrics
from bursar.app.rate_limits import RateLimits
from bursar.identity.authenticate import Authenticator
from bursar.identity.keys import KeyTerms, hash_key, new_key
from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.policy import Counted, Policy, Use
from bursar.identity.permissions import Scope
from bursar.identity.tenant import Tenant
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bursar.identity.caller import Caller

KEYS = 1_000
CALLS = 200_000
RECOGNISED = at_most(3)
"""Microseconds: what looking up a key may add to a post."""
PER_MINUTE = 60_000_000
"""A limit that no run reaches: who is refused costs something else (`flood.py`)."""


def run(options: Options, report: Report) -> None:
    """Microseconds of processor time for one key, and for one post counted."""
    calls = options.count(CALLS)
    say(f"keys: {KEYS:,} keys, each recognised and counted {calls // KEYS:,} times, {options.runs} times")
    secrets, keeper, now = _known_keys()
    posts = [_headers_of(secret) for secret in secrets]
    callers = [_caller_of(keeper, headers, now) for headers in posts]
    presented = [secret.encode() for secret in secrets]
    digests = [hash_key(secret) for secret in secrets]
    by_digest = dict(zip(digests, callers, strict=True))
    limits, scopes = _limits(), [_scope_of(number) for number in range(KEYS)]

    def hash_one(number: int) -> None:
        hashlib.sha256(presented[number]).hexdigest()

    def look_up(number: int) -> None:
        by_digest[digests[number]]

    def recall(number: int) -> None:
        keeper.recall(posts[number], now)

    def take(number: int) -> None:
        if limits.take_post(callers[number], scopes[number]) is None:
            report.fault("a post within its limit was refused")

    timed = [_micros(one, calls, options.runs) for one in (hash_one, look_up, recall, take)]
    names = ("SHA-256 alone (the machine's limit)", "a dict's look-up alone (the machine's limit)")
    for name, micros in zip(names, timed, strict=False):
        report.add(Line(f"a key: {name}", micros, "µs CPU"))
    report.add(Line("a key: recognised (Doorkeeper.recall)", timed[2], "µs CPU", RECOGNISED))
    report.add(Line("a post: counted against a limit (RateLimits.take_post)", timed[3], "µs CPU"))


def _micros(act: Callable[[int], None], calls: int, runs: int) -> list[float]:
    """Of each run what one call takes, less what the loop itself takes."""
    return [max(0.0, _once(act, calls) - _once(_nothing, calls)) / calls * 1e6 for _ in range(runs)]


def _once(act: Callable[[int], None], calls: int) -> float:
    numbers = itertools.islice(itertools.cycle(range(KEYS)), calls)
    started = time.process_time()
    for number in numbers:
        act(number)
    return time.process_time() - started


def _nothing(_number: int) -> None:
    pass


def _known_keys() -> tuple[list[str], Doorkeeper, datetime]:
    """Keys, and a doorkeeper who has seen them all at this moment."""
    now = clock.now()
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as folder:
        engine = make_engine(f"sqlite:///{Path(folder) / 'state.db'}")
        upgrade(engine)
        store = RelationalIdentityStore(engine)
        store.add_tenant(Tenant("acme", "acme", "UTC", now))
        issued = [new_key(KeyTerms("acme", "bench", frozenset({Scope.INGEST})), now) for _ in range(KEYS)]
        for one in issued:
            store.add_key(one.key, hash_key(one.secret))
        authenticator = Authenticator(store)
        for one in issued:
            authenticator.authenticate(one.secret, now)
        engine.dispose()
    return [one.secret for one in issued], Doorkeeper(authenticator, store), now


def _caller_of(keeper: Doorkeeper, headers: list[tuple[bytes, bytes]], now: datetime) -> Caller:
    caller = keeper.recall(headers, now)
    if caller is None:
        message = "A key that was just seen isn't known."
        raise RuntimeError(message)
    return caller


def _limits() -> RateLimits:
    policy = Policy(Use.INGEST, Counted.KEY, Limit(PER_MINUTE, PER_MINUTE))
    return RateLimits({Use.INGEST: (policy,), Use.READ: ()}, frozenset(), Metrics().limits)


def _headers_of(secret: str) -> list[tuple[bytes, bytes]]:
    """What a client sends with a post."""
    return [
        (b"host", b"127.0.0.1:8080"),
        (b"user-agent", b"bench"),
        (b"authorization", f"Bearer {secret}".encode()),
        (b"content-type", b"application/json"),
        (b"content-length", b"180"),
    ]


def _scope_of(number: int) -> dict[str, Any]:
    return {SENDER_MARK: Sender(f"10.0.{number // 250}.{number % 250}", is_secure=False)}
