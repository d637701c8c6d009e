"""Corrections over HTTP: `PUT /api/v1/events/{event_id}` for one event, `POST …/corrections` for many.

The body is read, checked, measured and rated as at the door for events; only then it becomes a record
that replaces what is there. Old events may be corrected, whatever their age: they are rated at their time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from bursar import clock
from bursar.app.auth import require
from bursar.app.changing import ACCEPTED, ChangeDesk
from bursar.app.problems import answer
from bursar.described import DESCRIBED
from bursar.errors import Conflict, Invalid, NotFound, Reason, TenantMismatch
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.usage.bodies import read_items, shape_of
from bursar.usage.changes import EVENTS_PER_RECORD
from bursar.usage.checks import Receipt
from bursar.usage.record import encode_record
from bursar.usage.revising.author import Author, read_reason
from bursar.usage.revising.correcting import (
    NO_SUCH_EVENT,
    fit_to_current,
    ids_in,
    lost_ids,
    make_corrections,
    name_event,
)
from bursar.usage.sight import sight_of
from bursar.usage.stored_event import EventVersion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.app.platform import Platform
    from bursar.errors import BursarError
    from bursar.usage.bodies import Item
    from bursar.usage.intake import CostAnswer, Rejection
    from bursar.usage.known_services import FindService
    from bursar.usage.revising.correcting import Corrected, Corrections

CORRECTIONS_LIMIT = EVENTS_PER_RECORD
DOOR = "correction"
"""The door that a corrected event came in by."""


@dataclass(frozen=True, slots=True)
class CostShown:
    """What an event costs."""

    __pydantic_config__: ClassVar = DESCRIBED

    status: str
    currency: str
    total: str | None
    """Decimal string; null where the cost is unknown."""
    reason: str | None


@dataclass(frozen=True, slots=True)
class CorrectedEvent:
    """One event's cost before and after its correction."""

    __pydantic_config__: ClassVar = DESCRIBED

    event_id: str
    old_cost: CostShown
    new_cost: CostShown
    applied: bool
    """Whether it counts already; false where that took too long: it is durable and will."""


