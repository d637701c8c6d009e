"""How long one tenant's posts take while another floods, against how long they take without it.

Rounds with and without the flood take turns on one running server, so that both meet the same machine. A
flood begins with all its connections at once, which holds others up one time: that is the longest post of
a round, told for itself.
A process that only answers (`bare_responder.py`) is flooded in the same run: what its clients lose is the
machine's own limit. Server and clients have a core each where there are two.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.bare_responder import BareResponder
from bench.flood_client import Side, SideProcess, Tally, request_with
from bench.options import Options, say
from bench.report import Line, Report, at_most
from bench.server import BenchServer

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS = 16
ROUNDS = 3
ROUND_SECONDS = 8.0
STEADY_CONNECTIONS = 2
STEADY_PAUSE_SECONDS = 0.008
PER_MINUTE = 6_000
DOUBLED = at_most(2)
LIMITED = {
    "BURSAR_RATE_LIMIT_INGEST_TENANT_RPM": str(PER_MINUTE),
    "BURSAR_RATE_LIMIT_INGEST_TENANT_BURST": "100",
}
_STEADY_LIMITED = 60 / PER_MINUTE * STEADY_CONNECTIONS * 1.2


@dataclass(frozen=True, slots=True)
class _Case:
    """A server and its flood."""

    name: str
    settings: dict[str, str] | None
    """None floods the process that only answers."""
    connections: int = CONNECTIONS
    ahead: int = 1
    is_judged: bool = False


CASES = (
    _Case("that only answers (the machine's limit)", None),
    _Case("with a limit", LIMITED, is_judged=True),
    _Case("with a limit, 256 connections", LIMITED, connections=256, is_judged=True),
    _Case("with a limit, 16 requests ahead", LIMITED, ahead=16),
    _Case("without a limit", {}),
    _Case("without a limit, 256 connections", {}, connections=256),
)


@dataclass(slots=True)
class _Seen:
    """What the rounds of one run found."""

    calm: list[float] = field(default_factory=list[float])
    flooded: list[float] = field(default_factory=list[float])
    flood: Tally = field(default_factory=Tally)
    calm_loop_seconds: float = 0.0
    loop_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def ratio(self) -> float:
        """How many times as long posts take: the 99th percentiles of all rounds."""
        return _p99(self.flooded) / _p99(self.calm)

    @property
    def loop_share(self) -> float:
        """How much of a core the flood took in the server's event loop, whatever else the machine does."""
        return (self.loop_seconds - self.calm_loop_seconds) / self.seconds


def run(options: Options, report: Report) -> None:
    """One tenant's latency beside another's flood, in each case."""
    say(f"flood: {options.runs} runs of {len(CASES)} x {2 * ROUNDS} rounds of {ROUND_SECONDS:g} s")
    found: dict[str, list[_Seen]] = {case.name: [] for case in CASES}
    for _ in range(options.runs):
        for case in CASES:
            seen = _run_case(case)
            found[case.name].append(seen)
            say(
                f"    {case.name}: p99 {_p99(seen.calm):.2f} ms calm, {_p99(seen.flooded):.2f} ms flooded,"
                f" {seen.ratio:.2f} times, longest {max(seen.flooded):.0f} ms; {_flood_of(seen)}"
            )
    for case in CASES:
        runs = found[case.name]
        note = _flood_of(runs[-1])
        target = DOUBLED if case.is_judged else None
        what = f"posts beside a flood, server {case.name}"
        report.add(Line(f"{what}: p99 to calm", [one.ratio for one in runs], "times", target, note=note))
        report.add(Line(f"{what}: p99", [_p99(one.flooded) for one in runs], "ms"))
        report.add(Line(f"{what}: p99 calm", [_p99(one.calm) for one in runs], "ms"))
        report.add(Line(f"{what}: the longest", [max(one.flooded) for one in runs], "ms"))
        if case.settings is not None:
            shares = [one.loop_share * 100 for one in runs]
            report.add(Line(f"{what}: the flood's share of the event loop", shares, "% of a core"))


def _p99(millis: list[float]) -> float:
    return statistics.quantiles(millis, n=100)[98]


def _flood_of(seen: _Seen) -> str:
    tally = seen.flood
    asked = max(1, tally.admitted + tally.refused)
    loop = (seen.loop_seconds - seen.calm_loop_seconds) / asked * 1e6
    return (
        f"flood: {asked / seen.seconds:,.0f}/s, {tally.admitted / seen.seconds:,.0f}/s admitted,"
        f" {loop:.0f} µs of the loop each, client {tally.cpu_seconds / seen.seconds:.0%} of a core"
    )


def _cores() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where servers and where clients run."""
    available = sorted(os.sched_getaffinity(0))
    return ((available[0],), (available[1],)) if len(available) > 1 else ((), ())


def _run_case(case: _Case) -> _Seen:
    on_server, on_clients = _cores()
    if case.settings is None:
        request = request_with("bur_" + "x" * 43)
        with BareResponder(request, on_server) as bare:
            return _rounds(case, Side(bare.port, request, 0, cores=on_clients), request, lambda: 0.0)
    with BenchServer(settings=case.settings) as server:
        server.pin(on_server)
        steady, flooding = (_key_of(server, tenant) for tenant in ("steady", "flooding"))
        side = Side(server.port, request_with(steady), 0, cores=on_clients)
        return _rounds(case, side, request_with(flooding), server.loop_seconds)


def _rounds(case: _Case, side: Side, flooding: bytes, loop_seconds: Callable[[], float]) -> _Seen:
    pause = _STEADY_LIMITED if case.settings == LIMITED else STEADY_PAUSE_SECONDS
    steady = SideProcess(replace(side, connections=STEADY_CONNECTIONS, pause_seconds=pause))
    flood = SideProcess(replace(side, request=flooding, connections=case.connections, ahead=case.ahead))
    seen = _Seen()
    try:
        _round(steady, None, seen, loop_seconds)
        seen = _Seen()
        for _ in range(ROUNDS):
            _round(steady, None, seen, loop_seconds)
            _round(steady, flood, seen, loop_seconds)
    finally:
        steady.end()
        flood.end()
    return seen


def _round(
    steady: SideProcess, flood: SideProcess | None, seen: _Seen, loop_seconds: Callable[[], float]
) -> None:
    before = loop_seconds()
    if flood is not None:
        flood.start()
    steady.start()
    time.sleep(ROUND_SECONDS)
    tally = steady.stop()
    if tally.refused:
        raise RuntimeError("The steady tenant was refused.")
    if flood is None:
        seen.calm += tally.millis
        seen.calm_loop_seconds += loop_seconds() - before
        return
    flooded = flood.stop()
    seen.loop_seconds += loop_seconds() - before
    seen.flooded += tally.millis
    seen.seconds += ROUND_SECONDS
    seen.flood.admitted += flooded.admitted
    seen.flood.refused += flooded.refused
    seen.flood.cpu_seconds += flooded.cpu_seconds


def _key_of(server: BenchServer, tenant: str) -> str:
    with server.client() as client:
        client.post("/api/v1/tenants", json={"id": tenant}).raise_for_status()
        body = {"label": "i", "scopes": ["ingest"], "tenant_id": tenant}
        return str(client.post("/api/v1/keys", json=body).raise_for_status().json()["key"])
