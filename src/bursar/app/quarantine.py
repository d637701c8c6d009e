"""The quarantine over HTTP: what was accepted and counts nowhere, and how it is let out.

`GET /api/v1/events/quarantine` lists it, `…/{id}` shows one record, `POST …/replay` puts records in
again, makes corrections of them, or discards them. What can be let out is decided in
`usage/revising/release.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from bursar import clock
from bursar.app.auth import require
from bursar.app.changing import ACCEPTED, ChangeDesk, act_for_named, decode_object
from bursar.described import DESCRIBED
from bursar.errors import Forbidden, NotFound
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.usage import parameter_docs
from bursar.usage.asked import Asked
from bursar.usage.quarantined import PAGE_DEFAULT, PAGE_LIMIT, QuarantinePage
from bursar.usage.revising.author import Author, read_reason
from bursar.usage.revising.release import REPLAY_LIMIT, LetOut, Plan, Releasing
from bursar.window import Window, parse_window, parse_zone

if TYPE_CHECKING:
    from fastapi.responses import Response

    from bursar.app.platform import Platform
    from bursar.errors import Reason
    from bursar.usage.places import Places
    from bursar.usage.quarantined import Quarantined, QuarantineList
    from bursar.usage.store import UsageQuestions


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record that was accepted, and counts nowhere."""

    __pydantic_config__: ClassVar = DESCRIBED

    id: int
    """What it is known by: neither count nor order. Another one once the server's secret has changed."""
    event_id: str | None
    received_at: datetime
    reason: str
    """`conflict`, `unreadable_record`, `unknown_kind`, `no_such_event` or `other_event`."""
    detail: str | None
    record: Any
    """What was accepted, as the journal has it; a text where it is no JSON."""


@dataclass(frozen=True, slots=True)
class QuarantineAnswer:
    """One page of quarantined records, the latest first."""

    items: list[QuarantinedRecord]
    next_cursor: str | None
    total_count: int


