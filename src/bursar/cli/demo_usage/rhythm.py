"""When things happen: how busy an hour is, and how many of the events fall into it.

Activity is relative: only the proportions between hours count. Times are UTC; the invented company
works in offices near Greenwich.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SATURDAY = 5
HOUR = timedelta(hours=1)
GROWTH_PER_DAY = 0.008
"""The company uses a quarter more at the end of 30 days than at their start."""


class Rhythm(StrEnum):
    """The kinds of working day and week."""

    OFFICE = "office"
    EVENING = "evening"
    NIGHTLY = "nightly"
    STEADY = "steady"


_OFFICE = (1, 1, 1, 1, 1, 2, 5, 14, 34, 58, 66, 60, 40, 52, 66, 64, 56, 38, 18, 8, 5, 3, 2, 1)
_EVENING = (8, 4, 2, 1, 1, 2, 5, 12, 18, 22, 24, 27, 32, 30, 27, 28, 32, 40, 52, 62, 66, 58, 38, 20)
_NIGHTLY = (20, 60, 66, 62, 30, 8, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 6)
_STEADY = (10,) * 24

_HOURS: dict[Rhythm, tuple[int, ...]] = {
    Rhythm.OFFICE: _OFFICE,
    Rhythm.EVENING: _EVENING,
    Rhythm.NIGHTLY: _NIGHTLY,
    Rhythm.STEADY: _STEADY,
}
_WEEKEND: dict[Rhythm, float] = {
    Rhythm.OFFICE: 0.12,
    Rhythm.EVENING: 1.25,
    Rhythm.NIGHTLY: 0.9,
    Rhythm.STEADY: 1.0,
}


def activity(rhythm: Rhythm, moment: datetime) -> float:
    """How busy the rhythm is at a moment, as a share of its average weekday (about 1)."""
    hours = _HOURS[rhythm]
    share = hours[moment.hour] * len(hours) / sum(hours)
    return share * (_WEEKEND[rhythm] if moment.weekday() >= SATURDAY else 1.0)


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of time up to an hour long, within one hour of the clock."""

    start: datetime
    end: datetime
    day: int
    """Whole days since the first slot."""

    def activity(self, rhythm: Rhythm) -> float:
        """How much of the rhythm falls into the slot, growth included."""
        length = (self.end - self.start) / HOUR
        return activity(rhythm, self.start) * length * (1 + GROWTH_PER_DAY * self.day)


def slots(end: datetime, days: int) -> Iterator[Slot]:
    """The hours of the clock that fill the `days` before `end`, cut at both ends."""
    begin = end - timedelta(days=days)
    start = begin
    while start < end:
        hour = start.replace(minute=0, second=0, microsecond=0)
        stop = min(hour + HOUR, end)
        yield Slot(start, stop, (start - begin).days)
        start = stop


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to the weights that add up to the total exactly."""
    whole, given, reached = sum(weights), 0, 0.0
    shares: list[int] = []
    for weight in weights:
        reached += weight
        due = round(total * reached / whole)
        shares.append(due - given)
        given = due
    if shares:
        # Rounding of the running sum may leave the last step one short.
        shares[-1] += total - given
    return shares
