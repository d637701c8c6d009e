"""Runs jobs: one runner among all processes, one run of a job at a time, every run in the state store.

One thread decides (`pulse`): it keeps the lease, writes down what has ended, begins what is queued.
The work itself runs in threads of its own (`live_run.py`), moments come from `timetable.py`. A process
without the lease takes requests and shows runs; the one that holds it carries them out. What becomes
of runs and moments that a dead process left behind is in `leftovers.py`.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bursar import clock, ids
from bursar.errors import BursarError, Conflict, Invalid, NotFound, Overloaded, Reason
from bursar.scheduling.job import Stopped, refuse_unknown
from bursar.scheduling.lease import Lease
from bursar.scheduling.leftovers import ClockWork, clear_up, tell_settled
from bursar.scheduling.listeners import Listeners
from bursar.scheduling.live_run import LiveRun
from bursar.scheduling.run import ENDED, Ending, Run, RunState, Trigger, make_run_id
from bursar.scheduling.settling import FAILURES_KEPT_FOR, RUNS_KEPT, ending_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from datetime import datetime

    from bursar.scheduling.job import Job
    from bursar.scheduling.listeners import Listener
    from bursar.scheduling.run import Json, Notice
    from bursar.scheduling.store import LeaseStore, RunAsk, RunPage, SchedulerStore

PULSE_SECONDS = 1.0
"""How often the runner looks for what other processes asked of it; what this one asks begins at once."""
RUNS_AT_ONCE = 4
"""Most jobs work on one file or wait for one thread; more of them would only share the cores."""
QUEUED_LIMIT = 100
"""Runs of one job (and tenant) that may wait: a loop in somebody's script must not fill the store."""
STOP_SECONDS = 5.0
"""How long a stopping server waits for runs; those that don't look are left to the end of the process."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """What differs between processes."""

    place: str
    """Where at most one process can be, such as a locked data folder; see `lease.py`."""
    keeps_time: bool = True
    """False: jobs run only when somebody asks."""
    now: Callable[[], datetime] = clock.now
    monotonic: Callable[[], float] = clock.monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerState:
    """How the runner of this process is."""

    is_started: bool
    holds_lease: bool
    held_elsewhere: str | None
    """The place of the process that holds the lease instead."""
    keeps_time: bool
    at_work: tuple[Run, ...]
    stuck: tuple[Run, ...]
    """Runs that were told to stop and don't."""
    failing: str | None
    """The last error of the runner itself, while it tries again."""


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
        self._lease = Lease(leases, self.holder, options.place, options.monotonic)
        self._listeners = Listeners(store)
        self._clockwork = ClockWork(store, options.now, self._wake_up)
        self._live: dict[str, LiveRun] = {}
        self._own: set[str] = set()
        self._wake = threading.Event()
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
        if tenant_id is not None and not job.for_tenants:
            message = f"The job '{job_id}' is about the whole installation; leave the tenant out."
            raise Invalid(message, reasons=(Reason("tenant_id", "not_for_tenants", message),))
        waiting = Counter((run.job_id, run.tenant_id) for run in self._store.open_runs())
        if waiting[job_id, tenant_id] >= QUEUED_LIMIT:
            message = f"{QUEUED_LIMIT} runs of '{job_id}' wait already; try again later."
            raise Overloaded(message, retry_after_seconds=30)
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
        self._own.add(run.id)
        kept = self._store.add(run)
        self._wake_up()
        return kept

    def trigger(
        self, job_id: str, *, tenant_id: str | None, parameters: Mapping[str, Json], asked_by: str
    ) -> Run:
        """Ask for a run by the job's name alone, as `enqueue`, after looking at the parameters.

        Raises:
            Invalid: with every reason why these parameters are no good, or the job needs its own endpoint.
        """
        job = self.job(job_id)
        if job.by_request_only:
            message = f"The job '{job_id}' can't be started by name; it has an endpoint of its own."
            raise Invalid(message, reasons=(Reason("job_id", "by_request_only", message),))
        reasons = refuse_unknown(parameters, ()) if job.check is None else job.check(parameters)
        if reasons:
            raise Invalid(reasons=reasons)
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
        return self._fresh(self._store.run(run_id, tenant_id))

    def runs(self, ask: RunAsk) -> RunPage:
        """Runs, newest first, with the progress of those at work."""
        page = self._store.runs(ask)
        return replace(page, runs=tuple(map(self._fresh, page.runs)))

    def last_runs(self, tenant_id: str | None) -> dict[str, Run]:
        """The newest run of each job, by its id; with a tenant only runs about that one."""
        return {job_id: self._fresh(run) for job_id, run in self._store.last_runs(tenant_id).items()}

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
            Conflict: it has ended already.
        """
        run = self._store.run(run_id, tenant_id)
        ending = Ending(state=RunState.CANCELLED, at=self._options.now())
        if run.state is RunState.QUEUED and self._store.end(run_id, None, ending, self._listeners.names):
            tell_settled(self.jobs, [run], self._listeners)
            return self.run(run_id, tenant_id)
        run = self._store.run(run_id, tenant_id)
        if run.state in ENDED and run.state is not RunState.CANCELLED:
            message = f"The run has ended already: {run.state.value}."
            raise Conflict(message)
        if run.state is RunState.RUNNING:
            self._store.ask_stop(run_id)
            if live := self._live.get(run_id):
                live.tell_to_stop(Stopped.CANCELLED)
        return self.run(run_id, tenant_id)

    def next_times(self) -> dict[str, datetime]:
        """When each scheduled job runs next, by job; empty where this process keeps no time."""
        return self._clockwork.next_times(self.jobs.values()) if self._options.keeps_time else {}

    @property
    def state(self) -> RunnerState:
        """How the runner is."""
        live = tuple(self._live.values())
        other = self._lease.other
        return RunnerState(
            is_started=self._thread is not None and self._thread.is_alive(),
            holds_lease=self._lease.is_held,
            held_elsewhere=None if self._lease.is_held or other is None else other.place,
            keeps_time=self._options.keeps_time,
            at_work=tuple(self._fresh(one.run) for one in live),
            stuck=tuple(self._fresh(one.run) for one in live if one.is_stuck),
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
        self._wake_up()
        self._clockwork.stop()
        if self._thread is not None:
            self._thread.join(seconds)
        deadline = self._options.monotonic() + seconds
        for live in list(self._live.values()):
            live.tell_to_stop(Stopped.SHUTDOWN)
        for live in list(self._live.values()):
            live.join(max(0.0, deadline - self._options.monotonic()))
        with _failure_logged():
            self._settle()
        is_told = self._listeners.stop(max(0.1, deadline - self._options.monotonic()))
        if not self._live:
            with _failure_logged():
                self._lease.release()
        if self._live:
            log.warning("runs don't stop", runs=[(one.job.id, one.run_id) for one in self._live.values()])
        is_beating = self._thread is not None and self._thread.is_alive()
        return is_told and not is_beating and all(one.outcome is not None for one in self._live.values())

    def pulse(self) -> None:
        """Look at everything once: the lease, what has ended or takes too long, what is to begin.

        Raises:
            Unavailable: the state store doesn't answer.
        """
        for live in self._live.values():
            if live.is_overdue:
                live.tell_to_stop(Stopped.TIMED_OUT)
        try:
            leads = self._lease.keep()
            self._settle()
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
        if self._live:
            for run_id in self._store.stops_asked(self.holder):
                if live := self._live.get(run_id):
                    live.tell_to_stop(Stopped.CANCELLED)
        self._begin_what_waits()

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
        for live in self._live.values():
            live.tell_to_stop(Stopped.LOST)

    def _begin_what_waits(self) -> None:
        runs = self._store.open_runs()
        busy = [run for run in runs if run.state is RunState.RUNNING]
        for run in runs:
            if len(self._live) >= RUNS_AT_ONCE or self._is_stopping:
                return
            if run.state is not RunState.QUEUED or (self._only_own and run.id not in self._own):
                continue
            job = self.jobs.get(run.job_id)
            if job is None or any(_clash(run, other) for other in busy):
                continue
            begun = self._store.begin(run.id, self.holder, self._options.now())
            if begun is not None:
                busy.append(begun)
                live = LiveRun(begun, job, self._store, self.holder, self._options.monotonic)
                self._live[run.id] = live
                live.start(self._wake_up, self._options.now)

    def _settle(self) -> None:
        """Write down how runs ended; a failure leaves the rest for the next time."""
        for live in list(self._live.values()):
            if live.outcome is None:
                continue
            live.write_step()
            ending = ending_of(live.outcome, live.job, self._options.now())
            if ending is None:
                self._store.put_back(live.run_id, self.holder)
            elif self._store.end(live.run_id, self.holder, ending, self._listeners.names):
                self._store.trim(live.run, RUNS_KEPT, ending.at - FAILURES_KEPT_FOR)
                tell_settled(self.jobs, [live.run], self._listeners)
            self._live.pop(live.run_id, None)
            self._own.discard(live.run_id)

    def _fresh(self, run: Run) -> Run:
        """The run with the progress that isn't written yet."""
        live = self._live.get(run.id)
        if live is None or live.step is None or run.state in ENDED:
            return run
        return replace(run, step=live.step.name, done=live.step.done, total=live.step.total)

    def _wake_up(self) -> None:
        self._wake.set()


@contextmanager
def _failure_logged() -> Generator[None]:
    try:
        yield
    except BursarError as error:
        log.warning("runs could not be written down; the next start sees to them", error=error.detail)


def _clash(run: Run, other: Run) -> bool:
    """Whether the two may not run at once: the same job, about the same tenant or about all."""
    return run.job_id == other.job_id and (
        run.tenant_id is None or other.tenant_id is None or run.tenant_id == other.tenant_id
    )
