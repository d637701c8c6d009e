"""A request body into events: which shape it has, and one item after the other in bounded slices.

Canonical bodies are decoded by msgspec in bulk. Only where that fails is the body split into its
items, so that each is judged on its own: a broken item is refused with its reasons, its neighbours
are accepted. Where it isn't even JSON, `rescued_items` finds the items in another way. Nothing here
waits; the caller pauses between slices so that the event loop stays responsive.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.errors import Invalid, Malformed, Reason, TooLarge, UnsupportedMedia
from bursar.exact import decode_json
from bursar.usage.event import UsageEvent
from bursar.usage.formats.cloudevents import body_of_cloudevent, envelope_of_headers, is_cloudevent
from bursar.usage.json_shape import is_object
from bursar.usage.rescue import rescue_items
from bursar.usage.translate import translate_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bursar.usage.known_services import FindService

SLICE_ITEMS = 128
"""Items of a large body decoded before the event loop gets its turn: with their records about 1 ms of work
on a 2-core machine (`turns.py`)."""
BULK_BYTES = 512 * 1024
"""Bodies up to this size are decoded in one call (1 to 2 ms); larger ones are split first."""


class Shape(Enum):
    """How a body holds its events."""

    JSON = "json"
    """One event, a list, or `{"events": []}`; CloudEvents are recognised by `specversion`."""
    NDJSON = "ndjson"
    CLOUDEVENT = "cloudevent"
    CLOUDEVENT_BATCH = "cloudevent_batch"
    CLOUDEVENT_BINARY = "cloudevent_binary"


MEDIA_TYPES: dict[str, Shape] = {
    "": Shape.JSON,
    "application/json": Shape.JSON,
    "application/x-ndjson": Shape.NDJSON,
    "application/ndjson": Shape.NDJSON,
    "application/jsonl": Shape.NDJSON,
    "application/x-jsonlines": Shape.NDJSON,
    "application/cloudevents+json": Shape.CLOUDEVENT,
    "application/cloudevents-batch+json": Shape.CLOUDEVENT_BATCH,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that was not taken, with every reason found."""

    reasons: tuple[Reason, ...]
    event_id: str | None = None


Item = UsageEvent | Refused


# Made for every request: frozen would set each field at ten times the cost.
@dataclass(slots=True)
class Items:
    """The items of a body: how many, whether it was a single one, and slices of them in order."""

    count: int
    single: bool
    slices: Iterator[Sequence[Item]]


@dataclass(frozen=True, slots=True)
class _Bound:
    """How many items a body may have, and whose fields may stand in them."""

    max_items: int
    find_service: FindService | None


class _Wrapped(msgspec.Struct, forbid_unknown_fields=True):
    events: list[UsageEvent]


class _WrappedRaw(msgspec.Struct, forbid_unknown_fields=True):
    events: list[msgspec.Raw]


decode_event = msgspec.json.Decoder(UsageEvent).decode
"""One event in its canonical form; raises what `_UNREADABLE` lists."""
_decode_list = msgspec.json.Decoder(list[UsageEvent]).decode
_decode_wrapped = msgspec.json.Decoder(_Wrapped).decode
_split_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_split_wrapped = msgspec.json.Decoder(_WrappedRaw).decode
_WHITESPACE = b" \t\r\n"
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


