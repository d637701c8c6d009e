"""`/api/v1/scheduler`: the jobs, their runs and their next times, over HTTP.

An admin sees the jobs that are done for tenants and the runs about the own tenant; the operator sees
everything, and one tenant's share by naming it. It lives in `app` and not beside the runner, because
callers and their tenants are unknown in that layer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request

from bursar.app import auth
from bursar.app.health import Finding, HealthWord
from bursar.app.scheduler_bodies import (
    JobList,
    JobOut,
    NextRun,
    NextRunList,
    NoticeOut,
    RunDetails,
    RunList,
    RunOut,
    RunRequest,
    SchedulerHealth,
    SchedulerStatus,
)
from bursar.errors import Forbidden, NotFound
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.page import PAGE_LIMIT, Position, read_cursor, write_cursor
from bursar.identity.permissions import Permission
from bursar.identity.tenant import ID_PATTERN
from bursar.scheduling.job import Job
from bursar.scheduling.run import RunState
from bursar.scheduling.store import RUNS_PER_PAGE, RunAsk

if TYPE_CHECKING:
    from bursar.scheduling.runner import JobRunner

IdInPath = Annotated[str, Path(pattern=ID_PATTERN)]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at jobs and runs, and how much there is to see."""

    caller: Caller
    tenant_id: str | None
    """Whose runs; None for the operator who named no tenant: everybody's."""

    def may_see(self, job: Job) -> bool:
        """Whether the job is any business of this caller."""
        return self.caller.is_operator or job.for_tenants


def _viewer(permission: Permission) -> Callable[..., Awaitable[Viewer]]:
    """A FastAPI dependency: the own tenant's runs, or for the operator those of all or of the one named."""
    asked: CallerDependency = Depends(auth.require(permission))

    async def viewer(request: Request, caller: Caller = asked) -> Viewer:
        sees_all = caller.is_operator and "tenant_id" not in request.query_params
        return Viewer(caller, None if sees_all else caller.tenant_id)

    return viewer


Viewing = Annotated[Viewer, Depends(_viewer(Permission.JOBS_READ))]
Changing = Annotated[Viewer, Depends(_viewer(Permission.JOBS_WRITE))]


