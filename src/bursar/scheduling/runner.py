"""Runs jobs: one runner among all processes, one run of a job at a time, every run in the state store.

One thread decides (`pulse`): it keeps the lease, writes down what has ended, begins what is queued.
A process without the lease takes requests and shows runs; the one that holds it carries them out. The runs
at work are in `at_work.py`, what dead processes left in `leftovers.py`, moments come from `timetable.py`.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from bursar import ids
from bursar.errors import BursarError, Conflict, NotFound
from bursar.scheduling.asking import check_by_name, check_turn
from bursar.scheduling.at_work import AtWork
from bursar.scheduling.job import Stopped
from bursar.scheduling.lease import Lease
from bursar.scheduling.leftovers import ClockWork, clear_up, tell_settled
from bursar.scheduling.listeners import Listeners
from bursar.scheduling.run import ENDED, Ending, Run, RunState, Trigger, make_run_id
from bursar.scheduling.runner_values import RunnerState
from bursar.scheduling.settling import unless_done

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from datetime import datetime

    from bursar.scheduling.job import Job
    from bursar.scheduling.listeners import Listener
    from bursar.scheduling.run import Json, Notice
    from bursar.scheduling.runner_values import RunnerOptions
    from bursar.scheduling.store import LeaseStore, RunAsk, RunPage, SchedulerStore

PULSE_SECONDS = 1.0
"""How often the runner looks for what other processes asked of it; what this one asks begins at once."""
STOP_SECONDS = 5.0
"""How long a stopping server waits for runs; those that don't look are left to the end of the process."""

log = structlog.get_logger()


