"""Amounts by day and currency, converted into one currency and summed; or the reason why that can't be.

Each day's amount in each currency is multiplied by that day's rate as an exact fraction and rounded
half-even once to 1e-12, so the totals of single days sum up to the total of all of them. If one rate is
missing the whole total is unknown: a part of it is nobody's total.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bursar.money import divide_half_even

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from bursar.pricing.exchange.rates import DatedRates, UsedRate


class DayAmount(NamedTuple):
    """What a UTC day cost in one currency."""

    day: date
    currency: str
    picos: int


@dataclass(frozen=True, slots=True)
class RateUse:
    """One rate with all days that it was used for."""

    currency: str
    rate: UsedRate
    picos: int
    """Of the original currency."""
    converted_picos: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class MissingRate:
    """A currency that has no rate on some days."""

    currency: str
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A total in one currency, and every rate that is in it."""

    currency: str
    picos: int | None
    """None as soon as one rate is missing."""
    uses: tuple[RateUse, ...]
    """By currency and day of the rate; amounts that are in the currency already need none."""
    missing: tuple[MissingRate, ...]


def convert_amounts(amounts: Iterable[DayAmount], currency: str, rates: DatedRates) -> Conversion:
    """The sum of all amounts in one currency; amounts of the same day and currency are one line."""
    lines: Counter[tuple[str, date]] = Counter()
    for one in amounts:
        lines[one.currency, one.day] += one.picos
    total = 0
    uses: dict[tuple[str, UsedRate], RateUse] = {}
    missing: dict[str, list[date]] = {}
    for (origin, day), picos in sorted(lines.items()):
        if origin == currency or not picos:
            total += picos
            continue
        rate = rates.find(origin, currency, day)
        if rate is None:
            missing.setdefault(origin, []).append(day)
            continue
        converted = divide_half_even(picos * rate.factor.numerator, rate.factor.denominator)
        total += converted
        known = uses.get((origin, rate)) or RateUse(origin, rate, 0, 0, day, day)
        uses[origin, rate] = RateUse(
            origin, rate, known.picos + picos, known.converted_picos + converted, known.first_day, day
        )
    return Conversion(
        currency,
        None if missing else total,
        tuple(uses.values()),
        tuple(MissingRate(origin, tuple(days)) for origin, days in missing.items()),
    )
