"""A quota on a month: whose, its measure, its limit, and what happens at the limit; and what a month is.

It is a tenant's, or one project's, and then counts the events that are in it. Months are those of UTC,
whatever zone a tenant reports in, and an event belongs to the month in which it happened, as in every answer
about usage. So what counts against a quota is what a query over that month says. How much is left of one is
told in `room.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import MAXYEAR, UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from bursar import clock
from bursar.clock import rfc3339
from bursar.errors import NotFound, QuotaExceeded, Reason
from bursar.money import format_picos
from bursar.usage.whose import Whose

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY_MICROS = 86_400_000_000
_DECEMBER = 12


class Measure(StrEnum):
    """What a quota counts."""

    EVENTS = "events"
    COST = "cost"


class Enforcement(StrEnum):
    """What happens at the limit."""

    SOFT = "soft"
    """It is told: in the answer to who asks for quotas, in the log, in metrics."""
    HARD = "hard"
    """New events of the month are refused by name."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of one tenant, or of one project of it, for every month alike."""

    tenant_id: str
    measure: Measure
    limit: int
    """Events, or 1e-12 units of the currency."""
    enforcement: Enforcement
    currency: str | None = None
    """Of a cost: what was spent in others doesn't count."""
    project_id: str | None = None
    """The project whose events it counts; None: all of the tenant's."""

    @property
    def whose(self) -> Whose:
        """Whose events it counts."""
        return Whose(self.tenant_id, self.project_id)

    def shown(self, amount: int) -> str:
        """An amount of what it counts, as people read it."""
        if self.measure is Measure.EVENTS:
            return f"{amount:,} events"
        return f"{format_picos(amount)} {self.currency}"


@dataclass(frozen=True, slots=True)
class KeptQuota:
    """A quota with who set it and when: an `Allowance`."""

    quota: Quota
    set_at: datetime
    set_by: str

    @property
    def tenant_id(self) -> str:
        """See `Allowance.tenant_id`."""
        return self.quota.tenant_id

    @property
    def subject(self) -> tuple[str | None, Measure]:
        """See `Allowance.subject`."""
        return self.quota.project_id, self.quota.measure


def no_quota(project_id: str | None, measure: Measure) -> NotFound:
    """The refusal to forget a quota that isn't there."""
    owner = "The tenant" if project_id is None else f"The project '{project_id}'"
    return NotFound(f"{owner} has no quota on {measure.value}.")


@dataclass(frozen=True, slots=True)
class Month:
    """A month of UTC, as microseconds since 1970; its end is not in it."""

    start: int
    end: int

    @property
    def name(self) -> str:
        """As `2026-11`."""
        return clock.from_micros(self.start).strftime("%Y-%m")

    @property
    def resets_at(self) -> datetime:
        """When the next one begins."""
        return clock.from_micros(self.end)


def month_of(micros: int) -> Month:
    """The month in which a moment lies."""
    return _month_of_day(micros // DAY_MICROS)


@lru_cache(maxsize=4096)
def _month_of_day(day: int) -> Month:
    moment = clock.from_micros(day * DAY_MICROS)
    start = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    year, month = (moment.year + 1, 1) if moment.month == _DECEMBER else (moment.year, moment.month + 1)
    # There is no year 10000 to reset in.
    end = datetime(year, month, 1, tzinfo=UTC) if year <= MAXYEAR else datetime(MAXYEAR, 12, 31, tzinfo=UTC)
    return Month(clock.to_micros(start), clock.to_micros(end))


@dataclass(slots=True)
class MonthUse:
    """What was recorded of a month of a tenant or a project."""

    events: int = 0
    unpriced_events: int = 0
    """Whose cost isn't known, so that it counts nowhere."""
    picos: dict[str, int] = field(default_factory=dict[str, int])
    """Known cost by currency, in 1e-12 units."""

    def of(self, quota: Quota) -> int:
        """What counts against a quota."""
        if quota.measure is Measure.EVENTS:
            return self.events
        return self.picos.get(quota.currency or "", 0)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A hard quota that has nothing left for an event."""

    quota: Quota
    month: Month
    used: int
    names_amounts: bool = True
    """What may be spent and was spent isn't for everybody who sends events."""

    @property
    def text(self) -> str:
        """The whole story, for whoever sent the event."""
        quota, month = self.quota, self.month.name
        what = f"quota on {quota.measure.value} in {month} is used up."
        if self.names_amounts:
            what = (
                f"quota of {quota.shown(quota.limit)} in {month} is used up:"
                f" {quota.shown(self.used)} are recorded."
            )
        owner, who = "The tenant's", "the operator"
        if quota.project_id is not None:
            owner, who = f"Project '{quota.project_id}': its", "an administrator of the tenant"
        return f"{owner} {what} It resets at {rfc3339(self.month.resets_at)}; {who} can raise it before."

    def reason(self) -> Reason:
        """Why an item was refused."""
        return Reason("$", QuotaExceeded.code, self.text)

    def told(self) -> Mapping[str, str | int]:
        """The same as data."""
        quota = self.quota
        is_cost = quota.measure is Measure.COST
        amounts: dict[str, str | int] = {}
        if self.names_amounts:
            amounts = {
                "used": format_picos(self.used) if is_cost else self.used,
                "limit": format_picos(quota.limit) if is_cost else quota.limit,
            }
        currency = {"currency": quota.currency or ""} if is_cost else {}
        project = {} if quota.project_id is None else {"project_id": quota.project_id}
        return {
            **project,
            "measure": quota.measure.value,
            **amounts,
            **currency,
            "month": self.month.name,
            "resets_at": rfc3339(self.month.resets_at),
        }
