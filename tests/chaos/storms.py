"""More than the server can take: duplicates without end, ten times its rate, clients that misbehave.

A storm of equal ids counts each once. An overload is refused with 503 before anything is accepted, in
bounded memory, and everybody else's events and questions still get through.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import msgspec

from bursar import clock
from tests.chaos.trials import MEMORY_LIMIT_BYTES, Line
from tests.support.faults import slow_syncs
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.server import ServerProcess, server_process
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from pathlib import Path

ACCEPTED, TOO_LARGE, UNAVAILABLE = 202, 413, 503
PER_BODY = 500
TIMES_THE_RATE = 10
ALWAYS = "1970-01-01/2200-01-01"


@dataclass(frozen=True, slots=True)
class Storm:
    """How large a storm of duplicates is."""

    ids: int
    times: int
    threads: int


def duplicate_storm(folder: Path, seed: int, storm: Storm) -> Line:
    """The same ids over and over from many threads, in two tenants, with changed times and contents."""
    with server_process(folder / "data", quarantine_limit_per_tenant=1000) as server:
        server.start()
        keys = [ADMIN_KEY, another_tenants_key(server, "umbrella")]
        accepted = Counter[int]()

        def send(share: int) -> None:
            chance = random.Random(f"{seed}/{share}")
            numbers = list(range(storm.ids))
            with httpx.Client(base_url=server.url, timeout=DEADLINE_SECONDS) as client:
                for _ in range(storm.times // storm.threads):
                    chance.shuffle(numbers)
                    for start in range(0, storm.ids, PER_BODY):
                        events = [_variant(number, chance) for number in numbers[start : start + PER_BODY]]
                        key = {"X-API-Key": keys[share % 2]}
                        answer = client.post("/api/v1/events?return=none", json=events, headers=key)
                        accepted[answer.status_code] += 1

        with ThreadPoolExecutor(storm.threads) as threads:
            list(threads.map(send, range(storm.threads)))
        memory = server.memory_bytes
        server.wait_until_applied()
        for key in keys:
            assert total_events(server, key) == storm.ids
        recount = server.verify()
        assert recount["is_clean"], recount["differences"]
        conflicts = int(server.counter("bursar_ingest_events_conflict_total"))
        duplicates = int(server.counter("bursar_ingest_events_duplicate_total"))
        deliveries = accepted[ACCEPTED] * min(PER_BODY, storm.ids)
        assert duplicates + conflicts == deliveries - 2 * storm.ids
        name = f"storm: {storm.ids} ids x {storm.times} from {storm.threads} threads, 2 tenants"
        note = f"{deliveries} deliveries: {duplicates} duplicates, {conflicts} conflicts"
        return Line(name, 2 * storm.ids, recount["events"], dict(accepted), memory // 2**20, note)


def _variant(number: int, chance: random.Random) -> dict[str, Any]:
    """The event of this number; one in ten times with another content or time."""
    event: dict[str, Any] = {"event_id": f"storm-{number}", "provider": "openai", "model": "gpt-4o-mini"}
    event["input_tokens"] = number + 1
    match chance.randrange(20):
        case 0:
            event["input_tokens"] += 1_000_000
        case 1:
            event["time"] = clock.rfc3339(clock.now())
        case _:
            pass
    return event


@dataclass(slots=True)
class _Flood:
    """Bodies that were sent, and what each was answered."""

    server: ServerProcess
    until: float
    threads: int
    key: str = ADMIN_KEY
    taken: set[str] = field(default_factory=set[str])
    answers: Counter[int] = field(default_factory=Counter[int])

    def run(self) -> None:
        """Send from all threads until the time is up."""
        with ThreadPoolExecutor(self.threads) as threads:
            list(threads.map(self._send, range(self.threads)))

    def _send(self, share: int) -> None:
        number = 0
        headers = {"X-API-Key": self.key, "content-type": "application/json"}
        with httpx.Client(base_url=self.server.url, headers=headers, timeout=DEADLINE_SECONDS) as client:
            while time.monotonic() < self.until:
                number += 1
                name = f"body-{share}-{number}"
                answer = client.post("/api/v1/events?return=none", content=a_body(name, f"sender-{share}"))
                self.answers[answer.status_code] += 1
                if answer.status_code == ACCEPTED:
                    self.taken.add(name)
                elif answer.status_code == UNAVAILABLE:
                    assert int(answer.headers["retry-after"]) > 0


def a_body(name: str, sender: str) -> bytes:
    """Events of this user with an operation of this name."""
    event = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1000}
    event |= {"operation": name, "user_id": sender}
    return msgspec.json.encode([{"event_id": f"{name}-{i}", **event} for i in range(PER_BODY)])


def overload(folder: Path, seconds: float, readers: int = 20) -> Line:
    """Ten times what a slow disk can take, with slow readers, idle and oversize clients beside it."""
    limits: dict[str, Any] = {
        "pending_bytes_limit": "4MiB",
        "max_inflated_bytes": "4MiB",
        "max_body_bytes": "1MiB",
    }
    with server_process(folder / "data", **limits) as server, ExitStack() as clients:
        server.start(partial(slow_syncs, 0.5))
        clients.enter_context(idle_connections(server, 500))
        clients.enter_context(slow_readers(server, readers))
        peak = _Peak(server)
        threading.Thread(target=peak.watch, daemon=True).start()
        flood = _Flood(server, time.monotonic() + seconds, 32)
        flood.run()
        peak.done.set()
        assert oversize_answers(server) == {TOO_LARGE}
        assert peak.bytes < MEMORY_LIMIT_BYTES
        offered, taken = flood.answers.total(), len(flood.taken)
        note = f"{offered / max(taken, 1):.0f} x the rate it could take, for {seconds:.0f} s"
        fault = f"overload, 500 idle, {readers} slow readers, {peak.asked} questions"
        return _compared(flood, fault, peak, note)


def flooding_tenant(folder: Path, seconds: float) -> Line:
    """One tenant sends all it can; another's single posts go on, each answered."""
    with server_process(folder / "data") as server:
        server.start()
        key = another_tenants_key(server, "flood")
        peak = _Peak(server)
        threading.Thread(target=peak.watch, daemon=True).start()
        flood = _Flood(server, time.monotonic() + seconds, 16, key)
        flooding = threading.Thread(target=flood.run)
        flooding.start()
        waits: list[float] = []
        with server.client() as client:
            while flooding.is_alive():
                started = time.monotonic()
                client.post("/api/v1/events", json={"event_id": f"quiet-{len(waits)}"}).raise_for_status()
                waits.append(time.monotonic() - started)
        peak.done.set()
        server.wait_until_applied()
        assert total_events(server, ADMIN_KEY) == len(waits)
        p99 = sorted(waits)[int(len(waits) * 0.99)] * 1000
        note = f"the other tenant's {len(waits)} single posts: p99 {p99:.0f} ms"
        return _compared(flood, "one tenant floods", peak, note)


