"""Makes a usage event of each day of a seat plan, and hands them to the one door.

The event's id names plan and day, so a day counts once however often it is recorded. Days are recorded
once they have begun; those from before the horizon of the tenant, or of the plan's project, are passed
over. A reset takes the days with everything else, and they are recorded again: the plans stay, and so does
what they cost.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from bursar.errors import BursarError, Conflict
from bursar.money import PICOS_PER_UNIT, format_decimal
from bursar.usage.event import ReportedCost, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from threading import Lock

    from bursar.billing.seats.plan import SeatPlan, SeatStore
    from bursar.usage.checks import KeptSince
    from bursar.usage.ingest import Accepted

SERVICE_TYPE = "subscription"
OPERATION = "seat_day"
DAYS_AT_ONCE = 1_000
"""Days in one body."""


class OwnUsage(Protocol):
    """The one door, for usage that Bursar knows of by itself."""

    def record(self, tenant_id: str, events: Sequence[UsageEvent], now: datetime) -> Accepted:
        """Journal events of a tenant from a thread; durable when this returns."""
        ...


@dataclass(frozen=True, slots=True)
class SeatRecorder:
    """Records what is due of seat plans. Synchronous; call from threads."""

    store: SeatStore
    door: OwnUsage
    kept: KeptSince
    """Since when events of a tenant, and of a project, are kept."""
    turns: Lock
    """One for all recorders of a journal."""

    def add(self, plan: SeatPlan, now: datetime) -> SeatPlan:
        """Keep a plan and record its days that have begun; the plan as it is then.

        Raises:
            Conflict: its id stands for another plan, or the door refused a day; it isn't kept.
            DiskFull, Overloaded, Unavailable: the journal takes nothing now; it isn't kept. Where some days
                are recorded it is, and the schedule adds the others.
        """
        self.store.add(plan)
        try:
            self.record_plan(self.store.plan(plan.tenant_id, plan.id), now)
        except BursarError:
            if self.store.remove_unrecorded(plan.tenant_id, plan.id):
                raise
        return self.store.plan(plan.tenant_id, plan.id)

    def record_due(self, tenant_id: str, now: datetime, told: Callable[[int], None] = lambda _: None) -> int:
        """Record every day of a tenant's plans that has begun and isn't recorded; how many.

        Args:
            tenant_id: whose plans.
            now: the moment that says which days have begun.
            told: called with the number so far, now and then; may raise to stop.

        Raises:
            Conflict: the door refused a day; all that it takes is recorded, other plans' days too.
            DiskFull, Overloaded, Unavailable: the journal takes nothing now.
        """
        done = 0
        refused: list[Conflict] = []
        for plan in self.store.unfinished(tenant_id):
            try:
                done += self.record_plan(plan, now, lambda days, before=done: told(before + days))
            except Conflict as refusal:
                refused.append(refusal)
        if refused:
            raise refused[0]
        return done

    def record_plan(self, plan: SeatPlan, now: datetime, told: Callable[[int], None] = lambda _: None) -> int:
        """Record the days of one plan that are due; how many. For arguments and errors see `record_due`."""
        done, today = 0, now.astimezone(UTC).date()
        while True:
            told(done)
            # Nobody ends the plan between this look at it and the note of what is recorded.
            with self.turns:
                current = self.store.plan(plan.tenant_id, plan.id)
                days = list(islice(current.days_due(today, self._kept_from(current, now)), DAYS_AT_ONCE))
                if not days:
                    return done
                accepted = self.door.record(plan.tenant_id, [seat_day(current, day) for day in days], now)
                _refuse_rejected(current, accepted)
                self.store.note_recorded(plan.tenant_id, plan.id, days[-1] + timedelta(days=1))
            done += len(days)

    @contextmanager
    def anew(self, tenant_id: str, project_id: str | None = None) -> Generator[int]:
        """Note that no day of a tenant's plans is recorded; within, what the tenant has recorded is removed.

        Noted first: days that are recorded once more without need count once all the same. Plans of a project
        end with it: where one is named its plans are removed, others stay as they are, and it hears how many.
        """
        with self.turns:
            if project_id is None:
                self.store.forget_recorded(tenant_id)
                yield 0
            else:
                yield self.store.remove_plans_of(tenant_id, project_id)

    def end(self, tenant_id: str, plan_id: str, ends: date) -> SeatPlan:
        """Let a plan end before this day; no day from then on is, or will be, recorded.

        Raises:
            NotFound: the tenant has no such plan.
            Conflict: days from then on are recorded already (`days_recorded`).
        """
        with self.turns:
            return self.store.end(tenant_id, plan_id, ends)

    def _kept_from(self, plan: SeatPlan, now: datetime) -> date:
        horizon = self.kept.horizon_of(plan.tenant_id, now, plan.project_id)
        if horizon is None:
            return plan.starts
        # A day is one moment, its first: that of the horizon's own day may be gone already.
        return horizon.astimezone(UTC).date() + timedelta(days=1)


def seat_day(plan: SeatPlan, day: date) -> UsageEvent:
    """The event of one day of a plan."""
    amount = Decimal(plan.picos_on(day)) / PICOS_PER_UNIT
    return UsageEvent(
        event_id=f"seat:{plan.id}:{day}",
        time=datetime.combine(day, time.min, UTC),
        project_id=plan.project_id,
        service_type=SERVICE_TYPE,
        provider=plan.provider,
        operation=OPERATION,
        units={"seat_days": plan.seats},
        cost=ReportedCost(amount, plan.currency),
        metadata={
            "seat_plan": plan.id,
            "plan": plan.plan,
            "price_per_seat_and_month": format_decimal(plan.price_per_seat),
        },
        tags={"plan": plan.plan},
    )


def _refuse_rejected(plan: SeatPlan, accepted: Accepted) -> None:
    if accepted.rejections:
        reasons = tuple(reason for one in accepted.rejections for reason in one.reasons)
        message = f"A day of seat plan {plan.id} was refused: {reasons[0].message}"
        raise Conflict(message, reasons=reasons)
