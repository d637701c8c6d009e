"""How long one tenant's posts take while another floods: alone, without limits, and with a limit per tenant.

The flood comes over many connections as fast as it is answered, from a process of its own; the other tenant
posts at a steady pace. What counts is the ratio of the two tenants' runs on the same machine.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import threading
from typing import TYPE_CHECKING

from bench.client import read_answer
from bench.options import Options, say
from bench.report import Line, Report, at_most
from bench.server import BenchServer
from bursar import clock

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

CONNECTIONS = 16
SECONDS = 6.0
PAUSE_SECONDS = 0.01
PER_MINUTE = 6_000
DOUBLED = at_most(2)
LIMITED = {
    "BURSAR_RATE_LIMIT_INGEST_TENANT_RPM": str(PER_MINUTE),
    "BURSAR_RATE_LIMIT_INGEST_TENANT_BURST": "100",
}
_BODY = b'{"provider":"openai","model":"gpt-5","input_tokens":1200,"output_tokens":80}'


def run(options: Options, report: Report) -> None:
    """One tenant's latency beside another's flood."""
    say(f"flood: {options.runs} x 3 runs of {SECONDS:g} s, the flood over {CONNECTIONS} connections")
    found: dict[str, list[float]] = {"alone": [], "unlimited": [], "limited": []}
    for _ in range(options.runs):
        found["alone"].append(_p99_millis({}, floods=False))
        found["unlimited"].append(_p99_millis({}, floods=True))
        found["limited"].append(_p99_millis(LIMITED, floods=True))
    for name, millis in found.items():
        report.add(Line(f"posts of one tenant, another's flood {name}: p99", millis, "ms"))
    ratios = [one / alone for one, alone in zip(found["limited"], found["alone"], strict=True)]
    report.add(Line("posts of one tenant beside a limited flood: p99 to alone", ratios, "times", DOUBLED))


def _p99_millis(settings: dict[str, str], *, floods: bool) -> float:
    with BenchServer(settings=settings) as server:
        steady, flooding = (_key_of(server, tenant) for tenant in ("steady", "flooding"))
        context = multiprocessing.get_context("spawn")
        stopping = context.Event()
        flood = context.Process(target=_flood, args=(server.port, flooding, stopping), daemon=True)
        if floods:
            flood.start()
        _post_steadily(server.port, steady, 1.0)
        millis = _post_steadily(server.port, steady, SECONDS)
        stopping.set()
        if floods:
            flood.join()
        return statistics.quantiles(millis, n=100)[98]


def _key_of(server: BenchServer, tenant: str) -> str:
    with server.client() as client:
        client.post("/api/v1/tenants", json={"id": tenant}).raise_for_status()
        body = {"label": "i", "scopes": ["ingest"], "tenant_id": tenant}
        return str(client.post("/api/v1/keys", json=body).raise_for_status().json()["key"])


def _request(key: str) -> bytes:
    head = f"POST /api/v1/events HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY


def _post_steadily(port: int, key: str, seconds: float) -> list[float]:
    request, millis, waiting = _request(key), list[float](), threading.Event()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ends = clock.monotonic() + seconds
        while clock.monotonic() < ends:
            started = clock.monotonic()
            connection.sendall(request)
            if not read_answer(connection).startswith(b"HTTP/1.1 202"):
                raise RuntimeError("The steady tenant was refused.")
            millis.append((clock.monotonic() - started) * 1000)
            waiting.wait(PAUSE_SECONDS)
    return millis


def _flood(port: int, key: str, stopping: Event) -> None:
    def send() -> None:
        request = _request(key)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while not stopping.is_set():
                connection.sendall(request)
                read_answer(connection)

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
