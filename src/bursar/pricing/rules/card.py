"""The card of a billing rule: all that is needed to bill an event by it again, named by its content.

What `RateCard` is for prices: it holds the charge with the rates that were chosen, which rule they come
from and why that rule counted. It never changes, and is kept by its id before the first event that names it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.money import PICOS_PER_UNIT, format_decimal
from bursar.pricing.card import Line
from bursar.pricing.documents import SealedDocument
from bursar.pricing.rules.charge import Charge
from bursar.units import CUSTOM_SCALE

if TYPE_CHECKING:
    from bursar.units import Quantities

KIND = "billing_rule"
MINIMUM = "minimum_charge"


class RuleCard(SealedDocument, frozen=True, kw_only=True, tag=KIND, tag_field="kind"):
    """A charge, whose it is, and how it was found."""

    rule_id: str
    """The billing rule, or `service@version` where it stands in the registration of its service."""
    service_type: str
    provider: str | None
    model: str | None
    """Which provider and model the rule is for; None: for all."""
    matched: str
    """`model`, `provider` or `default`: what made this rule count."""
    currency: str
    charge: Charge
    minimum_charge: Decimal | None = None
    conditions: dict[str, str]
    """What besides the quantities decided: the field that chose the rate."""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    source: str
    """Who recorded the rule, and when."""

    def lines(self, units: Quantities) -> tuple[Line, ...]:
        """What each part of the charge comes to, and what is missing to the minimum.

        Raises:
            ValueError: an expression has no value for these quantities.
        """
        lines = self.charge.lines(units, self.currency)
        if self.minimum_charge is None:
            return lines
        least = Fraction(self.minimum_charge) * PICOS_PER_UNIT
        missing = int(least) - sum(line.amount_picos for line in lines)
        if missing <= 0:
            return lines
        rate_text = f"at least {format_decimal(self.minimum_charge)} {self.currency}"
        return (*lines, Line(MINIMUM, 10**CUSTOM_SCALE, rate_text, missing))

    def amount_for(self, units: Quantities) -> int:
        """The sum of the amounts of `lines`, in picos."""
        return sum(line.amount_picos for line in self.lines(units))
