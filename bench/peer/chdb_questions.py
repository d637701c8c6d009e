"""Loads Parquet rows into a MergeTree table of chDB and asks four questions; prints one JSON object.

In chDB's own environment, in process, without HTTP. The table is sorted by tenant and time, as a
ClickHouse user would do it; there are no rollups. Run by `bench/peer_programs.py`, never by hand.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
import time

ASKS = 40
COLUMNS = (
    "tenant_id, event_id, time, provider, model, project_id, user_id, status, cost, input_text, output_text"
)
MONTH = "FROM events WHERE tenant_id = 'default' AND time >= now() - INTERVAL 30 DAY"
QUESTIONS = {
    "summary": f"SELECT count(), sum(cost), countIf(status = 'error'), uniqExact(user_id) {MONTH}",
    "breakdown by model": f"SELECT model, count(), sum(cost) AS spent {MONTH} GROUP BY model ORDER BY 3 DESC",
    "trend by day": f"SELECT toStartOfDay(time) AS day, sum(cost) {MONTH} GROUP BY day ORDER BY day",
    "top users": f"SELECT user_id, sum(cost) AS spent {MONTH} GROUP BY user_id ORDER BY spent DESC LIMIT 10",
}


def main(parquet: str) -> None:
    """Time the load, then each question forty times."""
    folder = tempfile.mkdtemp(prefix="bench-chdb-")
    session = importlib.import_module("chdb.session").Session(folder)
    try:
        session.query("CREATE DATABASE bench")
        session.query("USE bench")
        cpu, started = time.process_time(), time.monotonic()
        session.query(
            f"CREATE TABLE events ENGINE = MergeTree ORDER BY (tenant_id, time)"
            f" AS SELECT {COLUMNS} FROM file('{parquet}', Parquet)"
        )
        wall, cpu = time.monotonic() - started, time.process_time() - cpu
        rows = int(str(session.query("SELECT count() FROM events")).strip())
        millis = {name: [_millis(session, text) for _ in range(ASKS)] for name, text in QUESTIONS.items()}
        print(json.dumps({"rows": rows, "load_seconds": wall, "load_cpu": cpu, "millis": millis}))
    finally:
        session.close()
        shutil.rmtree(folder, ignore_errors=True)


def _millis(session: object, text: str) -> float:
    started = time.monotonic()
    str(getattr(session, "query")(text))  # noqa: B009 - not installed where this is checked
    return (time.monotonic() - started) * 1000


if __name__ == "__main__":
    main(sys.argv[1])
