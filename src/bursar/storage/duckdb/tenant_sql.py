"""Counts of what the store has of a tenant or a project, table by table: the proof that nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.expire import IN_PROJECT, last_versions
from bursar.storage.duckdb.schema import TABLES

if TYPE_CHECKING:
    from bursar.storage.duckdb.connection import Database

_WITH_TENANT = tuple(sorted(name for name, columns in TABLES.items() if "tenant_id" in columns))
_WITH_PROJECT = tuple(name for name in _WITH_TENANT if "project_id" in TABLES[name])


def events_of(database: Database, tenant_id: str, project_id: str | None) -> int:
    """How many events count of a tenant, or of one project of it."""
    if project_id is None:
        return _count(database, "usage_events WHERE tenant_id = $tenant", {"tenant": tenant_id})
    return _count(database, f"usage_events WHERE {IN_PROJECT}", {"tenant": tenant_id, "project": project_id})


def rows_of_tenant(database: Database, tenant_id: str) -> dict[str, int]:
    """How many rows each table has of a tenant."""
    return {
        table: _count(database, f"{table} WHERE tenant_id = $tenant", {"tenant": tenant_id})
        for table in _WITH_TENANT
    }


def rows_of_project(database: Database, tenant_id: str, project_id: str) -> dict[str, int]:
    """How many rows each table has of a project; of the history those of events that are, or ended, in it."""
    values = {"tenant": tenant_id, "project": project_id}
    own = {"usage_history": f"{IN_PROJECT} AND seq IN ({last_versions(IN_PROJECT)})"}
    return {
        table: _count(database, f"{table} WHERE {own.get(table, IN_PROJECT)}", values)
        for table in _WITH_PROJECT
    }


def former_versions(database: Database, tenant_id: str, project_id: str) -> frozenset[int]:
    """Positions of what stays of a project: former versions of events that were moved to another one."""
    rows = database.execute(
        f"SELECT coalesce(revised_seq, seq) FROM usage_history WHERE {IN_PROJECT}"
        f" AND seq NOT IN ({last_versions(IN_PROJECT)})",
        {"tenant": tenant_id, "project": project_id},
    ).fetchall()
    return frozenset(int(row[0]) for row in rows)


def _count(database: Database, source: str, values: dict[str, str]) -> int:
    return int(database.execute(f"SELECT count(*) FROM {source}", values).fetchall()[0][0])