class _Peak:
    """The most memory the server held, and how many questions it answered meanwhile."""

    def __init__(self, server: ServerProcess) -> None:
        self._server, self.bytes, self.asked, self.done = server, 0, 0, threading.Event()

    def watch(self) -> None:
        """Sample until `done`."""
        with self._server.client() as client:
            while not self.done.wait(0.2):
                self.bytes = max(self.bytes, self._server.memory_bytes)
                self.asked += client.get("/api/v1/cost/summary").is_success


def _compared(flood: _Flood, fault: str, peak: _Peak, note: str) -> Line:
    """Every body that was taken is there whole, and nothing of any other."""
    server = flood.server
    server.wait_until_applied()
    stored = {
        row["operation"]: int(row["events"])
        for share in range(flood.threads)
        for row in _by_operation(server, flood.key, f"sender-{share}")
    }
    assert set(stored.values()) <= {PER_BODY}
    assert stored.keys() == flood.taken, stored.keys() ^ flood.taken
    recount = server.verify()
    assert recount["is_clean"], recount["differences"]
    memory, acked = peak.bytes // 2**20, len(flood.taken) * PER_BODY
    return Line(fault, acked, sum(stored.values()), dict(flood.answers), memory, note)


def _by_operation(server: ServerProcess, key: str, sender: str) -> list[dict[str, Any]]:
    """A user's events by operation, once the questions of slow readers, which wait too, let it through."""
    question: dict[str, Any] = {"measures": ["events"], "dimensions": ["operation"], "window": ALWAYS}
    question |= {"filters": {"user_id": sender}, "limit": 10_000}
    answers: list[httpx.Response] = []
    with server.client(key) as client:

        def is_answered() -> bool:
            answers.append(client.post("/api/v1/query", json=question))
            return answers[-1].is_success

        wait_until(is_answered, "questions are taken")
    return answers[-1].json()["rows"]


def idle_connections(server: ServerProcess, count: int) -> ExitStack:
    """Connections that never say a word."""
    stack = ExitStack()
    for _ in range(count):
        stack.enter_context(_connect(server))
    return stack


def slow_readers(server: ServerProcess, count: int) -> ExitStack:
    """Clients that ask for a long answer and don't read it."""
    stack = ExitStack()
    for _ in range(count):
        connection = stack.enter_context(_connect(server))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        head = f"GET /api/v1/usage?limit=10000 HTTP/1.1\r\nHost: x\r\nX-API-Key: {ADMIN_KEY}\r\n\r\n"
        connection.sendall(head.encode() * 20)
    return stack


def oversize_answers(server: ServerProcess) -> set[int]:
    """What bodies over the limit are answered, with their size announced or not."""
    with server.client() as client:
        whole = client.post("/api/v1/events", content=b" " * (2 * 2**20))
        headers = {"content-type": "application/json"}
        streamed = client.post("/api/v1/events", content=iter([b" " * 2**20] * 3), headers=headers)
    return {whole.status_code, streamed.status_code}


def _connect(server: ServerProcess) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS)


def another_tenants_key(server: ServerProcess, tenant_id: str) -> str:
    """Make a tenant and a key of its own."""
    with server.client() as operator:
        operator.post("/api/v1/tenants", json={"id": tenant_id}).raise_for_status()
        terms = {"label": "chaos", "scopes": ["ingest", "read"], "tenant_id": tenant_id}
        return operator.post("/api/v1/keys", json=terms).raise_for_status().json()["key"]


def total_events(server: ServerProcess, key: str) -> int:
    """How many events a tenant has."""
    with server.client(key) as client:
        question = {"measures": ["events"], "window": ALWAYS}
        answer = client.post("/api/v1/query", json=question).raise_for_status().json()
    return int(answer["totals"]["events"])
