"""Limits of single tenants in SQL; implements `OwnLimitStore` of `identity/limits/own.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from bursar.errors import NotFound
from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.own import OwnLimit
from bursar.identity.limits.policy import Use
from bursar.storage.relational.tables.quotas import TENANT_LIMITS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Engine

_COLUMNS = TENANT_LIMITS.c


class RelationalOwnLimits:
    """Keeps limits in the table behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def own_limits(self) -> Sequence[OwnLimit]:
        """See `OwnLimitStore.own_limits`."""
        question = select(TENANT_LIMITS).order_by(_COLUMNS.tenant_id, _COLUMNS.counted_use)
        with reading(self._engine) as connection:
            return [
                OwnLimit(
                    row.tenant_id,
                    Use(row.counted_use),
                    Limit(row.per_minute, row.burst),
                    row.set_at,
                    row.set_by,
                )
                for row in connection.execute(question)
            ]

    def put_own_limit(self, own: OwnLimit) -> None:
        """See `OwnLimitStore.put_own_limit`."""
        row = insert(TENANT_LIMITS).values(
            tenant_id=own.tenant_id,
            counted_use=own.use.value,
            per_minute=own.limit.per_minute,
            burst=own.limit.burst,
            set_at=own.set_at,
            set_by=own.set_by,
        )
        with writing(self._engine) as connection, refusing(orphan=no_tenant(own.tenant_id)):
            connection.execute(delete(TENANT_LIMITS).where(_is_limit(own.tenant_id, own.use)))
            connection.execute(row)

    def remove_own_limit(self, tenant_id: str, use: Use) -> None:
        """See `OwnLimitStore.remove_own_limit`."""
        with writing(self._engine) as connection:
            found = connection.execute(delete(TENANT_LIMITS).where(_is_limit(tenant_id, use)))
        if found.rowcount == 0:
            message = f"The tenant has no limit of its own on '{use.value}'."
            raise NotFound(message)


def _is_limit(tenant_id: str, use: Use) -> ColumnElement[bool]:
    return (_COLUMNS.tenant_id == tenant_id) & (_COLUMNS.counted_use == use.value)
