"""Seat plans over HTTP: `/api/v1/billing/seats`.

A plan's days are recorded as usage of the service type `subscription`: those that have begun at once,
each later one when it begins. A plan can't be changed; end it, and add another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path
from pydantic import BaseModel, ConfigDict, Field

from bursar import clock, ids
from bursar.billing.seats.plan import FIRST_DAY, LAST_DAY, SEATS_LIMIT, SeatPlan, refuse_unfit
from bursar.billing.seats.recording import SeatRecorder
from bursar.described import describe_fields
from bursar.identity.api import Asked
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import PLAIN_TEXT, Strict
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.page import write_cursor
from bursar.identity.permissions import Permission
from bursar.money import format_decimal

NAME = r"^[^\x00-\x1f\x7f]+$"
Day = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY, examples=["2026-10-01"])]
Money = Annotated[
    str,
    Field(pattern=r"^\d{1,7}(\.\d{1,12})?$", examples=["25.00"], description="A decimal string."),
]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=256)]
PlanId = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9_]+$")]


class SeatPlanIn(Strict):
    """Seats that are paid by the month."""

    provider: Annotated[str, Field(min_length=1, max_length=128, pattern=NAME)]
    plan: Annotated[str, Field(min_length=1, max_length=128, pattern=NAME, examples=["Team"])]
    seats: Annotated[int, Field(ge=1, le=SEATS_LIMIT)]
    price_per_seat: Money
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    project_id: Annotated[str, Field(min_length=1, max_length=256, pattern=NAME)] | None = None
    starts: Day = Field(description="The first UTC day; may be in the past.")
    ends: Day | None = Field(default=None, description="The first UTC day that isn't paid any more.")
    note: Annotated[str, Field(max_length=500, pattern=PLAIN_TEXT)] | None = None


class SeatEndIn(Strict):
    """When a plan ends."""

    ends: Day | None = Field(
        default=None,
        description="The first UTC day that isn't paid any more; if absent tomorrow, or the day it starts.",
    )


class SeatPlanOut(BaseModel):
    """A plan, and how far its days are recorded."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    id: str
    provider: str
    plan: str
    seats: int
    price_per_seat: str
    """For one month; a day costs its share of the month's days."""
    currency: str
    project_id: str | None
    starts: date
    ends: date | None
    recorded_until: date | None
    """The first UTC day that isn't recorded yet."""
    note: str | None
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, plan: SeatPlan) -> SeatPlanOut:
        """The plan as it is shown."""
        return cls(
            id=plan.id,
            provider=plan.provider,
            plan=plan.plan,
            seats=plan.seats,
            price_per_seat=format_decimal(plan.price_per_seat),
            currency=plan.currency,
            project_id=plan.project_id,
            starts=plan.starts,
            ends=plan.ends,
            recorded_until=plan.recorded_until,
            note=plan.note,
            created_at=plan.created_at,
            created_by=plan.created_by,
        )


class SeatPlansOut(BaseModel):
    """One page of plans, the earliest made first."""

    items: list[SeatPlanOut]
    next_cursor: str | None


def make_router(
    recorder: SeatRecorder,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(scope)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/billing/seats", tags=["billing"])
    reader, admin = Depends(caller(Permission.BILLING_READ)), Depends(caller(Permission.BILLING_WRITE))
    store = recorder.store

    @router.post("", status_code=201)
    def add_seats(
        body: SeatPlanIn, caller: Caller = admin, idempotency_key: IdempotencyKey = None
    ) -> SeatPlanOut:
        """Add seats; the days that have begun are recorded before the answer.

        A repetition with the same `Idempotency-Key` adds nothing.
        """
        moment = now()
        plan = _plan_of(body, caller, moment, idempotency_key)
        refuse_unfit(plan)
        return SeatPlanOut.of(recorder.add(plan, moment))

    _add_reading(router, recorder, reader)

    @router.post("/{plan_id}/end")
    def end_seats(plan_id: PlanId, body: SeatEndIn, caller: Caller = admin) -> SeatPlanOut:
        """Let a plan end; days that are recorded stay. One that ends when it starts never begins."""
        plan = store.plan(caller.tenant_id, plan_id)
        note_before(SeatPlanOut.of(plan).model_dump(mode="json"))
        ends = body.ends or max(now().date() + timedelta(days=1), plan.starts)
        if ends != plan.starts:
            refuse_unfit(replace(plan, ends=ends))
        return SeatPlanOut.of(recorder.end(caller.tenant_id, plan_id, ends))

    return router


def _add_reading(
    router: APIRouter,
    recorder: SeatRecorder,
    reader: CallerDependency,
) -> None:
    store = recorder.store

    @router.get("")
    def list_seats(asked: Asked, caller: Caller = reader) -> SeatPlansOut:
        """The tenant's seat plans."""
        page = store.plans(caller.tenant_id, asked)
        return SeatPlansOut(
            items=[SeatPlanOut.of(plan) for plan in page.items],
            next_cursor=write_cursor(page.next) if page.next else None,
        )

    @router.get("/{plan_id}")
    def get_seats(plan_id: PlanId, caller: Caller = reader) -> SeatPlanOut:
        """One seat plan."""
        return SeatPlanOut.of(store.plan(caller.tenant_id, plan_id))


def _plan_of(body: SeatPlanIn, caller: Caller, moment: datetime, idempotency_key: str | None) -> SeatPlan:
    return SeatPlan(
        id=_plan_id(caller.tenant_id, idempotency_key),
        tenant_id=caller.tenant_id,
        provider=body.provider,
        plan=body.plan,
        seats=body.seats,
        price_per_seat=Decimal(body.price_per_seat),
        currency=body.currency,
        project_id=body.project_id,
        starts=body.starts,
        ends=body.ends,
        recorded_until=None,
        note=body.note,
        created_at=moment,
        created_by=caller.key_id,
    )


def _plan_id(tenant_id: str, idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return ids.make_id("seat")
    digest = hashlib.blake2b(f"{tenant_id}\n{idempotency_key}".encode(), digest_size=12)
    return f"seat_{digest.hexdigest()}"
