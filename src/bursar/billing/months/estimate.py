"""How a month may end, from what its days have cost so far. Pure arithmetic, exact until one rounding.

Each day to come is taken to cost what the same weekday cost on average in the last four weeks, or, with
less than two weeks to go by, what a day cost on average. Today is taken for at least what it has cost
already. It is an expectation for people, not a forecast with bounds, and says what it was made from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.money import divide_half_even

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from bursar.billing.months.month import Month

BASIS_DAYS = 28
"""Four whole weeks: every weekday four times."""
WEEKDAYS_FROM_DAYS = 14
"""With two weeks every weekday has come twice; before that one odd day would decide its weekday alone."""
BY_WEEKDAY = "mean_of_same_weekday"
BY_DAY = "mean_of_days"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a month may come to in one currency."""

    currency: str
    picos_so_far: int
    picos_to_come: int
    basis_days: int
    """Complete days that it is made from."""
    method: str
    """`mean_of_same_weekday` or `mean_of_days`."""

    @property
    def picos(self) -> int:
        """The whole month."""
        return self.picos_so_far + self.picos_to_come


@dataclass(frozen=True, slots=True)
class MonthEstimates:
    """How the current month may end."""

    by_currency: tuple[Estimate, ...]
    unpriced_events: int
    """Events of the month so far whose cost isn't known: in no estimate."""


def estimate_month(
    month: Month, today: date, spent: Mapping[str, Mapping[date, int]]
) -> tuple[Estimate, ...]:
    """What the month that `today` lies in may come to, one estimate per currency by its code.

    Args:
        month: the current one.
        today: the UTC day; it isn't over.
        spent: picos by currency and day, over the month so far and the four weeks before today.

    A currency without a single complete day has no estimate.
    """
    found = (_estimate(currency, month, today, days) for currency, days in sorted(spent.items()))
    return tuple(one for one in found if one is not None)


def _estimate(currency: str, month: Month, today: date, days: Mapping[date, int]) -> Estimate | None:
    earliest = today - timedelta(days=BASIS_DAYS)
    complete = [day for day in days if earliest <= day < today]
    if not complete:
        return None
    begin = min(complete)
    basis = [begin + timedelta(days=number) for number in range((today - begin).days)]
    by_weekday = len(basis) >= WEEKDAYS_FROM_DAYS
    first, last = month.start.date(), month.end.date()
    so_far = sum(picos for day, picos in days.items() if first <= day <= today)
    to_come = max(_expected(today, basis, days, by_weekday=by_weekday) - days.get(today, 0), Fraction(0))
    for number in range(1, (last - today).days):
        to_come += _expected(today + timedelta(days=number), basis, days, by_weekday=by_weekday)
    rounded = divide_half_even(to_come.numerator, to_come.denominator)
    return Estimate(currency, so_far, rounded, len(basis), BY_WEEKDAY if by_weekday else BY_DAY)


def _expected(day: date, basis: Sequence[date], days: Mapping[date, int], *, by_weekday: bool) -> Fraction:
    alike = [one for one in basis if one.weekday() == day.weekday()] if by_weekday else basis
    return Fraction(sum(days.get(one, 0) for one in alike), len(alike))