def shape_of(headers: Mapping[str, str]) -> Shape:
    """How a request's headers say that its body holds events.

    Raises:
        UnsupportedMedia: a media type that isn't taken.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    shape = MEDIA_TYPES.get(media_type)
    if shape is None:
        known = ", ".join(name for name in MEDIA_TYPES if name)
        raise UnsupportedMedia(f"Content-Type '{media_type[:64]}' is not accepted; use one of {known}.")
    if shape is Shape.JSON and "ce-specversion" in headers:
        return Shape.CLOUDEVENT_BINARY
    return shape


def read_items(
    body: bytes,
    shape: Shape,
    headers: Mapping[str, str],
    max_items: int,
    find_service: FindService | None = None,
) -> Items:
    """The items of a body, decoded as they are iterated; they may have the fields of registered services.

    Raises:
        Malformed: the body as a whole can't be read.
        TooLarge: it has more than `max_items` items.
    """
    if shape is Shape.NDJSON:
        lines = [line for line in body.splitlines() if line.strip(_WHITESPACE)]
        return _judged(lines, _Bound(max_items, find_service))
    if shape is Shape.CLOUDEVENT_BINARY:
        envelope = envelope_of_headers(headers, _decoded(body))
        return Items(1, single=True, slices=iter([[translate_item(envelope, find_service)]]))
    start = body.lstrip(_WHITESPACE)[:1]
    if start == b"[":
        return _list_items(body, _Bound(max_items, find_service))
    if start == b"{" and shape is not Shape.CLOUDEVENT_BATCH:
        return _object_items(body, _Bound(max_items, find_service))
    raise Malformed(_explain_start(start, shape))


def rescued_items(
    body: bytes, shape: Shape, max_items: int, find_service: FindService | None = None
) -> Items | None:
    """The items of a list that as a whole can't be read, each to be judged by itself.

    None where there is no telling them apart. Takes up to half a second: call it from a thread.

    Raises:
        TooLarge: it has more than `max_items` items.
    """
    raws = rescue_items(body) if shape in {Shape.JSON, Shape.CLOUDEVENT_BATCH} else None
    return None if raws is None else _judged(raws, _Bound(max_items, find_service))


def _list_items(body: bytes, bound: _Bound) -> Items:
    if len(body) <= BULK_BYTES:
        try:
            events = _decode_list(body)
        except _UNREADABLE:
            pass
        else:
            _check_count(len(events), bound.max_items)
            return Items(len(events), single=False, slices=_sliced(events))
    return _judged(_split(body, _split_list), bound)


def _object_items(body: bytes, bound: _Bound) -> Items:
    try:
        return Items(1, single=True, slices=iter([[decode_event(body)]]))
    except _UNREADABLE:
        pass
    if len(body) <= BULK_BYTES:
        try:
            events = _decode_wrapped(body).events
        except _UNREADABLE:
            pass
        else:
            _check_count(len(events), bound.max_items)
            return Items(len(events), single=False, slices=_sliced(events))
    wrapped = _wrapped_items(body)
    if wrapped is not None:
        return _judged(wrapped, bound)
    return Items(1, single=True, slices=iter([[_judge(body, bound.find_service)]]))


def _wrapped_items(body: bytes) -> list[msgspec.Raw] | None:
    """The raw items of `{"events": [...]}`, or None where the object is something else."""
    try:
        return _split_wrapped(body).events
    except msgspec.ValidationError:
        return None
    except _UNREADABLE as error:
        raise Malformed(_say(error)) from error


def _split(body: bytes, split: Any) -> list[msgspec.Raw]:  # noqa: ANN401 - a bound msgspec decoder
    try:
        return split(body)
    except _UNREADABLE as error:
        raise Malformed(_say(error)) from error


def _judged(raws: Sequence[bytes | msgspec.Raw], bound: _Bound) -> Items:
    _check_count(len(raws), bound.max_items)
    find_service = bound.find_service
    slices = (_judge_all(raws[i : i + SLICE_ITEMS], find_service) for i in range(0, len(raws), SLICE_ITEMS))
    return Items(len(raws), single=False, slices=slices)


def _sliced(events: list[UsageEvent]) -> Iterator[Sequence[Item]]:
    """The events in order; each slice leaves the list, so that its memory is soon used again."""
    events.reverse()
    while events:
        part = events[: -SLICE_ITEMS - 1 : -1]
        del events[-SLICE_ITEMS:]
        yield part


def _judge_all(raws: Sequence[bytes | msgspec.Raw], find_service: FindService | None) -> Sequence[Item]:
    """Items decoded together, or one by one where not all of them are in canonical form."""
    # Lines are judged by themselves: a broken one might be made whole by its neighbours.
    if isinstance(raws[0], msgspec.Raw):
        try:
            return _decode_list(b"[%b]" % b",".join(raws))
        except _UNREADABLE:
            pass
    return [_judge(raw, find_service) for raw in raws]


def _judge(raw: bytes | msgspec.Raw, find_service: FindService | None) -> Item:
    """One item by itself: decoded directly, or translated, or refused with all reasons."""
    try:
        return decode_event(raw)
    except _UNREADABLE:
        pass
    try:
        body = decode_json(bytes(raw))
    except _UNREADABLE as error:
        return Refused((Reason("$", "malformed_json", _say(error)),))
    return translate_item(body, find_service)


def translate_item(body: Any, find_service: FindService | None) -> Item:  # noqa: ANN401 - any JSON value
    """The item that a decoded JSON value is, whatever names it uses."""
    if not is_object(body):
        return Refused((Reason("$", "wrong_type", "Each event must be a JSON object."),))
    try:
        return translate_body(body_of_cloudevent(body) if is_cloudevent(body) else body, find_service)
    except RecursionError:
        return Refused((Reason("$", "too_deep", "The event is nested too deeply."),))
    except Invalid as refusal:
        named = body.get("event_id", body.get("id"))
        return Refused(refusal.reasons, named if isinstance(named, str) else None)


def _decoded(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return decode_json(body)
    except _UNREADABLE as error:
        raise Malformed(_say(error)) from error


def _check_count(count: int, max_items: int) -> None:
    if count > max_items:
        message = f"The body has {count} events; at most {max_items} are taken at once."
        raise TooLarge(message)


def _say(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The JSON is nested too deeply."
    if isinstance(error, UnicodeDecodeError):
        return f"The JSON is not valid UTF-8 (byte {error.start} of a string)."
    return f"{str(error).partition(' - at ')[0]}."


def _explain_start(start: bytes, shape: Shape) -> str:
    if not start:
        return "The body is empty; send an event, a list of events, or one event a line."
    if shape is Shape.CLOUDEVENT_BATCH:
        return "A CloudEvents batch must be a JSON list."
    return "The body must be a JSON object or a JSON list of events."
