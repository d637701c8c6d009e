"""A seat plan: so many seats of a provider's subscription, at a price per seat and month.

A month's price is spread over its days so that the days of a whole month sum up to it exactly; a plan
that begins or ends within a month costs the days that it lasted. A plan never changes, for its days are
recorded: it ends, and another one begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol

from bursar.billing.months.month import Month
from bursar.errors import Invalid, Reason
from bursar.money import AMOUNT_LIMIT_PICOS, parse_picos

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal

    from bursar.identity.page import Page, PageAsk

SEATS_LIMIT = 1_000_000
FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2199, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlan:
    """Seats that a tenant pays for by the month."""

    id: str
    tenant_id: str
    provider: str
    plan: str
    """What the provider calls it, such as `Team`."""
    seats: int
    price_per_seat: Decimal
    """For one month, in `currency`."""
    currency: str
    project_id: str | None
    starts: date
    """The first UTC day."""
    ends: date | None
    """The first UTC day that isn't paid any more; None while it goes on."""
    recorded_until: date | None
    """The first UTC day that isn't recorded yet; None before any is."""
    note: str | None
    created_at: datetime
    created_by: str

    def picos_on(self, day: date) -> int:
        """What a day costs: the difference of two roundings down, so that no pico of a month is lost."""
        month = Month(day.year, day.month)
        total = parse_picos(self.price_per_seat) * self.seats
        return total * day.day // month.days - total * (day.day - 1) // month.days

    def days_due(self, today: date, kept_from: date) -> Iterator[date]:
        """The days up to and including `today` that aren't recorded yet.

        Args:
            today: the UTC day that has begun.
            kept_from: the first day whose events are still taken; earlier ones are passed over.
        """
        day = max(self.recorded_until or self.starts, kept_from)
        end = today + timedelta(days=1)
        while day < (end if self.ends is None else min(end, self.ends)):
            yield day
            day += timedelta(days=1)


class SeatStore(Protocol):
    """Keeps seat plans; every call is about one tenant, but for the schedule's."""

    def add(self, plan: SeatPlan) -> None:
        """Keep a new plan; on disk when this returns. Adding the same one again changes nothing.

        Raises:
            NotFound: there is no such tenant.
            Conflict: its id stands for another plan (`plan_exists`).
        """
        ...

    def plans(self, tenant_id: str, ask: PageAsk) -> Page[SeatPlan]:
        """One page of a tenant's plans, the earliest made first."""
        ...

    def plan(self, tenant_id: str, plan_id: str) -> SeatPlan:
        """One plan.

        Raises:
            NotFound: this tenant has none of this id.
        """
        ...

    def unfinished(self, tenant_id: str) -> tuple[SeatPlan, ...]:
        """The tenant's plans that have, or will have, days to record."""
        ...

    def end(self, tenant_id: str, plan_id: str, ends: date) -> SeatPlan:
        """Let a plan end before this day, unless later days are recorded.

        Raises:
            NotFound: this tenant has none of this id.
            Conflict: days from then on are recorded already (`days_recorded`).
        """
        ...

    def remove_unrecorded(self, tenant_id: str, plan_id: str) -> bool:
        """Forget a plan of which no day is recorded; False where one is, or there is no such plan."""
        ...

    def forget_recorded(self, tenant_id: str) -> None:
        """No day of this tenant's plans is recorded any more."""
        ...

    def remove_plans_of(self, tenant_id: str, project_id: str) -> int:
        """Forget this tenant's plans of a project; how many."""
        ...

    def note_recorded(self, tenant_id: str, plan_id: str, until: date) -> None:
        """Days before this one are recorded."""
        ...


def refuse_unfit(plan: SeatPlan) -> None:
    """Let only a plan pass that can be recorded.

    Raises:
        Invalid: with every reason why it can't.
    """
    reasons: list[Reason] = []
    if plan.ends is not None and plan.ends <= plan.starts:
        reasons.append(Reason("ends", "empty_window", "a plan ends after the day on which it starts"))
    try:
        picos = parse_picos(plan.price_per_seat) * plan.seats
    except ValueError as error:
        reasons.append(Reason("price_per_seat", "invalid_value", str(error)))
    else:
        if not 0 <= picos < AMOUNT_LIMIT_PICOS:
            text = "seats x price_per_seat must be at least 0 and under 1000000 a month"
            reasons.append(Reason("price_per_seat", "out_of_range", text))
    if reasons:
        raise Invalid(reasons=tuple(reasons))
