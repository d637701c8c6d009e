"""A throwaway HTTP server for the client's tests: real sockets, answers written by the test.

It stands for what a real Bursar does only under stress (503, lost connections, proxies' pages) and
keeps every request as it came over the wire.
"""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived, its body inflated."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes
    size_on_the_wire: int

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the body."""
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer; status 0 breaks the connection instead."""

    status: int = 200
    document: object = None
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def content(self) -> bytes:
        """The body as bytes; anything but bytes is written as JSON."""
        if isinstance(self.document, bytes):
            return self.document
        return b"" if self.document is None else json.dumps(self.document).encode()


def accept_all(asked: Asked) -> Answer:
    """What a server answers that takes every event."""
    events = [{"event_id": event["event_id"], "retry_safe": True} for event in asked.events]
    return Answer(202, {"accepted": len(events), "rejected": [], "events": events})


class ScriptedServer(ThreadingHTTPServer):
    """Answers the n-th request with the n-th answer of its script, later ones with the last."""

    daemon_threads = True

    def __init__(self, script: list[Answer | Callable[[Asked], Answer]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: Sequence[Answer | Callable[[Asked], Answer]] = script
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer_to(self, asked: Asked) -> Answer:
        """Keep the request and choose its answer."""
        self.asked.append(asked)
        step = self.script[min(len(self.asked), len(self.script)) - 1]
        return step if isinstance(step, Answer) else step(asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        content = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, content, len(raw))
        answer = cast("ScriptedServer", self.server).answer_to(asked)
        if answer.status == 0:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"content-length": str(len(answer.content)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Say nothing."""


@contextmanager
def serving(*script: Answer | Callable[[Asked], Answer]) -> Generator[ScriptedServer]:
    """A server that follows the script while the block runs."""
    server = ScriptedServer(list(script) or [accept_all])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
