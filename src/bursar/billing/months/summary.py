"""Month summaries: what each month of a tenant comes to, closed or not, with its corrections.

The earliest month that isn't closed takes up what has changed in earlier ones: late events, corrections,
voids and re-pricing alike show as the difference between what a month comes to now and what was billed
for it. Months whose rollups have expired are settled: what they come to now isn't known any more. So are a
project's lines of months of which its own sums have expired.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from bursar import clock
from bursar.billing.months.bill import Bill, subtract_bill
from bursar.billing.months.closing import billed_by_month, write_figures
from bursar.billing.months.estimate import BASIS_DAYS, MonthEstimates, estimate_month
from bursar.billing.months.month import BillingState, Month, is_due, state_of
from bursar.billing.months.reading import read_bills, read_days
from bursar.errors import Conflict, Reason
from bursar.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bursar.billing.months.closing import ClosedBy, Closing, ClosingStore
    from bursar.usage.store import AsksQuestions


class MonthAges(Protocol):
    """How far back a tenant's sums go."""

    def oldest_sum(self, tenant_id: str) -> datetime | None:
        """The hour of the tenant's oldest usage that is still summed up; None without usage."""
        ...

    def rollups_from(self, tenant_id: str) -> datetime | None:
        """The moment before which the tenant's rollups have expired; None where none have."""
        ...

    def project_rollups_from(self, tenant_id: str) -> Mapping[str, datetime]:
        """The same by project, for those whose own rollups have expired."""
        ...


@dataclass(frozen=True, slots=True)
class _Expired:
    """Up to which moments rollups have expired."""

    tenant: datetime | None
    projects: Mapping[str, datetime]

    def partial_since(self, month: Month) -> datetime | None:
        """From when on all of the month's rollups are there, if some have expired."""
        since = max((self.tenant, *self.projects.values()), key=lambda one: one or clock.EPOCH)
        return since if since is not None and month.start < since else None

    def is_settled(self, month: Month) -> bool:
        """Whether nobody knows what the month comes to now."""
        return self.tenant is not None and month.start < self.tenant

    def known(self, month: Month, bill: Bill) -> Bill:
        """The lines of a month's bill but for those of projects whose rollups of it have expired."""
        gone = {project_id for project_id, until in self.projects.items() if month.start < until}
        return {key: sums for key, sums in bill.items() if key.project_id not in gone} if gone else bill


@dataclass(frozen=True, slots=True)
class MonthSummary:
    """What a month comes to."""

    month: Month
    state: BillingState
    closes_at: datetime
    """When the schedule closes it, or would have."""
    lines: Bill
    corrections: dict[Month, Bill] = field(default_factory=dict["Month", "Bill"])
    """What is taken up here of earlier months, by the month that it is about."""
    closing: Closing | None = None
    partial_since: datetime | None = None
    """What came before this moment of the month has expired, and is in no line; of a closed one, had."""


