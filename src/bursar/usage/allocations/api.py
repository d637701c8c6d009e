"""Allocations over HTTP: `/api/v1/allocations`, who owns and bears what, from which day on.

What is recorded is never overwritten: another one for the same day takes its place, a wrong one is
withdrawn, and `known_at` or `replaced` shows what was believed. Usage by owner and cost centre is asked
where all usage is (`usage/api.py`), and so is what nobody bears.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Path, Query

from bursar import clock, ids
from bursar.identity.api import Asked
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import Moment
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.page import write_cursor
from bursar.identity.permissions import Permission
from bursar.identity.tenant import ID_PATTERN
from bursar.usage.allocations.allocation import SUBJECT_LIMIT, AllocationFilter, Author, Bearer, refuse_unfit
from bursar.usage.allocations.bodies import AllocationIn, AllocationOut, AllocationsOut
from bursar.usage.allocations.register import ClaimRegister

log = structlog.get_logger()

AllocationId = Annotated[str, Path(pattern=ID_PATTERN)]
Text = Annotated[str | None, Query(max_length=SUBJECT_LIMIT, pattern=r"^[^\x00-\x1f\x7f]+$")]


def make_router(
    register: ClaimRegister,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/allocations", tags=["billing"])
    reader, admin = Depends(caller(Permission.BILLING_READ)), Depends(caller(Permission.BILLING_WRITE))
    store = register.store

    @router.post("", status_code=201)
    def record_allocation(body: AllocationIn, caller: Caller = admin) -> AllocationOut:
        """Say who owns a key, project or user, or which cost centre bears it, from a day on.

        All usage of that day and later counts so, recorded before or not, until the next allocation of the
        same key, project or user. One for the same day takes the other's place.
        """
        moment = now()
        ask = body.ask(caller.tenant_id, moment.date())
        refuse_unfit(ask)
        recorded = store.record(ask, ids.make_id("alc"), Author(caller.key_id, moment))
        register.refresh()
        log.info("an allocation was recorded", tenant=caller.tenant_id, allocation=recorded.id)
        return AllocationOut.of(recorded)

    _add_reading(router, register, reader)

    @router.delete("/{allocation_id}")
    def withdraw_allocation(allocation_id: AllocationId, caller: Caller = admin) -> AllocationOut:
        """Believe an allocation no more: what held before its day holds on. It stays in the history."""
        held = store.allocation(caller.tenant_id, allocation_id)
        note_before(
            {"valid_from": held.valid_from.isoformat(), "kind": held.of.kind, "cost_centre": held.cost_centre}
        )
        withdrawn = store.withdraw(caller.tenant_id, allocation_id, Author(caller.key_id, now()))
        register.refresh()
        log.info("an allocation was withdrawn", tenant=caller.tenant_id, allocation=withdrawn.id)
        return AllocationOut.of(withdrawn)

    return router


def _named(
    kind: Bearer | None = None, subject: Text = None, owner: Text = None, cost_centre: Text = None
) -> AllocationFilter:
    return AllocationFilter(kind=kind, id=subject, owner=owner, cost_centre=cost_centre)


def _which(
    named: Annotated[AllocationFilter, Depends(_named)],
    on: Annotated[date | None, Query(description="Only those that hold on this UTC day.")] = None,
    known_at: Annotated[
        Moment | None, Query(description="What was believed at this moment, instead of now.")
    ] = None,
    *,
    replaced: Annotated[bool, Query(description="Those too that aren't believed any more.")] = False,
) -> AllocationFilter:
    return replace(named, on=on, known_at=known_at, with_replaced=replaced)


def _add_reading(router: APIRouter, register: ClaimRegister, reader: CallerDependency) -> None:
    store = register.store

    @router.get("")
    def list_allocations(
        which: Annotated[AllocationFilter, Depends(_which)], asked: Asked, caller: Caller = reader
    ) -> AllocationsOut:
        """The tenant's allocations, those that are believed unless others are asked for."""
        page = store.allocations(caller.tenant_id, which, asked)
        return AllocationsOut(
            items=[AllocationOut.of(one) for one in page.items],
            next_cursor=write_cursor(page.next) if page.next else None,
        )

    @router.get("/{allocation_id}")
    def get_allocation(allocation_id: AllocationId, caller: Caller = reader) -> AllocationOut:
        """One allocation, believed or not."""
        return AllocationOut.of(store.allocation(caller.tenant_id, allocation_id))
