"""The journal's frame: a text header with a checksum, then records as lines of JSON.

A frame is one group commit, so it is whole or it was never acknowledged. The header is one line,
which keeps a segment readable with ordinary tools:

    ~F1 <first seq> <record count> <payload bytes> <kind> <checksum>
    {"seq":…}
    {"seq":…}

Numbers are fixed-width hexadecimal. The checksum is XXH3-64 over the header's other fields and the
payload, so neither a torn payload nor a header of another frame passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import xxhash

MAGIC = b"~F1 "
HEADER_BYTES = len(MAGIC) + 16 + 1 + 8 + 1 + 8 + 1 + 1 + 1 + 16 + 1
_FIELDS_END = HEADER_BYTES - 17


class FrameKind(StrEnum):
    """What a frame holds, so that the applier can load usage in bulk."""

    USAGE = "u"
    """Only records of kind `usage`."""
    OTHER = "x"
    """Records that change earlier ones; applied one after the other."""
    TOMBSTONE = "t"
    """What a rewritten archive has in place of records that are gone; since format 2."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Everything about a frame but its payload."""

    first_seq: int
    count: int
    length: int
    kind: FrameKind
    checksum: int

    @property
    def last_seq(self) -> int:
        """The seq of the frame's last record."""
        return self.first_seq + self.count - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame whose checksum was right."""

    header: FrameHeader
    payload: bytes


def encode_frame(first_seq: int, count: int, kind: FrameKind, payload: bytes) -> bytes:
    """Header and payload as they are written, in one piece."""
    fields = b"%b%016x %08x %08x %b " % (MAGIC, first_seq, count, len(payload), kind.encode())
    return fields + b"%016x\n" % _checksum(fields, payload) + payload


def decode_header(line: bytes) -> FrameHeader | None:
    """The header of exactly `HEADER_BYTES` bytes, or None where they are no header."""
    if len(line) != HEADER_BYTES or not line.startswith(MAGIC) or not line.endswith(b"\n"):
        return None
    parts = line[len(MAGIC) : -1].split(b" ")
    try:
        first_seq, count, length = (int(part, 16) for part in parts[:3])
        return FrameHeader(first_seq, count, length, FrameKind(parts[3].decode()), int(parts[4], 16))
    except (ValueError, IndexError):
        return None


def is_intact(header_line: bytes, header: FrameHeader, payload: bytes) -> bool:
    """Whether the payload is complete and is the one that the header was written for."""
    if len(payload) != header.length:
        return False
    return _checksum(header_line[:_FIELDS_END], payload) == header.checksum


def _checksum(fields: bytes, payload: bytes) -> int:
    digest = xxhash.xxh3_64(fields)
    digest.update(payload)
    return digest.intdigest()
