"""What tenants have chosen about how long their data is kept, in SQL; implements `RetentionStore`.

A row per tenant that chose anything; empty columns are left to the defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from bursar.storage.relational.tables.identity import RETENTIONS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.usage.retention.policy import RetentionChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine


class RelationalRetentions:
    """Keeps choices in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def choices(self) -> Mapping[str, RetentionChoice]:
        """See `RetentionStore.choices`."""
        with reading(self._engine) as connection:
            return {
                row.tenant_id: RetentionChoice(row.events_days, row.rollups_days, row.quarantine_days)
                for row in connection.execute(select(RETENTIONS))
            }

    def choose(self, tenant_id: str, choice: RetentionChoice) -> None:
        """See `RetentionStore.choose`."""
        row = insert(RETENTIONS).values(
            tenant_id=tenant_id,
            events_days=choice.events,
            rollups_days=choice.rollups,
            quarantine_days=choice.quarantine,
        )
        with writing(self._engine) as connection, refusing(orphan=no_tenant(tenant_id)):
            connection.execute(delete(RETENTIONS).where(RETENTIONS.c.tenant_id == tenant_id))
            connection.execute(row)
