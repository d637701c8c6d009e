"""What this machine can do at all, measured beside each run: the limits that no design passes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec

from bench.events import make_body
from bench.options import Options, say
from bench.report import Line, Report
from bursar import clock
from bursar.usage.event import UsageEvent

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 5
_SYNC_WRITES = 100
_SYNC_BYTES = 64 * 1024


def run(options: Options, report: Report) -> None:
    """Decoding alone, loading alone, syncing alone."""
    say("this machine's own limits")
    report.add(Line("msgspec alone decodes and validates", decode_rates(), "events/s", cpu="one core"))
    report.add(Line("DuckDB alone loads the same JSON", duckdb_load_rates(), "events/s", cpu="one core"))
    report.add(Line("64 kB append and fdatasync", sync_rates(options.scratch), "commits/s"))


def decode_rates(bodies: int = 40, events_per_body: int = 1000) -> list[float]:
    """Events a second that msgspec alone decodes and validates on one core."""
    now = clock.now()
    prepared = [make_body(events_per_body, seed, now) for seed in range(bodies)]
    decode = msgspec.json.Decoder(list[UsageEvent]).decode

    def run() -> None:
        for body in prepared:
            decode(body)

    return _rates(bodies * events_per_body, run)


def sync_rates(scratch: Path) -> list[float]:
    """Group commits a second: a 64 kB append and an `fdatasync`, one after the other."""
    content = os.urandom(_SYNC_BYTES)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        descriptor = os.open(Path(folder) / "sync", os.O_WRONLY | os.O_CREAT)

        def run() -> None:
            for _ in range(_SYNC_WRITES):
                os.write(descriptor, content)
                os.fdatasync(descriptor)

        try:
            return _rates(_SYNC_WRITES, run)
        finally:
            os.close(descriptor)


def duckdb_load_rates(bodies: int = 50, events_per_body: int = 1000) -> list[float]:
    """Events a second that DuckDB alone loads from JSON lines into a table, with one thread."""
    now = clock.now()
    decoded = [
        event
        for seed in range(bodies)
        for event in msgspec.json.decode(make_body(events_per_body, seed, now))
    ]
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as folder:
        path = Path(folder) / "events.ndjson"
        path.write_bytes(b"\n".join(msgspec.json.encode(event) for event in decoded) + b"\n")
        connection = duckdb.connect(str(Path(folder) / "load.duckdb"), config={"threads": 1})

        def run() -> None:
            connection.execute(
                "CREATE OR REPLACE TABLE loaded AS SELECT * FROM read_json(?, format = 'newline_delimited')",
                [str(path)],
            )

        try:
            return _rates(len(decoded), run)
        finally:
            connection.close()


def _rates(count: int, run: Callable[[], None]) -> list[float]:
    rates: list[float] = []
    for _ in range(REPEATS):
        started = clock.monotonic()
        run()
        rates.append(count / (clock.monotonic() - started))
    return rates
