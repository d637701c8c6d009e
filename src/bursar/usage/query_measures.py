"""What can be asked about usage: counts, units, tokens, money, errors, latency and ratios of these.

A measure says which *parts* the store must sum (`events`, `cost`, `input_text`, …) and how they
become the figure that is shown. The store only ever sums parts, and sums are exact; ratios are
formed here, once, in exact arithmetic, and rounded half-even to a stated number of places. So a
figure doesn't depend on whether raw rows or rollups answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.money import divide_half_even
from bursar.units import CUSTOM_SCALE, TOKEN_TOTALS, UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping

Number = int | Decimal
UNIT_PREFIX = "unit:"
"""`unit:<name>` asks for a custom unit."""
EXACT = Context(prec=100)
"""Wide enough for any sum of DECIMAL(38,12); the default context would round at 28 digits."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Parts added up; quantities in steps of 10^-scale."""

    parts: tuple[str, ...]
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Money:
    """The sum of known costs; null where the cost of no event is known, never 0 instead."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """`over` times `factor` through `under`, rounded half-even to `places`; null over nothing."""

    over: str
    under: str
    places: int
    factor: int = 1


@dataclass(frozen=True, slots=True)
class Percentile:
    """The latency that this percentage of timed events doesn't exceed (nearest rank), within 2 %."""

    percent: int


@dataclass(frozen=True, slots=True)
class DistinctUsers:
    """How many different users there were; events without a user count for none."""


Figure = Sum | Money | Ratio | Percentile | DistinctUsers


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing to ask for, by name."""

    name: str
    figure: Figure
    meaning: str
    is_money: bool = False
    """An amount in a currency: rows are then split by currency, for amounts are never added across."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What the store has to sum for it."""
        match self.figure:
            case Sum(parts=parts):
                return parts
            case Money():
                return ("cost", "priced")
            case Ratio(over=over, under=under):
                return (over, under)
            case Percentile(percent=percent):
                return (f"p{percent}",)
            case DistinctUsers():
                return ("users",)


_FIXED = (
    Measure("events", Sum(("events",)), "how many events"),
    Measure("cost", Money(), "the sum of known costs, in the row's currency", is_money=True),
    Measure("unpriced_events", Sum(("unpriced",)), "events whose cost is unknown"),
    Measure("errors", Sum(("errors",)), "events with status error"),
    Measure("error_rate", Ratio("errors", "events", 6), "errors / events, from 0 to 1, to 6 places"),
    Measure("unique_users", DistinctUsers(), "how many different users"),
    Measure("latency_avg_ms", Ratio("latency_ms", "timed_events", 3), "mean latency of timed events"),
    *(
        Measure(
            f"latency_p{percent}_ms", Percentile(percent), f"{percent}th percentile of latency, within 2 %"
        )
        for percent in (50, 95, 99)
    ),
    Measure(
        "tokens_per_second",
        Ratio("timed_output_tokens", "latency_ms", 3, factor=1000),
        "output tokens of timed events / their latency, to 3 places",
    ),
    Measure(
        "cost_per_call",
        Ratio("cost", "priced", 12),
        "cost / events whose cost is known, to 12 places",
        is_money=True,
    ),
    Measure(
        "cost_per_1k_tokens",
        Ratio("cost", "priced_tokens", 12, factor=1000),
        "1000 x cost / all tokens of events whose cost is known, to 12 places",
        is_money=True,
    ),
)
MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        *_FIXED,
        *(
            Measure(name, Sum(parts), f"{name.replace('_', ' ')} in all")
            for name, parts in TOKEN_TOTALS.items()
        ),
        *(Measure(unit.name, Sum((unit.name,), unit.scale), unit.meaning) for unit in UNITS.values()),
    )
}

MEASURE_ALIASES: dict[str, str] = {
    "event_count": "events",
    "total_cost": "cost",
    "error_count": "errors",
    "avg_latency_ms": "latency_avg_ms",
    "p50_latency_ms": "latency_p50_ms",
    "p95_latency_ms": "latency_p95_ms",
    "p99_latency_ms": "latency_p99_ms",
}


def find_measure(name: str) -> Measure | None:
    """The measure of a name, an alias or `unit:<custom unit>`; None if there is none."""
    if name.startswith(UNIT_PREFIX):
        unit = name.removeprefix(UNIT_PREFIX)
        is_custom = 0 < len(unit) <= 64 and unit not in UNITS  # noqa: PLR2004 - the limit of a unit's name
        return Measure(name, Sum((name,), CUSTOM_SCALE), "a custom unit") if is_custom else None
    return MEASURES.get(MEASURE_ALIASES.get(name, name))


def read_figure(measure: Measure, parts: Mapping[str, Number | None]) -> Number | None:
    """The figure that summed parts amount to; None where there is nothing to speak of."""
    match measure.figure:
        case Sum(parts=names, scale=scale):
            total = sum(int(parts[name] or 0) for name in names)
            return Decimal(total).scaleb(-scale, EXACT) if scale else total
        case Money():
            return (parts["cost"] or Decimal(0)) if parts["priced"] else None
        case Ratio():
            return _ratio(measure.figure, parts)
        case Percentile():
            return parts[measure.parts[0]]
        case DistinctUsers():
            return parts["users"] or 0


def _ratio(ratio: Ratio, parts: Mapping[str, Number | None]) -> Decimal | None:
    under = parts[ratio.under]
    if not under:
        return None
    exact = Fraction(parts[ratio.over] or 0) * ratio.factor / Fraction(under)
    steps = divide_half_even(exact.numerator * 10**ratio.places, exact.denominator)
    return Decimal(steps).scaleb(-ratio.places, EXACT)
