"""Rollup rows: made from raw rows when they are applied, undone by opposite rows.

A rollup is never updated in place (keyed upserts cost about forty times as much); it is a sum of
signed rows. `compaction.py` replaces rows by their sums later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def add_to_rollups(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    sign: str = "",
    tables: Collection[str] = tuple(ROLLUPS),
) -> dict[str, int]:
    """Append the rows of some rollups for the raw rows in `source`; returns how many, by rollup."""
    units = _units_in(connection, source)
    added: dict[str, int] = {}
    for table in tables:
        rows = connection.execute(
            f"INSERT INTO {table} {rollup_select(table, source, sign, units)}"
        ).fetchall()
        added[table] = int(rows[0][0])
    return added


def events_by_hour(connection: duckdb.DuckDBPyConnection, source: str) -> dict[datetime, int]:
    """How many of the raw rows in `source` are of each hour."""
    return dict(
        connection.execute(f"SELECT {_DERIVED['hour']}, count(*) FROM {source} GROUP BY 1").fetchall()
    )


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
