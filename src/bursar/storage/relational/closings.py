"""Closings of billing months, in SQL; implements `ClosingStore`.

A closing is about the usage that one journal holds, and goes on counting where another journal continues
that one after a restore. Rows are only ever added; they go with their tenant, or with its usage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from bursar.billing.months.closing import Closing
from bursar.errors import Conflict
from bursar.storage.relational.tables.billing import MONTH_CLOSINGS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine

    from bursar.billing.months.closing import ClosedBy
    from bursar.billing.months.month import Month


class RelationalClosings:
    """Keeps closings in the tables behind an engine."""

    def __init__(self, engine: Engine, journal_id: str, earlier_journals: Collection[str] = ()) -> None:
        """Keep them behind `engine`, for this journal and those that it continues."""
        self._engine = engine
        self._journal_id = journal_id
        self._journals = [journal_id, *earlier_journals]

    def closings(self, tenant_id: str) -> tuple[Closing, ...]:
        """See `ClosingStore.closings`."""
        question = select(MONTH_CLOSINGS).where(*self._of(tenant_id)).order_by(MONTH_CLOSINGS.c.month)
        with reading(self._engine) as connection:
            rows = connection.execute(question).all()
        return tuple(
            Closing.read(row.tenant_id, row.closed_at, (row.closed_by, row.reason), row.document)
            for row in rows
        )

    def close(self, tenant_id: str, month: Month, at: datetime, by: ClosedBy, text: str) -> bool:
        """See `ClosingStore.close`."""
        row = insert(MONTH_CLOSINGS).values(
            tenant_id=tenant_id,
            journal_id=self._journal_id,
            month=str(month),
            closed_at=at,
            closed_by=by[0],
            reason=by[1],
            document=text,
        )
        closed = Conflict(f"{month} is closed already.")
        try:
            with (
                writing(self._engine) as connection,
                refusing(duplicate=closed, orphan=no_tenant(tenant_id)),
            ):
                connection.execute(row)
        except Conflict:
            return False
        return True

    def forget(self, tenant_id: str) -> int:
        """See `ClosingStore.forget`."""
        with writing(self._engine) as connection:
            return connection.execute(delete(MONTH_CLOSINGS).where(*self._of(tenant_id))).rowcount

    def _of(self, tenant_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return MONTH_CLOSINGS.c.tenant_id == tenant_id, MONTH_CLOSINGS.c.journal_id.in_(self._journals)
