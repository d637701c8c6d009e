"""Reads records that change earlier ones, as far as this version knows how to carry them out.

Both the applier (`change.py`) and the recount read their lines here, so that they agree on what
can't be read. What a change does is elsewhere: `amend.py`, `expire.py`, `erase.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from bursar.clock import from_micros
from bursar.usage.changes import (
    ABANDON,
    COMMIT,
    CORRECTION,
    ERASE,
    EXPIRE,
    PROJECT_EXPIRE,
    PROJECT_RESET,
    RATES,
    RATING_RUN,
    RELEASE,
    RESET,
    TOMBSTONE,
    VOID,
    ChangeRecord,
    EraseRecord,
    ExpireRecord,
    ProjectResetRecord,
    RatingRunRecord,
    ReleaseRecord,
    ResetRecord,
    Tombstone,
    VoidRecord,
)
from bursar.usage.record import RECORD_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

DAY_MICROS = 86_400_000_000
EVENTS, ROLLUPS, QUARANTINE = "events", "rollups", "quarantine"
"""What an expiry may be of."""
PROJECT, PROJECT_EXPIRY = "project", "project_expiry"
"""Stand beside them where a project was reset, or something of one expired: tombstones that bear keys name
what freed them, and the sums that an expiry keeps are found by it."""


class Correction(ChangeRecord, kw_only=True):
    """A correction with its event as it came."""

    seq: int
    event_id: str
    usage: msgspec.Raw

    def replacement(self, seq: int) -> bytes:
        """The event as the line of a usage record at this position."""
        return b'{"seq":%d,%b\n' % (seq, bytes(self.usage)[1:])


class Void(VoidRecord, kw_only=True):
    """A void at its position."""

    seq: int


class Expiry(ExpireRecord, kw_only=True):
    """An expiry at its position."""

    seq: int

    def moment(self) -> datetime:
        """What lies before goes; naive, in UTC, as the tables have it."""
        return from_micros(self.before).replace(tzinfo=None)


class Erasure(EraseRecord, kw_only=True):
    """An erasure at its position."""

    seq: int


class Reset(ResetRecord, kw_only=True):
    """A reset at its position."""

    seq: int


class ProjectReset(ProjectResetRecord, kw_only=True):
    """A reset of one project at its position."""

    seq: int

    def moment(self) -> datetime:
        """When it was journaled; naive, in UTC, as the tables have it."""
        return from_micros(self.received).replace(tzinfo=None)


class Release(ReleaseRecord, kw_only=True):
    """A release from quarantine at its position."""

    seq: int


class RatingRun(RatingRunRecord, kw_only=True):
    """A step of a rating run at its position."""

    seq: int


Change = Correction | Void | Expiry | Erasure | Reset | ProjectReset | Release | RatingRun | Tombstone


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record could not be applied."""

    reason: str
    detail: str


class _Head(msgspec.Struct):
    seq: int
    v: int
    kind: str


_decode_head = msgspec.json.Decoder(_Head).decode
_DECODERS: dict[str, msgspec.json.Decoder[Change]] = {
    CORRECTION: msgspec.json.Decoder(Correction),
    VOID: msgspec.json.Decoder(Void),
    EXPIRE: msgspec.json.Decoder(Expiry),
    PROJECT_EXPIRE: msgspec.json.Decoder(Expiry),
    ERASE: msgspec.json.Decoder(Erasure),
    RESET: msgspec.json.Decoder(Reset),
    PROJECT_RESET: msgspec.json.Decoder(ProjectReset),
    RELEASE: msgspec.json.Decoder(Release),
    RATING_RUN: msgspec.json.Decoder(RatingRun),
    TOMBSTONE: msgspec.json.Decoder(Tombstone),
}


def read_change(line: bytes) -> Change | Refusal:
    """The change that a journal line asks for, or why it isn't one that this version can make."""
    try:
        head = _decode_head(line)
        decoder = _DECODERS.get(head.kind)
        if decoder is None or head.v > RECORD_VERSION:
            text = f"Kind {head.kind!r} version {head.v} is not known to this Bursar."
            return Refusal("unknown_kind", text)
        change = decoder.decode(line)
    except msgspec.DecodeError as error:
        return Refusal("unreadable_record", str(error))
    if isinstance(change, RatingRun):
        fault = _fault_of(change)
        return Refusal("unreadable_record", fault) if fault else change
    return _checked(change) if isinstance(change, Expiry) else change


def _fault_of(change: RatingRun) -> str | None:
    """What is wrong with a step of a rating run."""
    if change.step not in {RATES, COMMIT, ABANDON}:
        return f"A rating run has no step {change.step!r}."
    if not len(change.seqs) == len(change.picos) == len(change.ratings):
        return "Ratings need a position, an amount and a kind each."
    if change.seqs and change.as_of >= change.seq:
        return "Only what came before can be rated again."
    if change.ratings and not 0 <= min(change.ratings) <= max(change.ratings) < len(change.kinds):
        return "A rating is of none of the record's kinds."
    return None


def _checked(change: Expiry) -> Expiry | Refusal:
    if change.what not in {EVENTS, ROLLUPS, QUARANTINE}:
        return Refusal("unreadable_record", f"There is no expiry of {change.what!r}.")
    if change.before % DAY_MICROS:
        return Refusal("unreadable_record", "An expiry goes up to a midnight in UTC.")
    if (change.kind == PROJECT_EXPIRE) != (change.project_id is not None):
        return Refusal("unreadable_record", f"Only a {PROJECT_EXPIRE} is of a project, and each names one.")
    if change.project_id is not None and change.what == QUARANTINE:
        return Refusal("unreadable_record", "Nothing in quarantine is of a project.")
    return change


@dataclass(frozen=True, slots=True)
class Step:
    """One record: its line, and the change that it asks for."""

    line: bytes
    change: Change | Refusal


CORRECTIONS_TOGETHER = 2_000
"""Corrections made in one transaction at most: some 2 MB in memory."""


def read_steps(lines: Iterable[bytes]) -> Iterator[Step]:
    """Each line with its change."""
    return (Step(line, read_change(line)) for line in lines)


@dataclass(slots=True)
class RunBeginnings:
    """Tells where a run of records begins: corrections of different events that follow each other are one."""

    _corrected: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """What the corrections of this run are of."""

    def begins(self, step: Step) -> bool:
        """Whether a run begins with this record, which follows those that were asked about before."""
        change = step.change
        if not isinstance(change, Correction):
            self._corrected.clear()
            return True
        key, corrected = (change.tenant_id, change.event_id), self._corrected
        begins = not corrected or key in corrected or len(corrected) == CORRECTIONS_TOGETHER
        if begins:
            corrected.clear()
        corrected.add(key)
        return begins


def runs_of(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Records in order, those of a run together."""
    run: list[Step] = []
    beginnings = RunBeginnings()
    for step in steps:
        if beginnings.begins(step) and run:
            yield run
            run = []
        run.append(step)
    if run:
        yield run
