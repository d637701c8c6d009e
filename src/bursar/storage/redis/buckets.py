"""Token buckets in Redis, for servers that count rate limits together.

One script takes a token from all the buckets that a request asks, or from none; it runs atomically and by
Redis's own clock, so servers need not agree on theirs. A bucket is a text, `<parts of tokens missing> <at>`,
that expires when it is full again. The arithmetic is that of `identity/limits/bucket.py` with microseconds
for nanoseconds; all numbers stay below 2**53, where Lua's doubles are exact.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bursar.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.identity.limits.policy import Ask

    _Waiting = tuple[Sequence[Ask], asyncio.Future[list[int]]]

TIMEOUT_SECONDS = 0.25
"""Beyond this Redis counts as away: on one network it answers within a millisecond."""
TOGETHER_LIMIT = 128
"""Requests that are sent to Redis in one go: under 1 ms of its time."""
_NANOSECONDS = 1_000

TAKE = """
local told = redis.call('TIME')
local now = told[1] * 1000000 + told[2]
local kept, lefts, is_refused = {}, {}, false
for i, key in ipairs(KEYS) do
  local per_minute, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local missing = 0
  local text = redis.call('GET', key)
  if text then
    local debt, at = string.match(text, '^(%d+) (%d+)$')
    if tonumber(at) > now then
      -- The clock was set back: what is missing stays so, and comes back from now on.
      local milliseconds = math.ceil(debt / per_minute / 1000) + 1
      redis.call('SET', key, string.format('%s %.0f', debt, now), 'PX', milliseconds)
      at = now
    end
    missing = math.max(0, debt - (now - at) * per_minute)
  end
  missing = missing + 60000000
  local left = burst * 60000000 - missing
  is_refused = is_refused or left < 0
  kept[i], lefts[i] = missing, string.format('%.0f', left)
end
if not is_refused then
  for i, key in ipairs(KEYS) do
    local milliseconds = math.ceil(kept[i] / ARGV[2 * i - 1] / 1000) + 1
    redis.call('SET', key, string.format('%.0f %.0f', kept[i], now), 'PX', milliseconds)
  end
end
lefts[#lefts + 1] = string.format('%.0f', now)
return lefts
"""
"""Keys are buckets, arguments their `per_minute` and `burst` in turn; returns what is left in each, in
millionths of a token's minute, and Redis's time in microseconds."""


class RedisBuckets:
    """Takes tokens over one connection. Use from one event loop.

    Requests that come while others are under way go together in the next message, so that a flood costs
    Redis few of them.
    """

    def __init__(self, url: str) -> None:
        """Connects when it is first asked."""
        self._redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - its own keywords
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            client_name="bursar",
            # A script that timed out may have run, and would count twice; who waits is counted elsewhere.
            retry=Retry(NoBackoff(), 0),
        )
        self._waiting: list[_Waiting] = []
        self._sender: asyncio.Task[None] | None = None

    async def take(self, asks: Sequence[Ask]) -> list[int]:
        """What is left in each bucket, in parts of tokens, after taking one from all of them, or from none.

        Raises:
            Unavailable: Redis doesn't answer, or not with sense.
        """
        answered: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((asks, answered))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await answered

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()

    async def _send(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:TOGETHER_LIMIT], self._waiting[TOGETHER_LIMIT:]
                try:
                    answers = await self._ask([asks for asks, _ in together])
                except (RedisError, OSError, TimeoutError, ValueError, TypeError) as error:
                    # Those behind them would wait as long in vain, and one after the other.
                    _fail([*together, *self._waiting], error)
                    self._waiting = []
                    continue
                for (_, answered), lefts in zip(together, answers, strict=True):
                    if not answered.done():
                        answered.set_result(lefts)
        finally:
            self._sender = None

    async def _ask(self, requests: Sequence[Sequence[Ask]]) -> list[list[int]]:
        # A pipeline takes a whole message; each script in it is atomic by itself.
        async with self._redis.pipeline(transaction=False) as pipeline:
            for asks in requests:
                keys = [f"bursar:limit:{policy.name}:{owner}" for policy, owner in asks]
                limits = [
                    number for policy, _ in asks for number in (policy.limit.per_minute, policy.limit.burst)
                ]
                pipeline.eval(TAKE, len(keys), *keys, *limits)
            answers = cast("list[list[Any]]", await pipeline.execute())
        return [[int(left) * _NANOSECONDS for left in answer[:-1]] for answer in answers]


def _fail(waiting: Sequence[_Waiting], cause: Exception) -> None:
    failure = Unavailable(f"Redis doesn't answer: {type(cause).__name__}.")
    for _, answered in waiting:
        if not answered.done():
            answered.set_exception(failure)
