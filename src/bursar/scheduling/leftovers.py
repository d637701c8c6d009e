"""What happened while no runner was there: runs of dead processes, and moments that passed.

A run whose holder isn't the present one is queued again where its job can go on, else marked
interrupted. A job whose time has passed runs once, or its history says that it was missed.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from bursar.errors import BursarError, Unavailable
from bursar.scheduling.job import Missed
from bursar.scheduling.run import Ending, Run, RunState, Trigger, make_run_id
from bursar.scheduling.settling import interrupted, unless_done
from bursar.scheduling.timetable import Timetable, next_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from bursar.scheduling.job import Job
    from bursar.scheduling.listeners import Listeners
    from bursar.scheduling.store import SchedulerStore

ATTEMPTS_LIMIT = 5
"""A run that was begun so often and never ended most likely brings its process down; it isn't begun again."""
LOOK_EVERY = timedelta(seconds=30)
GRACE = timedelta(seconds=60)
"""A moment that lies further back is missed; until then the timetable may still be about it."""

log = structlog.get_logger()


def clear_up(
    store: SchedulerStore, jobs: Mapping[str, Job], holder: str, now: datetime, listeners: Sequence[str]
) -> list[Run]:
    """See to the runs that other holders left running, and to queued ones nobody can run; those that ended.

    Only for the holder of the lease: every other holder is dead, or about to be refused.
    """
    ended: list[Run] = []
    for run_id, other in store.holders().items():
        if other == holder:
            continue
        run = store.run(run_id)
        try:
            ending = _ending_of_left(run, jobs.get(run.job_id), now)
        except Unavailable as error:
            log.info("how a run of an ended process ended isn't known yet", run=run.id, error=error.detail)
            continue
        if ending is None:
            log.info("a run of an ended process is taken up again", job=run.job_id, run=run.id)
            store.put_back(run_id, other)
        elif store.end(run_id, other, ending, listeners):
            ended.append(run)
    for run in store.open_runs():
        is_unknown = run.state is RunState.QUEUED and run.job_id not in jobs
        if is_unknown and store.end(run.id, None, _unknown(now), listeners):
            ended.append(run)
    return ended


def tell_settled(jobs: Mapping[str, Job], runs: Sequence[Run], listeners: Listeners) -> None:
    """Let the jobs of runs that have ended remove what they left, and the listeners be told."""
    for run in runs:
        job = jobs.get(run.job_id)
        if job is None or job.settled is None:
            continue
        try:
            job.settled(run)
        except (BursarError, OSError) as error:
            log.warning("what a run left could not be removed", run=run.id, error=str(error))
    if runs:
        listeners.notify()


def _ending_of_left(run: Run, job: Job | None, now: datetime) -> Ending | None:
    if job is None:
        return _unknown(now)
    if not job.resumes:
        return interrupted(now)
    if run.is_stop_asked:
        return unless_done(Ending(state=RunState.CANCELLED, at=now), run, job)
    if run.attempts >= ATTEMPTS_LIMIT:
        said = f"Its process ended in the middle of it {run.attempts} times; it isn't tried again."
        return unless_done(Ending(state=RunState.FAILED, at=now, error=said), run, job)
    return None


def _unknown(now: datetime) -> Ending:
    return Ending(state=RunState.FAILED, at=now, error="This Bursar has no such job.")


class ClockWork:
    """Turns moments into runs, those that came and those that passed, while this process leads."""

    def __init__(self, store: SchedulerStore, now: Callable[[], datetime], begun: Callable[[], None]) -> None:
        """`begun` is called when there is a run to begin."""
        self._store = store
        self._now = now
        self._begun = begun
        self._lock = threading.Lock()
        self._jobs: Mapping[str, Job] = {}
        self._timetable: Timetable | None = None
        self._looked_at: datetime | None = None

    def lead(self, jobs: Mapping[str, Job], *, keeps_time: bool) -> None:
        """Keep time from now on, if that is wanted; called again and again, it looks for missed moments."""
        now = self._now()
        if not keeps_time or not self._is_time_to_look(now):
            return
        self._looked_at = now
        self._jobs = jobs
        starting = self._timetable is None
        self.catch_up(timedelta(0) if starting else GRACE)
        if starting:
            self._timetable = Timetable(jobs.values(), self.fire)
            self._timetable.start(self._store.reckoned(), now)
        elif self._timetable is not None:
            self._timetable.look()

    def stop(self) -> None:
        """Keep no time any more."""
        timetable, self._timetable = self._timetable, None
        if timetable is not None:
            timetable.stop()

    def next_times(self, jobs: Iterable[Job]) -> dict[str, datetime]:
        """When each job runs next."""
        timetable = self._timetable or Timetable(jobs, self.fire)
        return timetable.next_times(self._store.reckoned(), self._now())

    def fire(self, job_id: str) -> None:
        """A job's time has come."""
        try:
            with self._lock:
                self._add(job_id, Trigger.SCHEDULE, self._now())
        except BursarError as error:
            # Its moment isn't accounted for, so it counts as missed and is caught up with.
            log.warning("a job's time came and could not be noted", job=job_id, error=error.detail)

    def catch_up(self, grace: timedelta) -> None:
        """See to moments that passed unseen, further back than the grace and the job's jitter."""
        now = self._now()
        with self._lock:
            reckoned = self._store.reckoned()
            for job in self._jobs.values():
                if job.schedule is None:
                    continue
                if job.id not in reckoned or reckoned[job.id] > now + GRACE:
                    # New, or from a time when the clock was ahead: its schedule begins now.
                    self._store.reckon(job.id, now)
                    continue
                due = next_time(job.schedule, reckoned[job.id])
                late = grace and grace + timedelta(seconds=job.jitter_seconds)
                if due is not None and due + late <= now:
                    self._miss(job, due, now)

    def _miss(self, job: Job, due: datetime, now: datetime) -> None:
        if job.missed is Missed.RUN_ONCE:
            self._add(job.id, Trigger.CATCH_UP, now)
            return
        run = _scheduled(job.id, Trigger.SCHEDULE, due)
        said = "Nobody was there at its time."
        self._store.add(run)
        self._store.end(run.id, None, Ending(state=RunState.MISSED, at=now, error=said), ())
        self._store.reckon(job.id, now)

    def _add(self, job_id: str, trigger: Trigger, now: datetime) -> None:
        """A run of the job, unless one waits or is at work: it does what this one would."""
        if not any(run.job_id == job_id and run.tenant_id is None for run in self._store.open_runs()):
            self._store.add(_scheduled(job_id, trigger, now))
        self._store.reckon(job_id, now)
        self._begun()

    def _is_time_to_look(self, now: datetime) -> bool:
        if self._timetable is None or self._looked_at is None:
            return True
        # A clock that was set back counts as well.
        return not self._looked_at <= now < self._looked_at + LOOK_EVERY


def _scheduled(job_id: str, trigger: Trigger, at: datetime) -> Run:
    return Run(
        id=make_run_id(at),
        job_id=job_id,
        tenant_id=None,
        state=RunState.QUEUED,
        trigger=trigger,
        asked_by=None,
        created_at=at,
    )
