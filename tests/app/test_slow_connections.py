"""Who never brings a whole request, or reads no answer, is hung up on: slow ones fill no server up."""

from __future__ import annotations

import socket
import time
from contextlib import closing, suppress
from queue import Queue
from typing import TYPE_CHECKING

import pytest

from bursar.app import bounded_protocol
from bursar.app.bounded_protocol import BoundedProtocol
from tests.support.patience import DEADLINE_SECONDS
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

HEAD = f"POST /api/v1/query HTTP/1.1\r\nHost: here\r\nX-API-Key: {ADMIN_KEY}\r\n".encode()


def connected(server: RunningServer) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), DEADLINE_SECONDS)


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"Content-Length: 40\r\n\r\n{"])
def test_what_never_becomes_a_whole_request_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(bounded_protocol, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(bounded_protocol, "BODY_SECONDS", 0.3)
    with running_server(tmp_path / "d") as server, closing(connected(server)) as slow:
        slow.sendall(sent)
        assert slow.recv(1) == b""
        assert server.client.get("/live").status_code == 200


def test_who_reads_no_answer_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "READ_SECONDS", 0.3)
    lost, losing = Queue[object](), BoundedProtocol.connection_lost

    def tell(self: BoundedProtocol, exc: Exception | None) -> None:
        losing(self, exc)
        lost.put(self.client)

    monkeypatch.setattr(BoundedProtocol, "connection_lost", tell)
    asked = 20
    with running_server(tmp_path / "d") as server, closing(connected(server)) as deaf:
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n" * asked)
        while lost.get(timeout=DEADLINE_SECONDS) != deaf.getsockname():
            pass
        answers = 0
        with suppress(ConnectionResetError):
            while part := deaf.recv(2**20):
                answers += part.count(b"HTTP/1.1 200")
        assert 0 < answers < asked


def test_who_reads_slowly_gets_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_protocol, "READ_SECONDS", 0.5)
    asked = 8
    with running_server(tmp_path / "d") as server, closing(connected(server)) as slow:
        slow.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n" * (asked - 1))
        slow.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        parts: list[bytes] = []
        while part := slow.recv(100_000):
            parts.append(part)
            time.sleep(0.02)
        document = server.client.get("/openapi.json").content
        assert b"".join(parts).count(document) == asked
