"""A steady stream: so many new events a second in bodies of 1,000, from a process of its own.

Each body is made from one of a few patterns with ids of its own, right before it is due; its events
happened within the last minute, as those of a live application do. When the server is slower than the
pace, the sender falls behind and says so afterwards: the pace really kept is part of the result.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import socket
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from bench.client import read_answer, request_of
from bench.events import make_body
from bursar import clock

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PER_BODY = 1_000
CONNECTIONS = 4
PATTERNS = 16
PATH = "/api/v1/events?return=none"
SPAN = timedelta(minutes=1)
_ID = re.compile(rb'"event_id":"[0-9a-f-]{36}"')
_ACCEPTED = b"HTTP/1.1 202"


@dataclass(slots=True)
class Kept:
    """What was really sent."""

    events: int = 0
    refused: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list[float])
    """Seconds from a body's request to its whole answer."""

    @property
    def per_second(self) -> float:
        """The pace that was kept."""
        return self.events / self.seconds if self.seconds else 0.0


class PacedSender:
    """Sends from entering the block until leaving it; then `kept` tells how it went."""

    def __init__(self, port: int, events_per_second: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(port, events_per_second, theirs), daemon=True)
        self.kept = Kept()

    def __enter__(self) -> Self:
        """Return when the stream has begun."""
        self._process.start()
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the stream."""
        self._ours.send("stop")
        self.kept = self._ours.recv()
        self._process.join()


def _run(port: int, events_per_second: int, parent: Connection) -> None:
    now = clock.now()
    patterns = [
        _ID.sub(
            b'"event_id":"%s"', make_body(PER_BODY, os.getpid() * 1_009 + i, now, SPAN).replace(b"%", b"%%")
        )
        for i in range(PATTERNS)
    ]
    kept, stopping = Kept(), threading.Event()
    pause = PER_BODY * CONNECTIONS / events_per_second
    threads = [
        threading.Thread(target=_send, args=(port, patterns, (i / CONNECTIONS, pause), stopping, kept))
        for i in range(CONNECTIONS)
    ]
    started = clock.monotonic()
    for thread in threads:
        thread.start()
    parent.send("sending")
    parent.recv()
    stopping.set()
    for thread in threads:
        thread.join()
    kept.seconds = clock.monotonic() - started
    parent.send(kept)


def _send(
    port: int, patterns: list[bytes], pace: tuple[float, float], stopping: threading.Event, kept: Kept
) -> None:
    offset, pause = pace
    chance = random.Random(int.from_bytes(os.urandom(8)))
    due = clock.monotonic() + offset * pause
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not stopping.wait(max(0.0, due - clock.monotonic())):
            ids = tuple(b"%032x" % chance.getrandbits(128) for _ in range(PER_BODY))
            request = request_of(PATH, chance.choice(patterns) % ids)
            started = clock.monotonic()
            connection.sendall(request)
            if read_answer(connection).startswith(_ACCEPTED):
                kept.events += PER_BODY
                kept.latencies.append(clock.monotonic() - started)
            else:
                kept.refused += PER_BODY
            due += pause
