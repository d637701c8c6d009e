"""More work than memory is meant for: refused with 503 before it is read, and taken again soon after.

Nothing is accepted and then dropped, and what a client leaves half-sent gives its memory back.
"""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.patience import wait_until
from tests.support.serving import ADMIN_KEY, RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

ACCEPTED, UNAVAILABLE = 202, 503
KIB = 1024
MEMORY = 1024 * KIB
LARGE = 200 * KIB
"""A body of this size is counted four times: decoded, it takes about so much."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(
        tmp_path / "data", pending_bytes_limit=MEMORY, max_inflated_bytes=MEMORY, max_body_bytes=2 * LARGE
    ) as running:
        yield running


def a_body(size: int, name: str) -> bytes:
    """Events that take this many bytes, each with an id of this name."""
    count = size // 500
    filler = "x" * 400
    events = [
        b'{"event_id":"%b-%d","tags":{"a":"%b"}}' % (name.encode(), i, filler[:250].encode())
        for i in range(count)
    ]
    body = b"[%b]" % b",".join(events)
    return body + b" " * (size - len(body))


@contextmanager
def half_sent(server: RunningServer, body: bytes) -> Generator[socket.socket]:
    """A request that has announced its body and sent half of it."""
    address = urlsplit(server.url)
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {ADMIN_KEY}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
        yield connection


def send(server: RunningServer, name: str, size: int = LARGE) -> httpx.Response:
    with httpx.Client(headers={"X-API-Key": ADMIN_KEY}, timeout=60) as client:
        headers = {"content-type": "application/json"}
        return client.post(f"{server.url}/api/v1/events", content=a_body(size, name), headers=headers)


def is_refused(server: RunningServer, name: str) -> bool:
    answer = send(server, name)
    if answer.status_code == ACCEPTED:
        return False
    assert answer.status_code == UNAVAILABLE
    assert answer.json()["code"] == "overloaded"
    assert int(answer.headers["retry-after"]) > 0
    return True


def stored_names(server: RunningServer) -> set[str]:
    """Which bodies are in the store; each is there whole or not at all."""
    platform = server.platform
    wait_until(lambda: platform.applier.state.applied_seq >= platform.journal.mark.last_seq, "all is applied")
    page = server.client.get("/api/v1/usage", params={"window": "all", "limit": 10_000}).json()
    names = [event["event_id"].rpartition("-")[0] for event in page["events"]]
    assert len({event["event_id"] for event in page["events"]}) == page["total_count"]
    assert {names.count(name) for name in set(names)} <= {LARGE // 500}
    return set(names)


def is_taken_beside_a_refusal(server: RunningServer) -> bool:
    """Whether the body that is half-sent came first: the one of the two that comes later is refused."""
    body = a_body(LARGE, "first")
    with half_sent(server, body) as connection:
        if not is_refused(server, "second"):
            return False
        connection.sendall(body[len(body) // 2 :])
        assert b"202" in connection.recv(KIB)
    return True


def is_left_beside_a_refusal(server: RunningServer) -> bool:
    """The same of a client that goes away before it has sent the rest."""
    with half_sent(server, a_body(LARGE, "left")):
        return is_refused(server, "second")


def test_a_body_that_finds_no_memory_is_refused_until_the_others_are_done(server: RunningServer) -> None:
    wait_until(lambda: is_taken_beside_a_refusal(server), "a second body finds no memory")
    wait_until(lambda: not is_refused(server, "third"), "there is memory again")
    assert stored_names(server) >= {"first", "third"}


def test_a_client_that_leaves_gives_its_memory_back(server: RunningServer) -> None:
    wait_until(lambda: is_left_beside_a_refusal(server), "a second body finds no memory")
    wait_until(lambda: not is_refused(server, "third"), "there is memory again")
    assert "left" not in stored_names(server)


def test_a_slow_disk_makes_refusals_not_a_queue_without_end(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, fdatasync = threading.Event(), os.fdatasync

    def slow_fdatasync(descriptor: int) -> None:
        assert go_on.wait(60)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow_fdatasync)
    refused = threading.Semaphore(0)

    def post(number: int) -> tuple[str, int]:
        answer = send(server, f"body{number}")
        if answer.status_code == UNAVAILABLE:
            assert answer.headers["retry-after"]
            refused.release()
        return f"body{number}", answer.status_code

    with ThreadPoolExecutor(16) as threads:
        answers = [threads.submit(post, number) for number in range(16)]
        # Refusals come at once, while everything that was taken still waits for the disk.
        assert refused.acquire(timeout=60)
        assert server.platform.journal.pending_bytes < 3 * MEMORY
        go_on.set()
        statuses = dict(answer.result() for answer in answers)
    assert set(statuses.values()) == {ACCEPTED, UNAVAILABLE}
    assert stored_names(server) == {name for name, status in statuses.items() if status == ACCEPTED}
    assert send(server, "after").status_code == ACCEPTED
