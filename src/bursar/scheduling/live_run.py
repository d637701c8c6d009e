"""A run while it is worked on in this process: the context that its work gets, and how it is stopped.

Work runs in a daemon thread of its own, so that one which doesn't listen can be left behind when the
process ends. It is stopped by an exception at its next `progress` or `save`, never from outside.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import structlog

from bursar.errors import BursarError, Unavailable
from bursar.scheduling.job import RunStopped, Stopped
from bursar.scheduling.run import Ending, Json, RunState
from bursar.scheduling.store import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bursar.scheduling.job import Job
    from bursar.scheduling.run import Run
    from bursar.scheduling.store import RunStore

NOTE_EVERY_SECONDS = 1.0
SAVE_WITHIN_SECONDS = 60.0
"""A state store that is restarted meanwhile costs no run; one that stays away for longer does."""
SAVE_AGAIN_SECONDS = 1.0
STUCK_AFTER_SECONDS = 30.0
"""Work that was told to stop and hasn't looked for so long is reported as stuck."""

log = structlog.get_logger()


class LiveRun:
    """One run at work; implements `RunContext` for its thread, and is watched from the runner's."""

    def __init__(
        self, run: Run, job: Job, store: RunStore, holder: str, monotonic: Callable[[], float]
    ) -> None:
        """Ready to start; the store knows the run as this holder's."""
        self.run = run
        self.job = job
        self.step: Step | None = None
        self.outcome: Ending | Stopped | None = None
        """How the work ended; None while it is at work."""
        self.is_waiting = False
        """Whether it only waits for somebody else: then it takes no other run's place."""
        self._store = store
        self._holder = holder
        self._monotonic = monotonic
        self._started = monotonic()
        self._saved = run.saved
        self._noted_at = float("-inf")
        self._noted: Step | None = None
        self._why: Stopped | None = None
        self._told_at = 0.0
        self._told = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def run_id(self) -> str:
        """See `RunContext`."""
        return self.run.id

    @property
    def tenant_id(self) -> str | None:
        """See `RunContext`."""
        return self.run.tenant_id

    @property
    def tenant_since(self) -> datetime | None:
        """See `RunContext`."""
        return self.run.tenant_since

    @property
    def asked_by(self) -> str | None:
        """See `RunContext`."""
        return self.run.asked_by

    @property
    def parameters(self) -> Mapping[str, Json]:
        """See `RunContext`."""
        return self.run.parameters

    @property
    def saved(self) -> Mapping[str, Json] | None:
        """See `RunContext`; what this attempt saved counts as well."""
        return self._saved

    def progress(self, step: str, done: int, total: int | None = None) -> None:
        """See `RunContext`."""
        self._leave_if_told()
        self.step = Step(step, done, total)
        if self._monotonic() - self._noted_at < NOTE_EVERY_SECONDS:
            return
        self._noted_at = self._monotonic()
        try:
            self.write_step()
        except Unavailable as error:
            log.warning("a run's progress could not be written", run=self.run_id, error=error.detail)
        self._leave_if_told()

    def wait(self, step: str, done: int, total: int, seconds: float) -> None:
        """See `RunContext`."""
        self.is_waiting = True
        try:
            self.progress(step, done, total)
            self._told.wait(seconds)
            self._leave_if_told()
        finally:
            self.is_waiting = False

    def save(self, values: Mapping[str, Json]) -> None:
        """See `RunContext`; waits for a store that doesn't answer, for a while.

        Raises:
            Unavailable: the store still doesn't answer.
        """
        kept = dict(values)
        self._patiently(lambda: self._store.save(self.run_id, self._holder, kept))
        self._saved = kept

    def write_step(self) -> None:
        """Write down how far it is, if that isn't written yet.

        Raises:
            Unavailable: the store doesn't answer.
        """
        step = self.step
        if step is None or step == self._noted:
            return
        if not self._store.note(self.run_id, self._holder, step):
            self.tell_to_stop(Stopped.LOST)
        self._noted = step

    def start(self, ended: Callable[[], None], now: Callable[[], datetime]) -> None:
        """Begin the work in its thread; `ended` is called once `outcome` says how it ended."""
        self._thread = threading.Thread(
            target=self._do, args=(ended, now), name=f"run-{self.job.id}", daemon=True
        )
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for the work to end, at most so long; whether it has."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.outcome is not None

    def tell_to_stop(self, why: Stopped) -> None:
        """Let the work's next look at its context raise `RunStopped`; the first reason stays."""
        if self._why is None:
            self._why, self._told_at = why, self._monotonic()
            self._told.set()

    @property
    def is_overdue(self) -> bool:
        """Whether it takes longer than its job may."""
        return self._monotonic() - self._started > self.job.timeout_seconds

    @property
    def is_stuck(self) -> bool:
        """Whether it was told to stop and doesn't."""
        if self._why is None or self.outcome is not None:
            return False
        return self._monotonic() - self._told_at > STUCK_AFTER_SECONDS

    def _leave_if_told(self) -> None:
        if self._why is not None:
            raise RunStopped(self._why)

    def _patiently(self, write: Callable[[], bool]) -> None:
        self._leave_if_told()
        give_up = self._monotonic() + SAVE_WITHIN_SECONDS
        while True:
            try:
                if not write():
                    self.tell_to_stop(Stopped.LOST)
            except Unavailable:
                if self._monotonic() > give_up:
                    raise
                self._told.wait(SAVE_AGAIN_SECONDS)
            else:
                self._leave_if_told()
                return
            self._leave_if_told()

    def _do(self, ended: Callable[[], None], now: Callable[[], datetime]) -> None:
        try:
            result = dict(self.job.work(self))
            json.dumps(result)
            self.outcome = Ending(state=RunState.SUCCEEDED, at=now(), result=result)
        except RunStopped as stopped:
            self.outcome = stopped.why
        except BursarError as error:
            said = "; ".join([error.detail, *(f"{one.field}: {one.message}" for one in error.reasons)])
            self._fail(error, said, now())
        except Exception as error:  # noqa: BLE001 - whatever a job raises, the run has ended
            self._fail(error, f"Failed with {type(error).__name__}; see the log.", now())
        finally:
            ended()

    def _fail(self, error: Exception, said: str, at: datetime) -> None:
        # Whoever wraps what a stop raises has stopped all the same.
        self.outcome = self._why or Ending(state=RunState.FAILED, at=at, error=said)
        # An error on purpose says all there is to say; of anything else the log has the trace.
        trace = None if isinstance(error, BursarError) else error
        log.error("a run failed", job=self.job.id, run=self.run_id, error=said, exc_info=trace)
