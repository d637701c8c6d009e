"""Counts of what the state store has of one tenant, table by table: the proof that nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select

from bursar.identity.audit.entry import PLATFORM
from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.tables.audit import AUDIT_ENTRIES
from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.transactions import reading_once

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine, Table

_OWNERS = ("tenant_id", "owner")
"""Columns that say whose a row is; of the audit log's tables `owner` is the tenant, elsewhere a person."""
_OF_CHAINS = frozenset({"audit_chains", "audit_entries"})


def state_rows_of(engine: Engine, tenant_id: str) -> dict[str, int]:
    """How many rows each table has of a tenant, as they are at one moment.

    Raises:
        Unavailable: the store doesn't answer.
    """
    counts: dict[str, int] = {}
    with reading_once(engine) as connection:
        for table in METADATA.sorted_tables:
            conditions = _is_of(table, tenant_id)
            if conditions:
                question = select(func.count()).select_from(table).where(or_(*conditions))
                counts[table.name] = int(connection.execute(question).scalar_one())
    return counts


def platform_entries_naming(engine: Engine, tenant_id: str) -> int:
    """How many entries of the platform's own audit log name a tenant: who made, changed and deleted it.

    Raises:
        Unavailable: the store doesn't answer.
    """
    columns = AUDIT_ENTRIES.c
    names_it = columns.spelled.contains(f'"{tenant_id}"', autoescape=True)
    question = select(func.count()).where(columns.owner == PLATFORM, names_it)
    with reading_once(engine) as connection:
        return int(connection.execute(question).scalar_one())


def _is_of(table: Table, tenant_id: str) -> list[ColumnElement[bool]]:
    if table is TENANTS:
        return [TENANTS.c.id == tenant_id]
    names = _OWNERS if table.name in _OF_CHAINS else _OWNERS[:1]
    return [table.c[name] == tenant_id for name in names if name in table.c]
