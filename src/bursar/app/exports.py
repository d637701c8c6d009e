"""`GET /api/v1/export`: events and their cost as a file, in forms that finance can load.

An export is about one moment, which its headers name together with how many events it is about and what
they cost in all. With `limit` an answer names the cursor with which the next one goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from bursar import clock
from bursar.app.auth import require
from bursar.app.export_parameters import EXPORT
from bursar.app.export_slots import ExportSlot, ExportSlots
from bursar.app.export_stream import ExportRun, FileGround, make_parquet, send_file, write_text
from bursar.billing.focus.columns import FOCUS_COLUMNS
from bursar.billing.focus.pieces import FocusPieces
from bursar.billing.focus.rows import Accounts, FocusRows
from bursar.errors import Conflict, Reason
from bursar.identity.audit.noting import note_progress
from bursar.identity.caller import Caller
from bursar.identity.page import walk_pages
from bursar.identity.permissions import Permission
from bursar.money import format_decimal
from bursar.pricing.cards import Card, card_from_json
from bursar.storage.duckdb.connection import DuckDBLimits
from bursar.storage.duckdb.parquet_file import ParquetFile
from bursar.usage.api import query_parameters
from bursar.usage.asked import Asked
from bursar.usage.export_selection import ExportTotals, TextForm
from bursar.usage.exports.columns import EVENT_EXPORT, ExportColumn
from bursar.usage.exports.pieces import EventPieces, Pieces
from bursar.usage.exports.reading import ExportAsked, ExportFormat, read_export
from bursar.usage.query_reader import Asker
from bursar.usage.sight import sight_of

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Send
    from starlette.types import Scope as AsgiScope

    from bursar.app.platform import Platform

MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.FOCUS: "text/csv; charset=utf-8",
    ExportFormat.JSON: "application/json",
    ExportFormat.NDJSON: "application/x-ndjson",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.FOCUS_PARQUET: "application/vnd.apache.parquet",
}
ENDINGS = {
    ExportFormat.CSV: "events.csv",
    ExportFormat.FOCUS: "focus.csv",
    ExportFormat.JSON: "events.json",
    ExportFormat.NDJSON: "events.ndjson",
    ExportFormat.PARQUET: "events.parquet",
    ExportFormat.FOCUS_PARQUET: "focus.parquet",
}
NEXT_CURSOR = "Bursar-Next-Cursor"
STALL_SECONDS = 60.0
"""Who has read nothing for so long loses the connection, so that few can't keep all others from exporting."""
_EXPORTER = require(Permission.USAGE_EXPORT, in_projects=True)
_MEMORY_SHARE = 4
"""A Parquet file is made with a quarter of the memory that the store in use has."""


def make_router(platform: Platform) -> APIRouter:
    """The one route of exports."""
    router = APIRouter(prefix="/api/v1", tags=["usage"])
    desk = _Desk(platform, ExportSlots())

    @router.get(
        "/export",
        response_class=StreamingResponse,
        responses={
            200: {"description": "The file", "content": {name: {} for name in set(MEDIA_TYPES.values())}}
        },
        openapi_extra=EXPORT,
        summary="Events and their cost as a file: CSV, JSON, Parquet or FOCUS",
    )
    async def export(request: Request, caller: Annotated[Caller, Depends(_EXPORTER)]) -> Response:
        """Send every event of a window with what it cost, as one moment has them."""
        sight = sight_of(caller, Permission.USAGE_EXPORT)
        places = platform.veil.of(caller.tenant_id)
        asker = Asker(caller.tenant_id, caller.zone, clock.now(), sight=sight, places=places)
        asked = Asked(query_parameters(request))
        asked.take("tenant_id")  # The caller is already the tenant's.
        # Who bears events may have to be looked up, and be much to go through.
        export = await run_in_threadpool(read_export, asked, asker, platform.claims.claims_of)
        return await desk.answer(export)

    return router


