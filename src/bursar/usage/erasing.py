"""Takes a person out of an event: which fields lead to one, and journal lines without them.

Pure functions over single lines, for the rewriting of the journal and for quarantined records; the
store's rows follow the same lists (`storage/duckdb/erase.py`). What stays are the figures: time,
model, units, costs, latency, the event's id and its fingerprint, so that every total is what it was
and a retry is still told from a new event. Erasing a line twice gives what erasing it once gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bursar.usage.changes import TOMBSTONE, KeptRows, Tombstone
from bursar.usage.figures import besides_figures, figures_of
from bursar.usage.json_shape import is_list, is_object
from bursar.usage.record import RECORD_VERSION

if TYPE_CHECKING:
    from collections.abc import Collection

    from bursar.usage.person import Person

PERSON_FIELDS = (
    "user_id",
    "session_id",
    "request_id",
    "correlation_id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "tracking_token_id",
    "message",
    "metadata",
)
"""Fields of an event that become null: who it was, ids that lead there, and free words."""
_NO_NAMES = frozenset({"tenant_id", "cost", "reported_cost"})
"""Fields that hold the tenant's own id, or an amount as a text."""
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class _NamedUsage(msgspec.Struct):
    event: msgspec.Raw = msgspec.Raw(b"null")


class _NamedLine(_NamedUsage):
    usage: _NamedUsage | None = None


_KEPT_NAMES = frozenset({"user_id", "project_id", "provider", "model", "service_type"})
_decode_kept = msgspec.json.Decoder(dict[str, KeptRows]).decode
_decode_named = msgspec.json.Decoder(_NamedLine).decode


def erased_line(line: bytes, tags: Collection[str]) -> bytes:
    """A journal line without the person's fields and these tags; one that isn't an object stays as it is.

    Usage records and corrections lose them; other kinds hold none.
    """
    end = b"\n" if line.endswith(b"\n") else b""
    try:
        record = _decode_object(line)
    except msgspec.DecodeError:
        return line
    if "event" in record:
        record["event"] = _erased_event(record["event"], tags)
    elif _is_object(record.get("usage")):
        usage = _decode_object(record["usage"])
        if "event" in usage:
            usage["event"] = _erased_event(usage["event"], tags)
        record["usage"] = msgspec.Raw(_encode(usage))
    else:
        return line
    return _encode(record) + end


def names_person(line: bytes, person: Person) -> list[str] | None:
    """Names of the tags whose values lead to the person, where a line names them; None where it doesn't.

    A line names a person where one of the identifiers is found in a tag's value, in `PERSON_FIELDS`, or in
    what the provider's usage object has beside figures.
    """
    if not person.is_in(line):
        return None
    try:
        found = _decode_named(line)
        event = _decode_object(found.usage.event if found.usage else found.event)
    except msgspec.DecodeError:
        return None
    named = [name for name, value in _texts(event.get("tags")) if person.is_in_text(value)]
    pieces = [bytes(event[name]) for name in PERSON_FIELDS if name in event]
    pieces += besides_figures(bytes(event.get("usage", b"null")))
    return named if named or any(person.is_in(piece) for piece in pieces) else None


def fields_naming(line: bytes, person: Person) -> list[str]:
    """Names of the fields in which a line names somebody: of the event, or of the record.

    A number names nobody, but in metadata and in what a usage object has beside figures.
    """
    try:
        record = _decode_object(line)
        for part in ("usage", "event"):
            # A correction has the usage record inside, which has the event inside.
            if part == "event" or "event" not in record:
                inner = record.pop(part, None)
                record |= _decode_object(inner) if inner is not None and _is_object(inner) else {}
    except msgspec.DecodeError:
        return ["record"] if person.is_in(line) else []
    return [name for name, value in record.items() if is_named_in(name, bytes(value), person)]


def is_named_in(name: str, value: bytes, person: Person) -> bool:
    """Whether a field of an event or a record, as JSON, names somebody."""
    if name in _NO_NAMES or not person.is_in(value):
        return False
    if name == "metadata":
        return True
    if name == "kept":
        return any(map(person.is_in_text, _names_kept(value)))
    pieces = besides_figures(value) if name == "usage" else []
    return any(map(person.is_in, pieces)) or any(map(person.is_in_text, texts_of(value)))


def texts_of(content: bytes) -> list[str]:
    """All texts in JSON, and names of fields; what is no JSON is one text."""
    try:
        waiting: list[Any] = [msgspec.json.decode(content)]
    except (msgspec.DecodeError, RecursionError):
        return [content.decode("utf-8", "replace")]
    texts: list[str] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
        elif is_list(value):
            waiting += value
        elif is_object(value):
            texts += value
            waiting += value.values()
    return texts


def tombstone_for(
    line: bytes, seq: int, by: int, key: bytes | None = None, fingerprint: int | None = None
) -> bytes:
    """What stands in for a line that is gone; `key` and `fingerprint` of an expired first delivery."""
    stone = Tombstone(
        seq=seq,
        v=RECORD_VERSION,
        kind=TOMBSTONE,
        by=by,
        key=None if key is None else key.hex(),
        fingerprint=fingerprint,
    )
    return _encode(stone) + (b"\n" if line.endswith(b"\n") else b"")


def _names_kept(value: bytes) -> list[str]:
    """Names in an expiry's kept sums, whose figures are texts as well."""
    try:
        kept: dict[str, KeptRows] = _decode_kept(value)
    except msgspec.DecodeError:
        return texts_of(value)
    return [
        one
        for table in kept.values()
        for row in table.rows
        for column, one in zip(table.columns, row, strict=False)
        if column in _KEPT_NAMES and isinstance(one, str)
    ]


def _texts(tags: msgspec.Raw | None) -> list[tuple[str, str]]:
    """Names and values of tags, as far as they are texts."""
    if tags is None or not _is_object(tags):
        return []
    pairs = msgspec.json.decode(tags, type=dict[str, Any]).items()
    return [(name, value) for name, value in pairs if isinstance(value, str)]


def _erased_event(content: msgspec.Raw, tags: Collection[str]) -> msgspec.Raw:
    if not _is_object(content):
        return msgspec.Raw(b"null")
    event = _decode_object(content)
    for name in PERSON_FIELDS:
        event.pop(name, None)
    if _is_object(event.get("tags")):
        kept = {name: value for name, value in _decode_object(event["tags"]).items() if name not in tags}
        event["tags"] = msgspec.Raw(_encode(kept))
    if "usage" in event:
        event["usage"] = msgspec.Raw(figures_of(bytes(event["usage"])))
    return msgspec.Raw(_encode(event))


def _is_object(content: msgspec.Raw | None) -> bool:
    return content is not None and bytes(content).lstrip().startswith(b"{")
