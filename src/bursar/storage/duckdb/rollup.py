"""Rollup rows: made from raw rows when they are applied, undone by opposite rows, compacted later.

A rollup is never updated in place (keyed upserts cost about forty times as much); it is a sum of
signed rows. Compaction replaces the rows of a period by their sums, in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.connection import transaction
from bursar.storage.duckdb.schema import (
    HOUR_DIMENSIONS,
    LATENCY_DIMENSIONS,
    MEASURE_COLUMNS,
    USER_DAY_DIMENSIONS,
    latency_bucket,
    measure_sums,
)
from bursar.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import duckdb

_DERIVED = {
    "hour": "date_trunc('hour', time)",
    "day": "date_trunc('day', time)",
    "bucket": latency_bucket("latency_ms"),
}

ROLLUPS: dict[str, dict[str, str]] = {
    "usage_by_hour": HOUR_DIMENSIONS,
    "usage_by_user_day": USER_DAY_DIMENSIONS,
    "latency_by_hour": LATENCY_DIMENSIONS,
}


def rollup_select(table: str, source: str, sign: str = "", units: Collection[str] = tuple(UNITS)) -> str:
    """SQL that computes a rollup's rows from raw rows.

    Args:
        table: one of `ROLLUPS`.
        source: what to read raw rows from, with its WHERE clause if it needs one.
        sign: `-` for the opposite rows.
        units: those that any of the raw rows has.
    """
    dimensions = ", ".join(f"{_DERIVED.get(name, name)} AS {name}" for name in ROLLUPS[table])
    if table == "latency_by_hour":
        joiner = "AND" if " WHERE " in source else "WHERE"
        return (
            f"SELECT {dimensions}, {sign}count(*) AS events FROM {source}"
            f" {joiner} latency_ms IS NOT NULL GROUP BY ALL"
        )
    return f"SELECT {dimensions}, {measure_sums(sign, units)} FROM {source} GROUP BY ALL"


def measures_of(table: str) -> list[str]:
    """The measures of a rollup."""
    return ["events"] if table == "latency_by_hour" else list(MEASURE_COLUMNS)


def add_to_rollups(connection: duckdb.DuckDBPyConnection, source: str, sign: str = "") -> None:
    """Append the rollup rows of the raw rows in `source`."""
    units = _units_in(connection, source)
    for table in ROLLUPS:
        connection.execute(f"INSERT INTO {table} {rollup_select(table, source, sign, units)}")


def _units_in(connection: duckdb.DuckDBPyConnection, source: str) -> list[str]:
    """The units that any row has: counting costs little, summing them all took a third of the time."""
    counts = connection.execute(
        f"SELECT {', '.join(f'count({unit})' for unit in UNITS)} FROM {source}"
    ).fetchall()[0]
    return [unit for unit, count in zip(UNITS, counts, strict=True) if count]


def rollup_sums(table: str, source: str | None = None) -> str:
    """SQL of a rollup with equal keys summed, rows that sum to nothing left out.

    Args:
        table: one of `ROLLUPS`.
        source: what to read such rows from instead of the rollup itself.
    """
    dimensions = ", ".join(ROLLUPS[table])
    measures = measures_of(table)
    sums = ", ".join(f"sum({name}) AS {name}" for name in measures)
    something = " OR ".join(f"sum({name}) <> 0" for name in measures)
    return f"SELECT {dimensions}, {sums} FROM {source or table} GROUP BY {dimensions} HAVING {something}"


class RollupCompactor:
    """Replaces the rollup rows of past periods by their sums, once enough have come in."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Use this connection; call from the thread that applies, so that there is one writer."""
        self._connection = connection
        self._rows_after: dict[str, int] = dict.fromkeys(ROLLUPS, 0)

    def compact(self, before: datetime) -> int:
        """Compact periods before `before` where that is worth it; returns the rows saved.

        Readers see either all of the old rows or all of the new ones.
        """
        saved = 0
        for table in ROLLUPS:
            rows = self._count(table)
            if rows > 2 * self._rows_after[table] + WORTH_COMPACTING_ROWS:
                self._replace(table, before)
                self._rows_after[table] = self._count(table)
                saved += rows - self._rows_after[table]
        return saved

    def _replace(self, table: str, before: datetime) -> None:
        period = next(iter(ROLLUPS[table]))
        summed = rollup_sums(table).replace(" GROUP BY ", f" WHERE {period} < ? GROUP BY ", 1)
        with transaction(self._connection):
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE compacted AS {summed}", [before])
            self._connection.execute(f"DELETE FROM {table} WHERE {period} < ?", [before])
            # A tenant's rows of a period stand together: a question reads few row groups.
            ordered = f"SELECT * FROM compacted ORDER BY tenant_id, {period}"
            self._connection.execute(f"INSERT INTO {table} {ordered}")
            self._connection.execute("DROP TABLE compacted")

    def _count(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


WORTH_COMPACTING_ROWS = 50_000
"""A rollup is summed up in under 10 ms below this many rows; compacting sooner saves nothing."""