@dataclass(frozen=True, slots=True)
class _Desk:
    platform: Platform
    slots: ExportSlots

    async def answer(self, asked: ExportAsked) -> Response:
        slot = self.slots.enter()
        try:
            return await self._answer(asked, slot)
        except BaseException:
            slot.leave()
            raise

    async def _answer(self, asked: ExportAsked, slot: ExportSlot) -> Response:
        headers: dict[str, str] = {}
        as_of = asked.as_of
        if as_of is None:
            totals = await self.platform.questions.ask(lambda store: store.export_totals(asked.scope))
            _refuse_unpriced(asked, totals)
            as_of, headers = totals.as_of, _headers(asked, totals)
        columns = FOCUS_COLUMNS if asked.format.is_focus else EVENT_EXPORT
        pieces = await self._pieces(asked)
        run = ExportRun(self.platform.questions, pieces, asked, as_of, asked.place)
        note_progress(lambda: {"rows": run.rows})
        headers["Content-Disposition"] = f'attachment; filename="{ENDINGS[asked.format]}"'
        if asked.format.is_parquet:
            file = await make_parquet(run, columns, self._ground())
            return _Sending(_named(run, headers), asked, slot, send_file(file.path), file)
        if asked.limit is not None:
            text = b"".join([block async for block in write_text(run, columns)])
            slot.leave()
            headers["Bursar-Rows"] = str(run.rows)
            return Response(text, headers=_named(run, headers), media_type=MEDIA_TYPES[asked.format])
        return _Sending(headers, asked, slot, await _begun(run, columns))

    async def _pieces(self, asked: ExportAsked) -> Pieces:
        if not asked.format.is_focus:
            return EventPieces(_text_form(asked))
        accounts = await run_in_threadpool(self._accounts, asked.scope.tenant_id)
        is_raw = asked.is_raw or asked.format.is_parquet
        return FocusPieces(FocusRows(accounts, asked.grain), is_raw, self._card)

    def _card(self, card_id: str) -> Card | None:
        document = self.platform.snapshots.load(card_id)
        return None if document is None else card_from_json(document)

    def _accounts(self, tenant_id: str) -> Accounts:
        identity = self.platform.identity
        listed = walk_pages(lambda ask: identity.projects(tenant_id, ask))
        projects = {project.id: project.name for project in listed}
        return Accounts(tenant_id, identity.tenant(tenant_id).name, projects)

    def _ground(self) -> FileGround:
        settings = self.platform.settings
        limits = DuckDBLimits(settings.duckdb_memory_limit, 1, settings.duckdb_temp_limit)
        return FileGround(self.platform.folder, limits.share(_MEMORY_SHARE), settings.min_free_disk_bytes)


class _Sending(StreamingResponse):
    """A stream that gives back what it holds, however it ends."""

    def __init__(
        self,
        headers: dict[str, str],
        asked: ExportAsked,
        slot: ExportSlot,
        content: AsyncIterator[bytes],
        file: ParquetFile | None = None,
    ) -> None:
        super().__init__(content, headers=headers, media_type=MEDIA_TYPES[asked.format])
        self._slot = slot
        self._file = file

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Send it, as long as somebody reads."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(STALL_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        finally:
            self._slot.leave()
            if self._file is not None:
                self._file.discard()


async def _begun(run: ExportRun, columns: tuple[ExportColumn, ...]) -> AsyncIterator[bytes]:
    """The text with its first block already read, so that what can't be answered is refused in words."""
    blocks = write_text(run, columns)
    first = await anext(blocks, b"")

    async def go_on() -> AsyncIterator[bytes]:
        yield first
        async for block in blocks:
            yield block

    return go_on()


def _text_form(asked: ExportAsked) -> TextForm:
    if asked.format in {ExportFormat.JSON, ExportFormat.NDJSON}:
        return TextForm.NDJSON
    return TextForm.RAW_CSV if asked.is_raw or asked.format.is_parquet else TextForm.CSV


def _refuse_unpriced(asked: ExportAsked, totals: ExportTotals) -> None:
    """FOCUS has no word for a cost that isn't known, and 0 would be a lie.

    Raises:
        Conflict: there are events of unknown cost, and they may not be left out.
    """
    if not asked.format.is_focus or asked.allows_unpriced or not totals.unpriced_events:
        return
    message = (
        f"The cost of {totals.unpriced_events} of {totals.events} events isn't known, and FOCUS can't say so."
        " Price them first, or leave them out with allow_unpriced=true."
    )
    raise Conflict(message, reasons=(Reason("allow_unpriced", "unpriced_events", message),))


def _headers(asked: ExportAsked, totals: ExportTotals) -> dict[str, str]:
    """What a reader must know of an export as a whole; the file itself has no place for it."""
    known: dict[str, Any] = {
        "Bursar-As-Of": str(asked.places.show(totals.as_of)),
        "Bursar-As-Of-Time": totals.as_of_time and clock.rfc3339(totals.as_of_time),
        "Bursar-Window": f"{clock.rfc3339(asked.scope.window.start)}/{clock.rfc3339(asked.scope.window.end)}",
        "Bursar-Events": str(totals.events),
        "Bursar-Unpriced-Events": str(totals.unpriced_events),
        "Bursar-Total": ", ".join(_amount(*one) for one in sorted(totals.amounts.items())),
        "Bursar-Complete-Since": totals.partial and clock.rfc3339(totals.partial.since),
        "Bursar-First-Cursor": asked.cursor(totals.as_of, asked.place),
    }
    return {name: value for name, value in known.items() if value is not None}


def _amount(currency: str, amount: Decimal) -> str:
    return f"{format_decimal(amount)} {currency}"


def _named(run: ExportRun, headers: dict[str, str]) -> dict[str, str]:
    cursor = run.cursor()
    return headers if cursor is None else {**headers, NEXT_CURSOR: cursor}
