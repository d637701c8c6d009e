"""How fast events become durable, and then queryable, with authentication, deduplication and rating on."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench.client import Load, LoadProcess
from bench.server import BenchServer
from bursar import clock

APPLY_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class IngestRun:
    """One run on a fresh server."""

    events: int
    refused: int
    acknowledged_per_second: float
    applied_per_second: float
    """From the first request to the last event being queryable."""
    cpu_micros_per_event: float
    p50_millis: float
    p99_millis: float
    memory_bytes: int


def run_ingest(load: Load) -> IngestRun:
    """Send unique events in bodies of equal size to a fresh server, and wait until all are applied."""
    with BenchServer() as server:
        sender = LoadProcess(server.port, load)
        cpu, started = server.cpu_seconds(), clock.monotonic()
        sent = sender.send()
        _wait_until_applied(server, sent.events)
        seconds = clock.monotonic() - started
        millis = sorted(one * 1000 for one in sent.latencies)
        return IngestRun(
            events=sent.events,
            refused=sent.refused,
            acknowledged_per_second=sent.events / sent.seconds,
            applied_per_second=sent.events / seconds,
            cpu_micros_per_event=(server.cpu_seconds() - cpu) / sent.events * 1e6,
            p50_millis=statistics.median(millis),
            p99_millis=millis[int(len(millis) * 0.99)],
            memory_bytes=server.memory_bytes(),
        )


def _wait_until_applied(server: BenchServer, events: int) -> None:
    deadline = clock.monotonic() + APPLY_TIMEOUT_SECONDS
    while clock.monotonic() < deadline:
        if int(server.status()["figures"]["applier_records"]) >= events:
            return
    raise RuntimeError("The events were not applied in time.")
