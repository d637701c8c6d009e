"""Quotas in SQL; implements `QuotaStore` of `usage/quotas/store.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from bursar.errors import NotFound
from bursar.storage.relational.tables.quotas import QUOTAS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.usage.quotas.quota import Enforcement, KeptQuota, Measure, Quota

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Engine

_COLUMNS = QUOTAS.c


class RelationalQuotas:
    """Keeps quotas in the table behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def quotas(self) -> Sequence[KeptQuota]:
        """See `QuotaStore.quotas`."""
        question = select(QUOTAS).order_by(_COLUMNS.tenant_id, _COLUMNS.measure.desc())
        with reading(self._engine) as connection:
            return [
                KeptQuota(
                    Quota(
                        row.tenant_id,
                        Measure(row.measure),
                        int(row.most),
                        Enforcement(row.enforcement),
                        row.currency,
                    ),
                    row.set_at,
                    row.set_by,
                )
                for row in connection.execute(question)
            ]

    def put_quota(self, kept: KeptQuota) -> None:
        """See `QuotaStore.put_quota`."""
        quota = kept.quota
        row = insert(QUOTAS).values(
            tenant_id=quota.tenant_id,
            measure=quota.measure.value,
            most=str(quota.limit),
            enforcement=quota.enforcement.value,
            currency=quota.currency,
            set_at=kept.set_at,
            set_by=kept.set_by,
        )
        with writing(self._engine) as connection, refusing(orphan=no_tenant(quota.tenant_id)):
            connection.execute(delete(QUOTAS).where(_is_quota(quota.tenant_id, quota.measure)))
            connection.execute(row)

    def remove_quota(self, tenant_id: str, measure: Measure) -> None:
        """See `QuotaStore.remove_quota`."""
        with writing(self._engine) as connection:
            found = connection.execute(delete(QUOTAS).where(_is_quota(tenant_id, measure)))
        if found.rowcount == 0:
            message = f"The tenant has no quota on {measure.value}."
            raise NotFound(message)


def _is_quota(tenant_id: str, measure: Measure) -> ColumnElement[bool]:
    return (_COLUMNS.tenant_id == tenant_id) & (_COLUMNS.measure == measure.value)
