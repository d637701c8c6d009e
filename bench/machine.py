"""What this machine can do at all, measured beside each run: the limits that no design passes."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import msgspec

from bench.events import make_body
from bursar import clock
from bursar.usage.event import UsageEvent

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 5
_SYNC_WRITES = 100
_SYNC_BYTES = 64 * 1024


def decode_rate(bodies: int = 40, events_per_body: int = 1000) -> float:
    """Events a second that msgspec alone decodes and validates on one core (median of 5)."""
    now = clock.now()
    prepared = [make_body(events_per_body, seed, now) for seed in range(bodies)]
    decode = msgspec.json.Decoder(list[UsageEvent]).decode

    def run() -> None:
        for body in prepared:
            decode(body)

    return bodies * events_per_body / _median_seconds(run)


def sync_rate() -> float:
    """Group commits a second: a 64 kB append and an `fdatasync`, one after the other (median of 5)."""
    content = os.urandom(_SYNC_BYTES)
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as folder:
        descriptor = os.open(Path(folder) / "sync", os.O_WRONLY | os.O_CREAT)

        def run() -> None:
            for _ in range(_SYNC_WRITES):
                os.write(descriptor, content)
                os.fdatasync(descriptor)

        try:
            return _SYNC_WRITES / _median_seconds(run)
        finally:
            os.close(descriptor)


def duckdb_load_rate(bodies: int = 50, events_per_body: int = 1000) -> float:
    """Events a second that DuckDB alone loads from JSON lines into a table, one thread (median of 5)."""
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
            return len(decoded) / _median_seconds(run)
        finally:
            connection.close()


def _median_seconds(run: Callable[[], None]) -> float:
    taken: list[float] = []
    for _ in range(REPEATS):
        started = clock.monotonic()
        run()
        taken.append(clock.monotonic() - started)
    return statistics.median(taken)
