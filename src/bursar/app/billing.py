"""Month summaries and seats, put together from the platform's parts: their stores, their jobs.

What they decide is in `billing/months/` and `billing/seats/`; here is only who gives them what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.app.own_usage import LoopDoor
from bursar.billing.months.summary import Months
from bursar.billing.seats.recording import SeatRecorder
from bursar.errors import BursarError, Conflict
from bursar.identity.permissions import Permission
from bursar.scheduling.job import Cron, Job, RunContext
from bursar.storage.duckdb.ages import DuckDBAges
from bursar.storage.relational.closings import RelationalClosings
from bursar.storage.relational.seats import RelationalSeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bursar.app.job_ground import JobGround
    from bursar.scheduling.run import Json

CLOSE_JOB = "billing"
SEATS_JOB = "seats"
FAILURES_NAMED = 5
"""In the error of a run; all are in the log."""

log = structlog.get_logger()


def months_of(ground: JobGround) -> Months:
    """The month summaries over these parts."""
    closings = RelationalClosings(ground.engine, *_journals(ground))
    ages = DuckDBAges(ground.stores.cursor)
    return Months(closings, ground.questions, ages, ground.settings.billing_grace_days)


def seats_of(ground: JobGround) -> SeatRecorder:
    """What records seats over these parts."""
    door = LoopDoor(ground.ingestor, ground.changes, ground.time_rules()["import"], ground.knows_tenant)
    plans = RelationalSeats(ground.engine, *_journals(ground))
    return SeatRecorder(plans, door, ground.horizons, ground.seat_turns)


def billing_jobs(ground: JobGround, tenants: Callable[[], Iterable[str]]) -> list[Job]:
    """What closes months, and what records seats."""
    return [_closing(months_of(ground), tenants), _seats(seats_of(ground), tenants, ground.knows_tenant)]


def _journals(ground: JobGround) -> tuple[str, list[str]]:
    """The journal of this process, and those that it continues."""
    identity = ground.stores.journal.identity
    return identity.journal_id, [before.journal_id for before in identity.lineage]


def _closing(months: Months, tenants: Callable[[], Iterable[str]]) -> Job:
    def close(context: RunContext) -> dict[str, Json]:
        closed: list[Json] = []

        def close_due(tenant_id: str) -> None:
            context.progress("closing months", len(closed))
            closed.extend(
                {"tenant_id": tenant_id, "month": str(closing.month), "hash": closing.hash}
                for closing in months.close_due(tenant_id, clock.now())
            )

        _do_for_each(_whose(context, tenants), close_due)
        return {"closed": closed}

    return Job(
        id=CLOSE_JOB,
        title="Closes billing months whose days of grace are over.",
        work=close,
        schedule=Cron("20 3 * * *"),
        jitter_seconds=300,
        resumes=True,
        for_tenants=True,
        permission=Permission.BILLING_WRITE,
    )


def _seats(
    seats: SeatRecorder, tenants: Callable[[], Iterable[str]], takes_usage: Callable[[str], bool]
) -> Job:
    def record(context: RunContext) -> dict[str, Json]:
        days = 0

        def record_due(tenant_id: str) -> None:
            nonlocal days
            # Of a suspended tenant they are recorded once it isn't any more.
            if takes_usage(tenant_id):
                before = days
                days += seats.record_due(
                    tenant_id, clock.now(), lambda done: context.progress("seats", before + done)
                )

        _do_for_each(_whose(context, tenants), record_due)
        return {"days": days}

    return Job(
        id=SEATS_JOB,
        title="Records the days of seats that are paid by the month.",
        work=record,
        schedule=Cron("5 0 * * *"),
        jitter_seconds=60,
        resumes=True,
        for_tenants=True,
        permission=Permission.BILLING_WRITE,
    )


def _whose(context: RunContext, tenants: Callable[[], Iterable[str]]) -> Iterable[str]:
    return tenants() if context.tenant_id is None else [context.tenant_id]


def _do_for_each(tenants: Iterable[str], work: Callable[[str], None]) -> None:
    """Do it for every tenant: none of them waits for one for which it fails.

    Raises:
        Conflict: it failed for some, which are named; it was done for all others.
    """
    failures: list[str] = []
    for tenant_id in tenants:
        try:
            work(tenant_id)
        except BursarError as error:
            log.warning("a job failed for a tenant", tenant=tenant_id, error=error.detail)
            failures.append(f"{tenant_id}: {error.detail}")
    if failures:
        more = f" And {len(failures) - FAILURES_NAMED} more." if len(failures) > FAILURES_NAMED else ""
        message = f"Done but for {len(failures)} tenants. {' '.join(failures[:FAILURES_NAMED])}{more}"
        raise Conflict(message)
