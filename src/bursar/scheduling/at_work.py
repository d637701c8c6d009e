"""The runs at work in this process: begun from the queue, told to stop, written down when they end.

The work itself happens in threads (`live_run.py`). What is done here is done by the one thread of the
runner that decides (`runner.py`); how far a run is, any thread may ask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bursar.scheduling.job import Stopped
from bursar.scheduling.leftovers import tell_settled
from bursar.scheduling.live_run import LiveRun
from bursar.scheduling.run import ENDED, Run, RunState
from bursar.scheduling.settling import FAILURES_KEPT_FOR, RUNS_KEPT, ending_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bursar.scheduling.job import Job
    from bursar.scheduling.listeners import Listeners
    from bursar.scheduling.runner_values import RunnerOptions
    from bursar.scheduling.store import SchedulerStore

RUNS_AT_ONCE = 4
"""Most jobs work on one file or wait for one thread; more of them would only share the cores. Those that wait
for another server don't count: it may be down for days."""
LIVE_LIMIT = 64
"""Waiting ones among them: each is a thread."""


class AtWork:
    """The runs that this process carries out."""

    def __init__(
        self,
        jobs: Mapping[str, Job],
        store: SchedulerStore,
        listeners: Listeners,
        holder: str,
        options: RunnerOptions,
    ) -> None:
        """Nothing is at work yet; `holder` names this process in the store."""
        self.own: set[str] = set()
        """Runs that were asked for through this process and haven't ended."""
        self._jobs = jobs
        self._store = store
        self._listeners = listeners
        self._holder = holder
        self._options = options
        self._live: dict[str, LiveRun] = {}

    @property
    def live(self) -> tuple[LiveRun, ...]:
        """Those at work now."""
        return tuple(self._live.values())

    def fresh(self, run: Run) -> Run:
        """The run with the progress that isn't written yet."""
        live = self._live.get(run.id)
        if live is None or live.step is None or run.state in ENDED:
            return run
        return replace(run, step=live.step.name, done=live.step.done, total=live.step.total)

    def tell(self, run_id: str, why: Stopped) -> None:
        """Tell this one to stop, if it is at work here."""
        if live := self._live.get(run_id):
            live.tell_to_stop(why)

    def tell_all(self, why: Stopped) -> None:
        """Tell every run to stop."""
        for live in self.live:
            live.tell_to_stop(why)

    def tell_overdue(self) -> None:
        """Tell those to stop that take longer than their job may."""
        for live in self.live:
            if live.is_overdue:
                live.tell_to_stop(Stopped.TIMED_OUT)

    def tell_cancelled(self) -> None:
        """Tell those to stop that somebody cancelled, here or elsewhere."""
        if self._live:
            for run_id in self._store.stops_asked(self._holder):
                self.tell(run_id, Stopped.CANCELLED)

    def join(self, deadline: float) -> None:
        """Wait for all to end, up to a moment of the runner's monotonic clock."""
        for live in self.live:
            live.join(max(0.0, deadline - self._options.monotonic()))

    def begin_what_waits(self, may_begin: Callable[[Run], bool], ended: Callable[[], None]) -> None:
        """Begin queued runs whose turn it is, as far as there is room; `ended` is called when one ends."""
        runs = self._store.open_runs()
        busy = [run for run in runs if run.state is RunState.RUNNING]
        for run in runs:
            if not self._has_room():
                return
            if run.state is not RunState.QUEUED or not may_begin(run):
                continue
            job = self._jobs.get(run.job_id)
            if job is None or any(_clash(run, other) for other in busy):
                continue
            begun = self._store.begin(run.id, self._holder, self._options.now())
            if begun is not None:
                busy.append(begun)
                live = LiveRun(begun, job, self._store, self._holder, self._options.monotonic)
                self._live[run.id] = live
                live.start(ended, self._options.now)

    def _has_room(self) -> bool:
        live = self.live
        return len(live) < LIVE_LIMIT and sum(not one.is_waiting for one in live) < RUNS_AT_ONCE

    def settle(self) -> None:
        """Write down how runs ended; a failure leaves the rest for the next time."""
        for live in self.live:
            if live.outcome is None:
                continue
            live.write_step()
            ending = ending_of(live.outcome, live.job, self._options.now())
            if ending is None:
                self._store.put_back(live.run_id, self._holder)
            elif self._store.end(live.run_id, self._holder, ending, self._listeners.names):
                self._store.trim(live.run, RUNS_KEPT, ending.at - FAILURES_KEPT_FOR)
                tell_settled(self._jobs, [live.run], self._listeners)
            self._live.pop(live.run_id, None)
            self.own.discard(live.run_id)


def _clash(run: Run, other: Run) -> bool:
    """Whether the two may not run at once: the same job, about the same tenant or about all."""
    return run.job_id == other.job_id and (
        run.tenant_id is None or other.tenant_id is None or run.tenant_id == other.tenant_id
    )
