"""Re-pricing over HTTP: `POST /api/v1/reprice` rates stored events by the prices of now, in a job.

A dry run is a job too, for it rates as much: what it found is the result of its run, and so is what a real
one did. The operator may ask for every tenant at once, each in a run of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from bursar import clock
from bursar.app.auth import require
from bursar.app.changing import RUN_PATH, ChangeDesk, RunAsked, act_for_named, decode_object
from bursar.app.jobs import tenant_ids
from bursar.described import DESCRIBED
from bursar.errors import Conflict, Forbidden, Reason
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.scheduling.run import ENDED
from bursar.usage import parameter_docs
from bursar.usage.asked import Asked
from bursar.usage.query_reader import Asker
from bursar.usage.revising.repricing import REPRICE_JOB, RepriceAsk, read_reprice, reprice_parameters
from bursar.usage.sight import sight_of

if TYPE_CHECKING:
    from fastapi.responses import Response

    from bursar.app.platform import Platform
    from bursar.scheduling.run import Run


@dataclass(frozen=True, slots=True)
class RepriceAnswer:
    """The runs that rate events again."""

    __pydantic_config__: ClassVar = DESCRIBED

    dry_run: bool
    run: RunAsked | None
    """The job that does it; null where there is nothing to rate, and where it is about all tenants."""
    up_to_event: str | None
    """The selected event that was recorded last: send it with the real call, and nothing else is rated than
    what was seen. Null where nothing is selected, and where it is about all tenants."""
    runs: dict[str, RunAsked] = field(default_factory=dict[str, RunAsked])
    """By tenant, where it is about all of them: those that have events and no run under way."""


_Admin = Annotated[Caller, Depends(require(Permission.PRICES_WRITE))]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"description": "Under way; `Location` says where its progress and its result are"}
}


def make_router(platform: Platform) -> APIRouter:
    """`POST /api/v1/reprice`."""
    router = APIRouter(prefix="/api/v1", tags=["prices"])
    desk = ChangeDesk(platform)

    @router.post(
        "/reprice", responses=_ANSWERS, response_model=RepriceAnswer, openapi_extra=parameter_docs.REPRICE
    )
    async def reprice_events(request: Request, caller: _Admin) -> Response:
        """Rate events again by the prices of now, by filters and a window; by default only to look."""
        asked = Asked(decode_object(await request.body()))
        for_all = _is_for_all(asked)
        caller = await act_for_named(request, caller, asked)
        ask = read_reprice(
            asked,
            Asker(
                caller.tenant_id, caller.zone, clock.now(), sight=sight_of(caller, Permission.PRICES_WRITE)
            ),
        )
        await desk.wait(desk.platform.changes.durable_seq)
        if for_all:
            return await _ask_for_all(desk, caller, ask)
        return await _ask_for_one(desk, caller, ask)

    return router


def _is_for_all(asked: Asked) -> bool:
    """Whether it is about all tenants; then nothing may be named that is one tenant's own."""
    said = asked.take("all_tenants")
    if said is not None and not isinstance(said, bool):
        asked.refuse("all_tenants", "wrong_type", "all_tenants is true or false.")
    for name in ("tenant_id", "up_to_event"):
        if said is True and asked.has(name):
            text = f"{name} is about one tenant, and all_tenants about all of them; send one."
            asked.refuse("all_tenants", "conflicting_parameters", text)
    return said is True


async def _ask_for_one(desk: ChangeDesk, caller: Caller, ask: RepriceAsk) -> Response:
    await run_in_threadpool(_refuse_second, desk.platform, caller.tenant_id)
    run, up_to_event = await _begin(desk, caller, ask)
    answer = RepriceAnswer(ask.dry_run, run, up_to_event)
    return desk.answer(200, answer) if run is None else desk.accepted(answer, run)


async def _ask_for_all(desk: ChangeDesk, caller: Caller, ask: RepriceAsk) -> Response:
    if not caller.is_operator:
        text = "Only the operator may re-price all tenants."
        raise Forbidden(text)
    runs: dict[str, RunAsked] = {}
    for tenant_id in await run_in_threadpool(lambda: list(tenant_ids(desk.platform.identity))):
        if await run_in_threadpool(_open_run, desk.platform, tenant_id) is None:
            run, _ = await _begin(desk, replace(caller, tenant_id=tenant_id), ask)
            if run is not None:
                runs[tenant_id] = run
    return desk.answer(202 if runs else 200, RepriceAnswer(ask.dry_run, None, None, runs))


async def _begin(desk: ChangeDesk, caller: Caller, ask: RepriceAsk) -> tuple[RunAsked | None, str | None]:
    """A run about what is selected now, and its last event; none where nothing is."""
    last = await desk.platform.questions.ask(
        lambda store: store.last_selected(caller.tenant_id, ask.selection)
    )
    if last is None:
        return None, None
    seen = replace(ask, selection=replace(ask.selection, up_to_event=last))
    return await desk.enqueue(REPRICE_JOB, caller, reprice_parameters(seen)), last


def _open_run(platform: Platform, tenant_id: str) -> Run | None:
    run = platform.runner.last_runs(tenant_id).get(REPRICE_JOB)
    return None if run is None or run.state in ENDED else run


def _refuse_second(platform: Platform, tenant_id: str) -> None:
    """Let one run at a time rate a tenant's events.

    Raises:
        Conflict: one is under way.
    """
    run = _open_run(platform, tenant_id)
    if run is not None:
        message = f"The tenant's events are being rated already: {RUN_PATH}/{run.id}"
        raise Conflict(message, reasons=(Reason("run", "under_way", message),))
