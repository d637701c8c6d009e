"""Jobs for tests: a runner over a real store, work that waits to be let go, and a clock to be moved.

Nothing sleeps: a test moves the clock and calls `pulse`, or waits until something has become so.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bursar.scheduling.job import Job
from bursar.scheduling.run import ENDED, Run, RunState
from bursar.scheduling.runner import JobRunner
from bursar.scheduling.runner_values import RunnerOptions
from bursar.storage.relational.leases import RelationalLease
from bursar.storage.relational.runs import RelationalSchedulerStore
from tests.support.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from bursar.scheduling.job import RunContext, Work
    from tests.support.serving import RunningServer

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Both clocks of a runner, moved by hand."""

    at: datetime = MONDAY
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, seconds: float) -> None:
        """Let time pass on both."""
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Gate:
    """Work that begins, then waits until the test opens the gate, looking at its context all the while."""

    looks: bool = True
    """False: it never looks whether it should stop."""
    opened: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    seen: list[Mapping[str, Any] | None] = field(default_factory=list[Any])
    """What each attempt found saved."""

    def work(self, context: RunContext) -> Mapping[str, Any]:
        self.seen.append(context.saved)
        self.begun.set()
        while not self.opened.wait(0.005):
            if self.looks:
                context.progress("waiting at the gate", 1, 2)
        return {"parameters": dict(context.parameters)}


def a_job(job_id: str = "sweep", work: Work | None = None, **fields: Any) -> Job:  # noqa: ANN401 - a job's own fields
    """A job that does nothing, unless it is given work."""
    return Job(id=job_id, title=f"Title of {job_id}.", work=work or (lambda _: {}), **fields)


@dataclass
class House:
    """A state store, and runners on it as if each were a process."""

    engine: Engine
    clock: Clock = field(default_factory=Clock)
    store: RelationalSchedulerStore = field(init=False)
    runners: list[JobRunner] = field(default_factory=list[JobRunner])
    gates: list[Gate] = field(default_factory=list[Gate])

    def __post_init__(self) -> None:
        self.store = RelationalSchedulerStore(self.engine)

    def gate(self, *, looks: bool = True) -> Gate:
        """A closed gate that is opened at the latest when the test ends."""
        self.gates.append(Gate(looks))
        return self.gates[-1]

    def runner(self, *jobs: Job, place: str = "here", **options: Any) -> JobRunner:  # noqa: ANN401 - a runner's own options
        """A runner that has no thread: `pulse` is called by hand."""
        chosen = RunnerOptions(place=place, now=self.clock.now, monotonic=self.clock.monotonic, **options)
        return self._made(jobs, chosen)

    def lead(self, *jobs: Job, **options: Any) -> JobRunner:  # noqa: ANN401 - a runner's own options
        """A runner that has just become the one that runs jobs."""
        runner = self.runner(*jobs, **options)
        runner.pulse()
        return runner

    def really_timed(self, *jobs: Job) -> JobRunner:
        """A runner by the machine's clocks."""
        return self._made(jobs, RunnerOptions(place="here"))

    def stop_all(self) -> None:
        """End every thread: one that outlived its test would use a store that is closed under it."""
        for gate in self.gates:
            gate.opened.set()
        for runner in self.runners:
            assert runner.stop(10)

    def _made(self, jobs: tuple[Job, ...], options: RunnerOptions) -> JobRunner:
        runner = JobRunner(jobs, self.store, RelationalLease(self.engine, "scheduler"), options)
        self.runners.append(runner)
        return runner


def pulse_until_ended(runner: JobRunner, run: Run) -> Run:
    """Let the runner look at things until the run has ended; the run as it is then."""

    def has_ended() -> bool:
        runner.pulse()
        return runner.run(run.id).state in ENDED

    wait_until(has_ended, f"run {run.id} has ended")
    return runner.run(run.id)


def wait_for_state(runner: JobRunner, run: Run, state: RunState) -> Run:
    """The run, once it is in that state; for a runner that has its thread."""
    wait_until(lambda: runner.run(run.id).state is state, f"run {run.id} is {state}")
    return runner.run(run.id)


def run_job(server: RunningServer, job_id: str) -> dict[str, Any]:
    """A run of a server's job for all tenants, once it has ended."""
    path = f"/api/v1/scheduler/jobs/{job_id}/trigger"
    run = server.client.post(path, json={}).raise_for_status().json()
    at = f"/api/v1/scheduler/runs/{run['id']}"
    wait_until(lambda: server.client.get(at).json()["finished_at"] is not None, "the job has ended")
    ended: dict[str, Any] = server.client.get(at).json()
    return ended
