"""A load generator that costs as little as possible: prepared requests, raw sockets, one thread each.

It runs in a process of its own, so that its work isn't counted as the server's, but it shares the
machine's cores, as any client on the same machine would.
"""

from __future__ import annotations

import multiprocessing
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.events import make_body
from bench.server import KEY
from bursar import clock

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_RECEIVE_BYTES = 1 << 20
_ACCEPTED = b"HTTP/1.1 202"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send."""

    bodies: int
    events_per_body: int
    connections: int
    path: str = "/api/v1/events"
    """With `?return=none`, answers hold counts and refusals but no line per event."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Sent:
    """How it went."""

    events: int
    refused: int
    seconds: float
    latencies: list[float]
    """Seconds from request to whole answer, per body."""


class LoadProcess:
    """Prepares a load in a process of its own, and sends it when told to."""

    def __init__(self, port: int, load: Load) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(port, load, theirs), daemon=True)
        self._process.start()
        self._ours.recv()

    def send(self) -> Sent:
        """Send everything; returns when the last answer is in."""
        self._ours.send("go")
        sent: Sent = self._ours.recv()
        self._process.join()
        return sent


def _run(port: int, load: Load, parent: Connection) -> None:
    now = clock.now()
    requests = [
        request_of(load.path, make_body(load.events_per_body, load.seed * 1_000_003 + i, now))
        for i in range(load.bodies)
    ]
    parent.send("ready")
    parent.recv()
    latencies: list[float] = []
    refused: list[bytes] = []
    threads = [
        threading.Thread(target=_send_all, args=(port, requests[i :: load.connections], latencies, refused))
        for i in range(load.connections)
    ]
    started = clock.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = clock.monotonic() - started
    accepted = len(latencies) * load.events_per_body
    parent.send(Sent(accepted, len(refused) * load.events_per_body, seconds, latencies))


def request_of(path: str, body: bytes) -> bytes:
    """A whole request that posts a JSON body with the key of the benchmark's server."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _send_all(port: int, requests: list[bytes], latencies: list[float], refused: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            started = clock.monotonic()
            connection.sendall(request)
            answer = read_answer(connection)
            if answer.startswith(_ACCEPTED):
                latencies.append(clock.monotonic() - started)
            else:
                refused.append(answer[:200])


def read_answer(connection: socket.socket) -> bytes:
    """Read one whole answer with a Content-Length; its first bytes are enough to know what it says."""
    received = bytearray()
    while (head_end := received.find(b"\r\n\r\n")) < 0:
        received += _receive(connection)
    head = bytes(received[:head_end]).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(received) < head_end + 4 + length:
        received += _receive(connection)
    return bytes(received[:64])


def _receive(connection: socket.socket) -> bytes:
    part = connection.recv(_RECEIVE_BYTES)
    if not part:
        raise ConnectionError("The server closed the connection.")
    return part
