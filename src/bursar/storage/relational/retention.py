"""What tenants have chosen about how long their data is kept, in SQL; implements `RetentionStore`.

A row per tenant that chose anything, and one per project that it chose anything for; empty columns are left
to the defaults, or to the tenant's days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from bursar.identity.tenant import no_project
from bursar.storage.relational.tables.identity import PROJECT_RETENTIONS, RETENTIONS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.usage.retention.policy import RetentionChoice
from bursar.usage.whose import Whose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine


class RelationalRetentions:
    """Keeps choices in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def choices(self) -> Mapping[Whose, RetentionChoice]:
        """See `RetentionStore.choices`."""
        found: dict[Whose, RetentionChoice] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(select(RETENTIONS)):
                days = row.events_days, row.rollups_days, row.quarantine_days
                found[Whose(row.tenant_id)] = RetentionChoice(*days)
            for row in connection.execute(select(PROJECT_RETENTIONS)):
                found[Whose(row.tenant_id, row.project_id)] = RetentionChoice(
                    row.events_days, row.rollups_days
                )
        return found

    def choose(self, tenant_id: str, choice: RetentionChoice, project_id: str | None = None) -> None:
        """See `RetentionStore.choose`."""
        days = {"events_days": choice.events, "rollups_days": choice.rollups}
        if project_id is None:
            table, orphan, whose = RETENTIONS, no_tenant(tenant_id), {"tenant_id": tenant_id}
            days["quarantine_days"] = choice.quarantine
        else:
            table, orphan = PROJECT_RETENTIONS, no_project(project_id)
            whose = {"tenant_id": tenant_id, "project_id": project_id}
        mine = [table.c[name] == value for name, value in whose.items()]
        with writing(self._engine) as connection, refusing(orphan=orphan):
            connection.execute(delete(table).where(*mine))
            connection.execute(insert(table).values(**whose, **days))
