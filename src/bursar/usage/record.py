"""What the journal keeps of an accepted event: the caller's words, and what Bursar made of them.

The caller's part (`event`) stands apart, as the caller wrote it; its tenant and time, defaults, units and
cost stand beside it. Every record carries its kind and version, and every reader
accepts older versions; in version 1 an absent `service_type` means `llm_service`, an absent `status`
means `ok`. Money is a decimal string and quantities are whole steps, because DuckDB's JSON reader
would take a JSON fraction through a double.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import xxhash

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD_VERSION = 1

USAGE = "usage"


class UsagePartLine(msgspec.Struct, omit_defaults=True):
    """One model's share of an event in which several took part."""

    model: str
    units: dict[str, int]
    rate_card: str | None = None
    cost: str | None = None
    cost_reason: str | None = None


class UsageRecord(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A priced usage event as the journal keeps it.

    It holds no cycles, so the garbage collector need not follow it (`gc=False`).
    """

    seq: int = 0
    """Its position, given when it is appended; 0 before that, and inside other records."""
    v: int
    kind: str
    received: int
    """Microseconds since 1970."""
    tenant_id: str
    key_id: str
    door: str
    fingerprint: int
    """XXH3-64 of the caller's part, its numbers in one spelling (`respelling.py`), seeded with the time if
    the caller said one."""
    spelled_fingerprint: int | None = None
    """The same of the caller's own spelling, where that is another: all there was in earlier journals."""
    time: int
    """When it happened, microseconds since 1970; the time of receipt where the caller didn't say."""
    units: dict[str, int] | None = None
    units_source: str | None = None
    cost: str | None = None
    currency: str
    cost_status: str
    cost_reason: str | None = None
    rate_card: str | None = None
    event_id: str | None = None
    """Made or derived by the server; this and the next seven only where `event` doesn't say it."""
    provider: str | None = None
    """The provider that the model's name was found to belong to."""
    model: str | None = None
    service_tier: str | None = None
    batch: bool | None = None
    speed: str | None = None
    region: str | None = None
    context_tokens: int | None = None
    custom_units: dict[str, int] | None = None
    parts: list[UsagePartLine] | None = None
    """Where several models took part: units, rate card and cost of each."""
    reported_cost: str | None = None
    reported_currency: str | None = None
    reported_by: str | None = None
    """`provider` where the answer itself said it; absent where the caller did."""
    event: msgspec.Raw
    """The caller's part, as `UsageEvent`."""


class TokenUnits(msgspec.Struct, omit_defaults=True, gc=False):
    """The units that token totals are made of; what is 0 isn't said."""

    cache_read_text: int = 0
    cache_write_5m: int = 0
    output_reasoning: int = 0
    input_text: int = 0
    output_text: int = 0


class PlainRecord(msgspec.Struct, omit_defaults=True, gc=False):
    """A `UsageRecord` that says just this, as nearly all do: cheap to make and to encode (`plain.py`).

    It is never decoded: what reads the journal knows `UsageRecord` only.
    """

    seq: int
    v: int
    kind: str
    received: int
    tenant_id: str
    key_id: str
    door: str
    fingerprint: int
    time: int
    units: TokenUnits
    units_source: str
    cost: str
    currency: str
    cost_status: str
    rate_card: str
    event: msgspec.Raw


UsageLine = UsageRecord | PlainRecord
"""What is appended to the journal for an event."""


encode_event = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes the caller's part; decimals stay the numbers that they were."""
encode_record = msgspec.json.Encoder().encode
encode_records = msgspec.json.Encoder().encode_lines
"""Encodes records as lines, each with its newline; twice as fast as one by one."""
_SOME_SEQ = 1
_NEXT_LINE = re.compile(rb'\n{"seq":1,')
_NEXT_OPEN_LINE = b'\n{"seq":%d,'


@dataclass(frozen=True, slots=True)
class UnnumberedLines:
    """Records as lines whose seqs are left open: what takes long is done before the seqs are known."""

    count: int
    template: bytes
    """Printf-style, with one number for each line."""

    @classmethod
    def of(cls, records: Sequence[UsageLine]) -> UnnumberedLines:
        """Encode records."""
        for record in records:
            record.seq = _SOME_SEQ
        lines: bytes = b"\n" + encode_records(records).replace(b"%", b"%%")
        # JSON escapes newlines, so that a line begins only where a record does.
        return cls(len(records), _NEXT_LINE.sub(_NEXT_OPEN_LINE, lines)[1:])

    def numbered(self, first_seq: int) -> bytes:
        """The lines with consecutive seqs, as `encode_records` would have made them."""
        return self.template % tuple(range(first_seq, first_seq + self.count))


def fingerprint(content: bytes, time: int | None) -> int:
    """64 bits that tell a repeated delivery from a changed one.

    Args:
        content: the caller's part as encoded.
        time: microseconds since 1970 where the caller said the time; it is kept outside `content`.
    """
    return xxhash.xxh3_64_intdigest(content, 0 if time is None else time % 2**64)
