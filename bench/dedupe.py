"""Deduplication: what it costs to say of each key whether it is new, as the number of keys grows.

The key index is filled in batches as the applier hands them over: 30,000 random keys, sorted. Beside it
the peers that could do the same work, on the same keys: SQLite and DuckDB with a primary key and
`INSERT OR IGNORE`, neither synced, each in one transaction a batch. They keep the position but no
fingerprint, so they can't tell a repeat from a conflict, and they don't say which keys were new.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from bench.options import Options, say
from bench.report import Line, Report, at_most
from bursar import clock
from bursar.storage.keyindex.index import RunKeyIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LEVELS = (1_000_000, 10_000_000, 50_000_000)
PEER_KEYS = 10_000_000
PEER_SECONDS = 240.0
"""A peer is stopped after this long; the table says how far it came."""
BATCH_KEYS = 30_000
MEASURED_KEYS = 600_000
"""The cost at a level is that of the last keys before it."""
KEY_BYTES = 16
FLAT = at_most(3)
"""The cost at the highest level may be so many times that at the lowest."""


@dataclass(slots=True)
class _Batch:
    keys: list[bytes]
    """Sorted."""
    seqs: NDArray[np.uint64]
    prints: NDArray[np.uint64]


@dataclass(slots=True)
class _Cost:
    """Of some keys, in seconds."""

    keys: int = 0
    wall: float = 0.0
    cpu: float = 0.0


def run(options: Options, report: Report) -> None:
    """The key index at 1, 10 and 50 million keys; peers up to 10 million."""
    largest = options.count(LEVELS[-1])
    levels = [level for level in LEVELS if level <= largest] or [largest]
    folder = Path(tempfile.mkdtemp(dir=options.scratch))
    try:
        index = RunKeyIndex(folder / "keys")
        micros = _grow(_index_name(), levels, report, lambda batch: _record(index, batch))
        if len(micros) > 1:
            what = f"key index: cost at {levels[-1]:,} keys to that at {levels[0]:,}"
            report.add(Line(what, [micros[-1] / micros[0]], "times", FLAT))
        _say_repeats(index, report)
        index.close()
        peer_levels = [level for level in levels if level <= PEER_KEYS]
        _grow("SQLite primary key", peer_levels, report, _sqlite(folder / "peer.sqlite"))
        _grow("DuckDB primary key", peer_levels, report, _duckdb(folder / "peer.duckdb"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _index_name() -> str:
    return "key index"


def _grow(name: str, levels: list[int], report: Report, take: Callable[[_Batch], None]) -> list[float]:
    """Give it new keys up to each level; the processor time of one key at each, in microseconds."""
    rng = np.random.default_rng(1)
    done, started, micros = 0, clock.monotonic(), list[float]()
    say(f"{name}, up to {levels[-1]:,} keys")
    for level in levels:
        cost = _Cost()
        while done < level:
            batch = _make_batch(rng, done, min(BATCH_KEYS, level - done))
            _measure(take, batch, cost if level - done <= MEASURED_KEYS else _Cost())
            done += len(batch.keys)
            if name != _index_name() and clock.monotonic() - started > PEER_SECONDS:
                report.add(Line(f"{name}: stopped at {done:,} keys", [PEER_SECONDS], "s"))
                return micros
        micros.append(cost.cpu / cost.keys * 1e6)
        wall = cost.wall / cost.keys * 1e6
        report.add(
            Line(f"{name}: new keys, at {level:,}", [wall], "µs/key", None, f"{micros[-1]:.1f} µs/key")
        )
    return micros


def _say_repeats(index: RunKeyIndex, report: Report) -> None:
    """The same first keys again: all of them are repeats."""
    rng, cost, done = np.random.default_rng(1), _Cost(), 0
    stored = index.count()
    while done < min(MEASURED_KEYS, stored):
        batch = _make_batch(rng, done, min(BATCH_KEYS, stored - done))
        done += len(batch.keys)
        batch.seqs += np.uint64(stored)
        _measure(lambda batch: _record(index, batch), batch, cost)
    cpu = f"{cost.cpu / cost.keys * 1e6:.1f} µs/key"
    report.add(
        Line(f"{_index_name()}: repeats, at {stored:,}", [cost.wall / cost.keys * 1e6], "µs/key", None, cpu)
    )
    if index.count() != stored:
        report.fault("repeated keys were counted again")


def _measure(take: Callable[[_Batch], None], batch: _Batch, cost: _Cost) -> None:
    wall, cpu = clock.monotonic(), time.process_time()
    take(batch)
    cost.wall += clock.monotonic() - wall
    cost.cpu += time.process_time() - cpu
    cost.keys += len(batch.keys)


def _make_batch(rng: np.random.Generator, done: int, count: int) -> _Batch:
    raw = rng.bytes(count * KEY_BYTES)
    keys = sorted(raw[i : i + KEY_BYTES] for i in range(0, len(raw), KEY_BYTES))
    seqs = np.arange(done + 1, done + count + 1, dtype=np.uint64)
    return _Batch(keys, seqs, seqs)


def _record(index: RunKeyIndex, batch: _Batch) -> None:
    index.record(batch.keys, batch.seqs, batch.prints)


def _sqlite(path: Path) -> Callable[[_Batch], None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA cache_size = -{256 * 1024}")
    connection.execute("CREATE TABLE keys (key BLOB PRIMARY KEY, seq INTEGER) WITHOUT ROWID")

    def take(batch: _Batch) -> None:
        connection.execute("BEGIN")
        rows = zip(batch.keys, batch.seqs.tolist(), strict=True)
        connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", rows)
        connection.execute("COMMIT")

    return take


def _duckdb(path: Path) -> Callable[[_Batch], None]:
    limits: dict[str, Any] = {
        "threads": 1,
        "memory_limit": "4GB",
        "temp_directory": os.fspath(path.parent / "tmp"),
    }
    connection = duckdb.connect(str(path), config=limits)
    connection.execute("CREATE TABLE keys (key UHUGEINT PRIMARY KEY, seq UBIGINT)")

    def take(batch: _Batch) -> None:
        halves = np.frombuffer(b"".join(batch.keys), dtype=">u8").astype(np.uint64).reshape(-1, 2)
        connection.register(
            "given", {"high": halves[:, 0].copy(), "low": halves[:, 1].copy(), "seq": batch.seqs}
        )
        connection.execute(
            "INSERT OR IGNORE INTO keys SELECT (high::UHUGEINT << 64) | low::UHUGEINT, seq FROM given"
        )
        connection.unregister("given")

    return take
