"""How much of hard quotas is left, as arithmetic: less what is recorded and what is on its way.

A tenant's own quotas and those of each of its projects are counted apart (`Limited`), all in the same way.

Nothing is counted up over time, so nothing can drift. What is left of a month is worked out from the ledger's
own count up to some position of the journal, less what was let in behind that position (`Hold`). A hold ends
when a later count reaches its position, or when what it was made for wasn't kept. A hold may be too large
(an event that turns out to be a repeat takes no room), never too small.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.usage.quotas.quota import Exceeded, Measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bursar.usage.quotas.quota import Month, MonthUse, Quota
    from bursar.usage.whose import Whose

MONTHS_LIMIT = 600
"""Months of one tenant or project that are known at a time."""


@dataclass(slots=True)
class Wanted:
    """What some events of one month need."""

    events: int = 0
    picos: int = 0
    """In the currency of the quota on cost."""

    def add(self, picos: int) -> None:
        """One more event."""
        self.events += 1
        self.picos += picos


@dataclass(eq=False, slots=True)
class Hold:
    """Room that was taken for events on their way into the ledger."""

    limited: Limited
    month: Month
    wanted: Wanted
    last_seq: int = 0
    """Of the last of them; 0 until they have their places in the journal."""

    def give_back(self) -> None:
        """They were not kept."""
        limited = self.limited
        if self in limited.holds:
            limited.holds.remove(self)
            # What is left is found out anew; nothing is added here that a count may have added before.
            limited.rooms.pop(self.month, None)


@dataclass(slots=True)
class Room:
    """What is left of one month."""

    quotas: Sequence[Quota]
    lefts: list[int]
    """Of each quota."""

    def takes(self, wanted: Wanted) -> bool:
        """Whether there is surely room for all of it."""
        for quota, left in zip(self.quotas, self.lefts, strict=True):
            if quota.measure is Measure.EVENTS:
                if wanted.events > left:
                    return False
            elif wanted.picos >= left:
                # The event that reaches the limit is let in, none behind it: that takes a closer look.
                return False
        return True

    def take(self, wanted: Wanted) -> None:
        """Take it, whether there is room or not."""
        for place, quota in enumerate(self.quotas):
            self.lefts[place] -= wanted.events if quota.measure is Measure.EVENTS else wanted.picos

    def copy(self) -> Room:
        """The same, to be taken from for a trial."""
        return Room(self.quotas, list(self.lefts))

    def exceeded(self, month: Month) -> Exceeded | None:
        """The quota that has nothing left for one more event."""
        for quota, left in zip(self.quotas, self.lefts, strict=True):
            if left <= 0:
                return Exceeded(quota, month, quota.limit - left)
        return None


@dataclass(eq=False, slots=True)
class Limited:
    """A tenant with hard quotas of its own, or a project with some, as the door knows it."""

    quotas: Sequence[Quota]
    since_seq: int | None = None
    """Only counts that reach this position say what was recorded: events before it have no hold. None
    until somebody first asks."""
    rooms: dict[Month, Room] = field(default_factory=dict["Month", Room])
    """Of the months that were counted lately."""
    holds: list[Hold] = field(default_factory=list[Hold])
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    counted_at: float = 0.0

    def with_quotas(self, quotas: Sequence[Quota]) -> Limited:
        """The same with other quotas: what is on its way stays held."""
        return Limited(quotas, self.since_seq, holds=self.holds, turn=self.turn)

    @property
    def whose(self) -> Whose:
        """Whose events are counted here."""
        return self.quotas[0].whose

    @property
    def is_closed(self) -> bool:
        """Whether somebody is finding out what exactly is left, and nobody else may take of it."""
        return self.turn.locked()

    @property
    def currency(self) -> str | None:
        """What the cost of events is counted in."""
        return next((quota.currency for quota in self.quotas if quota.measure is Measure.COST), None)

    def surely_takes(self, month: Month, wanted: Wanted) -> bool:
        """Whether it is known that there is room for all of it."""
        room = self.rooms.get(month)
        return room is not None and room.takes(wanted)

    def hold(self, month: Month, wanted: Wanted) -> Hold:
        """Take room in a month that is known."""
        self.rooms[month].take(wanted)
        made = Hold(self, month, wanted)
        self.holds.append(made)
        return made

    def learn(self, applied_seq: int, uses: dict[Month, MonthUse]) -> None:
        """Work out what is left from a count of the ledger up to a position."""
        self.holds[:] = [one for one in self.holds if not 0 < one.last_seq <= applied_seq]
        if self.since_seq is None or applied_seq < self.since_seq:
            return
        if len(self.rooms) > MONTHS_LIMIT:
            self.rooms.clear()
        for month, use in uses.items():
            room = Room(self.quotas, [quota.limit - use.of(quota) for quota in self.quotas])
            for one in self.holds:
                if one.month == month:
                    room.take(one.wanted)
            self.rooms[month] = room


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """A tenant's hard quotas, as the door knows them: its own, and those of its projects."""

    own: Limited | None
    projects: Mapping[str, Limited]

    def on(self, project_id: str | None) -> tuple[Limited, ...]:
        """Where an event of this project, or of none, needs room: in its project's quotas first."""
        its = None if project_id is None else self.projects.get(project_id)
        return tuple(one for one in (its, self.own) if one is not None)

    def of(self, whose: Whose) -> Limited | None:
        """What is known of the tenant's own, or of a project's."""
        return self.own if whose.project_id is None else self.projects.get(whose.project_id)
