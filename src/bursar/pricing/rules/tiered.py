"""Rates that depend on the quantity: graduated (each part at its own tier's rate), and volume (all at one).

A tier reaches up to and including its bound; the last one has none. Tiers are those of one event: what a
whole month used is no part of an event's price.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from bursar.money import format_decimal
from bursar.pricing.rules.multiply import NOTHING
from bursar.pricing.rules.quantity import bill_line, without_free

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bursar.pricing.card import Line
    from bursar.pricing.rules.selection import FieldReader
    from bursar.units import Quantities


class Tier(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A stretch of quantities and what each unit in it costs."""

    rate: Decimal
    up_to: Decimal | None = None
    """Included; None: no end."""

    def reaches(self, quantity: Fraction) -> bool:
        """Whether the quantity doesn't go beyond it."""
        return self.up_to is None or quantity <= Fraction(self.up_to)

    def text(self, unit: str, currency: str, above: Fraction) -> str:
        """Such as `0.01 USD / pages (up to 100)`."""
        bound = f"above {_shown(above)}" if self.up_to is None else f"up to {format_decimal(self.up_to)}"
        return f"{format_decimal(self.rate)} {currency} / {unit} ({bound})"


class Graduated(
    msgspec.Struct, frozen=True, omit_defaults=True, tag="graduated", tag_field="kind", kw_only=True
):
    """Each part of the quantity at the rate of the tier that it lies in."""

    unit: str
    tiers: tuple[Tier, ...]
    free: Decimal = NOTHING

    def names(self) -> frozenset[str]:
        """What it counts."""
        return frozenset({self.unit})

    def chosen(self, read: FieldReader) -> Graduated:
        """It has the same rates for all events."""
        del read
        return self

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """What is free, and a line for each tier that is reached."""
        billed, free = without_free(self.unit, units, self.free)
        return (*free, *self._tier_lines(billed, currency, has_free=bool(free)))

    def _tier_lines(self, billed: Fraction, currency: str, *, has_free: bool) -> Iterator[Line]:
        below = Fraction(0)
        for place, tier in enumerate(self.tiers):
            top = billed if tier.up_to is None else min(billed, Fraction(tier.up_to))
            part = max(top - below, Fraction(0))
            if part or (place == 0 and not has_free):
                rate_text = tier.text(self.unit, currency, below)
                yield bill_line(self.unit, part, rate_text, part * Fraction(tier.rate))
            if tier.up_to is not None:
                below = Fraction(tier.up_to)


class Volume(msgspec.Struct, frozen=True, omit_defaults=True, tag="volume", tag_field="kind", kw_only=True):
    """The whole quantity at the rate of the tier that it reaches."""

    unit: str
    tiers: tuple[Tier, ...]
    free: Decimal = NOTHING

    def names(self) -> frozenset[str]:
        """What it counts."""
        return frozenset({self.unit})

    def chosen(self, read: FieldReader) -> Volume:
        """It has the same rates for all events."""
        del read
        return self

    def lines(self, units: Quantities, currency: str) -> tuple[Line, ...]:
        """What is free, and the rest in one line."""
        billed, free = without_free(self.unit, units, self.free)
        if free and not billed:
            return free
        place = next(i for i, tier in enumerate(self.tiers) if tier.reaches(billed))
        tier = self.tiers[place]
        below = Fraction(self.tiers[place - 1].up_to or 0) if place else Fraction(0)
        rate_text = tier.text(self.unit, currency, below)
        return (*free, bill_line(self.unit, billed, rate_text, billed * Fraction(tier.rate)))


def _shown(bound: Fraction) -> str:
    return format_decimal(Decimal(bound.numerator) / Decimal(bound.denominator))
