"""`python -m bench`: runs the benchmarks and prints one table."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from typing import TYPE_CHECKING

from bench.client import Load
from bench.ingest import IngestRun, run_ingest
from bench.machine import decode_rate, duckdb_load_rate, sync_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENTS = 1_000_000
EVENTS_PER_BODY = 1_000
CONNECTIONS = 8
PATH = "/api/v1/events"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and exit with 0 unless events were refused."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="events per run (default: 1,000,000)")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the median counts (default: 3)")
    parser.add_argument(
        "--per-body", type=int, default=EVENTS_PER_BODY, help="events per body (default: 1,000)"
    )
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="connections (default: 8)")
    asked = parser.parse_args(arguments)
    _say(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};"
        f" medians of {asked.runs} runs of {asked.events:,} events"
    )
    _say(f"{'msgspec alone decodes':<42}{decode_rate():>12,.0f} events/s on one core")
    _say(f"{'DuckDB alone loads the same JSON':<42}{duckdb_load_rate():>12,.0f} events/s on one core")
    _say(f"{'64 kB append and fdatasync':<42}{sync_rate():>12,.0f} commits/s")
    bodies = asked.events // asked.per_body
    refused = 0
    for title, path in (("a line per event in the answer", PATH), ("?return=none", f"{PATH}?return=none")):
        _say(f"{title}:")
        load = Load(bodies, asked.per_body, asked.connections, path)
        runs = [_shown(run_ingest(load)) for _ in range(asked.runs)]
        _say_median(runs)
        refused += sum(run.refused for run in runs)
    return 1 if refused else 0


def _say_median(runs: Sequence[IngestRun]) -> None:
    acknowledged = statistics.median(run.acknowledged_per_second for run in runs)
    applied = statistics.median(run.applied_per_second for run in runs)
    cpu = statistics.median(run.cpu_micros_per_event for run in runs)
    _say(f"{'  median acknowledged durable':<42}{acknowledged:>12,.0f} events/s")
    _say(f"{'  median applied (queryable)':<42}{applied:>12,.0f} events/s")
    _say(f"{'  median server CPU':<42}{cpu:>12,.1f} µs/event")


def _shown(run: IngestRun) -> IngestRun:
    _say(
        f"  {run.events:,} events: {run.acknowledged_per_second:,.0f}/s acknowledged,"
        f" {run.applied_per_second:,.0f}/s applied, {run.cpu_micros_per_event:.1f} µs CPU/event,"
        f" body p50 {run.p50_millis:.0f} ms p99 {run.p99_millis:.0f} ms,"
        f" {run.memory_bytes / 2**20:,.0f} MiB anonymous"
        + (f", {run.refused:,} REFUSED" if run.refused else "")
    )
    return run


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
