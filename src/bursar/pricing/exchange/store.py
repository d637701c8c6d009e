"""What exchange rates need of the state store: rows that are added, read and withdrawn, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from bursar.pricing.exchange.rates import ExchangeRate, RateEntry, Withdrawal

LIST_LIMIT = 1000
LIST_DEFAULT = 100


@dataclass(frozen=True, slots=True)
class Author:
    """Who enters something, and when."""

    key_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the rates of one body."""

    added: int
    unchanged: int
    """Entered just so already."""


@dataclass(frozen=True, slots=True)
class RateAsk:
    """Which rates are wanted, the latest day first."""

    tenant_id: str
    first: date | None = None
    last: date | None = None
    currencies: tuple[str, ...] = ()
    """Only rates from or to one of these; all where there are none."""
    has_withdrawn: bool = False
    """Whether withdrawn and replaced ones are wanted too."""
    after: tuple[date, str] | None = None
    """Behind the rate of this day and id."""
    limit: int = LIST_DEFAULT


class ExchangeRateStore(Protocol):
    """Keeps rates of tenants, and of the operator for all of them."""

    def add_rates(self, owner: str | None, entries: Sequence[RateEntry], author: Author) -> Added:
        """Keep rates of a tenant, or (None) for all; all of them or none, on disk when this returns.

        Raises:
            NotFound: there is no such tenant.
        """
        ...

    def rates_between(
        self, tenant_id: str, currencies: Collection[str], first: date, last: date
    ) -> list[ExchangeRate]:
        """The rates that count, the tenant's and everybody's, from or to one of the currencies."""
        ...

    def list_rates(self, ask: RateAsk) -> list[ExchangeRate]:
        """One page: the tenant's rates and everybody's, by day from the latest, then by id."""
        ...

    def withdraw_rate(self, owner: str | None, rate_id: str, withdrawal: Withdrawal) -> ExchangeRate:
        """Let a rate not count any more; the rate as it is then. Twice is harmless: the first counts.

        Raises:
            NotFound: the owner has no such rate.
        """
        ...
