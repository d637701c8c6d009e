"""Seat plans in SQL; implements `SeatStore`.

A plan's days are recorded in one journal, so it belongs to that one and to those that continue it after
a restore: servers that share a state store don't record each other's.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select, tuple_, update

from bursar.billing.seats.plan import SeatPlan
from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.page import Page, Position
from bursar.money import format_decimal
from bursar.storage.relational.tables.billing import SEAT_PLANS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Engine, Row, Select

    from bursar.identity.page import PageAsk


class RelationalSeats:
    """Keeps seat plans in the tables behind an engine."""

    def __init__(self, engine: Engine, journal_id: str, earlier_journals: Collection[str] = ()) -> None:
        """Keep them behind `engine`, for this journal and those that it continues."""
        self._engine = engine
        self._journal_id = journal_id
        self._journals = [journal_id, *earlier_journals]

    def add(self, plan: SeatPlan) -> None:
        """See `SeatStore.add`."""
        row = insert(SEAT_PLANS).values(
            id=plan.id,
            tenant_id=plan.tenant_id,
            journal_id=self._journal_id,
            provider=plan.provider,
            plan=plan.plan,
            seats=plan.seats,
            price_per_seat=format_decimal(plan.price_per_seat),
            currency=plan.currency,
            project_id=plan.project_id,
            starts=plan.starts.isoformat(),
            ends=plan.ends.isoformat() if plan.ends else None,
            note=plan.note,
            created_at=plan.created_at,
            created_by=plan.created_by,
        )
        message = f"The seat plan '{plan.id}' exists, with other terms."
        taken = Conflict(message, reasons=(Reason("Idempotency-Key", "plan_exists", message),))
        try:
            with (
                writing(self._engine) as connection,
                refusing(duplicate=taken, orphan=no_tenant(plan.tenant_id)),
            ):
                connection.execute(row)
        except Conflict:
            with reading(self._engine) as connection:
                kept = connection.execute(self._plan_question(plan.tenant_id, plan.id)).one_or_none()
            # None: another server's, which records its days in its own journal.
            if kept is None or _terms_of(_plan_of(kept)) != _terms_of(plan):
                raise

    def plans(self, tenant_id: str, ask: PageAsk) -> Page[SeatPlan]:
        """See `SeatStore.plans`."""
        place = tuple_(SEAT_PLANS.c.created_at, SEAT_PLANS.c.id)
        question = select(SEAT_PLANS).where(*self._of(tenant_id)).order_by(*place).limit(ask.limit + 1)
        if ask.after is not None:
            question = question.where(place > (ask.after.created_at, ask.after.id))
        with reading(self._engine) as connection:
            found = [_plan_of(row) for row in connection.execute(question)]
        items = tuple(found[: ask.limit])
        last = items[-1] if len(found) > ask.limit else None
        return Page(items, Position(last.created_at, last.id) if last else None)

    def plan(self, tenant_id: str, plan_id: str) -> SeatPlan:
        """See `SeatStore.plan`."""
        with reading(self._engine) as connection:
            return self._plan(connection, tenant_id, plan_id)

    def unfinished(self, tenant_id: str) -> tuple[SeatPlan, ...]:
        """See `SeatStore.unfinished`."""
        columns = SEAT_PLANS.c
        is_left = or_(columns.recorded_until.is_(None), columns.recorded_until < columns.ends)
        is_open = or_(columns.ends.is_(None), and_(columns.starts < columns.ends, is_left))
        question = select(SEAT_PLANS).where(*self._of(tenant_id), is_open).order_by(columns.created_at)
        with reading(self._engine) as connection:
            return tuple(_plan_of(row) for row in connection.execute(question))

    def end(self, tenant_id: str, plan_id: str, ends: date) -> SeatPlan:
        """See `SeatStore.end`."""
        columns = SEAT_PLANS.c
        none_later = or_(columns.recorded_until.is_(None), columns.recorded_until <= ends.isoformat())
        change = update(SEAT_PLANS).where(*self._of(tenant_id), columns.id == plan_id, none_later)
        with writing(self._engine) as connection:
            changed = connection.execute(change.values(ends=ends.isoformat())).rowcount
            plan = self._plan(connection, tenant_id, plan_id)
        if not changed:
            message = f"Days until {plan.recorded_until} are recorded already; a plan ends then or later."
            raise Conflict(message, reasons=(Reason("ends", "days_recorded", message),))
        return plan

    def remove_unrecorded(self, tenant_id: str, plan_id: str) -> bool:
        """See `SeatStore.remove_unrecorded`."""
        columns = SEAT_PLANS.c
        change = delete(SEAT_PLANS).where(
            *self._of(tenant_id), columns.id == plan_id, columns.recorded_until.is_(None)
        )
        with writing(self._engine) as connection:
            return connection.execute(change).rowcount > 0

    def forget_recorded(self, tenant_id: str) -> None:
        """See `SeatStore.forget_recorded`."""
        change = update(SEAT_PLANS).where(*self._of(tenant_id))
        with writing(self._engine) as connection:
            connection.execute(change.values(recorded_until=None))

    def remove_plans_of(self, tenant_id: str, project_id: str) -> int:
        """See `SeatStore.remove_plans_of`."""
        change = delete(SEAT_PLANS).where(*self._of(tenant_id), SEAT_PLANS.c.project_id == project_id)
        with writing(self._engine) as connection:
            return connection.execute(change).rowcount

    def note_recorded(self, tenant_id: str, plan_id: str, until: date) -> None:
        """See `SeatStore.note_recorded`."""
        columns = SEAT_PLANS.c
        earlier = or_(columns.recorded_until.is_(None), columns.recorded_until < until.isoformat())
        change = update(SEAT_PLANS).where(*self._of(tenant_id), columns.id == plan_id, earlier)
        with writing(self._engine) as connection:
            connection.execute(change.values(recorded_until=until.isoformat()))

    def _plan(self, connection: Connection, tenant_id: str, plan_id: str) -> SeatPlan:
        row = connection.execute(self._plan_question(tenant_id, plan_id)).one_or_none()
        if row is None:
            message = f"There is no seat plan '{plan_id}'."
            raise NotFound(message)
        return _plan_of(row)

    def _plan_question(self, tenant_id: str, plan_id: str) -> Select[Any]:
        return select(SEAT_PLANS).where(*self._of(tenant_id), SEAT_PLANS.c.id == plan_id)

    def _of(self, tenant_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return SEAT_PLANS.c.tenant_id == tenant_id, SEAT_PLANS.c.journal_id.in_(self._journals)


def _terms_of(plan: SeatPlan) -> SeatPlan:
    """The plan without what it says about its making and its progress."""
    return replace(plan, created_at=datetime.min, created_by="", recorded_until=None)  # noqa: DTZ901 - no moment


def _plan_of(row: Row[tuple[object, ...]]) -> SeatPlan:
    return SeatPlan(
        id=row.id,
        tenant_id=row.tenant_id,
        provider=row.provider,
        plan=row.plan,
        seats=row.seats,
        price_per_seat=Decimal(row.price_per_seat),
        currency=row.currency,
        project_id=row.project_id,
        starts=date.fromisoformat(row.starts),
        ends=_day(row.ends),
        recorded_until=_day(row.recorded_until),
        note=row.note,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
