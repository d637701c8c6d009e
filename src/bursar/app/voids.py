"""Voids over HTTP: `POST /api/v1/events/void` takes events out of every total, by ids or by filters.

A dry run counts what would go and changes nothing. Ids go at once, while the caller waits; filters go
in a job, because they may mean millions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from bursar import clock
from bursar.app.auth import require
from bursar.app.changing import ACCEPTED, ChangeDesk, RunAsked, act_for_named, decode_object
from bursar.described import DESCRIBED
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.usage import parameter_docs
from bursar.usage.asked import Asked
from bursar.usage.query_reader import Asker
from bursar.usage.record import encode_record
from bursar.usage.revising.author import Author
from bursar.usage.revising.voiding import (
    VOID_JOB,
    VoidAsk,
    read_void,
    refuse_surprise,
    void_parameters,
    void_record,
)
from bursar.usage.selection import SelectionTotals
from bursar.usage.sight import sight_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.responses import Response

    from bursar.app.platform import Platform
    from bursar.usage.store import UsageQuestions


@dataclass(frozen=True, slots=True)
class VoidAnswer:
    """What a void takes out, or would."""

    __pydantic_config__: ClassVar = DESCRIBED

    dry_run: bool
    totals: SelectionTotals
    """What the events came to before."""
    expect_events: int
    """Send it with the same body to be sure that nothing else is voided than what was seen."""
    up_to_event: str | None
    """Likewise: the selected event that was recorded last; those that came in later stay. Null for ids, and
    where nothing is selected."""
    not_found: list[str]
    """Named ids of which no event counts (any more)."""
    applied: bool
    """Whether the events are out of every total already."""
    run: RunAsked | None = None
    """The job that does it, for filters; null otherwise, and where there is nothing to do."""


_Admin = Annotated[Caller, Depends(require(Permission.USAGE_WRITE))]


def make_router(platform: Platform) -> APIRouter:
    """`POST /api/v1/events/void`."""
    router = APIRouter(prefix="/api/v1", tags=["events"])
    desk = ChangeDesk(platform)

    @router.post(
        "/events/void",
        responses=ACCEPTED,
        response_model=VoidAnswer,
        openapi_extra=parameter_docs.VOID,
    )
    async def void_events(request: Request, caller: _Admin) -> Response:
        """Take events out of every total, by ids or by filters and a window; or only count them."""
        now = clock.now()
        asked = Asked(decode_object(await request.body()))
        caller = await act_for_named(request, caller, asked)
        ask = read_void(
            asked, Asker(caller.tenant_id, caller.zone, now, sight=sight_of(caller, Permission.USAGE_WRITE))
        )
        return await _answer(desk, caller, ask)

    return router


async def _answer(desk: ChangeDesk, caller: Caller, ask: VoidAsk) -> Response:
    await desk.wait(desk.platform.changes.durable_seq)
    shown = await desk.platform.questions.ask(lambda store: _look(store, caller.tenant_id, ask))
    refuse_surprise(ask, shown.totals)
    if ask.dry_run:
        return desk.answer(200, shown)
    if ask.selection.event_ids is not None:
        return await _void_now(desk, caller, ask, shown)
    if shown.up_to_event is None:
        return desk.answer(200, replace(shown, applied=True))
    seen = replace(ask, selection=replace(ask.selection, up_to_event=shown.up_to_event))
    run = await desk.enqueue(VOID_JOB, caller, void_parameters(seen, shown.totals))
    return desk.accepted(replace(shown, run=run), run)


async def _void_now(desk: ChangeDesk, caller: Caller, ask: VoidAsk, shown: VoidAnswer) -> Response:
    named: Sequence[str] = ask.selection.event_ids or ()
    ids = sorted(set(named) - set(shown.not_found))
    if not ids:
        return desk.answer(200, replace(shown, applied=True))
    record = void_record(Author(caller.tenant_id, caller.key_id, ask.reason), ids, clock.now())
    seq = await run_in_threadpool(desk.platform.changes.append, [encode_record(record)])
    applied = await desk.wait(seq)
    return desk.answer(200 if applied else 202, replace(shown, applied=applied))


def _look(store: UsageQuestions, tenant_id: str, ask: VoidAsk) -> VoidAnswer:
    """What there is to void now, and nothing done about it."""
    totals = store.total_selection(tenant_id, ask.selection)
    named = ask.selection.event_ids
    missing: list[str] = []
    if named is not None and totals.events != len(named):
        missing = sorted(set(named) - store.current_events(tenant_id, named).keys())
    return VoidAnswer(
        dry_run=ask.dry_run,
        totals=totals,
        expect_events=totals.events,
        up_to_event=store.last_selected(tenant_id, ask.selection) if named is None else None,
        not_found=missing,
        applied=False,
    )