class JobRunner:
    """Runs jobs of one process; safe to call from any thread."""

    def __init__(
        self, jobs: Iterable[Job], store: SchedulerStore, leases: LeaseStore, options: RunnerOptions
    ) -> None:
        """Know these jobs; nothing runs before `start`."""
        self.jobs: dict[str, Job] = {}
        self.holder = ids.make_id("runner")
        self._store = store
        self._options = options
        self._wake = threading.Event()
        self._lease = Lease(leases, self.holder, options.place, options.monotonic)
        self._listeners = Listeners(store)
        self._clockwork = ClockWork(store, options.now, self._wake.set)
        self._work = AtWork(self.jobs, store, self._listeners, self.holder, options)
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._only_own = False
        self._failing: str | None = None
        self.register(*jobs)

    def register(self, *jobs: Job) -> None:
        """Know these jobs too; before `start`."""
        for job in jobs:
            if job.id in self.jobs:
                message = f"there is a job '{job.id}' already"
                raise ValueError(message)
            self.jobs[job.id] = job

    def on_ended(self, name: str, listener: Listener) -> None:
        """Call `listener` with every run that ends from now on; see `listeners.py` for what is promised."""
        self._listeners.add(name, listener)

    def enqueue(
        self,
        job_id: str,
        *,
        tenant_id: str | None = None,
        parameters: Mapping[str, Json] | None = None,
        asked_by: str | None = None,
    ) -> Run:
        """Ask for a run of the job; durable when this returns, begun as soon as its turn comes.

        The caller has judged who may ask for what, and a job's own endpoint its parameters.

        Raises:
            NotFound: there is no such job.
            Invalid: a tenant's job without a tenant, or the other way round.
            Overloaded: too many runs of it wait already.
            Unavailable: the state store doesn't answer.
        """
        job = self.job(job_id)
        check_turn(job, tenant_id, self._store.open_runs())
        run = Run(
            id=make_run_id(self._options.now()),
            job_id=job_id,
            tenant_id=tenant_id,
            state=RunState.QUEUED,
            trigger=Trigger.REQUEST,
            asked_by=asked_by,
            parameters=dict(parameters or {}),
            created_at=self._options.now(),
        )
        self._work.own.add(run.id)
        kept = self._store.add(run)
        self._wake.set()
        return kept

    def trigger(
        self, job_id: str, *, tenant_id: str | None, parameters: Mapping[str, Json], asked_by: str
    ) -> Run:
        """Ask for a run by the job's name alone, as `enqueue`, after looking at the parameters.

        Raises:
            Invalid: with every reason why these parameters are no good, or the job needs its own endpoint.
        """
        check_by_name(self.job(job_id), parameters)
        return self.enqueue(job_id, tenant_id=tenant_id, parameters=parameters, asked_by=asked_by)

    def job(self, job_id: str) -> Job:
        """The job of this id.

        Raises:
            NotFound: there is none.
        """
        if job_id not in self.jobs:
            message = f"There is no job '{job_id}'."
            raise NotFound(message)
        return self.jobs[job_id]

    def run(self, run_id: str, tenant_id: str | None = None) -> Run:
        """The run as it is now; with a tenant only if it is about that one.

        Raises:
            NotFound: there is none, for this tenant.
        """
        return self._work.fresh(self._store.run(run_id, tenant_id))

    def runs(self, ask: RunAsk) -> RunPage:
        """Runs, newest first, with the progress of those at work."""
        page = self._store.runs(ask)
        return replace(page, runs=tuple(map(self._work.fresh, page.runs)))

    def last_runs(self, tenant_id: str | None) -> dict[str, Run]:
        """The newest run of each job, by its id; with a tenant only runs about that one."""
        return {job_id: self._work.fresh(run) for job_id, run in self._store.last_runs(tenant_id).items()}

    def counts(self, tenant_id: str | None) -> Counter[RunState]:
        """How many runs are queued and running; with a tenant only runs about that one."""
        return Counter(run.state for run in self._store.open_runs(tenant_id))

    def at_work(self, tenant_id: str | None) -> tuple[Run, ...]:
        """Runs at work in this process; with a tenant only runs about that one."""
        at_work = {run.id: run for run in self.state.at_work}
        return tuple(at_work[run.id] for run in self._store.open_runs(tenant_id) if run.id in at_work)

    def notices(self, run_id: str) -> Sequence[Notice]:
        """Who was told of a run's end."""
        return self._store.notices(run_id)

    def cancel(self, run_id: str, tenant_id: str | None = None) -> Run:
        """Let a queued run never begin, and tell one at work to stop; the run as it is then.

        Raises:
            NotFound: there is none, for this tenant.
            Conflict: it has ended already, or what it was to do is done.
            Unavailable: it waits to be taken up again, and whether it is done isn't known yet.
        """
        run = self._store.run(run_id, tenant_id)
        if run.state is RunState.QUEUED:
            cancelled = Ending(state=RunState.CANCELLED, at=self._options.now())
            ending = unless_done(cancelled, run, self.jobs.get(run.job_id))
            if self._store.end(run_id, None, ending, self._listeners.names):
                tell_settled(self.jobs, [run], self._listeners)
        run = self._store.run(run_id, tenant_id)
        if run.state in ENDED and run.state is not RunState.CANCELLED:
            message = f"The run has ended already: {run.state.value}."
            raise Conflict(message)
        if run.state is RunState.RUNNING:
            self._store.ask_stop(run_id)
            self._work.tell(run_id, Stopped.CANCELLED)
        return self.run(run_id, tenant_id)

    def next_times(self) -> dict[str, datetime]:
        """When each scheduled job runs next, by job; empty where this process keeps no time."""
        return self._clockwork.next_times(self.jobs.values()) if self._options.keeps_time else {}

    @property
    def state(self) -> RunnerState:
        """How the runner is."""
        live = self._work.live
        other = self._lease.other
        return RunnerState(
            is_started=self._thread is not None and self._thread.is_alive(),
            holds_lease=self._lease.is_held,
            held_elsewhere=None if self._lease.is_held or other is None else other.place,
            keeps_time=self._options.keeps_time,
            at_work=tuple(self._work.fresh(one.run) for one in live),
            stuck=tuple(self._work.fresh(one.run) for one in live if one.is_stuck),
            failing=self._failing,
        )

    def start(self, *, only_own: bool = False) -> None:
        """Begin to run jobs, in threads.

        With `only_own` nothing is run but what is asked for through this very object: for a command that
        will soon be done, and shouldn't begin what takes long.
        """
        self._only_own = only_own
        self._listeners.start()
        self._thread = threading.Thread(target=self._beat, name="runner", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """Begin nothing more, tell work to stop and wait for it, at most so long; whether all has ended.

        Runs that can go on later are queued again, others are marked interrupted. While it is False, a
        thread may still use the state store.
        """
        self._is_stopping = True
        self._wake.set()
        self._clockwork.stop()
        if self._thread is not None:
            self._thread.join(seconds)
        deadline = self._options.monotonic() + seconds
        self._work.tell_all(Stopped.SHUTDOWN)
        self._work.join(deadline)
        with _failure_logged():
            self._work.settle()
        is_told = self._listeners.stop(max(0.1, deadline - self._options.monotonic()))
        left = self._work.live
        if left:
            log.warning("runs don't stop", runs=[(one.job.id, one.run_id) for one in left])
        else:
            with _failure_logged():
                self._lease.release()
        is_beating = self._thread is not None and self._thread.is_alive()
        return is_told and not is_beating and all(one.outcome is not None for one in left)

    def pulse(self) -> None:
        """Look at everything once: the lease, what has ended or takes too long, what is to begin.

        Raises:
            Unavailable: the state store doesn't answer.
        """
        self._work.tell_overdue()
        try:
            leads = self._lease.keep()
            self._work.settle()
            if leads:
                self._lead()
        finally:
            if not self._lease.is_held:
                self._step_down()

    def _lead(self) -> None:
        names = self._listeners.names
        ended = clear_up(self._store, self.jobs, self.holder, self._options.now(), names)
        tell_settled(self.jobs, ended, self._listeners)
        self._clockwork.lead(self.jobs, keeps_time=self._options.keeps_time and not self._only_own)
        self._work.tell_cancelled()
        self._work.begin_what_waits(self._may_begin, self._wake.set)

    def _beat(self) -> None:
        while not self._is_stopping:
            try:
                self.pulse()
                self._failing = None
            except BursarError as error:
                self._note_failure(error.detail)
            except Exception as error:
                log.exception("the runner failed; it goes on")
                self._note_failure(f"Failed with {type(error).__name__}; see the log.")
            self._wake.wait(PULSE_SECONDS)
            self._wake.clear()

    def _note_failure(self, said: str) -> None:
        if self._failing != said:
            log.warning("the runner can't do its work; it tries again", error=said)
        self._failing = said

    def _step_down(self) -> None:
        self._clockwork.stop()
        self._work.tell_all(Stopped.LOST)

    def _may_begin(self, run: Run) -> bool:
        return not self._is_stopping and (not self._only_own or run.id in self._work.own)


@contextmanager
def _failure_logged() -> Generator[None]:
    try:
        yield
    except BursarError as error:
        log.warning("runs could not be written down; the next start sees to them", error=error.detail)
