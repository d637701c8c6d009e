"""How fast single events become durable over 256 connections: alone, and beside bodies of 10,000."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from bench.server import BenchServer
from bench.singles_client import LargeBodies, SinglesLoad, SinglesProcess

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
