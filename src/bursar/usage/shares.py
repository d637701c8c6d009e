"""Shares of a whole: exact, rounded half-even once, to 6 places."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.money import divide_half_even

if TYPE_CHECKING:
    from bursar.usage.query_answer import Value

SHARE_PLACES = 6


def share_of(part: Value, whole: Value) -> Decimal | None:
    """Part / whole, from 0 to 1; None where either is unknown or the whole is nothing."""
    if not isinstance(part, int | Decimal) or not isinstance(whole, int | Decimal) or not whole:
        return None
    ratio = Fraction(part) / Fraction(whole)
    return Decimal(divide_half_even(ratio.numerator * 10**SHARE_PLACES, ratio.denominator)).scaleb(
        -SHARE_PLACES
    )
