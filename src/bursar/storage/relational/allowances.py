"""What single tenants are allowed in SQL; implements `AllowanceStore` of `identity/allowances.py`.

Limits on requests and quotas on months are kept alike, each kind in a table of its own. They differ in what
a row says beside whose it is and who set it. What is on one project is only kept while there is that project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import delete, insert, select

from bursar.errors import Conflict
from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.own import OwnLimit, no_own_limit
from bursar.identity.limits.policy import Use
from bursar.storage.relational.tables.allowances import QUOTAS, TENANT_LIMITS
from bursar.storage.relational.tenants import hold_project, no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.usage.quotas.quota import Enforcement, KeptQuota, Measure, Quota, no_quota

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Engine, Row, Table

    from bursar.errors import NotFound
    from bursar.identity.allowances import Allowance

Kept = TypeVar("Kept", bound="Allowance")


@dataclass(frozen=True, slots=True)
class AllowanceTable(Generic[Kept]):
    """Where allowances of one kind are, and what their rows say."""

    table: Table
    named: Callable[[Kept], Mapping[str, str]]
    """The columns that say on what it is."""
    order: Sequence[ColumnElement[Any]]
    """Of one tenant's allowances."""
    read: Callable[[Row[Any]], Kept]
    details: Callable[[Kept], Mapping[str, Any]]
    """What a row says beside what it says of every kind."""
    absent: Callable[[Kept], NotFound]
    project: Callable[[Kept], str | None] = lambda _kept: None
    """The one project that it is on; None where it is on the tenant."""


class RelationalAllowances(Generic[Kept]):
    """Keeps allowances of one kind in its table behind an engine."""

    def __init__(self, engine: Engine, kind: AllowanceTable[Kept]) -> None:
        """Keep them behind `engine`, whose tables are up to date; `kind` is `OWN_LIMITS` or `KEPT_QUOTAS`."""
        self._engine = engine
        self._kind = kind

    def allowances(self) -> Sequence[Kept]:
        """See `AllowanceStore.allowances`."""
        table = self._kind.table
        question = select(table).order_by(table.c.tenant_id, *self._kind.order)
        with reading(self._engine) as connection:
            return [self._kind.read(row) for row in connection.execute(question)]

    def put(self, kept: Kept) -> None:
        """See `AllowanceStore.put`."""
        kind = self._kind
        values = {
            "tenant_id": kept.tenant_id,
            **kind.named(kept),
            "set_at": kept.set_at,
            "set_by": kept.set_by,
            **kind.details(kept),
        }
        orphan, raced = no_tenant(kept.tenant_id), Conflict("Somebody else set it at the same moment.")
        with writing(self._engine) as connection, refusing(orphan=orphan, duplicate=raced):
            if (project_id := kind.project(kept)) is not None:
                hold_project(connection, kept.tenant_id, project_id)
            connection.execute(delete(kind.table).where(*self._is_it(kept)))
            connection.execute(insert(kind.table).values(values))

    def remove(self, kept: Kept) -> None:
        """See `AllowanceStore.remove`."""
        with writing(self._engine) as connection:
            gone = connection.execute(delete(self._kind.table).where(*self._is_it(kept)))
        if gone.rowcount == 0:
            raise self._kind.absent(kept)

    def _is_it(self, kept: Kept) -> tuple[ColumnElement[bool], ...]:
        columns = self._kind.table.c
        on_it = (columns[name] == value for name, value in self._kind.named(kept).items())
        return columns.tenant_id == kept.tenant_id, *on_it


def _limit_of(row: Row[Any]) -> OwnLimit:
    limit = Limit(row.per_minute, row.burst)
    return OwnLimit(row.tenant_id, Use(row.counted_use), limit, row.set_at, row.set_by)


OWN_LIMITS: AllowanceTable[OwnLimit] = AllowanceTable(
    table=TENANT_LIMITS,
    named=lambda own: {"counted_use": own.use.value},
    order=(TENANT_LIMITS.c.counted_use,),
    read=_limit_of,
    details=lambda own: {"per_minute": own.limit.per_minute, "burst": own.limit.burst},
    absent=lambda own: no_own_limit(own.use),
)


def _quota_of(row: Row[Any]) -> KeptQuota:
    measure, enforcement = Measure(row.measure), Enforcement(row.enforcement)
    project_id = row.project_id or None
    quota = Quota(row.tenant_id, measure, int(row.most), enforcement, row.currency, project_id)
    return KeptQuota(quota, row.set_at, row.set_by)


def _details_of(kept: KeptQuota) -> dict[str, Any]:
    quota = kept.quota
    return {"most": str(quota.limit), "enforcement": quota.enforcement.value, "currency": quota.currency}


KEPT_QUOTAS: AllowanceTable[KeptQuota] = AllowanceTable(
    table=QUOTAS,
    named=lambda kept: {"project_id": kept.quota.project_id or "", "measure": kept.quota.measure.value},
    order=(QUOTAS.c.project_id, QUOTAS.c.measure.desc()),
    read=_quota_of,
    details=_details_of,
    absent=lambda kept: no_quota(kept.quota.project_id, kept.quota.measure),
    project=lambda kept: kept.quota.project_id,
)
