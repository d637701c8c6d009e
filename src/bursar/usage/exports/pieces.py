"""An export in pieces: what each kind of export is to whoever sends it on.

Pieces follow each other by their place, an opaque whole number. The plain export's are made here, those of
FOCUS in `billing/focus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bursar.usage.export_selection import ExportSelection, TextForm
    from bursar.usage.store import UsageQuestions

FIRST_PLACE = 0
ROWS_PER_PIECE = 10_000
"""Some 5 MB of text, made in a few tenths of a second."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows, and where the next ones begin."""

    text: bytes
    rows: int
    next_place: int | None
    """None where these were the last rows."""


class Pieces(Protocol):
    """The pieces of one kind of export."""

    def read(self, store: UsageQuestions, selection: ExportSelection, place: int, limit: int) -> Piece:
        """The piece at a place; it may be empty before the end.

        Args:
            store: where to read.
            selection: which events, and as of when.
            place: `FIRST_PLACE`, or what the piece before said.
            limit: how many rows are wanted; a piece that can't be cut there has more.
        """
        ...


@dataclass(frozen=True, slots=True)
class EventPieces:
    """The plain export: events in the ledger's order."""

    form: TextForm

    def read(self, store: UsageQuestions, selection: ExportSelection, place: int, limit: int) -> Piece:
        """Events behind a position, at most `limit`."""
        found = store.export_text(selection, self.form, place, limit)
        return Piece(found.text, found.rows, found.next_after)
