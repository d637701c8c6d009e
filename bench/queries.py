"""Questions over HTTP on a folder with many events: quiet, and while 20,000 events a second arrive.

The folder is filled once (`python -m bench fill`) and used again. Each question is asked many times, one
after the other, with varied windows and filters; the very first call is shown apart, for nothing of the
store is in memory yet. Single events are looked up by ids of every age. Every answer must be a good one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from bench.filling import filled_folder
from bench.options import Options, say
from bench.paced import PacedSender
from bench.questions import QUESTIONS
from bench.report import Line, Report, at_least, at_most, percentile
from bench.server import BenchServer
from bursar import clock
from bursar.storage.folder import DataFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from bench.questions import Question

LARGE_EVENTS = 50_000_000
"""From so many events on, the bound for a question is 300 ms (the aim stays 100)."""
EVENTS_PER_SECOND = 20_000
LOOK_UP_MILLIS = at_most(20)
READY_SECONDS = at_most(5)
LONGEST_SECONDS = 90.0
"""For one question, however slow it is."""
SAMPLED_IDS = 5_000
MEMORY_MIB = at_most(1_536)


@dataclass(frozen=True, slots=True)
class Asking:
    """What all questions of a run have in common."""

    server: BenchServer
    client: httpx.Client
    asks: int
    report: Report
    bound_millis: float


def run(options: Options, report: Report) -> None:
    """The questions of the README and the look-up by id, quiet and beside a stream."""
    folder = filled_folder(options)
    ids = _sample_ids(folder)
    with BenchServer(folder) as server, server.client() as client:
        stored = int(server.status()["figures"]["key_index_entries"])
        say(f"queries on {stored:,} events, {options.asks} of each")
        ready, cpu = [server.ready_seconds], f"{server.ready_cpu_seconds:.1f} s"
        report.add(Line(f"ready, at {stored:,} events", ready, "s", READY_SECONDS, cpu))
        bound = 300 if stored >= LARGE_EVENTS else 100
        asking = Asking(server, client, options.asks, report, bound)
        _ask_all(asking, ids, "")
        beside = f", beside {EVENTS_PER_SECOND:,} events/s"
        with PacedSender(server.port, EVENTS_PER_SECOND) as sender:
            _ask_all(asking, ids, beside)
        kept = sender.kept
        pace = at_least(0.98 * EVENTS_PER_SECOND)
        report.add(Line("pace that was kept beside the questions", [kept.per_second], "events/s", pace))
        peak = server.peak_memory_bytes / 2**20
        report.add(Line("queries: anonymous memory, peak", [peak], "MiB", MEMORY_MIB))
        if kept.refused:
            report.fault(f"{kept.refused:,} events of the stream were refused")


def _ask_all(asking: Asking, ids: list[str], beside: str) -> None:
    for question in QUESTIONS:
        _ask(asking, question, beside)
    look_ups = (f"/api/v1/events/{event_id}" for event_id in random.Random(1).choices(ids, k=asking.asks * 5))
    cpu = asking.server.cpu_seconds()
    millis = [_millis(asking.client, path) for path in look_ups]
    cpu = asking.server.cpu_seconds() - cpu
    title = f"GET /events/{{id}}{beside}"
    shown = "" if beside else f"{cpu / len(millis) * 1000:.1f} ms"
    note = f"p50 {percentile(millis, 0.5):.1f}, max {max(millis):.0f} of {len(millis)}"
    asking.report.add(Line(f"{title}: p95", [percentile(millis, 0.95)], "ms", LOOK_UP_MILLIS, shown, note))


def _ask(asking: Asking, question: Question, beside: str) -> None:
    requests = question.requests()
    first = _millis(asking.client, next(requests))
    cpu = asking.server.cpu_seconds()
    millis = list(_asked(asking, requests))
    cpu = asking.server.cpu_seconds() - cpu
    # Beside a stream the server's processor time is mostly the stream's.
    shown = "" if beside else f"{cpu / len(millis) * 1000:.1f} ms"
    target = at_most(asking.bound_millis) if question.is_target else None
    note = f"first {first:.0f}, p50 {percentile(millis, 0.5):.1f}, max {max(millis):.0f} of {len(millis)}"
    what = f"{question.name}{beside}: p95"
    asking.report.add(Line(what, [percentile(millis, 0.95)], "ms", target, shown, note))


def _asked(asking: Asking, requests: Iterator[str]) -> Iterator[float]:
    started = clock.monotonic()
    for _ in range(asking.asks):
        yield _millis(asking.client, next(requests))
        if clock.monotonic() - started > LONGEST_SECONDS:
            return


def _millis(client: httpx.Client, path: str) -> float:
    started = clock.monotonic()
    client.get(path).raise_for_status()
    return (clock.monotonic() - started) * 1000


def _sample_ids(folder: Path) -> list[str]:
    """Ids of events of every age, read before the server takes the file."""
    with duckdb.connect(str(DataFolder(folder).store), read_only=True) as connection:
        rows = connection.execute(
            f"SELECT event_id FROM usage_events USING SAMPLE {SAMPLED_IDS} ROWS (reservoir, 1)"
        ).fetchall()
    return [str(row[0]) for row in rows]
