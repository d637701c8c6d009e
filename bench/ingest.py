"""How fast events become durable, and then queryable, with authentication, deduplication and rating on."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.client import Load, LoadProcess
from bench.options import Options, say, say_figure
from bench.server import BenchServer
from bursar import clock

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 3_000_000
EVENTS_PER_BODY = 1_000
CONNECTIONS = 8
PATH = "/api/v1/events"
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
    """Of the whole server process, until the last event is applied."""
    loop_micros_per_event: float
    """Of its event loop alone, until the last answer."""
    p50_millis: float
    p99_millis: float
    memory_bytes: int


def run(options: Options) -> bool:
    """Batches of 1,000 unique, varied events over 8 connections; true if none was refused."""
    bodies = options.scaled(EVENTS // EVENTS_PER_BODY)
    refused = 0
    for title, path in (("a line per event in the answer", PATH), ("?return=none", f"{PATH}?return=none")):
        say(f"ingest: {bodies * EVENTS_PER_BODY:,} events, {title}:")
        load = Load(bodies, EVENTS_PER_BODY, CONNECTIONS, path)
        runs = [_shown(run_ingest(load)) for _ in range(options.runs)]
        _say_medians(runs)
        refused += sum(one.refused for one in runs)
    return not refused


def run_ingest(load: Load) -> IngestRun:
    """Send unique events in bodies of equal size to a fresh server, and wait until all are applied."""
    with BenchServer() as server:
        sender = LoadProcess(server.port, load)
        cpu, loop, started = server.cpu_seconds(), server.loop_seconds(), clock.monotonic()
        sent = sender.send()
        loop_seconds = server.loop_seconds() - loop
        _wait_until_applied(server, sent.events)
        seconds = clock.monotonic() - started
        millis = sorted(one * 1000 for one in sent.latencies)
        return IngestRun(
            events=sent.events,
            refused=sent.refused,
            acknowledged_per_second=sent.events / sent.seconds,
            applied_per_second=sent.events / seconds,
            cpu_micros_per_event=(server.cpu_seconds() - cpu) / sent.events * 1e6,
            loop_micros_per_event=loop_seconds / sent.events * 1e6,
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


def _say_medians(runs: list[IngestRun]) -> None:
    def median(figure: Callable[[IngestRun], float]) -> float:
        return statistics.median(map(figure, runs))

    say_figure("median acknowledged durable", median(lambda run: run.acknowledged_per_second), "events/s")
    say_figure("median applied (queryable)", median(lambda run: run.applied_per_second), "events/s")
    say_figure("median server CPU", median(lambda run: run.cpu_micros_per_event), "µs/event", 1)
    say_figure("median event loop CPU", median(lambda run: run.loop_micros_per_event), "µs/event", 1)


def _shown(run: IngestRun) -> IngestRun:
    say(
        f"    {run.acknowledged_per_second:,.0f}/s acknowledged, {run.applied_per_second:,.0f}/s applied,"
        f" {run.cpu_micros_per_event:.1f} µs CPU/event ({run.loop_micros_per_event:.1f} in the loop),"
        f" body p50 {run.p50_millis:.0f} ms p99 {run.p99_millis:.0f} ms,"
        f" {run.memory_bytes / 2**20:,.0f} MiB anonymous"
        + (f", {run.refused:,} REFUSED" if run.refused else "")
    )
    return run
