"""AWS's binary event stream (`application/vnd.amazon.eventstream`), taken apart into decoded chunks.

A frame is: total length and header length (4 bytes each, big endian), the CRC-32 of those eight bytes,
headers, payload, and the CRC-32 of everything before it. A frame whose checksum is wrong ends the reading,
as a cut stream does: what came before it counts, nothing after it is believed.

Specification: https://smithy.io/2.0/aws/amazon-eventstream.html. What the chunks mean is in the
provider's own file.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

import msgspec

from bursar.exact import decode_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bursar.usage.providers.provider import Chunk

PRELUDE_BYTES = 12
CHECKSUM_BYTES = 4
FRAME_BYTES_AT_LEAST = PRELUDE_BYTES + CHECKSUM_BYTES
FRAME_BYTES_LIMIT = 16 * 1024 * 1024 + 128 * 1024
"""The specification's limits: 16 MB of payload, 128 kB of headers."""
FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; types 6 (bytes) and 7 (text) say their length in two."""
TEXT_TYPE = 7
SIZED_TYPES = (6, TEXT_TYPE)


@dataclass(slots=True)
class Frames:
    """What a stream of frames held."""

    chunks: list[Chunk] = field(default_factory=list["Chunk"])
    """One for each frame that carries JSON: the inner object of a `chunk`, else `{event type: payload}`."""
    is_whole: bool = True
    """Whether every byte belonged to a frame with right checksums."""


def is_event_stream(content: bytes) -> bool:
    """Whether this begins as a frame does: a length and its checksum, which no text has by chance."""
    return _frame_length(content, 0) > 0


def event_stream_chunks(content: bytes) -> Frames:
    """The chunks of a stream, as far as its checksums are right; never raises, whatever is in it."""
    frames, position = Frames(), 0
    while position < len(content):
        length = _frame_length(content, position)
        frame = content[position : position + length]
        if not length or len(frame) < length or not _is_sound(frame):
            frames.is_whole = False
            break
        frames.chunks += _chunks_of(frame)
        position += length
    return frames


def _frame_length(content: bytes, position: int) -> int:
    """The length that a prelude states, 0 where it is none or its checksum is wrong."""
    prelude = content[position : position + PRELUDE_BYTES]
    if len(prelude) < PRELUDE_BYTES or crc32(prelude[:8]) != int.from_bytes(prelude[8:], "big"):
        return 0
    length, headers = int.from_bytes(prelude[:4], "big"), int.from_bytes(prelude[4:8], "big")
    is_possible = FRAME_BYTES_AT_LEAST + headers <= length <= FRAME_BYTES_LIMIT
    return length if is_possible else 0


def _is_sound(frame: bytes) -> bool:
    return crc32(frame[:-CHECKSUM_BYTES]) == int.from_bytes(frame[-CHECKSUM_BYTES:], "big")


def _chunks_of(frame: bytes) -> Iterator[Chunk]:
    start = PRELUDE_BYTES + int.from_bytes(frame[4:8], "big")
    headers, payload = _headers_of(frame[PRELUDE_BYTES:start]), _decoded(frame[start:-CHECKSUM_BYTES])
    kind = headers.get(":message-type")
    if kind in {"exception", "error"}:
        code = headers.get(":exception-type") or headers.get(":error-code") or kind
        message = (payload or {}).get("message") or headers.get(":error-message") or ""
        yield {"error": {"code": code, "message": message}}
    elif payload is not None:
        inner = payload.get("bytes")
        inside = _inside(inner) if isinstance(inner, str) else None
        event = headers.get(":event-type")
        yield inside if inside is not None else {event: payload} if event else payload


def _inside(text: str) -> Chunk | None:
    """The model's own chunk, which InvokeModel wraps in base64."""
    try:
        return _decoded(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def _decoded(content: bytes) -> Chunk | None:
    try:
        value: Any = decode_json(content)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None
    return cast("Chunk", value) if isinstance(value, dict) else None


def _headers_of(content: bytes) -> dict[str, str]:
    """The headers that are texts; reading stops at the first that can't be."""
    headers: dict[str, str] = {}
    position = 0
    while position < len(content):
        name_end = position + 1 + content[position]
        if name_end >= len(content):
            break
        kind, value_start = content[name_end], name_end + 1
        size = FIXED_SIZES.get(kind, -1)
        if kind in SIZED_TYPES:
            size = int.from_bytes(content[value_start : value_start + 2], "big")
            value_start += 2
        if size < 0 or value_start + size > len(content):
            break
        if kind == TEXT_TYPE:
            name = content[position + 1 : name_end].decode("utf-8", "replace")
            headers[name] = content[value_start : value_start + size].decode("utf-8", "replace")
        position = value_start + size
    return headers
