"""Closings of billing months, in SQL; implements `ClosingStore`.

A closing is about the usage that one journal holds, and goes on counting where another journal continues
that one after a restore. Rows are only ever added; they go with their tenant, or with its usage, and lose the
lines of a project that is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from bursar.billing.months.closing import Closing
from bursar.errors import Conflict
from bursar.storage.relational.tables.billing import MONTH_CLOSINGS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, reading_once, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Row

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
        return tuple(map(_closing_of, rows))

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

    def forget_project(self, tenant_id: str, project_id: str) -> int:
        """See `ClosingStore.forget_project`."""
        with writing(self._engine) as connection:
            return _take_out(connection, self._of(tenant_id), project_id)

    def _of(self, tenant_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return MONTH_CLOSINGS.c.tenant_id == tenant_id, MONTH_CLOSINGS.c.journal_id.in_(self._journals)


def forget_project_everywhere(engine: Engine, tenant_id: str, project_id: str) -> int:
    """Take a project out of all of a tenant's closings, of whatever journal; in how many it was."""
    with writing(engine) as connection:
        return _take_out(connection, (MONTH_CLOSINGS.c.tenant_id == tenant_id,), project_id)


def closings_naming(engine: Engine, tenant_id: str, project_id: str) -> int:
    """How many of a tenant's closings, of whatever journal, name a project.

    Raises:
        Unavailable: the store doesn't answer.
    """
    question = select(MONTH_CLOSINGS).where(MONTH_CLOSINGS.c.tenant_id == tenant_id)
    with reading_once(engine) as connection:
        return sum(_closing_of(row).names(project_id) for row in connection.execute(question))


def _take_out(connection: Connection, of_whom: Sequence[ColumnElement[bool]], project_id: str) -> int:
    columns, changed = MONTH_CLOSINGS.c, 0
    # For update: on PostgreSQL two deletions at once wait for each other here.
    question = select(MONTH_CLOSINGS).where(*of_whom).with_for_update()
    for row in connection.execute(question).all():
        closing = _closing_of(row)
        if closing.names(project_id):
            is_it = columns.journal_id == row.journal_id, columns.month == row.month
            change = update(MONTH_CLOSINGS).where(columns.tenant_id == row.tenant_id, *is_it)
            connection.execute(change.values(document=closing.without(project_id)))
            changed += 1
    return changed


def _closing_of(row: Row[Any]) -> Closing:
    return Closing.read(row.tenant_id, row.closed_at, (row.closed_by, row.reason), row.document)
