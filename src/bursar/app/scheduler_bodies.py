"""What `/api/v1/scheduler` answers: jobs, runs, and how the runner is.

The routes are in `scheduler_api.py`; what a run and a job are in `scheduling/`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bursar.app.health import HealthWord
from bursar.scheduling.job import Cron, Every, Job, Missed, Schedule
from bursar.scheduling.run import Notice, Run, RunState, Trigger


class NoticeOut(BaseModel):
    """That a part of Bursar is told how a run ended."""

    model_config = ConfigDict(from_attributes=True)

    listener: str
    told_at: datetime | None = Field(description="Null: not yet, or it failed each time.")
    attempts: int
    error: str | None

    @classmethod
    def of(cls, notice: Notice) -> NoticeOut:
        """The notice as it is shown."""
        return cls.model_validate(notice)


class RunOut(BaseModel):
    """One execution of a job."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    job_id: str
    tenant_id: str | None = Field(description="Null: about the whole installation.")
    state: RunState
    trigger: Trigger
    asked_by: str | None = Field(description="The key that asked, where somebody did.")
    parameters: dict[str, Any]
    step: str | None = Field(description="What it is at, or was at last.")
    done: int | None
    total: int | None
    result: dict[str, Any] | None
    error: str | None
    attempts: int = Field(description="How often it was begun; more than once after a crash or a restart.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    is_stop_asked: bool = Field(description="Somebody cancelled it, and it hasn't ended yet.")
    journal_id: str | None = Field(description="Which server's data it works on, by its journal.")

    @classmethod
    def of(cls, run: Run) -> RunOut:
        """The run as it is shown: everything but what it saved for itself."""
        return cls.model_validate(run)


class RunDetails(RunOut):
    """One execution of a job, and who was told how it ended."""

    told: list[NoticeOut]

    @classmethod
    def told_of(cls, run: Run, notices: list[NoticeOut]) -> RunDetails:
        """The run as it is shown alone."""
        return cls(**RunOut.of(run).model_dump(), told=notices)


class JobOut(BaseModel):
    """A job and when it runs."""

    id: str
    title: str
    schedule: str | None = Field(
        description="Null: only when somebody asks.", examples=["every 300 s", "cron 30 3 * * * (UTC)"]
    )
    is_for_tenants: bool = Field(description="A tenant's admin may start it for that tenant.")
    is_by_request_only: bool = Field(description="It has an endpoint of its own and can't be triggered.")
    resumes: bool = Field(description="After a crash it goes on from where it was.")
    timeout_seconds: int
    jitter_seconds: int
    missed: Missed
    next_run_at: datetime | None
    last_run: RunOut | None

    @classmethod
    def of(cls, job: Job, next_run_at: datetime | None, last_run: Run | None) -> JobOut:
        """The job as it is shown."""
        return cls(
            id=job.id,
            title=job.title,
            schedule=None if job.schedule is None else show_schedule(job.schedule),
            is_for_tenants=job.for_tenants,
            is_by_request_only=job.by_request_only,
            resumes=job.resumes,
            timeout_seconds=job.timeout_seconds,
            jitter_seconds=job.jitter_seconds,
            missed=job.missed,
            next_run_at=next_run_at,
            last_run=None if last_run is None else RunOut.of(last_run),
        )


class JobList(BaseModel):
    """The jobs there are, for this caller."""

    items: list[JobOut]


class RunList(BaseModel):
    """One page of runs, newest first."""

    items: list[RunOut]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class NextRun(BaseModel):
    """When a job runs next by itself."""

    job_id: str
    title: str
    at: datetime


class NextRunList(BaseModel):
    """What comes next, soonest first."""

    items: list[NextRun]


class SchedulerStatus(BaseModel):
    """What the scheduler is at."""

    is_running: bool
    holds_lease: bool = Field(description="This process is the one that runs jobs.")
    held_elsewhere: str | None = Field(description="Where the process is that runs them instead.")
    keeps_time: bool = Field(description="False with `BURSAR_SCHEDULER=false`: jobs run only when asked for.")
    jobs: int
    queued: int
    running: int
    at_work: list[RunOut] = Field(description="Those of the runs at work that this caller may see.")


class SchedulerHealth(BaseModel):
    """How the scheduler is, and why."""

    status: HealthWord
    details: list[str] = Field(description="What is wrong; empty when all is well.")


class RunRequest(BaseModel):
    """What a run is started with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parameters: dict[str, Any] = Field(default_factory=dict[str, Any], description="As the job takes them.")


def show_schedule(schedule: Schedule) -> str:
    """A schedule in words."""
    match schedule:
        case Every(seconds):
            return f"every {seconds} s"
        case Cron(expression, zone):
            return f"cron {expression} ({zone})"
