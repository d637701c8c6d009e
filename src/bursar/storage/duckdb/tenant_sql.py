"""Counts of what the store has of one tenant, table by table: the proof that nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.schema import TABLES

if TYPE_CHECKING:
    from bursar.storage.duckdb.connection import Database

_WITH_TENANT = tuple(sorted(name for name, columns in TABLES.items() if "tenant_id" in columns))


def rows_of_tenant(database: Database, tenant_id: str) -> dict[str, int]:
    """How many rows each table has of a tenant."""
    counts: dict[str, int] = {}
    for table in _WITH_TENANT:
        rows = database.execute(f"SELECT count(*) FROM {table} WHERE tenant_id = ?", [tenant_id]).fetchall()
        counts[table] = int(rows[0][0])
    return counts
