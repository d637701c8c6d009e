"""Whole systems from PyPI that do a part of the same work, measured on the same machine in the same run.

Arize Phoenix takes spans of model calls over HTTP. It answers when they are in its queue in memory, before
anything is on disk, and neither prices them exactly nor knows a repeated id from a new one; so compare it
with the applied figure of `batches`. chDB is ClickHouse in process: it loads the rows of a filled folder
into a MergeTree table, without deduplication, rating or a journal, and answers the four questions from raw
rows, without HTTP and for one caller.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import duckdb

from bench.filling import filled_folder
from bench.options import Options, say
from bench.peer_programs import run_peer
from bench.report import Line, Report, percentile
from bursar.storage.folder import DataFolder

if TYPE_CHECKING:
    from pathlib import Path

SPANS = 5_000
COLUMNS = (
    "tenant_id, event_id, time, provider, model, project_id, user_id, status,"
    " coalesce(cost, 0) AS cost, coalesce(input_text, 0) AS input_text,"
    " coalesce(output_text, 0) AS output_text"
)


def run(options: Options, report: Report) -> None:
    """Phoenix and chDB, each left out where it can't be installed."""
    _run_phoenix(options, report)
    _run_chdb(options, report)


def _run_phoenix(options: Options, report: Report) -> None:
    say(f"Arize Phoenix: {SPANS:,} spans")
    found = run_peer(options, "arize-phoenix", "phoenix_ingest", [str(SPANS)])
    if found is None:
        return
    cpu = f"{found['cpu_micros']:,.0f} µs/span"
    report.add(Line("Arize Phoenix: taken into memory", [found["acknowledged_per_second"]], "spans/s"))
    note = f"{found['spans']:,.0f} spans, {found['refused']:,.0f} refused"
    report.add(Line("Arize Phoenix: in its store", [found["applied_per_second"]], "spans/s", None, cpu, note))


def _run_chdb(options: Options, report: Report) -> None:
    path = options.scratch / f"rows-{os.getpid()}.parquet"
    try:
        rows = _export(DataFolder(filled_folder(options)).store, path)
        say(f"chDB: {rows:,} rows")
        found = run_peer(options, "chdb", "chdb_questions", [str(path)])
    finally:
        path.unlink(missing_ok=True)
    if found is None:
        return
    cpu = f"{found['load_cpu'] / found['rows'] * 1e6:.1f} µs/row"
    rate = found["rows"] / found["load_seconds"]
    note = f"{found['rows']:,} rows of 11 columns from Parquet"
    report.add(Line("chDB: loading rows alone", [rate], "rows/s", None, cpu, note))
    for name, millis in found["millis"].items():
        note = f"p50 {percentile(millis, 0.5):.1f}, from raw rows, no HTTP"
        report.add(Line(f"chDB: {name}: p95", [percentile(millis, 0.95)], "ms", note=note))


def _export(store: Path, path: Path) -> int:
    with duckdb.connect(str(store), read_only=True) as connection:
        connection.execute(f"COPY (SELECT {COLUMNS} FROM usage_events) TO '{path}' (FORMAT parquet)")
        row = connection.execute(f"SELECT count(*) FROM '{path}'").fetchone()
    return int(row[0]) if row else 0
