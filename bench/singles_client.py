"""Single events over many connections, from one process of their own, and large bodies beside them.

Each connection sends its next event when the answer to the last one is in. Requests are encoded before
the clock starts.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec
import uvloop

from bench.events import make_body
from bench.server import KEY
from bursar import clock

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PATH = "/api/v1/events"
LARGE_EVENTS = 10_000
LARGE_BODIES = 8
"""Different large bodies; sent again from the start until told to stop."""
_ACCEPTED = b"HTTP/1.1 202"


@dataclass(frozen=True, slots=True)
class SinglesLoad:
    """How many events, over how many connections."""

    events: int
    connections: int
    seed: int = 1


@dataclass(frozen=True, slots=True)
class SinglesSent:
    """How it went."""

    accepted: int
    refused: int
    seconds: float
    latencies: list[float]
    """Seconds from request to whole answer, sorted."""


class SinglesProcess:
    """Prepares single events in a process of its own, and sends them when told to."""

    def __init__(self, port: int, load: SinglesLoad) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run_singles, args=(port, load, theirs), daemon=True)
        self._process.start()
        self._ours.recv()

    def send(self) -> SinglesSent:
        """Send everything; returns when the last answer is in."""
        self._ours.send("go")
        sent: SinglesSent = self._ours.recv()
        self._process.join()
        return sent


class LargeBodies:
    """Sends gzip bodies of 10,000 events one after the other, from a process of its own, until stopped."""

    def __init__(self, port: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run_large, args=(port, theirs), daemon=True)
        self._process.start()
        self._ours.recv()

    def start(self) -> None:
        """Begin to send."""
        self._ours.send("go")

    def stop(self) -> int:
        """Send no more; how many events were sent."""
        self._ours.send("stop")
        events: int = self._ours.recv()
        self._process.join()
        return events


class _Asking(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, requests: list[bytes], latencies: list[float], refused: list[bytes]) -> None:
        self._requests = iter(requests)
        self._latencies = latencies
        self._refused = refused
        self._received = b""
        self._started = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        """Send the next request; without one, this connection is done."""
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            self.done.set_result(None)
            return
        self._started = clock.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer; when it is whole, ask again."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        if self._received.startswith(_ACCEPTED):
            self._latencies.append(clock.monotonic() - self._started)
        else:
            self._refused.append(self._received[:300])
        self._received = b""
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the server closes too early ends the run."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("The server closed the connection."))


def _run_singles(port: int, load: SinglesLoad, parent: Connection) -> None:
    raws = msgspec.json.decode(
        make_body(load.events, load.seed * 7_000_003, clock.now()), type=list[msgspec.Raw]
    )
    requests = [request_of(bytes(raw)) for raw in raws]
    parent.send("ready")
    parent.recv()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        parent.send(runner.run(_send_singles(port, requests, load.connections)))


async def _send_singles(port: int, requests: list[bytes], connections: int) -> SinglesSent:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    refused: list[bytes] = []
    asking: list[_Asking] = []
    for i in range(connections):
        _, one = await loop.create_connection(
            lambda i=i: _Asking(requests[i::connections], latencies, refused), "127.0.0.1", port
        )
        asking.append(one)
    started = clock.monotonic()
    for one in asking:
        one.ask()
    await asyncio.gather(*(one.done for one in asking))
    seconds = clock.monotonic() - started
    return SinglesSent(len(latencies), len(refused), seconds, sorted(latencies))


def _run_large(port: int, parent: Connection) -> None:
    now = clock.now()
    requests = [
        request_of(
            gzip.compress(make_body(LARGE_EVENTS, 9_000_011 + i, now), 1), "Content-Encoding: gzip\r\n"
        )
        for i in range(LARGE_BODIES)
    ]
    parent.send("ready")
    parent.recv()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        parent.send(runner.run(_send_large(port, requests, parent)) * LARGE_EVENTS)


async def _send_large(port: int, requests: list[bytes], parent: Connection) -> int:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    while not parent.poll():
        _, one = await loop.create_connection(lambda: _Asking(requests, latencies, []), "127.0.0.1", port)
        one.ask()
        await one.done
    return len(latencies)


def request_of(body: bytes, more_headers: str = "") -> bytes:
    """A whole request that posts events."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n"
        f"Content-Type: application/json\r\n{more_headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
