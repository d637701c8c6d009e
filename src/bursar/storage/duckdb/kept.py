"""Sums of expired events: what the rollups hold of them, kept so that a recount still adds up.

An expiry removes raw rows and leaves the rollups alone; the sums of what it removed stand in the
`kept_*` tables, so that rollups = f(raw rows) + kept sums. Each row bears the expiry's seq and a
number, by which an erasure finds it. The rewritten journal has the same rows inside the `expire`
record. `expire.py` decides what goes; here is only how sums are kept, written down and read back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.storage.duckdb.rollup import ROLLUPS, measures_of, rollup_select
from bursar.storage.duckdb.schema import TABLES
from bursar.usage.changes import KeptRows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

KEPT_TABLES = {
    "usage_by_hour": "kept_by_hour",
    "usage_by_user_day": "kept_by_user_day",
    "latency_by_hour": "kept_latency_by_hour",
}
"""The kept sums of each rollup."""


def columns_of(rollup: str) -> str:
    """The columns that a rollup and its kept sums have in common, in order."""
    return ", ".join([*ROLLUPS[rollup], *measures_of(rollup)])


def keep_sums(
    connection: duckdb.DuckDBPyConnection, source: str, by_seq: int, values: Mapping[str, object]
) -> None:
    """Keep the sums of raw rows that are about to expire.

    Args:
        connection: in the transaction that removes them.
        source: what to read the rows from, with its WHERE clause and named values.
        by_seq: the expiry.
        values: the named values in `source`.
    """
    for rollup in ROLLUPS:
        connection.execute(kept_select(rollup, source, KEPT_TABLES[rollup]), {**values, "by_seq": by_seq})


def kept_select(rollup: str, source: str, into: str) -> str:
    """SQL that adds the sums of raw rows to a kept table; rows are numbered in the order of their keys."""
    columns, order = columns_of(rollup), ", ".join(ROLLUPS[rollup])
    return (
        f"INSERT INTO {into} SELECT {columns}, $by_seq, row_number() OVER (ORDER BY {order})"
        f" FROM ({rollup_select(rollup, source)})"
    )


def add_kept(connection: duckdb.DuckDBPyConnection, by_seq: int, kept: Mapping[str, KeptRows]) -> None:
    """Add the sums that a rewritten expiry brings to rollups and kept tables."""
    for rollup in ROLLUPS:
        rows = kept.get(rollup)
        if rows is None or not rows.rows:
            continue
        insert_kept(connection, KEPT_TABLES[rollup], by_seq, rows)
        connection.execute(
            f"INSERT INTO {rollup} SELECT {columns_of(rollup)} FROM {KEPT_TABLES[rollup]} WHERE by_seq = ?",
            [by_seq],
        )


def insert_kept(connection: duckdb.DuckDBPyConnection, table: str, by_seq: int, kept: KeptRows) -> None:
    """Insert a record's kept rows into this table, whatever schema it is in."""
    columns = dict(zip(kept.columns, zip(*kept.rows, strict=True), strict=True))
    kinds = TABLES[table.rpartition(".")[2]]
    selected: list[str] = []
    for name, kind in kinds.items():
        plain = kind.removesuffix(" NOT NULL")
        if name == "by_seq":
            selected.append(f"{by_seq}")
        elif name in columns:
            selected.append(f"CAST({name} AS {plain})")
        else:
            selected.append("0" if name in _ZEROS else f"NULL::{plain}")
    unnested = ", ".join(f"unnest(${name}::VARCHAR[]) AS {name}" for name in columns)
    values: dict[str, Any] = {
        name: [None if value is None else str(value) for value in column] for name, column in columns.items()
    }
    connection.execute(f"INSERT INTO {table} SELECT {', '.join(selected)} FROM (SELECT {unnested})", values)


def read_kept(connection: duckdb.DuckDBPyConnection, by_seq: int) -> dict[str, KeptRows]:
    """What an expiry keeps, by rollup, as its rewritten record is to say it.

    Columns that hold nothing in any row are left out.
    """
    return {rollup: rows for rollup in ROLLUPS if (rows := _read(connection, rollup, by_seq)).rows}


def _read(connection: duckdb.DuckDBPyConnection, rollup: str, by_seq: int) -> KeptRows:
    names = ["place", *ROLLUPS[rollup], *measures_of(rollup)]
    texts = ", ".join(f"CAST({name} AS VARCHAR)" for name in names)
    rows = connection.execute(
        f"SELECT {texts} FROM {KEPT_TABLES[rollup]} WHERE by_seq = ? ORDER BY place", [by_seq]
    ).fetchall()
    nothing = {None, "0", "0.000", "0.000000000000"}
    filled = [
        i for i, name in enumerate(names) if name == "place" or any(row[i] not in nothing for row in rows)
    ]
    return KeptRows([names[i] for i in filled], [[row[i] for i in filled] for row in rows])


_ZEROS = frozenset(measures_of("usage_by_hour"))
