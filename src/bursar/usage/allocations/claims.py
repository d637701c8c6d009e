"""Which owner and which cost centre bear an event, by the allocations that hold on its day.

Each of the two is decided on its own: by the event's API key if that names one on that day, else by its
project, else by its user. A key that took another's place bears what that one did until it has
allocations of its own. What none of them names is `unallocated`. Pure; stores do the same in their own
questions (`storage/duckdb/allocated.py`), and a test holds both to one answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from itertools import groupby
from typing import TYPE_CHECKING

from bursar.usage.allocations.allocation import Allocation, Bearer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bursar.window import Window

PRECEDENCE = tuple(Bearer)
COLUMNS: dict[Bearer, str] = {
    Bearer.KEY: "key_id",
    Bearer.PROJECT: "project_id",
    Bearer.USER: "user_id",
}
"""The dimension of an event that names each kind of bearer."""
_END = datetime.max.replace(tzinfo=UTC)
STEPS_LIMIT = 1_000
"""How often a key can have been replaced until we stop looking back."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one bearer names within a stretch of time: from `start` up to, not including, `end`."""

    subject: str
    start: datetime
    end: datetime
    owner: str | None
    cost_centre: str | None
    allocation_id: str

    def value(self, dimension: str) -> str | None:
        """The owner or the cost centre."""
        return self.owner if dimension == "owner" else self.cost_centre


@dataclass(frozen=True, slots=True)
class Borne:
    """Who bears an event by one dimension, and by which allocation."""

    value: str
    kind: Bearer
    claim: Claim


@dataclass(frozen=True, slots=True)
class Claims:
    """Everything that a tenant's bearers name, by kind; none where a kind names nothing."""

    by: Mapping[Bearer, tuple[Claim, ...]] = field(default_factory=dict[Bearer, tuple[Claim, ...]])

    @property
    def columns(self) -> frozenset[str]:
        """The dimensions of events that decide who bears them."""
        return frozenset(COLUMNS[kind] for kind in self.by)

    def within(self, window: Window, dimensions: Iterable[str]) -> Claims:
        """Those that matter to questions by these dimensions over a window."""
        names = tuple(dimensions)
        found = {
            kind: tuple(
                one
                for one in claims
                if one.start < window.end and window.start < one.end and any(map(one.value, names))
            )
            for kind, claims in self.by.items()
        }
        return Claims({kind: claims for kind, claims in found.items() if claims})

    def bearer(self, dimension: str, at: datetime, ids: Mapping[Bearer, str | None]) -> Borne | None:
        """Who bears an event of this time, key, project and user; None: it is unallocated."""
        for kind in PRECEDENCE:
            for one in self.by.get(kind, ()):
                value = one.value(dimension)
                if value is not None and one.subject == ids.get(kind) and one.start <= at < one.end:
                    return Borne(value, kind, one)
        return None

    def held(self, kind: Bearer, at: datetime) -> dict[str, Claim]:
        """What each bearer of a kind names at a moment, by its id."""
        return {one.subject: one for one in self.by.get(kind, ()) if one.start <= at < one.end}


NO_CLAIMS = Claims()


def claims_of(allocations: Iterable[Allocation], replaced_keys: Mapping[str, str]) -> Claims:
    """The claims that these allocations make; only those that are believed.

    Args:
        allocations: of one tenant.
        replaced_keys: of each key that took another's place, that one's id.
    """
    by: dict[Bearer, list[Claim]] = {}
    believed = sorted(allocations, key=lambda one: (one.of.kind, one.of.id, one.valid_from))
    for of, group in groupby(believed, key=lambda one: one.of):
        by.setdefault(of.kind, []).extend(_claims_of_one(tuple(group)))
    if Bearer.KEY in by:
        by[Bearer.KEY] += _inherited(by[Bearer.KEY], replaced_keys)
    return Claims({kind: tuple(claims) for kind, claims in by.items()})


def _claims_of_one(allocations: tuple[Allocation, ...]) -> Iterable[Claim]:
    starts = [_midnight(one.valid_from) for one in allocations]
    for one, start, end in zip(allocations, starts, [*starts[1:], _END], strict=True):
        yield Claim(one.of.id, start, end, one.owner, one.cost_centre, one.id)


def _inherited(claims: Iterable[Claim], replaced_keys: Mapping[str, str]) -> Iterable[Claim]:
    """What keys bear before allocations of their own, because a key bore it whose place they took."""
    own: dict[str, list[Claim]] = {}
    for one in claims:
        own.setdefault(one.subject, []).append(one)
    for key_id in sorted(replaced_keys):
        end = _first_day(own, key_id)
        ancestor: str | None = replaced_keys[key_id]
        for _ in range(STEPS_LIMIT):
            if ancestor is None:
                break
            for one in own.get(ancestor, ()):
                if one.start < end:
                    yield replace(one, subject=key_id, end=min(one.end, end))
            end = min(end, _first_day(own, ancestor))
            ancestor = replaced_keys.get(ancestor)


def _first_day(own: Mapping[str, list[Claim]], key_id: str) -> datetime:
    """From when on a key bears what it was given itself."""
    return own[key_id][0].start if key_id in own else _END


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
