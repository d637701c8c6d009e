"""Letting records out of quarantine: which can be, how, and why others stay.

A conflict is a second delivery of an id with other content: it can become a correction, if somebody
says so. A record that couldn't be read or applied can be put in again, once this version can. Whatever
is let out, and whatever isn't wanted any more, leaves the quarantine by a record of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.errors import Invalid, Reason
from bursar.usage.changes import (
    CORRECTION,
    RELEASE,
    VOID,
    CorrectionRecord,
    ReleaseRecord,
    VoidRecord,
)
from bursar.usage.quarantined import CONFLICT
from bursar.usage.record import RECORD_VERSION, USAGE, UsageRecord, encode_record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bursar.usage.quarantined import Quarantined
    from bursar.usage.revising.author import Author

REPLAY_LIMIT = 1000
"""Records that one request may let out."""


class LetOut(StrEnum):
    """What is to become of quarantined records."""

    RETRY = "retry"
    """Put in again, where this version can read what an earlier one couldn't."""
    CORRECTION = "correction"
    """A conflicting delivery replaces the event that was counted."""
    DISCARD = "discard"
    """Nothing; it isn't wanted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that stays where it is, and why."""

    id: int
    reason: Reason


@dataclass(slots=True)
class Plan:
    """What is written to let records out."""

    usage: list[bytes]
    """Usage records to put in again."""
    changes: list[bytes]
    """Corrections and voids."""
    released: list[int]
    refused: list[Refusal]


class _Kind(msgspec.Struct):
    v: int
    kind: str


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_READERS: dict[str, msgspec.json.Decoder[Any]] = {
    USAGE: msgspec.json.Decoder(UsageRecord),
    CORRECTION: msgspec.json.Decoder(CorrectionRecord),
    VOID: msgspec.json.Decoder(VoidRecord),
}


@dataclass(frozen=True, slots=True)
class Releasing:
    """How records are let out, on whose word."""

    how: LetOut
    current: Collection[str]
    """Ids of events that count now."""
    author: Author
    now: datetime

    def plan(self, wanted: Sequence[int], found: Mapping[int, Quarantined]) -> Plan:
        """What to write for records by their places: each is let out, or refused with the reason."""
        plan = Plan([], [], [], [])
        for seq in wanted:
            try:
                self._take(plan, found.get(seq))
            except Invalid as refusal:
                plan.refused.append(Refusal(seq, refusal.reasons[0]))
            else:
                plan.released.append(seq)
        if plan.released:
            head = self.author.head(RELEASE, self.now)
            plan.changes.append(encode_record(ReleaseRecord(**head, positions=plan.released)))
        return plan

    def _take(self, plan: Plan, kept: Quarantined | None) -> None:
        if kept is None:
            raise _stays("id", "no_such_record", "There is no such record in the quarantine.")
        if self.how is LetOut.DISCARD:
            return
        if kept.reason == CONFLICT:
            plan.changes.append(self._corrected(kept))
        elif self.how is LetOut.CORRECTION:
            raise _stays("as", "no_conflict", "Only a conflict can become a correction.")
        else:
            self._retry(plan, kept.line)

    def _retry(self, plan: Plan, line: bytes) -> None:
        kind, record = _read(line)
        if kind == CORRECTION and record.event_id not in self.current:
            text = f"There is still no event {record.event_id!r} that counts."
            raise _stays("id", "no_such_event", text)
        (plan.usage if kind == USAGE else plan.changes).append(_without_seq(line))

    def _corrected(self, kept: Quarantined) -> bytes:
        if self.how is LetOut.RETRY:
            text = "The id was used before with other content; say `as: correction`, or `as: discard`."
            raise _stays("as", CONFLICT, text)
        if kept.event_id is None or kept.event_id not in self.current:
            text = f"The event {kept.event_id!r} doesn't count any more, so there is nothing to correct."
            raise _stays("id", "no_such_event", text)
        _, usage = _read(kept.line)
        usage.seq = 0  # Inside another record it has no place of its own.
        head = self.author.head(CORRECTION, self.now)
        return encode_record(CorrectionRecord(**head, event_id=kept.event_id, usage=usage))


def _stays(field: str, code: str, text: str) -> Invalid:
    """Why a record stays where it is."""
    return Invalid(text, reasons=(Reason(field, code, text),))


def _read(line: bytes) -> tuple[str, Any]:
    """Kind and record of a line that this version can read."""
    try:
        said = _decode_kind(line)
        if said.kind in _READERS and said.v <= RECORD_VERSION:
            return said.kind, _READERS[said.kind].decode(line)
    except msgspec.DecodeError as error:
        raise _stays("id", "unreadable_record", f"It still can't be read: {error}.") from None
    text = f"This Bursar doesn't know the kind {said.kind!r} of version {said.v} either."
    raise _stays("id", "unknown_kind", text)


def _without_seq(line: bytes) -> bytes:
    """The record as it was before it had a place in the journal."""
    record = _decode_object(line)
    record.pop("seq", None)
    return encode_record(record)
