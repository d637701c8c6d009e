"""In which currency a tenant's costs are told, and the rates for it; what usage asks for conversions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bursar.pricing.exchange.rates import DatedRates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from bursar.pricing.choices import PricingChoices
    from bursar.pricing.exchange.store import ExchangeRateStore


class Reporting:
    """Each tenant's reporting currency and the exchange rates that count for it; safe in any thread."""

    def __init__(self, store: ExchangeRateStore, choices_of: Callable[[str], PricingChoices]) -> None:
        """Read rates from `store`; `choices_of` answers at once what a tenant chose."""
        self._store = store
        self._choices_of = choices_of

    def currency_of(self, tenant_id: str) -> str | None:
        """The currency that the tenant's costs are told in; None where it chose none."""
        return self._choices_of(tenant_id).reporting_currency

    def rates_for(self, tenant_id: str, currencies: Collection[str], first: date, last: date) -> DatedRates:
        """What is needed to convert amounts of these currencies, and into one of them, on these days.

        Asks the state store. The last rate before the first day is among them if it is young enough.
        """
        days = self._choices_of(tenant_id).rate_days
        found = self._store.rates_between(tenant_id, currencies, first - timedelta(days=days), last)
        return DatedRates(
            (one.entry for one in found if one.tenant_id is not None),
            (one.entry for one in found if one.tenant_id is None),
            days,
        )
