"""How fast single events become durable over 256 connections: alone, and beside bodies of 10,000."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench.options import Options, say
from bench.report import Line, Report, at_least, at_most
from bench.server import BenchServer
from bench.singles_client import LargeBodies, SinglesLoad, SinglesProcess

EVENTS = 200_000
CONNECTIONS = 256
RATE, P99_MILLIS = at_least(18_000), at_most(50)
LOOP_MICROS = at_most(1e6 / RATE.bound)
"""What the rate needs at the very least; wall times of a busy machine don't say."""
WARM_UP = SinglesLoad(events=2_000, connections=16, seed=99)


@dataclass(frozen=True, slots=True)
class SinglesRun:
    """One run on a fresh server."""

    events: int
    refused: int
    per_second: float
    p50_millis: float
    p99_millis: float
    max_millis: float
    loop_micros_per_event: float
    """Processor time of the server's event loop; with large bodies it includes theirs."""
    large_events: int
    """Events of large bodies that were accepted meanwhile."""


def run(options: Options, report: Report) -> None:
    """Single events over 256 connections, without and with large bodies."""
    load = SinglesLoad(options.count(EVENTS), CONNECTIONS)
    for beside_large in (False, True):
        title = "single posts" + (", beside gzip bodies of 10,000" if beside_large else "")
        say(f"{title}: {options.runs} x {load.events:,} posts over {load.connections} connections")
        runs = [_shown(run_singles(load, beside_large=beside_large)) for _ in range(options.runs)]
        _report(runs, title, report)


def run_singles(load: SinglesLoad, *, beside_large: bool) -> SinglesRun:
    """Post single events to a fresh server, each connection one at a time."""
    with BenchServer() as server:
        SinglesProcess(server.port, WARM_UP).send()
        sender = SinglesProcess(server.port, load)
        large = LargeBodies(server.port) if beside_large else None
        if large is not None:
            large.start()
        loop_before = server.loop_seconds()
        sent = sender.send()
        loop_seconds = server.loop_seconds() - loop_before
        millis = [one * 1000 for one in sent.latencies]
        return SinglesRun(
            events=sent.accepted,
            refused=sent.refused,
            per_second=sent.accepted / sent.seconds,
            p50_millis=statistics.median(millis),
            p99_millis=millis[int(len(millis) * 0.99)],
            max_millis=millis[-1],
            loop_micros_per_event=loop_seconds / sent.accepted * 1e6,
            large_events=0 if large is None else large.stop(),
        )


def _report(runs: list[SinglesRun], title: str, report: Report) -> None:
    loop = [run.loop_micros_per_event for run in runs]
    large = statistics.median(run.large_events for run in runs)
    note = f"{large:,.0f} events of large bodies meanwhile" if large else ""
    rates = [run.per_second for run in runs]
    report.add(Line(f"{title}: durable", rates, "events/s", RATE, note=note))
    report.add(Line(f"{title}: event loop", loop, "µs CPU/event", None if large else LOOP_MICROS))
    report.add(Line(f"{title}: p99", [run.p99_millis for run in runs], "ms", P99_MILLIS))
    report.add(Line(f"{title}: slowest", [run.max_millis for run in runs], "ms"))
    if refused := sum(run.refused for run in runs):
        report.fault(f"{title}: {refused:,} events were refused")


def _shown(run: SinglesRun) -> SinglesRun:
    say(
        f"    {run.per_second:,.0f}/s acknowledged, p50 {run.p50_millis:.1f} ms, p99 {run.p99_millis:.1f} ms,"
        f" max {run.max_millis:.0f} ms, {run.loop_micros_per_event:.1f} µs/event in the loop"
        + (f", {run.large_events:,} events of large bodies" if run.large_events else "")
    )
    return run
