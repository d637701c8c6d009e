"""Counts of what the state store has of a tenant or a project, by table: the proof that nothing is left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select

from bursar.identity.audit.entry import PLATFORM
from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.tables.allocations import ALLOCATIONS
from bursar.storage.relational.tables.audit import AUDIT_ENTRIES
from bursar.storage.relational.tables.identity import PROJECTS, TENANTS
from bursar.storage.relational.tables.jobs import RUNS
from bursar.storage.relational.tenants import TABLES_OF_PROJECTS
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


def state_rows_of_project(engine: Engine, tenant_id: str, project_id: str) -> dict[str, int]:
    """How many rows each table has of a tenant's project, as they are at one moment.

    Raises:
        Unavailable: the store doesn't answer.
    """
    columns = ALLOCATIONS.c
    questions = {
        table: (table.c.tenant_id == tenant_id, table.c.project_id == project_id)
        for table in TABLES_OF_PROJECTS
    }
    questions[PROJECTS] = PROJECTS.c.tenant_id == tenant_id, PROJECTS.c.id == project_id
    questions[ALLOCATIONS] = (
        columns.tenant_id == tenant_id,
        (columns.kind == "project") & (columns.subject == project_id),
    )
    with reading_once(engine) as connection:
        return {
            table.name: int(
                connection.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()
            )
            for table, mine in questions.items()
        }


def runs_naming(engine: Engine, tenant_id: str, word: str) -> int:
    """How many of a tenant's runs have this word in what they were given.

    Raises:
        Unavailable: the store doesn't answer.
    """
    names_it = RUNS.c.parameters.contains(json.dumps(word), autoescape=True)
    question = select(func.count()).where(RUNS.c.tenant_id == tenant_id, names_it)
    with reading_once(engine) as connection:
        return int(connection.execute(question).scalar_one())


def audit_entries_naming(engine: Engine, word: str, owner: str = PLATFORM) -> int:
    """How many entries of an audit log have this word: those who made, changed and deleted what it names.

    Raises:
        Unavailable: the store doesn't answer.
    """
    columns = AUDIT_ENTRIES.c
    names_it = columns.spelled.contains(f'"{word}"', autoescape=True)
    question = select(func.count()).where(columns.owner == owner, names_it)
    with reading_once(engine) as connection:
        return int(connection.execute(question).scalar_one())


def _is_of(table: Table, tenant_id: str) -> list[ColumnElement[bool]]:
    if table is TENANTS:
        return [TENANTS.c.id == tenant_id]
    names = _OWNERS if table.name in _OF_CHAINS else _OWNERS[:1]
    return [table.c[name] == tenant_id for name in names if name in table.c]
