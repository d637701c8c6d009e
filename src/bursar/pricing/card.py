"""The rate card: the exact rates that an event was priced with, named by their content.

A card is all that is needed to price or to explain again: it says what one step of each unit
costs, why these rates applied and where they come from. Cards are kept by their id, so an
explanation outlives every update of the price book. A card never changes.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from bursar.money import PICOS_PER_UNIT, divide_half_even, format_picos
from bursar.pricing.documents import SealedDocument
from bursar.units import INPUT_UNITS, OUTPUT_UNITS, UNITS, scale_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bursar.units import Quantities

UNBILLED_UNITS = frozenset({"requests"})
"""Units that cost nothing where the card has no rate for them: most providers don't bill calls as such."""

QUOTED_PER: dict[str, tuple[int, str]] = {
    **dict.fromkeys(INPUT_UNITS + OUTPUT_UNITS, (1_000_000, "1M tokens")),
    "characters": (1_000_000, "1M characters"),
    "requests": (1_000, "1,000 requests"),
    "searches": (1_000, "1,000 searches"),
    "pages": (1_000, "1,000 pages"),
    "seconds": (3_600, "hour"),
    "file_searches": (1_000, "1,000 file searches"),
}
"""How a rate is shown: per so many of the unit, as price pages do."""


class Rate(msgspec.Struct, frozen=True, array_like=True):
    """What one step of a unit costs, as an exact fraction of picos (1e-12 of the currency)."""

    numerator: int
    denominator: int
    minimum: int = 0
    """The least quantity billed, in steps; some providers bill a call for ten seconds at least."""

    def amount_for(self, steps: int) -> int:
        """Picos for a quantity in steps, rounded half-even once."""
        billed = max(steps, self.minimum) if steps else 0
        return divide_half_even(billed * self.numerator, self.denominator)

    def price_per(self, count: int, scale: int) -> str:
        """The price of `count` whole units as a decimal string (a fraction where it has no end)."""
        price = Fraction(self.numerator, self.denominator) * count * 10**scale
        digits = 24  # more places than any price has; what still isn't whole has no decimal end
        whole = price * 10**digits
        if whole.denominator != 1:
            price /= PICOS_PER_UNIT
            return f"{price.numerator}/{price.denominator}"
        units, places = divmod(whole.numerator, 10 ** (digits + 12))
        return f"{units}.{places:0{digits + 12}d}".rstrip("0").rstrip(".")


class Line(msgspec.Struct, frozen=True):
    """One unit's share of a bill."""

    unit: str
    quantity_steps: int
    """As counted; a minimum that was billed instead shows in `rate_text`."""
    rate_text: str
    """The rate as price pages show it, such as `2.5 USD / 1M tokens`."""
    amount_picos: int


class AppliedTerm(msgspec.Struct, frozen=True, array_like=True):
    """One of a customer's own terms (`terms.py`) that is in the rates of a card."""

    id: str
    kind: str
    """`contract_price`, `discount`, `markup`, `multiplier` or `fee`."""
    amount: str
    """As a reader would write it: `12 %`, `2 USD per 1000000 input_tokens`."""


class RateCard(SealedDocument, frozen=True, kw_only=True):
    """Rates by unit, the conditions under which they applied, and their source."""

    provider: str
    """Who is billed by, in the price book's spelling."""
    model: str
    """The model's entry in the price book, which may answer to many names."""
    rule: str
    """How the entry was found: `provider_named`, `provider_inferred:…`, and whose prices they are."""
    currency: str
    rates: dict[str, Rate]
    conditions: dict[str, str]
    """What besides the model decided the price: `service_tier`, `processing`, `context_tokens`, …"""
    valid_from: date | None = None
    """The first UTC day of these rates, where the book knows of earlier ones."""
    source: str
    book_version: str
    terms: tuple[AppliedTerm, ...] | UnsetType = UNSET
    """A customer's own terms in these rates, in the order of their arithmetic; left out where there are
    none, so that the ids of such cards stay what they were before there were terms."""
    list_rates: dict[str, Rate] | UnsetType = UNSET
    """What the list charges beside it, in the same currency; left out where no terms applied (then the
    rates are the list's), and where it isn't known."""

    def lines(self, units: Quantities) -> tuple[Line, ...]:
        """What each unit costs, in the order of `units.UNITS`, then custom units by name.

        A card with a rate for requests bills one request where the units don't count them.

        Raises:
            ValueError: a unit has no rate here; the message is its name.
        """
        missing = self.missing_unit(units)
        if missing is not None:
            raise ValueError(missing)
        return tuple(
            Line(unit, steps, self.rate_text(unit), self.rates[unit].amount_for(steps))
            for unit, steps in self._billed(units)
        )

    def amount_for(self, units: Quantities) -> int:
        """The sum of the amounts of `lines`, in picos, for units that all have a rate."""
        return sum(self.rates[unit].amount_for(steps) for unit, steps in self._billed(units))

    def list_amount_for(self, units: Quantities) -> int | None:
        """What the list charges for units that all have a rate, in picos; None where that isn't known."""
        amounts = [self.list_amount_of(line) for line in self.lines(units)]
        known = [amount for amount in amounts if amount is not None]
        return sum(known) if len(known) == len(amounts) else None

    def missing_unit(self, units: Quantities) -> str | None:
        """The first unit by name that was used and has no rate here."""
        used = (unit for unit, steps in units.items() if steps and unit not in self.rates)
        return min((unit for unit in used if unit not in UNBILLED_UNITS), default=None)

    def _billed(self, units: Quantities) -> Iterator[tuple[str, int]]:
        """The units that cost something here with their quantities, in the order of `lines`."""
        custom = sorted(unit for unit in units if unit not in UNITS)
        for unit in (*UNITS, *custom):
            if unit in self.rates:
                steps = units.get(unit, 1 if unit == "requests" else 0)
                if steps:
                    yield unit, steps

    def rate_text(self, unit: str) -> str:
        """A unit's rate as price pages show it, such as `2.5 USD / 1M tokens`."""
        return self._text_of(unit, self.rates[unit])

    def list_rate_text(self, unit: str) -> str | None:
        """The list's rate for a unit likewise; None where it isn't known or has none."""
        rates = self.rates if self.terms is UNSET else self.list_rates
        rate = None if rates is UNSET else rates.get(unit)
        return None if rate is None else self._text_of(unit, rate)

    def list_amount_of(self, line: Line) -> int | None:
        """What the list charges for one line, in picos; None where that isn't known.

        A request that only a customer's own fee bills costs nothing by the list.
        """
        rates = self.rates if self.terms is UNSET else self.list_rates
        if rates is UNSET:
            return None
        rate = rates.get(line.unit)
        if rate is None:
            return 0 if line.unit in UNBILLED_UNITS else None
        return rate.amount_for(line.quantity_steps)

    def _text_of(self, unit: str, rate: Rate) -> str:
        count, label = QUOTED_PER.get(unit, (1, unit))
        text = f"{rate.price_per(count, scale_of(unit))} {self.currency} / {label}"
        if not rate.minimum:
            return text
        least = format_picos(rate.minimum * PICOS_PER_UNIT // 10 ** scale_of(unit))
        return f"{text}, {least} at least"
