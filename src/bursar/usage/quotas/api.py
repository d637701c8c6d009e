"""`/api/v1/quotas`: what a tenant may record in a month and what it may cost, and how much of that is used.

The operator sets quotas, naming the tenant (`?tenant_id=`); the tenant reads its own. What counts, and when,
is told in `quota.py` and `gate.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from bursar import clock
from bursar.described import describe_fields
from bursar.errors import Invalid, Reason
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import Strict
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.money import format_picos, parse_picos
from bursar.usage.quotas.quota import (
    Enforcement,
    KeptQuota,
    Measure,
    Month,
    MonthUse,
    Quota,
    month_of,
    no_quota,
)
from bursar.usage.quotas.register import QuotaRegister

PATH = "/api/v1/quotas"
EVENTS_LIMIT = 10**15
COST_DIGITS = 18
"""Before the point: more than anybody's money."""
DEFAULT_CURRENCY = "USD"
_FOUR_PLACES = Decimal("0.0001")

log = structlog.get_logger()

MonthName = Annotated[
    str | None,
    Query(
        alias="month",
        pattern=r"^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$",
        description="Of UTC, as `2026-11`; the present one if absent.",
    ),
]


class QuotaIn(Strict):
    """A quota for every month from now on, those that have begun among them."""

    limit: Annotated[
        str, Field(pattern=r"^[0-9]{1,18}(\.[0-9]{1,12})?$", examples=["1000000", "2500.00"])
    ] = Field(description="Events, or an amount of money, as a decimal string.")
    enforcement: Enforcement = Field(
        description="`hard` refuses new events at the limit, `soft` only tells that it was reached."
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None,
        description="Of a cost; the tenant's reporting currency or else USD if absent. Costs in others"
        " don't count.",
    )


class QuotaOut(BaseModel):
    """A quota, and how much of it is used."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    measure: Measure
    limit: str
    """Decimal string: events, or an amount."""
    currency: str | None
    """Of a cost; null for events."""
    enforcement: Enforcement
    used: str
    """Decimal string: what is recorded of the month, as a query over it says."""
    left: str
    """0 where nothing is left."""
    share: str | None
    """Used by limit, to four places, rounded down; null where the limit is 0."""
    state: str
    """`within`, or `exceeded` once the limit is reached."""
    unpriced_events: int
    """Of the month: events whose cost isn't known, so that it can't count."""
    not_counted: dict[str, str]
    """Of a cost: what was spent in other currencies."""
    set_at: datetime

    @classmethod
    def of(cls, kept: KeptQuota, use: MonthUse) -> QuotaOut:
        """The quota as it is shown."""
        quota, used = kept.quota, use.of(kept.quota)
        is_cost = quota.measure is Measure.COST
        shown = format_picos if is_cost else str
        share = (Decimal(used) / quota.limit).quantize(_FOUR_PLACES, ROUND_DOWN) if quota.limit else None
        others = {name: format_picos(picos) for name, picos in use.picos.items() if name != quota.currency}
        return cls(
            measure=quota.measure,
            limit=shown(quota.limit),
            currency=quota.currency,
            enforcement=quota.enforcement,
            used=shown(used),
            left=shown(max(0, quota.limit - used)),
            share=None if share is None else str(share),
            state="exceeded" if used >= quota.limit else "within",
            unpriced_events=use.unpriced_events,
            not_counted=others if is_cost else {},
            set_at=kept.set_at,
        )


class QuotasOut(BaseModel):
    """A tenant's quotas on a month; one on cost is shown to whoever may see costs."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    tenant_id: str
    month: str
    resets_at: datetime
    """When the next month begins, in UTC."""
    items: list[QuotaOut]
    next_cursor: None = None
    """Always null: there is one page."""


def make_router(
    register: QuotaRegister,
    currency_of: Callable[[str], str | None],
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it.

    `currency_of` knows the currency that a tenant's costs are told in.
    """
    router = APIRouter(prefix=PATH, tags=["quotas"])
    reader = Depends(caller(Permission.USAGE_READ))
    _add_changes(router, register, currency_of, Depends(caller(Permission.TENANTS_WRITE)), now)

    @router.get("")
    def list_quotas(
        caller: Caller = reader,
        month: MonthName = None,
    ) -> QuotasOut:
        """The tenant's quotas and how much of each is used in a month."""
        wanted = _month(month, now())
        kept = register.quotas.of(caller.tenant_id)
        use = register.use_of(caller.tenant_id, wanted) if kept else MonthUse()
        return QuotasOut(
            tenant_id=caller.tenant_id,
            month=wanted.name,
            resets_at=wanted.resets_at,
            items=[
                QuotaOut.of(one, use)
                for one in kept
                if one.quota.measure is not Measure.COST or caller.may(Permission.COST_READ)
            ],
        )

    return router


def _add_changes(
    router: APIRouter,
    register: QuotaRegister,
    currency_of: Callable[[str], str | None],
    operator: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    @router.put("/{measure}")
    def put_quota(measure: Measure, body: QuotaIn, caller: Caller = operator) -> QuotaOut:
        """Set a tenant's quota on events or on cost. Operator only; it counts within 5 seconds everywhere."""
        before = register.quotas.on(caller.tenant_id, measure)
        note_before(_told(before) if before else {})
        quota = _quota(caller.tenant_id, measure, body, currency_of)
        kept = KeptQuota(quota, now(), caller.key_id)
        register.quotas.put(kept)
        log.info("a quota was set", tenant=caller.tenant_id, by=caller.key_id, measure=measure.value)
        return QuotaOut.of(kept, register.use_of(caller.tenant_id, month_of(clock.to_micros(now()))))

    @router.delete("/{measure}", status_code=HTTPStatus.NO_CONTENT)
    def remove_quota(measure: Measure, caller: Caller = operator) -> None:
        """Let a quota not hold any more. Operator only."""
        before = register.quotas.on(caller.tenant_id, measure)
        if before is None:
            raise no_quota(measure)
        note_before(_told(before))
        register.quotas.remove(before)
        log.info("a quota was removed", tenant=caller.tenant_id, by=caller.key_id, measure=measure.value)


def _quota(
    tenant_id: str, measure: Measure, body: QuotaIn, currency_of: Callable[[str], str | None]
) -> Quota:
    if measure is Measure.COST:
        currency = body.currency or currency_of(tenant_id) or DEFAULT_CURRENCY
        return Quota(tenant_id, measure, parse_picos(body.limit), body.enforcement, currency)
    reasons: list[Reason] = []
    if not body.limit.isdigit() or int(body.limit) > EVENTS_LIMIT:
        message = f"A quota on events is a whole number up to {EVENTS_LIMIT}."
        reasons.append(Reason("limit", "invalid_value", message))
    if body.currency is not None:
        reasons.append(Reason("currency", "invalid_value", "Events have no currency; leave it out."))
    if reasons:
        raise Invalid(reasons=tuple(reasons))
    return Quota(tenant_id, measure, int(body.limit), body.enforcement)


def _month(name: str | None, now: datetime) -> Month:
    if name is None:
        return month_of(clock.to_micros(now))
    return month_of(clock.to_micros(datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)))


def _told(kept: KeptQuota) -> dict[str, Any]:
    """What the audit log keeps of a quota that is changed or removed."""
    quota = kept.quota
    is_cost = quota.measure is Measure.COST
    return {
        "limit": format_picos(quota.limit) if is_cost else str(quota.limit),
        "currency": quota.currency,
        "enforcement": quota.enforcement.value,
    }