def _asked_runs(
    viewing: Viewing,
    job: Annotated[str | None, Query(pattern=ID_PATTERN, description="Only runs of this job.")] = None,
    state: Annotated[list[RunState] | None, Query(description="Only runs in one of these states.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = RUNS_PER_PAGE,
    cursor: Annotated[
        str | None, Query(max_length=400, description="`next_cursor` of the page before.")
    ] = None,
) -> RunAsk:
    last = read_cursor(cursor) if cursor else None
    before = None if last is None else (last.created_at, last.id)
    return RunAsk(viewing.tenant_id, job, tuple(state or ()), before, limit)


def make_router(runner: JobRunner) -> APIRouter:
    """The scheduler's routes over this process's runner."""
    router = APIRouter(prefix="/api/v1/scheduler", tags=["scheduler"])
    _add_state(router, runner)
    _add_jobs(router, runner)
    _add_runs(router, runner)
    return router


def _add_state(router: APIRouter, runner: JobRunner) -> None:
    @router.get("/status")
    def scheduler_status(viewing: Viewing) -> SchedulerStatus:
        """What the scheduler is at: who runs jobs, what waits, what is at work."""
        state = runner.state
        counts = runner.counts(viewing.tenant_id)
        return SchedulerStatus(
            is_running=state.is_started,
            holds_lease=state.holds_lease,
            held_elsewhere=state.held_elsewhere if viewing.caller.is_operator else None,
            keeps_time=state.keeps_time,
            jobs=len(_visible(runner, viewing)),
            queued=counts[RunState.QUEUED],
            running=counts[RunState.RUNNING],
            at_work=[RunOut.of(run) for run in runner.at_work(viewing.tenant_id)],
        )

    @router.get("/health")
    def scheduler_health(viewing: Viewing) -> SchedulerHealth:
        """How the scheduler is, and what is wrong with it."""
        del viewing
        finding = look_at_scheduler(runner)
        return SchedulerHealth(status=finding.word, details=[finding.detail] if finding.detail else [])

    @router.get("/next-runs")
    def scheduler_next_runs(viewing: Viewing) -> NextRunList:
        """When jobs run next by themselves, soonest first."""
        titles = {job.id: job.title for job in _visible(runner, viewing)}
        times = [(at, job_id) for job_id, at in runner.next_times().items() if job_id in titles]
        return NextRunList(
            items=[NextRun(job_id=job_id, title=titles[job_id], at=at) for at, job_id in sorted(times)]
        )


def _add_jobs(router: APIRouter, runner: JobRunner) -> None:
    @router.get("/jobs")
    def list_jobs(viewing: Viewing) -> JobList:
        """The jobs there are, with their last and next run."""
        return JobList(items=_shown_jobs(runner, viewing, _visible(runner, viewing)))

    @router.get("/jobs/{job_id}")
    def get_job(job_id: IdInPath, viewing: Viewing) -> JobOut:
        """One job, with its last and next run."""
        return _shown_jobs(runner, viewing, [_visible_job(runner, viewing, job_id)])[0]

    @router.post("/jobs/{job_id}/trigger", status_code=HTTPStatus.ACCEPTED)
    def trigger_job(
        job_id: IdInPath, viewing: Changing, body: Annotated[RunRequest | None, Body()] = None
    ) -> RunOut:
        """Start a job now. The answer is its run, at `/api/v1/scheduler/runs/{id}` from then on."""
        _refuse_without_permission(viewing, _visible_job(runner, viewing, job_id))
        run = runner.trigger(
            job_id,
            tenant_id=viewing.tenant_id,
            parameters=(body or RunRequest()).parameters,
            asked_by=viewing.caller.key_id,
        )
        return RunOut.of(run)


def _add_runs(router: APIRouter, runner: JobRunner) -> None:
    @router.get("/history")
    def list_runs(asked: Annotated[RunAsk, Depends(_asked_runs)]) -> RunList:
        """Runs, newest first: of each job the last 100, and failures of the last 90 days."""
        page = runner.runs(asked)
        last = page.runs[-1] if page.has_more else None
        return RunList(
            items=[RunOut.of(run) for run in page.runs],
            next_cursor=None if last is None else write_cursor(Position(last.created_at, last.id)),
        )

    @router.get("/runs/{run_id}")
    def get_run(run_id: IdInPath, viewing: Viewing) -> RunDetails:
        """One run: how far it is, what came of it, and which parts of Bursar were told."""
        run = runner.run(run_id, viewing.tenant_id)
        return RunDetails.told_of(run, [NoticeOut.of(one) for one in runner.notices(run_id)])

    @router.post("/runs/{run_id}/cancel", status_code=HTTPStatus.ACCEPTED)
    def cancel_run(run_id: IdInPath, viewing: Changing) -> RunOut:
        """Let a queued run never begin; tell one at work to stop, which it does when it looks next."""
        if not viewing.caller.is_operator:
            run = runner.run(run_id, viewing.tenant_id)
            if run.asked_by is None:
                message = "Only the operator may cancel what Bursar does by itself."
                raise Forbidden(message)
            _refuse_without_permission(viewing, runner.job(run.job_id))
        return RunOut.of(runner.cancel(run_id, viewing.tenant_id))


def _refuse_without_permission(viewing: Viewer, job: Job) -> None:
    """Let nobody start or stop by a job what they may not do otherwise.

    Raises:
        Forbidden, MissingScope: the caller lacks what the job's act asks for.
    """
    if job.permission is not None:
        viewing.caller.require(Permission(job.permission))


def look_at_scheduler(runner: JobRunner) -> Finding:
    """How the scheduler is, for this API and for `/health`."""
    state = runner.state
    if not state.is_started:
        # Events are taken all the same, so this is no reason to send them elsewhere.
        return Finding(HealthWord.DEGRADED, "The scheduler has stopped; restart Bursar.")
    if state.failing is not None:
        return Finding(HealthWord.DEGRADED, f"The scheduler can't do its work: {state.failing}")
    if state.stuck:
        jobs = ", ".join(sorted({run.job_id for run in state.stuck}))
        return Finding(HealthWord.DEGRADED, f"Told to stop and still at work: {jobs}. A restart ends it.")
    return Finding(HealthWord.HEALTHY)


def _visible(runner: JobRunner, viewing: Viewer) -> list[Job]:
    return [job for job in runner.jobs.values() if viewing.may_see(job)]


def _visible_job(runner: JobRunner, viewing: Viewer, job_id: str) -> Job:
    job = runner.job(job_id)
    if not viewing.may_see(job):
        # Not told from one that doesn't exist.
        message = f"There is no job '{job_id}'."
        raise NotFound(message)
    return job


def _shown_jobs(runner: JobRunner, viewing: Viewer, jobs: Sequence[Job]) -> list[JobOut]:
    times, last = runner.next_times(), runner.last_runs(viewing.tenant_id)
    return [JobOut.of(job, times.get(job.id), last.get(job.id)) for job in jobs]
