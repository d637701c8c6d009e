"""Packages: what is begun is paid whole, 1,001 pages in packages of 1,000 are two packages."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil
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


class Package(msgspec.Struct, frozen=True, omit_defaults=True, tag="package", tag_field="kind", kw_only=True):
    """A price for each package of `size` units that is begun."""

    unit: str
    size: Decimal
    rates: Rates
    """The price of a package."""
    free: Decimal = NOTHING

    def names(self) -> frozenset[str]:
        """What it counts."""
        return frozenset({self.unit})

    def chosen(self, read: FieldReader) -> Package:
        """With the price for one event only."""
        return msgspec.structs.replace(self, rates=self.rates.chosen(read))

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """What is free, and the packages."""
        billed, free = without_free(self.unit, units, self.free)
        if free and not billed:
            return free
        count = ceil(billed / Fraction(self.size))
        price = f"{format_decimal(self.rates.only)} {currency}"
        rate_text = f"{count} x {price} / {format_decimal(self.size)} {self.unit}"
        return (*free, bill_line(self.unit, billed, rate_text, count * Fraction(self.rates.only)))
