"""Many more requests than are allowed, over real connections, and a judgement that no slow machine upsets.

A bucket admits what it held and what came back while it was asked: `burst + rate x elapsed`. The elapsed time
is measured, so the judgement holds however fast the requests really came, if only faster than is allowed.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 32
"""To all servers together: refusals are told late, so a few would ask less often than is allowed."""
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Flooded:
    """What came of a flood."""

    admitted_by_url: list[int]
    refused: int
    shortest_seconds: float
    """From the first refusal to the sending of the last request: the bucket was empty then, so that nothing
    which came back was too much for it, as it might be while a flood begins slowly."""
    longest_seconds: float
    """From the sending of the first request to the last answer: and for no longer than this."""

    def assert_exact(self, burst: int, per_minute: int) -> None:
        """Hold what was admitted against what is allowed, to 5 %."""
        admitted = sum(self.admitted_by_url)
        # Else the limit wasn't what held the flood back.
        assert self.refused > admitted, self
        assert admitted <= (burst + per_minute / 60 * self.longest_seconds) * (1 + TOLERANCE), self
        assert admitted >= (burst + per_minute / 60 * self.shortest_seconds) * (1 - TOLERANCE), self


def flood(
    urls: Sequence[str],
    key: str | Sequence[str],
    method: str,
    path: str,
    body: object,
    *,
    per_second: float,
    seconds: float,
) -> Flooded:
    """Send requests to these servers at a pace, each with its key."""
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
    return asyncio.run(_flood(urls, requests, per_second, seconds))


async def _flood(
    urls: Sequence[str], requests: Sequence[bytes], per_second: float, seconds: float
) -> Flooded:
    pause, to_each = CONNECTIONS / per_second, CONNECTIONS // len(urls)
    seen: list[tuple[int, int, float, float]] = []

    async def send(place: int, nth: int) -> None:
        host, port = urls[place].removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        due = time.monotonic() + pause * nth / to_each
        while due < ends:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += pause
            sent = time.monotonic()
            writer.write(requests[place])
            seen.append((place, await _status_of(reader), sent, time.monotonic()))
        writer.close()
        await writer.wait_closed()

    ends = time.monotonic() + seconds
    await asyncio.gather(*(send(place, nth) for place in range(len(urls)) for nth in range(to_each)))
    admitted = [
        sum(1 for at, status, _, _ in seen if at == place and status < 300) for place in range(len(urls))
    ]
    refused = sum(1 for _, status, _, _ in seen if status == 429)
    assert sum(admitted) + refused == len(seen), {status for _, status, _, _ in seen}
    first = min(answered for _, status, _, answered in seen if status == 429)
    last = max(one[2] for one in seen)
    return Flooded(admitted, refused, last - first, max(one[3] for one in seen) - min(one[2] for one in seen))


async def _status_of(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    await reader.readexactly(length)
    return int(head.split()[1])
