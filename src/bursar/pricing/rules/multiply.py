"""A rate for each unit, or for so many of them: 500 predictions at 0.001 are 0.5."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from bursar.money import format_decimal
from bursar.pricing.rules.quantity import bill_line, without_free
from bursar.pricing.rules.selection import Rates

if TYPE_CHECKING:
    from bursar.pricing.card import Line
    from bursar.pricing.rules.selection import FieldReader
    from bursar.units import Quantities

NOTHING = Decimal(0)


class Multiply(
    msgspec.Struct, frozen=True, omit_defaults=True, tag="multiply", tag_field="kind", kw_only=True
):
    """So much for each, or for each `per` of them."""

    unit: str
    rates: Rates
    per: int = 1
    free: Decimal = NOTHING

    def names(self) -> frozenset[str]:
        """What it counts."""
        return frozenset({self.unit})

    def chosen(self, read: FieldReader) -> Multiply:
        """With the rate for one event only."""
        return msgspec.structs.replace(self, rates=self.rates.chosen(read))

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """What is free, and what is billed."""
        billed, free = without_free(self.unit, units, self.free)
        if free and not billed:
            return free
        amount = billed * Fraction(self.rates.only) / self.per
        return (*free, bill_line(self.unit, billed, per_text(self.rates.only, currency, self), amount))


def per_text(rate: Decimal, currency: str, charge: Multiply) -> str:
    """Such as `0.5 USD / 1,000 pages`."""
    count = "" if charge.per == 1 else f"{charge.per:,} "
    return f"{format_decimal(rate)} {currency} / {count}{charge.unit}"
