"""Takes a person out of an event: which fields lead to one, and journal lines without them.

Pure functions over single lines, for the rewriting of the journal and for quarantined records; the
store's rows follow the same lists (`storage/duckdb/erase.py`). What stays are the figures: time,
model, units, costs, latency, the event's id and its fingerprint, so that every total is what it was
and a retry is still told from a new event. Erasing a line twice gives what erasing it once gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bursar.usage.changes import TOMBSTONE, Tombstone
from bursar.usage.figures import figures_of
from bursar.usage.record import RECORD_VERSION

if TYPE_CHECKING:
    import re
    from collections.abc import Collection

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
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class _NamedUsage(msgspec.Struct):
    event: msgspec.Raw = msgspec.Raw(b"null")


class _NamedLine(_NamedUsage):
    usage: _NamedUsage | None = None


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


def names_person(line: bytes, person: re.Pattern[bytes]) -> list[str] | None:
    """Names of the tags whose values lead to the person, where a line names them; None where it doesn't.

    A line names a person where the pattern (`person.py`) is found in a tag's value, in `PERSON_FIELDS`,
    or in the provider's usage object.
    """
    if not person.search(line):
        return None
    try:
        found = _decode_named(line)
        event = _decode_object(found.usage.event if found.usage else found.event)
    except msgspec.DecodeError:
        return None
    named = [name for name, value in _texts(event.get("tags")) if person.search(value.encode())]
    fields = (event[name] for name in (*PERSON_FIELDS, "usage") if name in event)
    return named if named or any(person.search(bytes(field)) for field in fields) else None


def fields_naming(line: bytes, person: re.Pattern[bytes]) -> list[str]:
    """Names of the fields in which a line that names somebody does so: of the event, or of the record."""
    try:
        record = _decode_object(line)
        for part in ("usage", "event"):
            # A correction has the usage record inside, which has the event inside.
            if part == "event" or "event" not in record:
                inner = record.pop(part, None)
                record |= _decode_object(inner) if inner is not None and _is_object(inner) else {}
    except msgspec.DecodeError:
        return ["record"]
    named = [name for name, value in record.items() if name != "tenant_id" and person.search(bytes(value))]
    return named or ["record"]


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
