"""Quotas over HTTP: what may be recorded in a month, what it may cost, and how much of that is used.

The operator sets a tenant's quotas at `/api/v1/quotas`, naming the tenant (`?tenant_id=`). The tenant reads
them, and sets those of its projects at `/api/v1/projects/{project_id}/quotas`. Both are one thing here. What
counts, and when, is told in `quota.py` and `gate.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Path, Query

from bursar import clock
from bursar.errors import Invalid, Reason
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.identity.tenant import ID_PATTERN, no_project
from bursar.money import format_picos, parse_picos
from bursar.usage.quotas.bodies import QuotaIn, QuotaOut, QuotasOut
from bursar.usage.quotas.quota import KeptQuota, Measure, Month, MonthUse, Quota, month_of, no_quota
from bursar.usage.quotas.register import QuotaRegister
from bursar.usage.whose import Whose

PATH = "/api/v1/quotas"
PATH_OF_PROJECT = "/api/v1/projects/{project_id}/quotas"
EVENTS_LIMIT = 10**15
DEFAULT_CURRENCY = "USD"

log = structlog.get_logger()

IdInPath = Annotated[str, Path(pattern=ID_PATTERN)]
MonthName = Annotated[
    str | None,
    Query(
        alias="month",
        pattern=r"^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$",
        description="Of UTC, as `2026-11`; the present one if absent.",
    ),
]


@dataclass(frozen=True, slots=True)
class QuotaDesk:
    """What every endpoint here works with."""

    register: QuotaRegister
    currency_of: Callable[[str], str | None]
    """The currency that a tenant's costs are told in."""
    find_project: Callable[[str, str], object]
    """The project of a tenant; raises `NotFound` where there is none."""
    now: Callable[[], datetime] = clock.now

    def show(self, whose: Whose, month_name: str | None, *, sees_costs: bool) -> QuotasOut:
        """The quotas of a tenant or a project, and how much of each is used in a month."""
        month = _month(month_name, self.now())
        kept = [one for one in self.register.of(whose) if one.quota.measure is not Measure.COST or sees_costs]
        use = self.register.use_of(whose, month) if kept else MonthUse()
        return QuotasOut(
            tenant_id=whose.tenant_id,
            project_id=whose.project_id,
            month=month.name,
            resets_at=month.resets_at,
            items=[QuotaOut.of(one, use) for one in kept],
        )

    def put(self, whose: Whose, measure: Measure, body: QuotaIn, caller: Caller) -> QuotaOut:
        """Set a quota; it counts at once in this process, within 5 seconds in others.

        Raises:
            NotFound: there is no such tenant or project.
            Invalid: such a quota can't be.
        """
        before = self.register.on(whose, measure)
        note_before(_told(before) if before else {})
        kept = KeptQuota(_quota(whose, measure, body, self.currency_of), self.now(), caller.key_id)
        self.register.quotas.put(kept)
        log.info("a quota was set", **_named(whose), by=caller.key_id, measure=measure.value)
        return QuotaOut.of(kept, self.register.use_of(whose, _month(None, self.now())))

    def remove(self, whose: Whose, measure: Measure, caller: Caller) -> None:
        """Let a quota not hold any more.

        Raises:
            NotFound: there is none.
        """
        before = self.register.on(whose, measure)
        if before is None:
            raise no_quota(whose.project_id, measure)
        note_before(_told(before))
        self.register.quotas.remove(before)
        log.info("a quota was removed", **_named(whose), by=caller.key_id, measure=measure.value)


def make_router(desk: QuotaDesk, caller: Callable[..., Callable[..., Any]]) -> APIRouter:
    """The endpoints over what `desk` has.

    `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it, with
    `in_projects=True` also one who may in some projects only.
    """
    router = APIRouter(tags=["quotas"])
    _add_tenants(router, desk, caller)
    _add_projects(router, desk, caller)
    return router


