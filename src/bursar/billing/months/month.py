"""A billing month: a calendar month in UTC, as providers bill, and the state it is in.

A month is open while it lasts and in grace for some days after it, so that late events still belong to
it; then it is closed, by the schedule or sooner by somebody. What comes later is a correction in the
earliest month that is not closed (`summary.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bursar.errors import Invalid, Reason
from bursar.window import LAST_MOMENT

MONTHS_A_YEAR = 12
FIRST_YEAR = 1970
_TEXT = re.compile(r"(\d{4})-(\d{2})")


class BillingState(StrEnum):
    """How final a month's figures are."""

    OPEN = "open"
    """It isn't over."""
    GRACE = "grace"
    """It is over, and late events still belong to it."""
    CLOSED = "closed"
    """Its figures are kept as they were; what changes is a correction in a later month."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month of UTC."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.next().start

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days

    def next(self) -> Month:
        """The month after it."""
        later = self.number == MONTHS_A_YEAR
        return Month(self.year + later, 1 if later else self.number + 1)

    def previous(self) -> Month:
        """The month before it."""
        earlier = self.number == 1
        return Month(self.year - earlier, MONTHS_A_YEAR if earlier else self.number - 1)

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month that an aware moment lies in."""
        utc = moment.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """The month of `2026-10`.

        Raises:
            Invalid: it is none, or out of range.
        """
        found = _TEXT.fullmatch(text)
        if found and 1 <= int(found[2]) <= MONTHS_A_YEAR:
            month = cls(int(found[1]), int(found[2]))
            if FIRST_YEAR <= month.year < LAST_MOMENT.year:
                return month
        message = f"{text!r:.40} is no month; write it as in '2026-10'."
        raise Invalid(message, reasons=(Reason("month", "invalid_month", message),))


def state_of(month: Month, now: datetime, *, is_closed: bool) -> BillingState:
    """The state of a month; one whose grace is over is in it until its closing is kept."""
    if is_closed:
        return BillingState.CLOSED
    return BillingState.OPEN if now < month.end else BillingState.GRACE


def is_due(month: Month, now: datetime, grace_days: int) -> bool:
    """Whether the schedule closes a month at this moment."""
    return now >= month.end + timedelta(days=grace_days)
