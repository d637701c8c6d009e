"""HTTP for questions about usage: parameters in, one of the views out, as JSON or CSV.

Every endpoint works alike: read the parameters (all that is wrong is said at once), ask the store
in a worker thread, write what the view shows. The tenant is the caller's. When the client leaves,
its question is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response

from bursar import clock
from bursar.errors import Invalid, Malformed, Reason
from bursar.identity.audit.noting import note_progress
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.identity.tenant import ID_PATTERN
from bursar.usage import parameter_docs
from bursar.usage.asked import Asked
from bursar.usage.output_format import MEDIA_TYPES, OutputFormat, choose_format
from bursar.usage.places import AS_THEY_ARE, Places
from bursar.usage.query_answer import QueryAnswer
from bursar.usage.query_reader import Asker
from bursar.usage.reporting import ReportsCosts
from bursar.usage.sight import Sight, sight_of
from bursar.usage.store import AsksQuestions, UsageQuestions
from bursar.usage.stored_event import StoredEvent
from bursar.usage.views.cost_breakdown import CostBreakdown, read_cost_breakdown_view
from bursar.usage.views.cost_summary import CostSummary, read_cost_summary_view
from bursar.usage.views.events import (
    EventsAnswer,
    EventView,
    UsageListAnswer,
    read_events_view,
    read_usage_list_view,
)
from bursar.usage.views.query_view import read_query_view
from bursar.usage.views.shown import View
from bursar.usage.views.top import Top, read_top_view
from bursar.usage.views.trends import Trends, read_trends_view
from bursar.usage.views.unallocated import Unallocated, read_unallocated_view

ReadView = Callable[[Asked, Asker], View]
KeyId = Annotated[str, Path(pattern=ID_PATTERN)]

_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The answer", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


@dataclass(frozen=True, slots=True)
class _Route:
    path: str
    name: str
    permission: Permission
    read: ReadView
    answer: type
    parameters: dict[str, Any]
    summary: str


_GETS = (
    _Route(
        "/api/v1/events", "list_events", Permission.EVENTS_READ, read_events_view, EventsAnswer,
        parameter_docs.EVENTS,
        "Single events, newest first",
    ),
    _Route(
        "/api/v1/usage", "list_usage", Permission.EVENTS_READ, read_usage_list_view, UsageListAnswer,
        parameter_docs.USAGE,
        "Single events, newest first, counted",
    ),
    _Route(
        "/api/v1/cost/summary", "summarise_cost", Permission.COST_READ, read_cost_summary_view, CostSummary,
        parameter_docs.SUMMARY,
        "What was spent, in all and by whom and what",
    ),
    _Route(
        "/api/v1/cost/breakdown", "break_down_cost", Permission.COST_READ, read_cost_breakdown_view,
        CostBreakdown, parameter_docs.BREAKDOWN, "Cost by any dimensions, the largest first",
    ),
    _Route(
        "/api/v1/unallocated", "show_unallocated", Permission.COST_READ, read_unallocated_view, Unallocated,
        parameter_docs.UNALLOCATED,
        "What no cost centre or owner bears, and whose it is",
    ),
    _Route(
        "/api/v1/analytics/trends", "show_trends", Permission.USAGE_READ, read_trends_view, Trends,
        parameter_docs.TRENDS,
        "One measure over time, and which way it is going",
    ),
    _Route(
        "/api/v1/analytics/top", "rank_top", Permission.USAGE_READ, read_top_view, Top, parameter_docs.TOP,
        "The users, models or anything else with the most of something",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KnownOfTenants:
    """What the rest of the program knows of tenants, as far as answers about usage need it."""

    reporting: ReportsCosts | None = None
    """Knows their reporting currencies and exchange rates."""
    find_key: Callable[[str, str], object] | None = None
    """Raises `NotFound` where a tenant has no such API key; without it none is asked about."""
    places_of: Callable[[str], Places] = lambda _tenant_id: AS_THEY_ARE
    """How a tenant is shown places in the journal."""


NOTHING_KNOWN = KnownOfTenants()


def make_router(
    questions: AsksQuestions,
    caller: Callable[..., Callable[..., Any]],
    known: KnownOfTenants = NOTHING_KNOWN,
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """Routes for every question about usage.

    `/api/v1/events/{event_id}` takes ids with slashes and so matches everything below `/events/`:
    include this router after those with longer paths there.

    Args:
        questions: answers them.
        caller: makes a FastAPI dependency that yields a `Caller` who has the permission, with
            `in_projects=True` also one who has it in some projects only.
        known: what is known of tenants besides their events.
        now: the time that windows such as `30d` are counted back from.
    """
    router = APIRouter(tags=["usage"])
    desk = _Desk(questions, known, now)
    for route in _GETS:
        _add_listing(router, desk, route, Depends(caller(route.permission, in_projects=True)))
    _add_query(router, desk, Depends(caller(Permission.USAGE_READ, in_projects=True)))
    _add_event(router, desk, Depends(caller(Permission.EVENTS_READ, in_projects=True)))
    if known.find_key is not None:
        reader = Depends(caller(Permission.USAGE_READ, in_projects=True))
        _add_usage_of_key(router, desk, reader, known.find_key)
    return router


def _add_listing(router: APIRouter, desk: _Desk, route: _Route, reader: CallerDependency) -> None:
    async def answer(request: Request, by: Caller = reader) -> Response:
        sight = sight_of(by, route.permission)
        return await desk.answer(request, _Looker(by, sight), query_parameters(request), route.read)

    router.add_api_route(
        route.path,
        answer,
        name=route.name,
        response_model=route.answer,
        summary=route.summary,
        responses=_FORMS,
        openapi_extra=route.parameters,
    )


def _add_query(router: APIRouter, desk: _Desk, reader: CallerDependency) -> None:
    @router.post(
        "/api/v1/query",
        response_model=QueryAnswer,
        summary="Any measures of usage, by any dimensions, over any events",
        responses=_FORMS,
        openapi_extra=parameter_docs.QUERY,
    )
    async def ask_query(request: Request, by: Caller = reader) -> Response:
        """Ask the one question that all other answers about usage are views of."""
        given = {**query_parameters(request), **_decode(await request.body())}
        looker = _Looker(by, sight_of(by, Permission.USAGE_READ))
        return await desk.answer(request, looker, given, read_query_view)


def _add_event(router: APIRouter, desk: _Desk, reader: CallerDependency) -> None:
    @router.get(
        "/api/v1/events/{event_id:path}",
        response_model=StoredEvent,
        summary="One event by its id",
        responses=_FORMS,
        openapi_extra=parameter_docs.EVENT,
    )
    async def show_event(request: Request, event_id: str, by: Caller = reader) -> Response:
        """Show everything that is kept of an event; other tenants' events are as unknown as none."""

        def read(asked: Asked, asker: Asker) -> View:
            asked.finish()
            return EventView(asker.tenant_id, event_id, asker.sight)

        looker = _Looker(by, sight_of(by, Permission.EVENTS_READ))
        return await desk.answer(request, looker, query_parameters(request), read)


