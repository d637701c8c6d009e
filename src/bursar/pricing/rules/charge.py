"""Every kind of charge, and the sum of several: the list that a billing rule's `kind` chooses from.

A new kind is a struct like the others here, a line in `Charge`, and its reading in
`billing/charge_reading.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.rules.flat import Flat
from bursar.pricing.rules.formula import Formula
from bursar.pricing.rules.multiply import Multiply
from bursar.pricing.rules.package import Package
from bursar.pricing.rules.percentage import Percentage
from bursar.pricing.rules.quantity import REQUESTS
from bursar.pricing.rules.tiered import Graduated, Volume

if TYPE_CHECKING:
    from bursar.pricing.card import Line
    from bursar.pricing.rules.selection import FieldReader
    from bursar.units import Quantities

SimpleCharge = Multiply | Graduated | Volume | Package | Percentage | Flat | Formula


class Sum(msgspec.Struct, frozen=True, omit_defaults=True, tag="sum", tag_field="kind", kw_only=True):
    """All its parts together."""

    parts: tuple[SimpleCharge, ...]

    def names(self) -> frozenset[str]:
        """What its parts count."""
        return frozenset[str]().union(*(part.names() for part in self.parts))

    def chosen(self, read: FieldReader) -> Sum:
        """With the rates for one event only."""
        return Sum(parts=tuple(part.chosen(read) for part in self.parts))

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """The lines of every part."""
        return tuple(line for part in self.parts for line in part.lines(units, currency))


Charge = SimpleCharge | Sum


def counted_names(charge: Charge) -> frozenset[str]:
    """What an event has to report for the charge to be known; requests count themselves."""
    return charge.names() - {REQUESTS}
