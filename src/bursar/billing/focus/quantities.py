"""Quantities and unit prices as FOCUS writes them: in units that it knows, per as many as price pages quote.

Unit names follow its UnitFormat: capitalised, in the plural, `1000000 Tokens` for a million of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from bursar.money import PICOS_PER_UNIT
from bursar.units import INPUT_UNITS, OUTPUT_UNITS, scale_of

PRICE_PLACES = 18
"""Decimal places of a unit price: a price of 1e-6 per million tokens still has a dozen digits."""
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)

_NAMES = {
    **dict.fromkeys(INPUT_UNITS + OUTPUT_UNITS, ("Tokens", 1_000_000)),
    "requests": ("Requests", 1_000),
    "searches": ("Searches", 1_000),
    "pages": ("Pages", 1_000),
    "seconds": ("Seconds", 1),
    "characters": ("Characters", 1_000_000),
    "images": ("Images", 1),
    "bytes": ("B", 1_000_000_000),
}
_CALLS = ("Requests", 1)
"""What is counted where a charge has no quantity of its own."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much was used, and in which units it is priced."""

    consumed: Fraction
    consumed_unit: str
    pricing_unit: str
    priced: Fraction


def quantity_of(unit: str, steps: int, events: int) -> Quantity:
    """The quantity of a charge; its events where it has none, such as for a flat fee."""
    name, per = _NAMES.get(unit, (_words(unit), 1)) if steps else _CALLS
    whole = Fraction(steps, 10 ** scale_of(unit)) if steps else Fraction(events)
    pricing_unit = name if per == 1 else f"{per} {name}"
    return Quantity(whole, name, pricing_unit, whole / per)


def unit_price(picos: int, quantity: Fraction) -> str:
    """What one priced unit costs: exact where it has so many places, else rounded half-even."""
    return decimal_text(Fraction(picos, PICOS_PER_UNIT) / quantity)


def decimal_text(number: Fraction) -> str:
    """A plain decimal with at most `PRICE_PLACES` places and no zeros at the end."""
    exact = _WIDE.divide(Decimal(number.numerator), Decimal(number.denominator))
    text = f"{exact.quantize(Decimal(1).scaleb(-PRICE_PLACES), context=_WIDE):f}"
    return text.rstrip("0").rstrip(".")


def meter_of(unit: str) -> str:
    """A unit class in words: `Cache Read Text`."""
    return unit.replace("_", " ").title()


def _words(unit: str) -> str:
    """A custom unit's name as FOCUS allows them: words of letters and digits."""
    words = re.findall(r"[A-Za-z][A-Za-z0-9]*", unit)
    return " ".join(word.capitalize() for word in words) or "Units"
