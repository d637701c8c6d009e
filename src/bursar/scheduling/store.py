"""What the runner needs kept: runs, what listeners were told, how far schedules are accounted for, a lease.

`storage/relational/runs.py` and `leases.py` implement it on SQLite and PostgreSQL. A run that is being
worked on belongs to its *holder*, a process by a name of its own: whatever another process says about
it is refused by the store, so that one which lost its lease can't overwrite what its successor does.

Servers with data folders of their own may share a state store. A store here is one journal's view: its
runs are carried out where that journal is, its schedules are accounted for by themselves; the history
shows the runs of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bursar.scheduling.run import Ending, Json, Notice, Run, RunState

RUNS_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class RunAsk:
    """Which runs are wanted, newest first; None asks for all."""

    tenant_id: str | None = None
    """Only runs about this tenant, as it is now: those of an earlier one of the same id are for the operator.
    None is for the operator: runs of all tenants and of none."""
    job_id: str | None = None
    states: Collection[RunState] = ()
    before: tuple[datetime, str] | None = None
    """Creation and id of the last run of the page before."""
    limit: int = RUNS_PER_PAGE


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of runs, newest first."""

    runs: tuple[Run, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is."""

    name: str
    done: int
    total: int | None


class RunStore(Protocol):
    """Keeps runs. Every method may raise `Unavailable`: the store doesn't answer."""

    def add(self, run: Run) -> Run:
        """Keep a new run, of the store's own journal and of the tenant as it is now.

        It is on disk when this returns it as it is kept.
        """
        ...

    def run(self, run_id: str, tenant_id: str | None = None) -> Run:
        """The run; with a tenant only if it is about that one.

        Raises:
            NotFound: there is none, for this tenant.
        """
        ...

    def runs(self, ask: RunAsk) -> RunPage:
        """Runs, newest first."""
        ...

    def open_runs(self, tenant_id: str | None = None) -> Sequence[Run]:
        """Queued and running runs of this journal, oldest first; with a tenant only those about it."""
        ...

    def begin(self, run_id: str, holder: str, at: datetime) -> Run | None:
        """Make a queued run of this journal this holder's, running; None if it isn't queued any more."""
        ...

    def note(self, run_id: str, holder: str, step: Step) -> bool:
        """Write down how far a run is; False if it isn't this holder's any more."""
        ...

    def save(self, run_id: str, holder: str, values: Mapping[str, Json]) -> bool:
        """Keep what a later attempt goes on from; False if the run isn't this holder's any more."""
        ...

    def put_back(self, run_id: str, holder: str) -> bool:
        """Queue a run again that stopped half-way; what it saved stays. False if it isn't this holder's."""
        ...

    def end(self, run_id: str, holder: str | None, ending: Ending, listeners: Collection[str]) -> bool:
        """Write down how a run ended and, in the same transaction, who is to be told.

        False if it is no longer this holder's; None is the holder of a queued run.
        """
        ...

    def ask_stop(self, run_id: str) -> None:
        """Note that a running run is to stop; its holder sees it within seconds."""
        ...

    def stops_asked(self, holder: str) -> Collection[str]:
        """Runs of this holder that somebody wants stopped."""
        ...

    def holders(self) -> Mapping[str, str]:
        """The holder of each running run of this journal, by the run's id."""
        ...

    def trim(self, run: Run, keep: int, failures_since: datetime) -> int:
        """Forget ended runs of the same job and tenant, but the newest `keep` and later failures."""
        ...

    def last_runs(self, tenant_id: str | None) -> Mapping[str, Run]:
        """The newest run of each job on this journal, by its id; with a tenant only runs about that one."""
        ...


class NoticeStore(Protocol):
    """Keeps what listeners were told."""

    def owed(self, attempts_limit: int) -> Sequence[Notice]:
        """Whom to tell of which run of this journal still, oldest first."""
        ...

    def told(self, notice: Notice) -> None:
        """Keep how telling went."""
        ...

    def notices(self, run_id: str) -> Sequence[Notice]:
        """Who was told of the run's end, or is to be."""
        ...


class ScheduleStore(Protocol):
    """Keeps up to which moment each schedule is accounted for."""

    def reckoned(self) -> Mapping[str, datetime]:
        """By job: every time of its schedule up to this moment was seen to."""
        ...

    def reckon(self, job_id: str, until: datetime) -> None:
        """Every time of the job's schedule up to this moment is seen to."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseSight:
    """What one look at a lease saw."""

    holder: str
    place: str
    """Where its holder runs: of two processes in one place the earlier is known to be dead."""
    beat: int
    """Grows with each sign of life."""


class LeaseStore(Protocol):
    """Keeps who runs jobs: at most one holder at a time."""

    def look(self) -> LeaseSight | None:
        """Who holds it, and its last sign of life; None: nobody."""
        ...

    def take(self, mine: LeaseSight, seen: LeaseSight | None) -> bool:
        """Become the holder, if nothing has changed since what was seen."""
        ...

    def beat(self, holder: str) -> bool:
        """Give a sign of life; False if another one holds it now."""
        ...

    def release(self, holder: str) -> None:
        """Let go of it, so that the next one needn't wait."""
        ...


class SchedulerStore(RunStore, NoticeStore, ScheduleStore, Protocol):
    """Everything of jobs that outlives a process, but the lease."""
