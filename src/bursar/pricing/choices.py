"""What a tenant chose about how its costs are told: its reporting currency and whose figures it trusts."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_DAYS = 7
"""How old an exchange rate may be: over Easter and Christmas the ECB publishes none for up to five days."""
DAYS_LIMIT = 366


@dataclass(frozen=True, slots=True)
class PricingChoices:
    """A tenant's choices; None and empty leave it to the defaults."""

    reporting_currency: str | None = None
    """In which currency converted totals are told."""
    exchange_rate_days: int | None = None
    """How many days old an exchange rate may be."""
    trusted_providers: frozenset[str] = frozenset()
    """Providers whose own figure of a cost counts before the book's, by their plain names."""

    @property
    def rate_days(self) -> int:
        """How many days old an exchange rate may be for this tenant."""
        return DEFAULT_DAYS if self.exchange_rate_days is None else self.exchange_rate_days


NO_CHOICES = PricingChoices()