def _add_usage_of_key(
    router: APIRouter, desk: _Desk, reader: CallerDependency, find_key: Callable[[str, str], object]
) -> None:
    @router.get(
        "/api/v1/keys/{key_id}/usage",
        response_model=QueryAnswer,
        summary="Any measures of the usage that an API key sent",
        responses=_FORMS,
        openapi_extra=parameter_docs.USAGE_OF_KEY,
    )
    async def show_usage_of_key(request: Request, key_id: KeyId, by: Caller = reader) -> Response:
        """Ask the one question about the events of one key, revoked or not."""
        await asyncio.to_thread(find_key, by.tenant_id, key_id)
        given = {**query_parameters(request), "filters": {"key_id": key_id}}
        looker = _Looker(by, sight_of(by, Permission.USAGE_READ))
        return await desk.answer(request, looker, given, read_query_view)


@dataclass(frozen=True, slots=True)
class _Looker:
    """Who asks, and how far they see."""

    by: Caller
    sight: Sight


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where every request for an answer goes."""

    questions: AsksQuestions
    known: KnownOfTenants
    now: Callable[[], datetime]

    async def answer(
        self, request: Request, looker: _Looker, given: dict[str, Any], read: ReadView
    ) -> Response:
        """Read the parameters, ask, and write the answer in the form that was asked for."""
        asked, by = Asked(given), looker.by
        tenant_id = by.tenant_for(asked.text("tenant_id"))
        reporting, places = self.known.reporting, self.known.places_of(tenant_id)
        asker = Asker(tenant_id, by.zone, self.now(), reporting, looker.sight, places)
        named = asked.choice("format", OutputFormat)
        form = choose_format(named, request.headers.get("accept", ""))
        view = read(asked, asker)
        written = await _unless_gone(request, self.questions.ask(lambda store: _write(view, store, form)))
        note_progress(lambda: {} if written.events is None else {"rows": written.events})
        return Response(written.body, media_type=MEDIA_TYPES[form])


class _Written(NamedTuple):
    body: bytes
    events: int | None
    """How many single events are in it."""


def _write(view: View, store: UsageQuestions, form: OutputFormat) -> _Written:
    """The whole answer as bytes, made in the worker thread so that the loop stays free."""
    shown = view.answer(store)
    body = shown.as_csv().encode() if form is OutputFormat.CSV else msgspec.json.encode(shown.body)
    return _Written(body, shown.events)


async def _unless_gone(request: Request, asking: Coroutine[Any, Any, _Written]) -> _Written:
    """The answer; when the client leaves before, the question is ended and nobody reads what is said."""
    answering = asyncio.ensure_future(asking)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        return answering.result() if answering.done() else _Written(b"", None)
    finally:
        answering.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def query_parameters(request: Request) -> dict[str, Any]:
    """What the query string says, for `Asked`: a text for each name, a list where a name is repeated."""
    given: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        given[name] = values[0] if len(values) == 1 else values
    return given


def _decode(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        Malformed: no JSON.
        Invalid: JSON, but no object.
    """
    try:
        decoded: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"The body is no JSON: {error}."
        raise Malformed(message) from None
    if isinstance(decoded, dict):
        return cast("dict[str, Any]", decoded)
    message = "A query is a JSON object."
    raise Invalid(message, reasons=(Reason("$", "wrong_type", message),))
