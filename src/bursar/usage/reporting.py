"""A total in one currency as answers show it, with its rates; and what knows a tenant's currency and rates.

How amounts are converted is told in `views/converted.py` and `pricing/exchange/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from bursar.described import DESCRIBED

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from bursar.pricing.exchange.rates import DatedRates


class ReportsCosts(Protocol):
    """Knows tenants' reporting currencies and exchange rates."""

    def currency_of(self, tenant_id: str) -> str | None:
        """The currency that the tenant's costs are told in; None where it chose none."""
        ...

    def rates_for(self, tenant_id: str, currencies: Collection[str], first: date, last: date) -> DatedRates:
        """What is needed to convert amounts of these currencies, and into one of them, on these days."""
        ...


@dataclass(frozen=True, slots=True)
class QuotedRate:
    """On `date` one unit of `base` cost `rate` of `quote`."""

    date: str
    base: str
    quote: str
    rate: str
    source: str


@dataclass(frozen=True, slots=True)
class UsedRateShown:
    """A rate, and what was converted by it."""

    __pydantic_config__: ClassVar = DESCRIBED

    currency: str
    amount: str
    converted: str
    rate_date: str
    """The day of the rate: the first day it was used for, or shortly before."""
    first_day: str
    last_day: str
    """UTC days that it was used for."""
    quotes: list[QuotedRate]
    """As entered; two where it leads over a third currency."""
    set_by: str
    """`tenant` or `operator`."""


@dataclass(frozen=True, slots=True)
class MissingRateShown:
    """A currency without a rate on some days."""

    __pydantic_config__: ClassVar = DESCRIBED

    currency: str
    days: int
    first_day: str
    last_day: str


@dataclass(frozen=True, slots=True)
class ConvertedCost:
    """The known cost of all selected events in one currency."""

    __pydantic_config__: ClassVar = DESCRIBED

    currency: str
    amount: str | None
    """Null where a rate is missing, or where the cost of no event is known."""
    rates: list[UsedRateShown]
    missing: list[MissingRateShown]
