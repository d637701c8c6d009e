"""Received to queryable: how long after it is sent an event is seen, under a steady stream.

Two measures at once, over a time in which checkpoints happen and compaction runs twice: a single event
with `?wait=applied`, whose answer comes when it is applied, and marker events that are posted and then
asked for by id until they are there, which is what a person sees.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.options import Options, say
from bench.paced import Kept, PacedSender
from bench.report import Line, Report, at_least, at_most, percentile
from bench.server import BenchServer
from bursar import clock

if TYPE_CHECKING:
    import httpx

EVENTS_PER_SECOND = 20_000
P99_MILLIS, PACE = at_most(1_000), at_least(0.98 * EVENTS_PER_SECOND)
MARKERS_AT_ONCE = 3
LOOK_SECONDS = 0.02
WAIT_EVERY_SECONDS = 0.1
GIVE_UP_SECONDS = 30.0
COMPACTION = "/api/v1/scheduler/jobs/compaction/trigger"


@dataclass(slots=True)
class _Seen:
    """What the askers found, in milliseconds."""

    waited: list[float] = field(default_factory=list[float])
    looked: list[float] = field(default_factory=list[float])
    not_applied: int = 0
    """Answers to `?wait=applied` that came before the event was applied, and markers never seen."""
    checkpoints: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)


def run(options: Options, report: Report) -> None:
    """A stream of 20,000 events a second; single events are followed until they are queryable."""
    with BenchServer(options.folder) as server:
        stored = int(server.status()["applied_seq"])
        say(f"latency: {options.seconds:g} s at {EVENTS_PER_SECOND:,} events/s on {stored:,} events")
        cpu = server.cpu_seconds()
        with PacedSender(server.port, EVENTS_PER_SECOND) as sender:
            seen = _watch(server, options.seconds)
        cpu = server.cpu_seconds() - cpu
        _report(report, server, seen, sender.kept, f"{cpu / max(1, sender.kept.events) * 1e6:.1f} µs/event")


def _report(report: Report, server: BenchServer, seen: _Seen, kept: Kept, cpu: str) -> None:
    note = f"{seen.checkpoints} checkpoints, 2 compactions"
    report.add(Line("stream beside it: pace kept", [kept.per_second], "events/s", PACE, cpu))
    report.add(Line("stream: p99 of a body", [percentile(kept.latencies, 0.99) * 1000], "ms"))
    for title, millis in (("?wait=applied", seen.waited), ("asked for by id", seen.looked)):
        what = f"received to queryable, {title}"
        if not millis:
            report.add(Line(f"{what}: not one event in time", [0], "events", at_least(1)))
            continue
        report.add(Line(f"{what}: p50", [percentile(millis, 0.5)], "ms", note=f"{len(millis)} events"))
        report.add(Line(f"{what}: p99", [percentile(millis, 0.99)], "ms", P99_MILLIS, note=note))
        report.add(Line(f"{what}: max", [max(millis)], "ms"))
    report.add(Line("anonymous memory, peak", [server.peak_memory_bytes / 2**20], "MiB", at_most(1_536)))
    if kept.refused:
        report.fault(f"{kept.refused:,} events of the stream were refused")
    if seen.not_applied:
        # They are durable all the same, and none is lost: late is no fault.
        report.add(Line("events not applied within 10 s", [seen.not_applied], "events", at_most(0)))


def _watch(server: BenchServer, seconds: float) -> _Seen:
    seen = _Seen()
    works = [(_wait_for_applied, server), *[(_look_for_markers, server)] * MARKERS_AT_ONCE]
    threads = [threading.Thread(target=work, args=(one, seen)) for work, one in works]
    threads.append(threading.Thread(target=_count_checkpoints, args=(server, seen)))
    for thread in threads:
        thread.start()
    with server.client() as client:
        for _ in range(2):
            seen.stopping.wait(seconds / 3)
            client.post(COMPACTION, json={}).raise_for_status()
    seen.stopping.wait(seconds / 3)
    seen.stopping.set()
    for thread in threads:
        thread.join()
    return seen


def _wait_for_applied(server: BenchServer, seen: _Seen) -> None:
    with server.client() as client:
        while not seen.stopping.wait(WAIT_EVERY_SECONDS):
            started = clock.monotonic()
            answer = client.post("/api/v1/events?wait=applied", json=_marker())
            if answer.status_code == 200:
                seen.waited.append((clock.monotonic() - started) * 1000)
            else:
                seen.not_applied += 1


def _look_for_markers(server: BenchServer, seen: _Seen) -> None:
    with server.client() as client:
        while not seen.stopping.is_set():
            marker = _marker()
            started = clock.monotonic()
            client.post("/api/v1/events", json=marker).raise_for_status()
            if _is_seen(client, marker["event_id"], started + GIVE_UP_SECONDS):
                seen.looked.append((clock.monotonic() - started) * 1000)
            else:
                seen.not_applied += 1


def _is_seen(client: httpx.Client, event_id: str, deadline: float) -> bool:
    pause = threading.Event()
    while clock.monotonic() < deadline:
        if client.get(f"/api/v1/events/{event_id}").is_success:
            return True
        pause.wait(LOOK_SECONDS)
    return False


def _count_checkpoints(server: BenchServer, seen: _Seen) -> None:
    """A write-ahead log that has become shorter was taken in by a checkpoint."""
    log, before = server.data / "usage.duckdb.wal", 0
    while not seen.stopping.wait(LOOK_SECONDS):
        size = log.stat().st_size if log.exists() else 0
        seen.checkpoints += size < before
        before = size


def _marker() -> dict[str, Any]:
    return {
        "event_id": str(uuid.uuid4()),
        "provider": "openai",
        "model": "gpt-5",
        "user_id": "user-marker",
        "input_tokens": 1_200,
        "output_tokens": 80,
    }