@dataclass(frozen=True, slots=True)
class StayingReason:
    """Why a record stays in the quarantine."""

    id: int
    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """What became of the records that were to be let out."""

    __pydantic_config__: ClassVar = DESCRIBED

    dry_run: bool
    released: list[int]
    """Their ids."""
    refused: list[StayingReason]
    remaining: int
    """How many more the filters select: ask again for them."""
    applied: bool


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a request to let records out says."""

    page: QuarantinePage
    how: LetOut
    reason: str
    dry_run: bool


def _page(
    window: Annotated[str | None, Query(description="When it was received, such as 30d.")] = None,
    reason: Annotated[str | None, Query(description="Why it is there, such as conflict.")] = None,
    event_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT,
    cursor: Annotated[
        int | None, Query(ge=0, lt=2**63, description="`next_cursor` of the page before.")
    ] = None,
) -> QuarantinePage:
    return QuarantinePage(_window(window), reason, event_id, before_seq=cursor, limit=limit)


_Admin = Annotated[Caller, Depends(require(Permission.USAGE_WRITE))]
_Unowned = Annotated[
    bool, Query(description="Records that couldn't be read so far as to tell whose they are. Operator only.")
]


def make_router(platform: Platform) -> APIRouter:
    """The routes below `/api/v1/events/quarantine`."""
    router = APIRouter(prefix="/api/v1/events/quarantine", tags=["events"])
    desk = ChangeDesk(platform)

    @router.get("", response_model=QuarantineAnswer)
    async def list_quarantine(
        caller: _Admin, page: Annotated[QuarantinePage, Depends(_page)], *, unowned: _Unowned = False
    ) -> Response:
        """List records that were accepted and count nowhere, the latest first."""
        tenant_id, places = _whose(platform, caller, unowned=unowned)
        wanted = page if page.before_seq is None else replace(page, before_seq=places.find(page.before_seq))
        found = await platform.questions.ask(lambda store: store.list_quarantined(tenant_id, wanted))
        items = [_shown(one, places) for one in found.items]
        cursor = str(items[-1].id) if found.has_more else None
        return desk.answer(200, QuarantineAnswer(items, cursor, found.total))

    @router.post(
        "/replay", responses=ACCEPTED, response_model=ReplayAnswer, openapi_extra=parameter_docs.REPLAY
    )
    async def replay_quarantine(request: Request, caller: _Admin) -> Response:
        """Let records out: put them in again, make corrections of conflicts, or discard them."""
        asked = Asked(decode_object(await request.body()))
        caller = await act_for_named(request, caller, asked)
        ask = _read_ask(asked)
        return await _replay(desk, caller, ask)

    @router.get("/{record_id}", response_model=QuarantinedRecord)
    async def show_quarantined(
        record_id: Annotated[int, Path(ge=0, lt=2**63)], caller: _Admin, *, unowned: _Unowned = False
    ) -> Response:
        """Show one record that was accepted and counts nowhere."""
        tenant_id, places = _whose(platform, caller, unowned=unowned)
        page = QuarantinePage(seqs=(places.find(record_id),))
        found = await platform.questions.ask(lambda store: store.list_quarantined(tenant_id, page))
        if not found.items:
            raise NotFound("There is no such record in the quarantine.")
        return desk.answer(200, _shown(found.items[0], places))

    return router


async def _replay(desk: ChangeDesk, caller: Caller, ask: _Ask) -> Response:
    platform, page = desk.platform, ask.page
    places = platform.veil.of(caller.tenant_id)
    if page.seqs is not None:
        page = replace(page, seqs=tuple(map(places.find, page.seqs)))
    await desk.wait(platform.changes.durable_seq)

    def look(store: UsageQuestions) -> tuple[QuarantineList, set[str]]:
        found = store.list_quarantined(caller.tenant_id, page)
        ids = [one.event_id for one in found.items if one.event_id is not None]
        return found, set(store.current_events(caller.tenant_id, ids))

    found, current = await platform.questions.ask(look)
    by_seq = {one.seq: one for one in found.items}
    wanted = sorted(by_seq) if page.seqs is None else list(page.seqs)
    author = Author(caller.tenant_id, caller.key_id, ask.reason)
    plan = Releasing(ask.how, current, author, clock.now()).plan(wanted, by_seq)
    applied = False
    if not ask.dry_run and plan.released:
        applied = await desk.wait(await run_in_threadpool(_write, platform, plan))
    refused = [StayingReason(places.show(one.id), *_parts(one.reason)) for one in plan.refused]
    left = max(found.total - len(found.items), 0)
    released = list(map(places.show, plan.released))
    answer = ReplayAnswer(ask.dry_run, released, refused, left, applied)
    is_pending = bool(plan.released) and not ask.dry_run and not applied
    return desk.answer(202 if is_pending else 200, answer)


def _write(platform: Platform, plan: Plan) -> int:
    """Usage first: where a crash comes between, it is put in once more and counts once all the same."""
    if plan.usage:
        platform.changes.append(plan.usage, usage_only=True)
    return platform.changes.append(plan.changes)


def _read_ask(asked: Asked) -> _Ask:
    how = asked.choice("as", LetOut) or LetOut.RETRY
    dry_run, reason = asked.flag("dry_run"), asked.text("reason")
    ids, said = asked.take("ids"), asked.take("filter")
    checked = asked.collect(lambda: read_reason(reason)) if reason or not dry_run else ""
    if (ids is None) == (said is None):
        message = "Name ids, or a filter; one of the two ways."
        asked.refuse("ids", "required" if ids is None else "conflicting_parameters", message)
    page = QuarantinePage(seqs=_read_ids(asked, ids), limit=REPLAY_LIMIT)
    if isinstance(said, dict):
        inner = Asked(cast("dict[str, Any]", said))
        window, why, event_id = inner.text("window"), inner.text("reason"), inner.text("event_id")
        bounds = inner.collect(lambda: _window(window))
        asked.collect(inner.finish)
        page = QuarantinePage(bounds, why, event_id, limit=REPLAY_LIMIT)
    elif said is not None:
        asked.refuse("filter", "wrong_type", "filter is an object with reason, event_id, window.")
    asked.finish()
    return _Ask(page, how, checked or "", dry_run)


def _read_ids(asked: Asked, given: object) -> tuple[int, ...] | None:
    if given is None:
        return None
    listed = cast("list[object]", given) if isinstance(given, list) else [None]
    ids = tuple(one for one in listed if type(one) is int and 0 <= one < 2**63)
    if len(ids) < len(listed):
        asked.refuse("ids", "wrong_type", "ids is a list of the whole numbers that the list shows.")
    elif not 1 <= len(ids) <= REPLAY_LIMIT:
        asked.refuse("ids", "out_of_range", f"Name 1 to {REPLAY_LIMIT} ids at once.")
    return tuple(dict.fromkeys(ids))


def _window(text: str | None) -> Window | None:
    return None if text is None else parse_window(text, parse_zone("UTC"), clock.now())


def _whose(platform: Platform, caller: Caller, *, unowned: bool) -> tuple[str, Places]:
    if not unowned:
        return caller.tenant_id, platform.veil.of(caller.tenant_id)
    if not caller.is_operator:
        message = "Only the operator sees records of which nobody knows whose they are."
        raise Forbidden(message)
    return "", platform.veil.of("")


def _parts(reason: Reason) -> tuple[str, str, str]:
    return reason.field, reason.code, reason.message


def _shown(one: Quarantined, places: Places) -> QuarantinedRecord:
    try:
        found: Any = msgspec.json.decode(one.line)
        if isinstance(found, dict):
            # Its place in the journal would tell how much others write.
            found = {name: value for name, value in cast("dict[str, Any]", found).items() if name != "seq"}
        record: Any = msgspec.Raw(msgspec.json.encode(found))
    except (msgspec.DecodeError, RecursionError):
        record = one.line.decode("utf-8", "replace")
    return QuarantinedRecord(
        places.show(one.seq), one.event_id, one.received_at, one.reason, one.detail, record
    )
