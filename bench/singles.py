"""How fast single events become durable over 256 connections: alone, and beside bodies of 10,000."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench.options import Options, say, say_figure
from bench.server import BenchServer
from bench.singles_client import LargeBodies, SinglesLoad, SinglesProcess

EVENTS = 200_000
CONNECTIONS = 256
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


def run(options: Options) -> bool:
    """Single events over 256 connections, without and with large bodies; true if none was refused."""
    load = SinglesLoad(options.scaled(EVENTS), CONNECTIONS)
    refused = 0
    for beside_large in (False, True):
        beside = ", beside gzip bodies of 10,000 events" if beside_large else ""
        say(f"singles: {load.events:,} posts over {load.connections} connections{beside}:")
        runs = [_shown(run_singles(load, beside_large=beside_large)) for _ in range(options.runs)]
        _say_medians(runs)
        refused += sum(one.refused for one in runs)
    return not refused


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


def _say_medians(runs: list[SinglesRun]) -> None:
    say_figure("median acknowledged durable", statistics.median(run.per_second for run in runs), "events/s")
    say_figure("median p99", statistics.median(run.p99_millis for run in runs), "ms", 1)
    micros = statistics.median(run.loop_micros_per_event for run in runs)
    say_figure("median event loop CPU", micros, "µs/event", 1)


def _shown(run: SinglesRun) -> SinglesRun:
    say(
        f"    {run.per_second:,.0f}/s acknowledged, p50 {run.p50_millis:.1f} ms, p99 {run.p99_millis:.1f} ms,"
        f" max {run.max_millis:.0f} ms, {run.loop_micros_per_event:.1f} µs/event in the loop"
        + (f", {run.large_events:,} events of large bodies" if run.large_events else "")
        + (f", {run.refused:,} REFUSED" if run.refused else "")
    )
    return run