@dataclass(frozen=True, slots=True)
class CorrectionReason:
    """One reason why an event was not corrected."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RefusedCorrection:
    """An item of the body that corrects nothing."""

    index: int
    event_id: str | None
    errors: list[CorrectionReason]


@dataclass(frozen=True, slots=True)
class CorrectionsAnswer:
    """What became of every item of a body."""

    corrected: list[CorrectedEvent]
    rejected: list[RefusedCorrection]
    applied: bool


@dataclass(frozen=True, slots=True)
class HistoryAnswer:
    """Every version of one event, the latest first."""

    event_id: str
    is_current: bool
    """Whether the event counts; false once it is voided."""
    items: list[EventVersion]


_Admin = Annotated[Caller, Depends(require(Permission.USAGE_WRITE))]
_Reason = Annotated[str | None, Query(description="Why; it stays with the change for good.")]


def make_router(platform: Platform) -> APIRouter:
    """Corrections of many events and of one, and the history of an event."""
    router = APIRouter(prefix="/api/v1", tags=["events"])
    desk = ChangeDesk(platform)
    _add_many(router, desk)
    _add_one(router, desk)
    _add_history(router, desk)
    return router


def _add_many(router: APIRouter, desk: ChangeDesk) -> None:
    @router.post("/events/corrections", responses=ACCEPTED, response_model=CorrectionsAnswer)
    async def correct_events(
        request: Request,
        caller: _Admin,
        _body: Annotated[object, Body(description="Events, each with its id, as for POST /api/v1/events")],
        reason: _Reason = None,
    ) -> Response:
        """Replace events by newly checked and rated ones of the same ids."""
        author = Author(caller.tenant_id, caller.key_id, read_reason(reason))
        items = await _items_of(request, desk.finder_for(caller))
        done = await _correct(desk, items, caller, author)
        if not done.corrected:
            account: dict[str, Any] = {"corrected": [], "rejected": msgspec.to_builtins(done.rejected)}
            return answer(request, _refusal(done.rejected), account)
        return desk.answer(200 if done.applied else 202, done)


def _add_one(router: APIRouter, desk: ChangeDesk) -> None:
    @router.put(
        "/events/{event_id:path}",
        responses={**ACCEPTED, 404: {"description": "No event of this id counts"}},
        response_model=CorrectedEvent,
    )
    async def correct_event(
        request: Request,
        event_id: str,
        caller: _Admin,
        _body: Annotated[object, Body(description="The whole event, as for POST /api/v1/events")],
        reason: _Reason = None,
    ) -> Response:
        """Replace an event by a newly checked and rated one of the same id."""
        author = Author(caller.tenant_id, caller.key_id, read_reason(reason))
        items = await _items_of(request, desk.finder_for(caller))
        if len(items) != 1:
            text = "Send one event here, or many to POST /api/v1/events/corrections."
            raise Invalid(text, reasons=(Reason("$", "one_event", text),))
        done = await _correct(desk, name_event(items, event_id), caller, author)
        _refuse(event_id, done.rejected)
        return desk.answer(200 if done.applied else 202, done.corrected[0])


def _add_history(router: APIRouter, desk: ChangeDesk) -> None:
    @router.get("/events/{event_id:path}/history", response_model=HistoryAnswer)
    async def show_history(
        event_id: str, caller: Annotated[Caller, Depends(require(Permission.EVENTS_READ, in_projects=True))]
    ) -> Response:
        """Show every version of an event, the latest first: who ended it, when and why."""
        sight, asking = sight_of(caller, Permission.EVENTS_READ), desk.platform.questions.ask
        versions = await asking(lambda store: store.history_of(caller.tenant_id, event_id, sight.projects))
        if not versions:
            raise NotFound(f"There is no event {event_id[:256]!r}.")
        found = [replace(one, event=sight.show(one.event)) for one in versions]
        return desk.answer(200, HistoryAnswer(event_id, found[-1].ended is None, list(reversed(found))))


async def _items_of(request: Request, find_service: FindService) -> list[Item]:
    headers = {name.lower(): value for name, value in request.headers.items()}
    found = read_items(await request.body(), shape_of(headers), headers, CORRECTIONS_LIMIT, find_service)
    return [item for batch in found.slices for item in batch]


async def _correct(
    desk: ChangeDesk, items: Sequence[Item], caller: Caller, author: Author
) -> CorrectionsAnswer:
    platform, now = desk.platform, clock.now()
    # An event that was accepted a moment ago can be corrected as well.
    await desk.wait(platform.changes.durable_seq)
    ids = ids_in(items)
    current = await platform.questions.ask(lambda store: store.current_events(caller.tenant_id, ids))
    # An operator has named the tenant in the query: an event of the body can't name another.
    sender = replace(caller, is_operator=False)
    receipt = Receipt.of(sender, DOOR, now, platform.time_rules()["import"], lambda _: False)
    prepared = await platform.ingestor.prepare(fit_to_current(items, current), receipt)
    corrections = make_corrections(prepared, current, author, now)
    rejected = [_shown_rejection(one) for one in corrections.rejections]
    if not corrections.records:
        return CorrectionsAnswer([], rejected, applied=True)
    lines = [encode_record(record) for record in corrections.records]
    last_seq = await run_in_threadpool(platform.changes.append, lines)
    applied = await desk.wait(last_seq)
    if applied:
        await _refuse_lost(desk, corrections, author.tenant_id, last_seq)
    return CorrectionsAnswer(
        [_shown(one, applied=applied) for one in corrections.corrected], rejected, applied
    )


async def _refuse_lost(desk: ChangeDesk, corrections: Corrections, tenant_id: str, last_seq: int) -> None:
    ids = [one.event_id for one in corrections.corrected]
    current = await desk.platform.questions.ask(lambda store: store.current_events(tenant_id, ids))
    if lost := lost_ids(corrections, current, last_seq):
        shown = ", ".join(sorted(lost)[:10])
        message = f"Somebody voided {len(lost)} of the events meanwhile; these were not corrected: {shown}."
        raise Conflict(message)


def _refuse(event_id: str, rejected: Sequence[RefusedCorrection]) -> None:
    if any(one.code == NO_SUCH_EVENT for refused in rejected for one in refused.errors):
        raise NotFound(f"There is no event {event_id[:256]!r} that counts.")
    if rejected:
        raise _refusal(rejected)


def _refusal(rejected: Sequence[RefusedCorrection]) -> BursarError:
    """Why nothing was corrected."""
    reasons = [Reason(one.field, one.code, one.message) for refused in rejected for one in refused.errors]
    if {one.code for one in reasons} == {"tenant_mismatch"}:
        return TenantMismatch()
    if not rejected:
        empty = Reason("$", "required", "Send at least one event.")
        return Invalid("The body holds no events.", reasons=(empty,))
    if len(rejected) == 1:
        return Invalid("The correction was refused.", reasons=tuple(reasons))
    return Invalid(f"All {len(rejected)} corrections of the body were refused.")


def _shown(one: Corrected, *, applied: bool) -> CorrectedEvent:
    return CorrectedEvent(one.event_id, _cost(one.old_cost), _cost(one.new_cost), applied)


def _cost(cost: CostAnswer) -> CostShown:
    return CostShown(cost.status, cost.currency, cost.total, cost.reason)


def _shown_rejection(one: Rejection) -> RefusedCorrection:
    errors = [CorrectionReason(reason.field, reason.code, reason.message) for reason in one.reasons]
    return RefusedCorrection(one.index, one.event_id, errors)
