"""Exchange rates by day, and which of them counts: the latest entered for the day or shortly before it.

A tenant's own rates come before those that the operator entered for all. Of a day's rates the direct one
comes first, then the opposite one, then two of that day over a third currency. A rate that is missing is
None, never 1 and never an older one than the tenant allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.pricing.choices import DEFAULT_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class RateEntry:
    """On `day` one unit of `base` cost `rate` of `quote`."""

    day: date
    base: str
    quote: str
    rate: Decimal
    """More than 0, exactly as entered."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """That something agreed on or entered doesn't count any more: who said so, when and why."""

    at: datetime
    by: str
    reason: str

    def replaced_by(self, kept: Withdrawal | None) -> Withdrawal | None:
        """What was kept before this was asked for, from what is kept since: none, or an earlier one."""
        is_this = kept is not None and (kept.at, kept.by) == (self.at, self.by)
        return None if is_this else kept


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """An entry as it is kept; a later one for the same day and pair takes its place."""

    id: str
    tenant_id: str | None
    """Whose rate it is; None where the operator entered it for all tenants."""
    entry: RateEntry
    recorded_at: datetime
    created_by: str
    withdrawn: Withdrawal | None = None


@dataclass(frozen=True, slots=True)
class UsedRate:
    """What one unit of a currency is worth in another, and which entries say so."""

    factor: Fraction
    entries: tuple[RateEntry, ...]
    """One, or two that share a third currency; all of the same day."""
    is_own: bool
    """Whether the tenant entered it itself."""

    @property
    def day(self) -> date:
        """The day of the rate, which may lie before the day it is used for."""
        return self.entries[0].day


class _Table:
    """The rates of one owner, by day."""

    def __init__(self, entries: Iterable[RateEntry]) -> None:
        self._days: dict[date, dict[tuple[str, str], RateEntry]] = {}
        for entry in entries:
            self._days.setdefault(entry.day, {})[entry.base, entry.quote] = entry

    def on(self, day: date, origin: str, target: str) -> tuple[Fraction, tuple[RateEntry, ...]] | None:
        """The factor of that very day with its entries."""
        pairs = self._days.get(day)
        if pairs is None:
            return None
        single = _step(pairs, origin, target)
        if single is not None:
            return single[0], (single[1],)
        for pivot in sorted({name for pair in pairs for name in pair} - {origin, target}):
            first, second = _step(pairs, origin, pivot), _step(pairs, pivot, target)
            if first is not None and second is not None:
                return first[0] * second[0], (first[1], second[1])
        return None


class DatedRates:
    """The rates that count for one tenant."""

    def __init__(
        self, own: Iterable[RateEntry], shared: Iterable[RateEntry], days: int = DEFAULT_DAYS
    ) -> None:
        """`own` are the tenant's, `shared` are everybody's; `days` is how old a rate may be."""
        self._tables = ((_Table(own), True), (_Table(shared), False))
        self._days = days
        self._found: dict[tuple[str, str, date], UsedRate | None] = {}

    def find(self, origin: str, target: str, day: date) -> UsedRate | None:
        """What a unit of `origin` is worth in `target` on a day; None where nobody entered that."""
        key = origin, target, day
        if key not in self._found:
            self._found[key] = self._look_up(origin, target, day)
        return self._found[key]

    def _look_up(self, origin: str, target: str, day: date) -> UsedRate | None:
        for table, is_own in self._tables:
            for age in range(self._days + 1):
                found = table.on(day - timedelta(days=age), origin, target)
                if found is not None:
                    return UsedRate(found[0], found[1], is_own)
        return None


def _step(
    pairs: dict[tuple[str, str], RateEntry], origin: str, target: str
) -> tuple[Fraction, RateEntry] | None:
    direct, opposite = pairs.get((origin, target)), pairs.get((target, origin))
    if direct is not None:
        return Fraction(direct.rate), direct
    return None if opposite is None else (1 / Fraction(opposite.rate), opposite)
