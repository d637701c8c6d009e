"""Rates that are chosen by what an event says: `standard`, `premium` or any other name.

A charge has either one rate that holds for all, or a table of them and the field that chooses. What is
chosen leaves only that rate in the charge, so that a card says the rate that was used and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

STANDARD = "standard"
"""The rate of an event that doesn't say which."""
DEFAULT_FIELD = "service_tier"
SHOWN_CHARACTERS = 64

FieldReader = Callable[[str], str | None]
"""What an event says in a field of this name; None where it doesn't say."""


class NoRate(Exception):
    """The event asks for a rate that the rule doesn't have; its text is the rate's name."""


class Rates(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rates by name, exact decimals."""

    by_name: dict[str, Decimal]
    field: str | None = None
    """Which field of an event chooses; None where there is but one rate."""

    @property
    def only(self) -> Decimal:
        """The rate, once it is chosen."""
        (rate,) = self.by_name.values()
        return rate

    def chosen(self, read: FieldReader) -> Rates:
        """Just the rate for an event.

        Raises:
            NoRate: the event names one that isn't there.
        """
        if self.field is None:
            return self
        name = read(self.field) or STANDARD
        rate = self.by_name.get(name)
        if rate is None:
            raise NoRate(name[:SHOWN_CHARACTERS])
        return Rates({name: rate}, self.field)
