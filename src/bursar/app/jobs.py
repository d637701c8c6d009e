"""The jobs there are: what Bursar does by itself, and what it does at length when somebody asks.

Each is put together here from the platform's parts; the work itself belongs to the part it is about.
Who runs them, and what becomes of a run, is in `scheduling/`.
"""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from bursar import clock
from bursar.app.archive_retention import drop_old_segments
from bursar.app.audit_retention import audit_retention_job
from bursar.app.backup_job import backup_job
from bursar.app.billing import billing_jobs
from bursar.app.change_jobs import change_jobs
from bursar.app.renewing import Renewals
from bursar.app.rewritings import Rewritings, await_turn
from bursar.identity.page import walk_pages
from bursar.identity.permissions import Permission
from bursar.scheduling.job import Cron, Every, Job, RunContext
from bursar.scheduling.runner import JobRunner
from bursar.scheduling.runner_values import RunnerOptions
from bursar.storage.duckdb.ages import DuckDBAges
from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.relational.leases import RelationalLease
from bursar.storage.relational.runs import RelationalSchedulerStore
from bursar.usage.retention.expiry import ExpiryGround, check_parameters, expire
from bursar.usage.retention.policy import horizon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bursar.app.job_ground import JobGround
    from bursar.identity.store import TenantStore
    from bursar.scheduling.run import Json
    from bursar.settings import Settings
    from bursar.storage.relational.engine import StateEngine

Result = TypeVar("Result")

ERRAND_LOOK_SECONDS = 0.5
"""How long a run may not hear that it is to stop, while it waits for the applier."""


def make_runner(settings: Settings, engine: StateEngine, journal_id: str) -> JobRunner:
    """The runner of this process, without jobs. Its place is the data folder, which one process locks."""
    options = RunnerOptions(place=journal_id, keeps_time=settings.scheduler)
    store, lease = RelationalSchedulerStore(engine, journal_id), RelationalLease(engine, lease_of(journal_id))
    store.note_journal(clock.now())
    return JobRunner((), store, lease, options)


def lease_of(journal_id: str) -> str:
    """The name of the lease that the one runner holds among all processes on a journal."""
    return f"scheduler {journal_id}"


def jobs_of(ground: JobGround) -> list[Job]:
    """Every job there is, over these parts of the platform."""
    rewritings = Rewritings(ground)
    return [
        _compaction(ground),
        _archive(ground, rewritings),
        _retention(ground, rewritings),
        audit_retention_job(ground),
        backup_job(ground),
        *billing_jobs(ground, lambda: tenant_ids(ground.identity)),
        *change_jobs(ground, rewritings),
    ]


def _compaction(ground: JobGround) -> Job:
    def compact(context: RunContext) -> dict[str, Json]:
        counts, step, done = ground.stores.derived.count_rollup_rows(), "compacting rollups", 0
        # The applier's thread is the only one that writes the usage store. It compacts by itself, and knows
        # what it added since the start; this finds what it doesn't.
        between = ground.applier.between_batches
        await_errand(context, step, between(lambda: ground.stores.applier.compactor.know(counts)))
        while await_errand(context, step, between(ground.stores.compact_step)):
            done += 1
        return {"steps": done}

    return Job(
        id="compaction",
        title="Replaces rollup rows by their sums, period by period, where that is worth it.",
        work=compact,
        schedule=Every(seconds=300),
        resumes=True,
    )


def _archive(ground: JobGround, rewritings: Rewritings) -> Job:
    def archive(context: RunContext) -> dict[str, Json]:
        journal, progress = ground.folder.journal, context.progress
        done = await_turn(context, lambda: archive_sealed(journal, ground.changes.applied_seq, progress))
        before = horizon(ground.settings.retention_archive_days, clock.now())
        if before is None:
            return asdict(done)
        with rewritings.alone(context):
            dropped = drop_old_segments(ground, before, context.progress)
        return {**asdict(done), "dropped": asdict(dropped)}

    return Job(
        id="archive",
        title="Moves sealed segments of the journal into the compressed archive; drops what is too old.",
        work=archive,
        schedule=Cron("10 * * * *"),
        jitter_seconds=300,
        resumes=True,
    )


def _retention(ground: JobGround, rewritings: Rewritings) -> Job:
    parts = ExpiryGround(
        ground.horizons,
        ground.changes,
        ground.questions,
        DuckDBAges(ground.stores.cursor),
        lambda: tenant_ids(ground.identity),
        Renewals(ground).note,
    )

    def retain(context: RunContext) -> dict[str, Json]:
        result = expire(parts, context)
        if not result["dry_run"]:
            with rewritings.alone(context):
                result["tombstones"] = rewritings.rewrite(context).tombstones
            result |= Renewals(ground).renew_if_due(context, has_removed=bool(result["expired"]))
        return result

    return Job(
        id="retention",
        title="Removes what its tenant's retention doesn't cover any more.",
        work=retain,
        schedule=Cron("30 2 * * *"),
        jitter_seconds=600,
        timeout_seconds=6 * 3600,
        resumes=True,
        for_tenants=True,
        permission=Permission.USAGE_ERASE,
        check=check_parameters,
    )


def tenant_ids(store: TenantStore) -> Iterator[str]:
    """Every tenant's id, page after page."""
    return (tenant.id for tenant in walk_pages(store.tenants))


def await_errand(context: RunContext, step: str, errand: Future[Result]) -> Result:
    """What the applier's thread was asked to do, once it is done; it waits there for the batch at hand.

    Raises:
        RunStopped: the run is to stop; what the applier has begun goes on to its end.
    """
    while True:
        context.progress(step, 0, 1)
        done, _ = wait([errand], timeout=ERRAND_LOOK_SECONDS)
        if done:
            context.progress(step, 1, 1)
            return errand.result()