@dataclass(frozen=True, slots=True)
class Months:
    """The month summaries of every tenant. Synchronous; call from threads."""

    store: ClosingStore
    questions: AsksQuestions
    ages: MonthAges
    grace_days: int

    def overview(self, tenant_id: str, now: datetime) -> list[MonthSummary]:
        """Every month from the tenant's first to the current one, the latest first."""
        closings = self.store.closings(tenant_id)
        bills = self._bills(tenant_id, closings, now)
        return self._summaries(tenant_id, closings, bills, now)[::-1]

    def summary(self, tenant_id: str, month: Month, now: datetime) -> MonthSummary:
        """One month; empty where it had no usage, or came to light after a later month was closed."""
        summaries = self.overview(tenant_id, now)
        found = next((one for one in summaries if one.month == month), None)
        if found is not None:
            return found
        is_closed = bool(summaries) and month < summaries[-1].month and summaries[-1].closing is not None
        state = state_of(month, now, is_closed=is_closed)
        partial = self._expired(tenant_id).partial_since(month)
        return MonthSummary(month, state, self._closes_at(month), {}, partial_since=partial)

    def estimates(self, tenant_id: str, now: datetime) -> MonthEstimates:
        """How the current month may end, by currency."""
        month, today = Month.of(now), now.date()
        begin = min(month.start, month.start.replace(day=today.day) - timedelta(days=BASIS_DAYS))
        window = Window(begin, month.end)
        days = self.questions.ask_now(lambda store: read_days(store, tenant_id, window))
        unpriced = sum(events for day, events in days.unpriced.items() if day >= month.start.date())
        return MonthEstimates(estimate_month(month, today, days.known), unpriced)

    def finalise(self, tenant_id: str, month: Month, by: ClosedBy, now: datetime) -> tuple[Closing, ...]:
        """Close a month that is over, and every earlier one before it; answers those closed by this call.

        Args:
            tenant_id: whose month.
            month: one that is over; a month that is closed already stays as it is.
            by: the key that asks, and why.
            now: the moment of closing.

        Raises:
            Conflict: the month isn't over (`month_not_over`).
        """
        if now < month.end:
            message = f"{month} ends at {month.end:%Y-%m-%dT%H:%M:%SZ}; a month is closed once it is over."
            raise Conflict(message, reasons=(Reason("month", "month_not_over", message),))
        return self._close_until(tenant_id, month, by, now, is_asked=True)

    def close_due(self, tenant_id: str, now: datetime) -> tuple[Closing, ...]:
        """Close every month whose grace is over; what the schedule does."""
        month = Month.of(now).previous()
        while not is_due(month, now, self.grace_days):
            month = month.previous()
        return self._close_until(tenant_id, month, (None, None), now)

    def _close_until(
        self, tenant_id: str, last: Month, by: ClosedBy, now: datetime, *, is_asked: bool = False
    ) -> tuple[Closing, ...]:
        """Close what isn't closed up to a month, from the first with usage; what is asked for needs none."""
        closings = self.store.closings(tenant_id)
        bills = self._bills(tenant_id, closings, now)
        mine: list[Month] = []
        asked: dict[Month, Bill] = {last: {}} if is_asked else {}
        while (month := self._next_to_close(closings, asked | bills)) is not None and month <= last:
            expired = self._expired(tenant_id)
            corrections = _corrections(month, closings, bills, expired)
            partial = expired.partial_since(month)
            text = write_figures(month, bills.get(month, {}), corrections, partial)
            if self.store.close(tenant_id, month, now, by, text):
                mine.append(month)
            before, closings = closings, self.store.closings(tenant_id)
            if {closing.month for closing in closings} - {*mine, *(one.month for one in before)}:
                # Somebody else closed months meanwhile, who may have known of more events than these bills:
                # against them, the later ones would be corrected by the difference.
                bills = self._bills(tenant_id, closings, now)
        return tuple(closing for closing in closings if closing.month in mine)

    def _next_to_close(self, closings: Sequence[Closing], bills: Mapping[Month, Bill]) -> Month | None:
        if closings:
            return closings[-1].month.next()
        return min(bills, default=None)

    def _bills(self, tenant_id: str, closings: Sequence[Closing], now: datetime) -> dict[Month, Bill]:
        oldest = self.ages.oldest_sum(tenant_id)
        begins = [Month.of(oldest)] if oldest else []
        begins += [closing.month for closing in closings[:1]]
        if not begins:
            return {}
        window = Window(min(begins).start, max(Month.of(now), *begins).end)
        return self.questions.ask_now(lambda store: read_bills(store, tenant_id, window))

    def _summaries(
        self, tenant_id: str, closings: Sequence[Closing], bills: Mapping[Month, Bill], now: datetime
    ) -> list[MonthSummary]:
        closed = {closing.month: closing for closing in closings}
        taking_up = self._next_to_close(closings, bills)
        expired = self._expired(tenant_id)
        summaries: list[MonthSummary] = []
        # What came to light before the first month that was closed is a correction, and no month of its own.
        month = min(closed or bills, default=Month.of(now))
        while month <= Month.of(now):
            closing = closed.get(month)
            state = state_of(month, now, is_closed=closing is not None)
            if closing is not None:
                lines, corrections = closing.lines, closing.corrections
                partial = closing.partial_since
            else:
                lines, partial = bills.get(month, {}), expired.partial_since(month)
                corrections = _corrections(month, closings, bills, expired) if month == taking_up else {}
            closes_at = self._closes_at(month)
            summaries.append(MonthSummary(month, state, closes_at, lines, corrections, closing, partial))
            month = month.next()
        return summaries

    def _expired(self, tenant_id: str) -> _Expired:
        return _Expired(self.ages.rollups_from(tenant_id), self.ages.project_rollups_from(tenant_id))

    def _closes_at(self, month: Month) -> datetime:
        return month.end + timedelta(days=self.grace_days)


def _corrections(
    month: Month, closings: Sequence[Closing], bills: Mapping[Month, Bill], expired: _Expired
) -> dict[Month, Bill]:
    """What has changed in earlier months since they were billed; of what has expired nobody knows."""
    billed = billed_by_month(closings)
    found: dict[Month, Bill] = {}
    for about in sorted(one for one in {*bills, *billed} if one < month):
        if expired.is_settled(about):
            continue
        now, then = (expired.known(about, known.get(about, {})) for known in (bills, billed))
        change = subtract_bill(now, then)
        if change:
            found[about] = change
    return found
