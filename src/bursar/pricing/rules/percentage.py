"""A percentage of an amount that events report as a unit: 2.9 % of `order_value`.

The amount is in the rule's currency; a unit holds it exactly, to six places.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from bursar.money import format_decimal
from bursar.pricing.rules.multiply import NOTHING
from bursar.pricing.rules.quantity import bill_line, without_free
from bursar.pricing.rules.selection import Rates

if TYPE_CHECKING:
    from bursar.pricing.card import Line
    from bursar.pricing.rules.selection import FieldReader
    from bursar.units import Quantities


class Percentage(
    msgspec.Struct, frozen=True, omit_defaults=True, tag="percentage", tag_field="kind", kw_only=True
):
    """So many percent of what a unit counts."""

    unit: str
    rates: Rates
    """In percent."""
    free: Decimal = NOTHING

    def names(self) -> frozenset[str]:
        """What it counts."""
        return frozenset({self.unit})

    def chosen(self, read: FieldReader) -> Percentage:
        """With the percentage for one event only."""
        return msgspec.structs.replace(self, rates=self.rates.chosen(read))

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """What is free, and the share of the rest."""
        del currency
        billed, free = without_free(self.unit, units, self.free)
        if free and not billed:
            return free
        rate_text = f"{format_decimal(self.rates.only)} % of {self.unit}"
        return (*free, bill_line(self.unit, billed, rate_text, billed * Fraction(self.rates.only) / 100))
