"""What this machine can do under a flood at all: a process that answers HTTP requests and does nothing else.

No parser, no app, no disk: it finds the end of each request by its length and writes an answer that was made
before. One tenant's requests beside another's flood can't be answered sooner here than by this.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from typing import TYPE_CHECKING, Self, cast

import uvloop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

_ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class BareResponder:
    """The process, for as long as the block runs."""

    def __init__(self, request: bytes, cores: Sequence[int] = ()) -> None:
        """`request` is as long as each request that it gets."""
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(len(request), cores, theirs), daemon=True)
        self._process.start()
        self.port: int = self._ours.recv()

    def __enter__(self) -> Self:
        """It answers already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.join()


class _Answering(asyncio.Protocol):
    def __init__(self, length: int) -> None:
        self._length = length
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        whole, self._received = divmod(self._received + len(data), self._length)
        if whole:
            self._transport.write(_ANSWER * whole)


def _run(length: int, cores: Sequence[int], parent: Connection) -> None:
    if cores:
        os.sched_setaffinity(0, cores)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(length, parent))


async def _serve(length: int, parent: Connection) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(length), "127.0.0.1", 0)
    parent.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
