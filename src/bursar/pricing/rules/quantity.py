"""What a billing rule can count of an event, by the name that a rule uses for it, and its line on a bill.

Besides every unit that an event reports by name there are the totals that people know (`tokens`,
`input_tokens`, …), `minutes` (of the unit `seconds`), and `requests`, which is 1 where an event doesn't
count them. Nothing is rounded here but a line's amount.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.money import PICOS_PER_UNIT, divide_half_even
from bursar.pricing.card import Line
from bursar.units import TOKEN_TOTALS, scale_of, total_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from decimal import Decimal

    from bursar.units import Quantities

TOTALS: dict[str, str] = {"tokens": "total_tokens", **{name: name for name in TOKEN_TOTALS}}
"""A rule's name for a total of token classes."""
MINUTES, SECONDS, REQUESTS = "minutes", "seconds", "requests"
SECONDS_PER_MINUTE = 60


def quantity_of(name: str, units: Quantities) -> Fraction:
    """How much of it an event has, in whole units; 0 where there is none."""
    if name in units:
        return Fraction(units[name], 10 ** scale_of(name))
    if name in TOTALS:
        return Fraction(total_of(TOTALS[name], units))
    if name == MINUTES:
        return Fraction(units.get(SECONDS, 0), SECONDS_PER_MINUTE * 10 ** scale_of(SECONDS))
    return Fraction(1 if name == REQUESTS else 0)


def is_said(name: str, said: Collection[str]) -> bool:
    """Whether an event that reports these units says how much of it there was, 0 included."""
    if name in TOTALS and any(unit in said for unit in TOKEN_TOTALS[TOTALS[name]]):
        return True
    return name in said or (name == MINUTES and SECONDS in said)


def bill_line(name: str, quantity: Fraction, rate_text: str, amount: Fraction) -> Line:
    """A line whose amount is rounded half-even once to 1e-12; minutes stand on it as seconds.

    Args:
        name: what is billed.
        quantity: so much of it, of at most six places (minutes: whole millionths of a second).
        rate_text: as people read the rate.
        amount: in the currency, exactly.
    """
    if name == MINUTES:
        name, quantity = SECONDS, quantity * SECONDS_PER_MINUTE
    steps = quantity * 10 ** scale_of(name)
    picos = amount * PICOS_PER_UNIT
    return Line(
        name,
        divide_half_even(steps.numerator, steps.denominator),
        rate_text,
        divide_half_even(picos.numerator, picos.denominator),
    )


def without_free(name: str, units: Quantities, free: Decimal) -> tuple[Fraction, tuple[Line, ...]]:
    """The quantity that is billed, and the line of what is free; neither is ever negative."""
    quantity = quantity_of(name, units)
    given = min(quantity, Fraction(free))
    if not given:
        return quantity, ()
    return quantity - given, (bill_line(name, given, "free", Fraction(0)),)
