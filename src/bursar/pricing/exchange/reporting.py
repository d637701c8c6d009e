"""In which currency a tenant's costs are told, and the rates for it; what usage asks for conversions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from bursar.pricing.exchange.rates import DatedRates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from bursar.pricing.exchange.store import ExchangeRateStore


class ReportingRules(Protocol):
    """What conversions need of a tenant's choices."""

    @property
    def reporting_currency(self) -> str | None:
        """The currency chosen, None where the tenant chose none."""
        ...

    @property
    def rate_days(self) -> int:
        """How many days old a rate may be."""
        ...


class Reporting:
    """Each tenant's reporting currency and the exchange rates that count for it; safe in any thread."""

    def __init__(self, store: ExchangeRateStore, rules_of: Callable[[str], ReportingRules]) -> None:
        """Read rates from `store`; `rules_of` answers at once what a tenant chose."""
        self._store = store
        self._rules_of = rules_of

    def currency_of(self, tenant_id: str) -> str | None:
        """The currency that the tenant's costs are told in; None where it chose none."""
        return self._rules_of(tenant_id).reporting_currency

    def rates_for(self, tenant_id: str, currencies: Collection[str], first: date, last: date) -> DatedRates:
        """What is needed to convert amounts of these currencies, and into one of them, on these days.

        Asks the state store. The last rate before the first day is among them if it is young enough.
        """
        days = self._rules_of(tenant_id).rate_days
        found = self._store.rates_between(tenant_id, currencies, first - timedelta(days=days), last)
        return DatedRates(
            (one.entry for one in found if one.tenant_id is not None),
            (one.entry for one in found if one.tenant_id is None),
            days,
        )
