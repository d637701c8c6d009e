"""A fixed amount for each event, whatever it counts; `charge.py` adds it to other charges."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from bursar.money import format_decimal
from bursar.pricing.rules.quantity import bill_line
from bursar.pricing.rules.selection import Rates

if TYPE_CHECKING:
    from bursar.pricing.card import Line
    from bursar.pricing.rules.selection import FieldReader
    from bursar.units import Quantities

LINE_UNIT = "flat_charge"


class Flat(msgspec.Struct, frozen=True, omit_defaults=True, tag="flat", tag_field="kind", kw_only=True):
    """The same for every event."""

    rates: Rates

    def names(self) -> frozenset[str]:
        """It counts nothing."""
        return frozenset()

    def chosen(self, read: FieldReader) -> Flat:
        """With the amount for one event only."""
        return msgspec.structs.replace(self, rates=self.rates.chosen(read))

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """One line."""
        del units
        rate_text = f"{format_decimal(self.rates.only)} {currency} / event"
        return (bill_line(LINE_UNIT, Fraction(1), rate_text, Fraction(self.rates.only)),)
