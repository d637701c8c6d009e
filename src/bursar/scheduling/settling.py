"""What becomes of a run whose work has ended or was stopped, and for how long runs are kept.

Pure, but for what a job says of its own work.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from bursar.scheduling.job import Stopped
from bursar.scheduling.run import Ending, RunState

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.scheduling.job import Job
    from bursar.scheduling.run import Run

RUNS_KEPT = 100
"""Ended runs kept of each job, and of each tenant where it is a tenant's job."""
FAILURES_KEPT_FOR = timedelta(days=90)
"""Runs that failed, took too long or were interrupted are kept this long, however many came after."""


def ending_of(outcome: Ending | Stopped, job: Job, now: datetime) -> Ending | None:
    """How the run ended; None: it hasn't, and is queued again."""
    match outcome:
        case Ending():
            return outcome
        case Stopped.CANCELLED:
            return Ending(state=RunState.CANCELLED, at=now)
        case Stopped.TIMED_OUT:
            said = f"Stopped: it took longer than {job.timeout_seconds} s."
            return Ending(state=RunState.TIMED_OUT, at=now, error=said)
        case Stopped.SHUTDOWN:
            return None if job.resumes else interrupted(now)
        case Stopped.LOST:
            # Refused by the store: the run is another process's.
            return interrupted(now)
        case _:
            assert_never(outcome)


def unless_done(ending: Ending, run: Run, job: Job | None) -> Ending:
    """How a run that nobody works on ended: so, unless what it was to do is done for good.

    Raises:
        Unavailable: that isn't known yet.
    """
    result = None if job is None or job.done is None or run.attempts == 0 else job.done(run)
    return ending if result is None else Ending(state=RunState.SUCCEEDED, at=ending.at, result=result)


def interrupted(now: datetime) -> Ending:
    """The end of a run whose process ended, and which can't go on from the middle."""
    said = "The process ended in the middle of it, and this job can't go on from there. Start it again."
    return Ending(state=RunState.INTERRUPTED, at=now, error=said)
