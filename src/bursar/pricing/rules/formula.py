"""A charge by an arithmetic expression over what an event counts (`expression.py`)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.rules.expression import FaultyExpression, parse_expression
from bursar.pricing.rules.quantity import bill_line, quantity_of
from bursar.pricing.rules.selection import Rates

if TYPE_CHECKING:
    from bursar.pricing.card import Line
    from bursar.pricing.rules.selection import FieldReader
    from bursar.units import Quantities

LINE_UNIT = "expression"
RATE = "rate"
"""The name of the chosen rate in an expression."""


class Formula(
    msgspec.Struct, frozen=True, omit_defaults=True, tag="expression", tag_field="kind", kw_only=True
):
    """Whatever its expression gives, in the rule's currency."""

    expression: str
    rates: Rates | None = None
    """What `rate` stands for in it."""

    def names(self) -> frozenset[str]:
        """What it counts."""
        return parse_expression(self.expression).names - {RATE}

    def chosen(self, read: FieldReader) -> Formula:
        """With the rate for one event only."""
        if self.rates is None:
            return self
        return msgspec.structs.replace(self, rates=self.rates.chosen(read))

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """One line.

        Raises:
            FaultyExpression: it has no value for these quantities, or a negative one.
        """
        del currency

        def value_of(name: str) -> Fraction:
            if name == RATE and self.rates is not None:
                return Fraction(self.rates.only)
            return quantity_of(name, units)

        amount = parse_expression(self.expression).value(value_of)
        if amount < 0:
            raise FaultyExpression("negative_amount", "the expression gives a negative amount")
        return (bill_line(LINE_UNIT, Fraction(1), self.expression, amount),)
