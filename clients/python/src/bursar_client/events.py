"""Events on their way out: ids that make retries safe, and bodies of a size the server takes.

Bursar counts an event id once. Ids are therefore made here, before the first try, so that a body
sent twice because an answer got lost is not counted twice.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bursar_client.errors import UnsendableEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EVENTS_PER_BODY = 1_000
"""Enough to make the cost of a request negligible; a tenth of what a server takes by default."""
BYTES_PER_BODY = 4 * 1024 * 1024
"""A quarter of the server's default limit for a body (16 MiB), so that a stricter setting still fits."""

_last_id = 0
_id_lock = threading.Lock()


def new_event_id() -> str:
    """A new UUIDv7 (RFC 9562): sorts by time, greater than any made before in this process."""
    global _last_id  # noqa: PLW0603 - ids made by one process must not repeat, whichever client asks
    candidate = (time.time_ns() // 1_000_000) << 74 | secrets.randbits(74)
    with _id_lock:
        _last_id = candidate = max(candidate, _last_id + 1)
    # 48 bits of time, then version 7, 12 bits, variant 2, 62 bits.
    value = (candidate >> 74) << 80 | 7 << 76
    value |= ((candidate >> 62) & 0xFFF) << 64 | 2 << 62 | candidate & (2**62 - 1)
    return str(uuid.UUID(int=value))


def with_event_ids(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copies of the events in which each has an `event_id`; ids already given are kept."""
    return [
        dict(event) if event.get("event_id") is not None else {**event, "event_id": new_event_id()}
        for event in events
    ]


@dataclass(frozen=True, slots=True)
class EventBody:
    """One request body: a JSON list of consecutive events."""

    first_index: int
    """Place of its first event in everything that is sent."""
    count: int
    content: bytes


def event_bodies(events: list[dict[str, Any]]) -> Iterator[EventBody]:
    """The events as bodies of at most 1,000 events and about 4 MiB, in order.

    Raises:
        UnsendableEvent: an event holds something that JSON has no form for.
    """
    encoded: list[bytes] = []
    first = size = 0
    for index, event in enumerate(events):
        item = encode_event(event, index)
        if encoded and (len(encoded) == EVENTS_PER_BODY or size + len(item) > BYTES_PER_BODY):
            yield _body(first, encoded)
            encoded, first, size = [], index, 0
        encoded.append(item)
        size += len(item) + 1
    if encoded:
        yield _body(first, encoded)


def _body(first_index: int, encoded: list[bytes]) -> EventBody:
    return EventBody(first_index, len(encoded), b"[" + b",".join(encoded) + b"]")


def encode_event(event: Mapping[str, Any], index: int = 0) -> bytes:
    """The event as JSON: decimals as exact strings, times in RFC 3339 with their zone.

    Raises:
        UnsendableEvent: an unknown type, NaN or infinity, or a time without a zone.
    """
    try:
        text = json.dumps(event, default=_json_form, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UnsendableEvent(index, str(error)) from error
    return text.encode()


def _json_form(value: object) -> str:
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            if value.tzinfo is None:
                message = f"{value!r} has no time zone; use datetime.now(UTC)"
                raise ValueError(message)
            return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        case date() | uuid.UUID():
            return str(value)
        case _:
            message = f"{type(value).__name__} has no form in JSON"
            raise TypeError(message)
