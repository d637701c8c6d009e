"""Which way a series is going: half against half, and by how many percent.

The rule is that of the replaced usage tracking system: the mean of the later half of the periods
against the mean of the earlier half; within 5 % is stable. Periods without a figure are left out,
and so is the period that is still running, which would always look like a fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.money import divide_half_even

if TYPE_CHECKING:
    from collections.abc import Sequence

STABLE_PERCENT = 5
PERCENT_PLACES = 2


class Direction(StrEnum):
    """Which way it goes."""

    UP = "up"
    DOWN = "down"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Trend:
    """The later half against the earlier half."""

    direction: Direction
    percentage_change: Decimal | None
    """To 2 places; null where the earlier half is 0 and the later isn't."""


def judge_trend(values: Sequence[int | Decimal]) -> Trend:
    """The trend of a series in order of time; the middle of an odd number belongs to the later half."""
    half = len(values) // 2
    if half == 0:
        return Trend(Direction.STABLE, Decimal(0))
    earlier, later = _mean(values[:half]), _mean(values[half:])
    if earlier == 0:
        return Trend(Direction.UP, None) if later else Trend(Direction.STABLE, Decimal(0))
    change = (later - earlier) / earlier * 100
    return Trend(_direction(change), percent(change))


def percent(ratio: Fraction) -> Decimal:
    """A ratio to 2 places, rounded half-even once."""
    steps = divide_half_even(ratio.numerator * 10**PERCENT_PLACES, ratio.denominator)
    return Decimal(steps).scaleb(-PERCENT_PLACES)


def _direction(change: Fraction) -> Direction:
    if abs(change) <= STABLE_PERCENT:
        return Direction.STABLE
    return Direction.UP if change > 0 else Direction.DOWN


def _mean(values: Sequence[int | Decimal]) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction()) / len(values)
