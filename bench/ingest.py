"""Batches: how fast events become durable, and then queryable, and how much memory that takes.

Authentication, validation, deduplication and rating are on, ids are unique, bodies differ. Beside it
the same with `?return=none`, where the answer holds counts and refusals but no line for each event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.client import Load, LoadProcess
from bench.options import Options, say
from bench.report import Line, Report, at_least, at_most, percentile
from bench.server import BenchServer
from bursar import clock

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 3_000_000
EVENTS_PER_BODY = 1_000
CONNECTIONS = 8
PATH = "/api/v1/events"
ACKNOWLEDGED, APPLIED, MEMORY_MIB = at_least(150_000), at_least(100_000), at_most(1_536)
LOOP_MICROS, SERVER_MICROS = at_most(1e6 / ACKNOWLEDGED.bound), at_most(2e6 / APPLIED.bound)
"""What the rates need at the very least, on two cores of which the event loop has one: no wall time of a
busy machine can say that, and processor time does."""
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
    p99_millis: float
    peak_memory_bytes: int


def run(options: Options, report: Report) -> None:
    """Batches of 1,000 unique, varied events over 8 connections."""
    bodies = max(1, options.count(EVENTS) // EVENTS_PER_BODY)
    for title, path in (("answers by event", PATH), ("?return=none", f"{PATH}?return=none")):
        load = Load(bodies, EVENTS_PER_BODY, CONNECTIONS, path)
        say(f"batches, {title}: {options.runs} x {bodies * EVENTS_PER_BODY:,} events")
        runs = [_shown(run_ingest(load)) for _ in range(options.runs)]
        _report(runs, f"batches of 1,000, {title}", report)


def run_ingest(load: Load) -> IngestRun:
    """Send unique events in bodies of equal size to a fresh server, and wait until all are applied."""
    with BenchServer() as server:
        sender = LoadProcess(server.port, load)
        cpu, loop, started = server.cpu_seconds(), server.loop_seconds(), clock.monotonic()
        sent = sender.send()
        loop_seconds = server.loop_seconds() - loop
        wait_until_applied(server, sent.events)
        seconds = clock.monotonic() - started
        return IngestRun(
            events=sent.events,
            refused=sent.refused,
            acknowledged_per_second=sent.events / sent.seconds,
            applied_per_second=sent.events / seconds,
            cpu_micros_per_event=(server.cpu_seconds() - cpu) / sent.events * 1e6,
            loop_micros_per_event=loop_seconds / sent.events * 1e6,
            p99_millis=percentile(sent.latencies, 0.99) * 1000,
            peak_memory_bytes=server.peak_memory_bytes,
        )


def wait_until_applied(server: BenchServer, events: int) -> None:
    """Return as soon as so many events are queryable.

    Raises:
        RuntimeError: that takes more than ten minutes.
    """
    deadline = clock.monotonic() + APPLY_TIMEOUT_SECONDS
    while clock.monotonic() < deadline:
        if int(server.status()["figures"]["applier_records"]) >= events:
            return
    raise RuntimeError("The events were not applied in time.")


def _report(runs: list[IngestRun], title: str, report: Report) -> None:
    def all_of(figure: Callable[[IngestRun], float]) -> list[float]:
        return [figure(one) for one in runs]

    cpu, loop = all_of(lambda one: one.cpu_micros_per_event), all_of(lambda one: one.loop_micros_per_event)
    acknowledged = all_of(lambda one: one.acknowledged_per_second)
    applied = all_of(lambda one: one.applied_per_second)
    p99, peak = all_of(lambda one: one.p99_millis), all_of(lambda one: one.peak_memory_bytes / 2**20)
    report.add(Line(f"{title}: durable", acknowledged, "events/s", ACKNOWLEDGED))
    report.add(Line(f"{title}: event loop", loop, "µs CPU/event", LOOP_MICROS))
    report.add(Line(f"{title}: applied", applied, "events/s", APPLIED))
    report.add(Line(f"{title}: whole server", cpu, "µs CPU/event", SERVER_MICROS))
    report.add(Line(f"{title}: p99 of a body", p99, "ms"))
    report.add(Line(f"{title}: anonymous memory, peak", peak, "MiB", MEMORY_MIB))
    if refused := sum(one.refused for one in runs):
        report.fault(f"{title}: {refused:,} events were refused")


def _shown(run: IngestRun) -> IngestRun:
    say(
        f"    {run.acknowledged_per_second:,.0f}/s durable, {run.applied_per_second:,.0f}/s applied,"
        f" {run.cpu_micros_per_event:.1f} µs CPU/event ({run.loop_micros_per_event:.1f} in the loop),"
        f" p99 {run.p99_millis:.0f} ms, {run.peak_memory_bytes / 2**20:,.0f} MiB"
    )
    return run
