"""The jobs there are: what Bursar does by itself, and what it does at length when somebody asks.

Each is put together here from the platform's parts; the work itself belongs to the part it is about.
Who runs them, and what becomes of a run, is in `scheduling/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.scheduling.job import Job
from bursar.scheduling.runner import JobRunner, RunnerOptions
from bursar.storage.relational.leases import RelationalLease
from bursar.storage.relational.runs import RelationalSchedulerStore

if TYPE_CHECKING:
    from bursar.app.job_ground import JobGround
    from bursar.settings import Settings
    from bursar.storage.relational.engine import StateEngine

LEASE = "scheduler"
"""Name of the lease that the one runner holds among all processes on a state store."""


def make_runner(settings: Settings, engine: StateEngine, journal_id: str) -> JobRunner:
    """The runner of this process, without jobs. Its place is the data folder, which one process locks."""
    options = RunnerOptions(place=journal_id, keeps_time=settings.scheduler)
    return JobRunner((), RelationalSchedulerStore(engine), RelationalLease(engine, LEASE), options)


def jobs_of(ground: JobGround) -> list[Job]:
    """Every job there is, over these parts of the platform."""
    del ground
    return []
