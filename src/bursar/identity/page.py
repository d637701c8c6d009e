"""Pages of a list: where one page ends and the next begins, as an opaque cursor.

Lists are ordered by creation and id, and a cursor names the last item seen (keyset), so that
pages neither skip nor repeat items while others are added or removed.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from bursar import clock
from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from datetime import datetime

PAGE_LIMIT = 500
PAGE_DEFAULT = 100

_MICROS_LIMIT = 253_402_300_800_000_000
"""The year 10000, where Python's dates end."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Position:
    """The place of one item in a list that is ordered by creation and id."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class PageAsk:
    """Which part of a list is wanted: at most `limit` items behind `after`."""

    limit: int = PAGE_DEFAULT
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list; `next` is where to go on, None at the end."""

    items: tuple[Item, ...]
    next: Position | None = None


def write_cursor(position: Position) -> str:
    """The position as a cursor that is safe in a URL and means nothing to its reader."""
    text = f"{clock.to_micros(position.created_at)}:{position.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Position:
    """The position that a cursor of `write_cursor` stands for.

    Raises:
        Invalid: it isn't one of ours.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        micros, _, item_id = raw.decode().partition(":")
        created = int(micros)
    except (ValueError, binascii.Error):
        raise _bad_cursor() from None
    if not 0 <= created < _MICROS_LIMIT or not item_id or "\0" in item_id:
        raise _bad_cursor()
    return Position(clock.from_micros(created), item_id)


def _bad_cursor() -> Invalid:
    message = "must be the 'next_cursor' of an earlier answer to the same list"
    return Invalid(reasons=(Reason("cursor", "invalid_cursor", message),))
