"""Makes an export of what a request asks for, and cursors of where one was left off.

Window, zone and filters are those of every other question. A cursor holds the moment and the window that
the export began with, so that what follows fits what came before, whatever has happened since.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bursar import clock
from bursar.errors import Invalid, Reason
from bursar.identity.page import decode_cursor, encode_cursor
from bursar.usage.asked import must
from bursar.usage.export_selection import ExportScope, ExportSelection, FocusGrain
from bursar.usage.exports.pieces import FIRST_PLACE
from bursar.usage.query import EventPage
from bursar.usage.query_dimensions import ALLOCATED
from bursar.usage.query_reader import read_scene
from bursar.window import DEFAULT_WINDOW, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.usage.allocations.claims import Claims
    from bursar.usage.asked import Asked
    from bursar.usage.places import Places
    from bursar.usage.query_reader import Asker

ROWS_LIMIT = 100_000
"""Of an answer that is asked for by `limit`: it is made whole before it is sent, some 50 MB at most."""


class ExportFormat(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    FOCUS = "focus"
    FOCUS_PARQUET = "focus-parquet"

    @property
    def is_focus(self) -> bool:
        """Whether its rows are charges rather than events."""
        return self in {ExportFormat.FOCUS, ExportFormat.FOCUS_PARQUET}

    @property
    def is_parquet(self) -> bool:
        """Whether it is made as a file before it is sent."""
        return self in {ExportFormat.PARQUET, ExportFormat.FOCUS_PARQUET}


@dataclass(frozen=True, slots=True)
class ExportAsked:
    """One export, or the rest of one."""

    scope: ExportScope
    format: ExportFormat
    grain: FocusGrain
    as_of: int | None
    """None where it begins: then the moment is now."""
    place: int
    limit: int | None
    """About how many rows to answer with; None for all of them."""
    has_header: bool
    is_raw: bool
    allows_unpriced: bool
    places: Places
    """How the tenant is shown places in the journal."""
    bearers_mark: int = 0
    """Differs for other allocations."""

    def selection(self, as_of: int) -> ExportSelection:
        """The events, as they were at a position of the journal."""
        return ExportSelection(self.scope, as_of)

    def cursor(self, as_of: int, place: int) -> str:
        """An opaque text with which the same export goes on at a place."""
        window = self.scope.window
        cursor = _Cursor(
            self.places.show(as_of),
            self.places.show(place),
            clock.to_micros(window.start),
            clock.to_micros(window.end),
            self._mark(),
        )
        return encode_cursor(msgspec.json.encode(cursor))

    def _mark(self) -> int:
        """Differs for exports whose places mean different things."""
        kind = f"focus {self.grain}" if self.format.is_focus else "events"
        shown = self.scope.shown_along
        seen = [] if shown is None else [sorted(shown)]
        # Pieces of different allocations don't fit together.
        said = (kind, self.scope.tenant_id, self.scope.filters, self.bearers_mark, *seen)
        return zlib.crc32(repr(said).encode() + self.places.key)

    def fits(self, mark: int) -> bool:
        """Whether a cursor with this mark is one of this export's."""
        return self._mark() == mark


class _Cursor(msgspec.Struct, array_like=True):
    as_of: int
    place: int
    start: int
    end: int
    mark: int


def read_export(asked: Asked, asker: Asker, claims_of: Callable[[str], Claims] | None = None) -> ExportAsked:
    """The export that parameters ask for; the last 30 days as CSV unless they say otherwise. From a thread.

    Raises:
        Invalid: with every reason.
        Unavailable: it can't be told who bears events.
    """
    form = asked.choice("format", ExportFormat) or ExportFormat.CSV
    grain = asked.choice("grain", FocusGrain)
    if grain is not None and not form.is_focus:
        asked.refuse("grain", "conflicting_parameters", "grain is for format=focus; other rows are events.")
    text = asked.text("cursor")
    cursor = asked.collect(lambda: _parse_cursor(text, asker.places)) if text is not None else None
    limit = asked.number("limit", 0) if asked.has("limit") else None
    if limit is not None and not 1 <= limit <= ROWS_LIMIT:
        asked.refuse("limit", "out_of_range", f"limit is a whole number from 1 to {ROWS_LIMIT}.")
    has_header = asked.flag("header") if asked.has("header") else True
    is_raw, allows_unpriced = asked.flag("raw"), asked.flag("allow_unpriced")
    scene = read_scene(asked, asker, DEFAULT_WINDOW)
    asked.collect(lambda: EventPage(scene.window, scene.filters))
    window = scene.window if cursor is None else _window_of(cursor)
    scope = _bearing(ExportScope(asker.tenant_id, window, scene.filters, asker.sight.metadata), claims_of)
    export = ExportAsked(
        scope=scope,
        format=form,
        grain=grain or FocusGrain.DAY,
        as_of=None if cursor is None else cursor.as_of,
        place=FIRST_PLACE if cursor is None else cursor.place,
        limit=limit,
        has_header=has_header,
        is_raw=is_raw,
        allows_unpriced=allows_unpriced,
        places=asker.places,
        bearers_mark=_mark_of(scope.claims),
    )
    if cursor is not None and not export.fits(cursor.mark):
        message = "cursor is of an export with another format, grain or other filters."
        asked.refuse("cursor", "bad_cursor", message)
    asked.finish()
    return must(export)


def _bearing(scope: ExportScope, claims_of: Callable[[str], Claims] | None) -> ExportScope:
    """The scope with who bears its events: every row tells that."""
    if claims_of is None:
        return scope
    return replace(scope, claims=claims_of(scope.tenant_id).within(scope.window, ALLOCATED))


def _mark_of(claims: Claims) -> int:
    """A number of what is claimed: there may be a hundred thousand, whose text as a whole takes long."""
    mark = 0
    for kind, found in claims.by.items():
        for one in found:
            mark = zlib.crc32(f"{kind} {one}".encode(), mark)
    return mark


def _parse_cursor(text: str, places: Places) -> _Cursor:
    try:
        cursor = msgspec.json.decode(decode_cursor(text), type=_Cursor)
        _window_of(cursor)
        if min(cursor.as_of, cursor.place) >= 0 and max(cursor.as_of, cursor.place) < 2**63:
            as_of, place = places.find(cursor.as_of), places.find(cursor.place)
            return msgspec.structs.replace(cursor, as_of=as_of, place=place)
    except (ValueError, msgspec.DecodeError, OverflowError, Invalid):
        pass
    message = "cursor is what an earlier answer named as the next, unchanged."
    raise Invalid(message, reasons=(Reason("cursor", "bad_cursor", message),))


def _window_of(cursor: _Cursor) -> Window:
    return Window(clock.from_micros(cursor.start), clock.from_micros(cursor.end))
