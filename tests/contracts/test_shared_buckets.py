"""The script in Redis does the arithmetic of `identity/limits/bucket.py` to the last digit."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bursar.app import rate_limits
from bursar.app.metrics import Metrics
from bursar.app.rate_limits import limits_of
from bursar.errors import Unavailable
from bursar.identity.limits.bucket import Limit, spend
from bursar.identity.limits.policy import Counted, Policy, Use
from bursar.settings import Settings
from bursar.storage.redis import buckets as buckets_module
from bursar.storage.redis.buckets import TAKE, RedisBuckets
from bursar.usage.tracking import NamedToken
from tests.support.redis_server import RedisServer, running_redis

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

LIMITS = (
    Limit(6_000_000, 1_000_000),
    Limit(7, 3),
    Limit(600_000, 2),
    Limit(6_000_000, 1),
    Limit(1, 1_000_000),
)
MICROSECOND = 1_000


class Silent:
    """What takes connections in Redis's place, and never answers."""

    def __init__(self, server: asyncio.Server, taken: list[object]) -> None:
        host, port = server.sockets[0].getsockname()
        self.url = f"redis://{host}:{port}"
        self.taken = taken


@asynccontextmanager
async def running_silent() -> AsyncGenerator[Silent]:
    taken: list[object] = []

    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)
        await _reader.read()
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server:
        yield Silent(server, taken)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


def test_it_counts_as_the_arithmetic_does_at_the_same_moments(server: RedisServer) -> None:
    rng = random.Random(5)
    kept = dict.fromkeys(range(len(LIMITS)), 0)
    outcomes = {True: 0, False: 0}
    with server.client() as redis:
        for _ in range(2_000):
            asked = rng.sample(range(len(LIMITS)), rng.randint(1, 3))
            arguments = [n for at in asked for n in (LIMITS[at].per_minute, LIMITS[at].burst)]
            *lefts, now = redis.eval(TAKE, len(asked), *(f"same:{at}" for at in asked), *arguments)
            spent = [spend(kept[at], int(now) * MICROSECOND, LIMITS[at]) for at in asked]
            assert [int(left) * MICROSECOND for left in lefts] == [left for _, left in spent]
            is_admitted = all(left >= 0 for _, left in spent)
            outcomes[is_admitted] += 1
            if is_admitted:
                kept |= {at: full_at for at, (full_at, _) in zip(asked, spent, strict=True)}
    assert min(outcomes.values()) > 100, outcomes


def test_a_bucket_is_forgotten_when_it_is_full_again(server: RedisServer) -> None:
    with server.client() as redis:
        redis.eval(TAKE, 1, "forgotten", 600, 10)
        assert 90 <= int(redis.pttl("forgotten")) <= 102
        for _ in range(4):
            redis.eval(TAKE, 1, "forgotten", 600, 10)
        assert 450 <= int(redis.pttl("forgotten")) <= 502


def test_a_clock_that_was_set_back_gives_tokens_back_from_then_on(server: RedisServer) -> None:
    with server.client() as redis:
        seconds, _ = redis.time()
        ahead = (int(seconds) + 3600) * 1_000_000
        # An empty bucket of one, written an hour from now.
        redis.set("set-back", f"60000000 {ahead}")
        first, _ = redis.eval(TAKE, 1, "set-back", 60_000, 1)
        assert int(first) == -60_000_000
        assert int(redis.get("set-back").split()[1]) < ahead
        again, _ = redis.eval(TAKE, 1, "set-back", 60_000, 1)
        assert int(again) > -60_000_000


def test_many_at_once_are_answered_each_for_itself(server: RedisServer) -> None:
    policy = Policy(Use.READ, Counted.KEY, Limit(60, 150))

    async def story() -> list[int]:
        buckets = RedisBuckets(server.url)
        try:
            taken = await asyncio.gather(*(buckets.take([(policy, "many")]) for _ in range(300)))
        finally:
            await buckets.close()
        return [left for (left,) in taken]

    lefts = asyncio.run(story())
    assert sum(left >= 0 for left in lefts) == 150


def test_one_that_is_away_is_named_at_once_to_everybody_who_waits(tmp_path: Path) -> None:
    policy = Policy(Use.READ, Counted.KEY, Limit(60, 1))

    async def story() -> list[object]:
        buckets = RedisBuckets(RedisServer(tmp_path).url)
        try:
            return await asyncio.gather(
                *(buckets.take([(policy, "a")]) for _ in range(5)), return_exceptions=True
            )
        finally:
            await buckets.close()

    assert [type(one) for one in asyncio.run(story())] == [Unavailable] * 5


def test_whoever_waits_behind_a_question_that_is_not_answered_does_not_wait_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets_module, "TOGETHER_LIMIT", 1)
    policy = Policy(Use.READ, Counted.KEY, Limit(60, 1))

    async def story() -> tuple[list[object], int]:
        async with running_silent() as silent:
            buckets = RedisBuckets(silent.url)
            try:
                asked = [buckets.take([(policy, "a")]) for _ in range(5)]
                return await asyncio.gather(*asked, return_exceptions=True), len(silent.taken)
            finally:
                await buckets.close()

    answers, connections = asyncio.run(story())
    assert [type(one) for one in answers] == [Unavailable] * 5
    assert connections == 1


def test_while_redis_is_away_one_request_finds_out_if_it_is_back_and_no_other_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets_module, "TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(rate_limits, "ALONE_SECONDS", 0.0)
    named = {0: NamedToken("acme", "tok_1", "of-a-campaign-0001")}

    async def story() -> int:
        async with running_silent() as silent:
            buckets = RedisBuckets(silent.url)
            limits = limits_of(Settings(rate_limit_ingest_token_rpm=600), Metrics().limits, buckets)
            try:
                await limits.judge_tokens(named)
                monkeypatch.setattr(rate_limits, "ALONE_SECONDS", 60.0)
                judging = [asyncio.create_task(limits.judge_tokens(named)) for _ in range(10)]
                done, _ = await asyncio.wait(judging, timeout=0.5)
                await asyncio.gather(*judging)
                return len(done)
            finally:
                await limits.close()

    assert asyncio.run(story()) == 9
