"""The two sides of a flood: a process that posts as fast as it is answered, and one that posts at a pace.

Both are asyncio protocols with one prepared request. The flood can send several requests behind each other on
each connection without waiting (`ahead`), and comes back where it is hung up on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import uvloop

from bursar import clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

BODY = b'{"provider":"openai","model":"gpt-5","input_tokens":1200,"output_tokens":80}'
_GOOD = (b"HTTP/1.1 202", b"HTTP/1.1 200")


@dataclass(slots=True)
class Tally:
    """What a side has seen so far."""

    admitted: int = 0
    refused: int = 0
    millis: list[float] = field(default_factory=list[float])
    """From request to whole answer, of admitted ones."""
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Side:
    """Who sends what, how."""

    port: int
    request: bytes
    connections: int
    pause_seconds: float = 0.0
    """Between an answer and the next request of a connection; without one it is a flood."""
    ahead: int = 1
    """Requests sent behind each other at once."""
    cores: Sequence[int] = ()
    """Where it may run; anywhere if it isn't said."""


class SideProcess:
    """A process of its own that sends between `start` and `stop`, any number of times."""

    def __init__(self, side: Side) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(side, theirs), daemon=True)
        self._process.start()
        self._ours.recv()

    def start(self) -> None:
        """Begin to send."""
        self._ours.send("start")

    def stop(self) -> Tally:
        """Send no more; what was seen since the start."""
        self._ours.send("stop")
        tally: Tally = self._ours.recv()
        return tally

    def end(self) -> None:
        """Let the process go."""
        self._ours.send("end")
        self._process.join()


def request_with(key: str, body: bytes = BODY, path: str = "/api/v1/events") -> bytes:
    """A whole POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class _Sending(asyncio.Protocol):
    """One connection: requests, their answers, a pause, the next ones."""

    def __init__(self, side: Side, tally: Tally) -> None:
        self._side = side
        self._tally = tally
        self._received = b""
        self._missing = 0
        self._started = 0.0
        self.is_stopped = False
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        if self.is_stopped:
            self._transport.close()
            return
        self._missing = self._side.ahead
        self._started = clock.monotonic()
        self._transport.write(self._side.request * self._side.ahead)

    def data_received(self, data: bytes) -> None:
        """Take answers apart."""
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if not end or len(rest) < int(length or 0):
                return
            self._received = rest[int(length or 0) :]
            self._note(head)

    def _note(self, head: bytes) -> None:
        if head.startswith(_GOOD):
            self._tally.admitted += 1
            self._tally.millis.append((clock.monotonic() - self._started) * 1000)
        else:
            self._tally.refused += 1
        self._missing -= 1
        if b"connection: close" in head.lower():
            self._transport.close()
        elif self._missing == 0:
            if self._side.pause_seconds:
                asyncio.get_running_loop().call_later(self._side.pause_seconds, self._send)
            else:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        """The server hung up, or we did."""
        self.is_stopped = True
        if not self.lost.done():
            self.lost.set_result(None)


def _run(side: Side, parent: Connection) -> None:
    if side.cores:
        os.sched_setaffinity(0, side.cores)
    parent.send("ready")
    while parent.recv() == "start":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            parent.send(runner.run(_send(side, parent)))


async def _send(side: Side, parent: Connection) -> Tally:
    tally, before = Tally(), time.process_time()
    keepers = [asyncio.create_task(_keep_connected(side, tally)) for _ in range(side.connections)]
    # In a thread, for a pipe that the loop watches would stop to be one that waits.
    await asyncio.to_thread(parent.recv)
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)
    tally.cpu_seconds = time.process_time() - before
    return tally


async def _keep_connected(side: Side, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    while True:
        transport, one = await loop.create_connection(lambda: _Sending(side, tally), "127.0.0.1", side.port)
        try:
            await one.lost
        finally:
            one.is_stopped = True
            transport.abort()
