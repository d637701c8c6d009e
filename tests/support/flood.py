"""Many more requests than are allowed, over real connections, and a judgement that no slow machine upsets.

A bucket admits what it held and what came back while it was asked: `burst + rate x elapsed`. The elapsed time
is measured, so the judgement holds however fast the requests really came, if only ten times as fast as is
allowed; which a test chooses so low that a busy machine can keep up.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 128
"""To all servers together: refusals are told up to a second late, so a few would never ask often enough."""
TIMES = 10
"""So many times as many as are allowed are asked for, at least."""
_AIM = 11
"""A flood goes on until so many times as many were asked for: some requests are still to be sent then."""
PACE = 20
"""So many times as often as is allowed it is asked, so that `TIMES` is reached although a bucket is full at
first."""
LEAST_SECONDS, MOST_SECONDS = 4.0, 40.0
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a bucket holds, and what comes back into it."""

    burst: int
    per_minute: int

    def within(self, seconds: float) -> float:
        """How many are admitted in that time, of a bucket that was full."""
        return self.burst + self.per_minute / 60 * seconds


@dataclass(frozen=True, slots=True)
class Flooded:
    """What came of a flood."""

    allowed: Allowed
    admitted_by_url: list[int]
    refused: int
    shortest_seconds: float
    """From the first refusal to the sending of the last request: the bucket was empty then, so that nothing
    which came back was too much for it, as it might be while a flood begins slowly."""
    longest_seconds: float
    """From the sending of the first request to the last answer: and for no longer than this."""

    def assert_exact(self) -> None:
        """Hold what was admitted against what is allowed, to 5 % on both sides, and what was asked for."""
        admitted, most = sum(self.admitted_by_url), self.allowed.within(self.longest_seconds)
        assert admitted + self.refused >= TIMES * self.allowed.within(self.shortest_seconds), self
        assert admitted <= most * (1 + TOLERANCE), self
        assert admitted >= self.allowed.within(self.shortest_seconds) * (1 - TOLERANCE), self


@dataclass(slots=True)
class Progress:
    """How far a flood has come, and whether it goes on."""

    allowed: Allowed
    begun: float = field(default_factory=time.monotonic)
    asked: int = 0

    def goes_on(self) -> bool:
        """Until enough was asked for, however slow the machine is; with a bound, which a hang reaches."""
        seconds = time.monotonic() - self.begun
        is_enough = self.asked >= _AIM * self.allowed.within(seconds)
        return seconds < LEAST_SECONDS or (seconds < MOST_SECONDS and not is_enough)


def flood(
    urls: Sequence[str], key: str | Sequence[str], method: str, path: str, body: object, *, allowed: Allowed
) -> Flooded:
    """Send ten times as many requests as are allowed to these servers, each with its key."""
    keys = [key] * len(urls) if isinstance(key, str) else list(key)
    content = b"" if body is None else json.dumps(body).encode()
    requests = [
        (
            f"{method} {path} HTTP/1.1\r\nHost: here\r\nX-API-Key: {one}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode()
        + content
        for one in keys
    ]
    return asyncio.run(_flood(urls, requests, allowed))


@dataclass(frozen=True, slots=True)
class _Seen:
    """One request and what became of it."""

    place: int
    status: int
    sent: float
    answered: float


async def _flood(urls: Sequence[str], requests: Sequence[bytes], allowed: Allowed) -> Flooded:
    to_each, progress = CONNECTIONS // len(urls), Progress(allowed)
    pause = CONNECTIONS / (PACE * allowed.per_minute / 60)
    seen: list[_Seen] = []

    async def send(place: int, nth: int) -> None:
        host, port = urls[place].removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        due = time.monotonic() + pause * nth / to_each
        while progress.goes_on():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += pause
            progress.asked += 1
            sent = time.monotonic()
            writer.write(requests[place])
            seen.append(_Seen(place, await _status_of(reader), sent, time.monotonic()))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(send(place, nth) for place in range(len(urls)) for nth in range(to_each)))
    return _judged(allowed, seen, len(urls))


def _judged(allowed: Allowed, seen: Sequence[_Seen], places: int) -> Flooded:
    admitted = [sum(one.place == place and one.status < 300 for one in seen) for place in range(places)]
    refused = [one for one in seen if one.status == 429]
    assert sum(admitted) + len(refused) == len(seen), {one.status for one in seen}
    first = min(one.answered for one in refused)
    begun, last = min(one.sent for one in seen), max(one.sent for one in seen)
    return Flooded(allowed, admitted, len(refused), last - first, max(one.answered for one in seen) - begun)


async def _status_of(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    await reader.readexactly(length)
    return int(head.split()[1])