def _add_tenants(router: APIRouter, desk: QuotaDesk, caller: Callable[..., Callable[..., Any]]) -> None:
    reader = Depends(caller(Permission.USAGE_READ))
    operator = Depends(caller(Permission.TENANTS_WRITE))

    @router.get(PATH)
    def list_quotas(caller: Caller = reader, month: MonthName = None) -> QuotasOut:
        """The tenant's own quotas and how much of each is used in a month, without those of projects."""
        return desk.show(Whose(caller.tenant_id), month, sees_costs=caller.may(Permission.COST_READ))

    @router.put(PATH + "/{measure}")
    def put_quota(measure: Measure, body: QuotaIn, caller: Caller = operator) -> QuotaOut:
        """Set a tenant's quota on events or on cost. Operator only; it counts within 5 seconds everywhere."""
        return desk.put(Whose(caller.tenant_id), measure, body, caller)

    @router.delete(PATH + "/{measure}", status_code=HTTPStatus.NO_CONTENT)
    def remove_quota(measure: Measure, caller: Caller = operator) -> None:
        """Let a quota not hold any more. Operator only."""
        desk.remove(Whose(caller.tenant_id), measure, caller)


def _add_projects(router: APIRouter, desk: QuotaDesk, caller: Callable[..., Callable[..., Any]]) -> None:
    reader = Depends(caller(Permission.USAGE_READ, in_projects=True))
    admin = Depends(caller(Permission.PROJECTS_WRITE))

    @router.get(PATH_OF_PROJECT)
    def list_project_quotas(
        project_id: IdInPath, caller: Caller = reader, month: MonthName = None
    ) -> QuotasOut:
        """A project's quotas and how much of each is used in a month."""
        if not caller.may_in(Permission.USAGE_READ, project_id):
            raise no_project(project_id)
        desk.find_project(caller.tenant_id, project_id)
        sees_costs = caller.may_in(Permission.COST_READ, project_id)
        return desk.show(Whose(caller.tenant_id, project_id), month, sees_costs=sees_costs)

    @router.put(PATH_OF_PROJECT + "/{measure}")
    def put_project_quota(
        project_id: IdInPath, measure: Measure, body: QuotaIn, caller: Caller = admin
    ) -> QuotaOut:
        """Set a project's quota on events or on cost, beside the tenant's. It counts within 5 seconds.

        One on cost is set by who may also see costs, for the answer says what was spent.
        """
        if measure is Measure.COST:
            caller.require(Permission.COST_READ)
        desk.find_project(caller.tenant_id, project_id)
        return desk.put(Whose(caller.tenant_id, project_id), measure, body, caller)

    @router.delete(PATH_OF_PROJECT + "/{measure}", status_code=HTTPStatus.NO_CONTENT)
    def remove_project_quota(project_id: IdInPath, measure: Measure, caller: Caller = admin) -> None:
        """Let a project's quota not hold any more."""
        desk.find_project(caller.tenant_id, project_id)
        desk.remove(Whose(caller.tenant_id, project_id), measure, caller)


def _quota(whose: Whose, measure: Measure, body: QuotaIn, currency_of: Callable[[str], str | None]) -> Quota:
    tenant_id, project_id = whose.tenant_id, whose.project_id
    if measure is Measure.COST:
        currency = body.currency or currency_of(tenant_id) or DEFAULT_CURRENCY
        return Quota(tenant_id, measure, parse_picos(body.limit), body.enforcement, currency, project_id)
    reasons: list[Reason] = []
    if not body.limit.isdigit() or int(body.limit) > EVENTS_LIMIT:
        message = f"A quota on events is a whole number up to {EVENTS_LIMIT}."
        reasons.append(Reason("limit", "invalid_value", message))
    if body.currency is not None:
        reasons.append(Reason("currency", "invalid_value", "Events have no currency; leave it out."))
    if reasons:
        raise Invalid(reasons=tuple(reasons))
    return Quota(tenant_id, measure, int(body.limit), body.enforcement, None, project_id)


def _month(name: str | None, now: datetime) -> Month:
    if name is None:
        return month_of(clock.to_micros(now))
    return month_of(clock.to_micros(datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)))


def _named(whose: Whose) -> dict[str, str]:
    """As the log names them."""
    project = {} if whose.project_id is None else {"project": whose.project_id}
    return {"tenant": whose.tenant_id, **project}


def _told(kept: KeptQuota) -> dict[str, Any]:
    """What the audit log keeps of a quota that is changed or removed."""
    quota = kept.quota
    is_cost = quota.measure is Measure.COST
    return {
        "measure": quota.measure.value,
        "limit": format_picos(quota.limit) if is_cost else str(quota.limit),
        "currency": quota.currency,
        "enforcement": quota.enforcement.value,
    }
