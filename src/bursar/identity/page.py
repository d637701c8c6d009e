"""Pages of a list: where one page ends and the next begins, as an opaque cursor.

Lists are ordered by creation and id, and a cursor names the last item seen (keyset), so that
pages neither skip nor repeat items while others are added or removed. Lists in another order
make cursors of their own places with `encode_cursor`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from bursar import clock
from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


def walk_pages(read_page: Callable[[PageAsk], Page[Item]]) -> Iterator[Item]:
    """Every item of a list, page after page, each asked for when it is needed."""
    ask: PageAsk | None = PageAsk(PAGE_LIMIT)
    while ask is not None:
        page = read_page(ask)
        yield from page.items
        ask = None if page.next is None else PageAsk(PAGE_LIMIT, page.next)


def write_cursor(position: Position) -> str:
    """The position as a cursor that is safe in a URL and means nothing to its reader."""
    text = f"{clock.to_micros(position.created_at)}:{position.id}"
    return encode_cursor(text.encode())


def read_cursor(cursor: str) -> Position:
    """The position that a cursor of `write_cursor` stands for.

    Raises:
        Invalid: it isn't one of ours.
    """
    try:
        micros, _, item_id = decode_cursor(cursor).decode().partition(":")
        created = int(micros)
    except ValueError:
        raise _bad_cursor() from None
    if not 0 <= created < _MICROS_LIMIT or not item_id or "\0" in item_id:
        raise _bad_cursor()
    return Position(clock.from_micros(created), item_id)


def encode_cursor(content: bytes) -> str:
    """The content as a text that is safe in a URL."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_cursor(cursor: str) -> bytes:
    """The content of `encode_cursor`.

    Raises:
        ValueError: it is none of ours; what is one may still hold anything.
    """
    return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)


def _bad_cursor() -> Invalid:
    message = "must be the 'next_cursor' of an earlier answer to the same list"
    return Invalid(reasons=(Reason("cursor", "invalid_cursor", message),))
