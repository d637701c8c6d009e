"""A job: work with a name, a schedule if it has one, and rules for overlap, time and missed moments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bursar.errors import Reason
from bursar.scheduling.run import Json

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.scheduling.run import Run


class Missed(StrEnum):
    """What happens when a job's time passed while no runner was there."""

    RUN_ONCE = "run_once"
    """Once, as soon as there is one, however many times were missed."""
    SKIP = "skip"
    """Nothing until the next time; the history says that it was missed."""


@dataclass(frozen=True, slots=True)
class Every:
    """At regular intervals."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Cron:
    """At the moments of a cron expression."""

    expression: str
    """Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). Where both
    kinds of days are given, both must fit."""
    zone: str = "UTC"


Schedule = Every | Cron


class Stopped(StrEnum):
    """Why a run is told to stop."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    SHUTDOWN = "shutdown"
    """The server stops."""
    LOST = "lost"
    """Another process has taken over; whatever this one does about the run counts no more."""


class RunStopped(Exception):
    """Raised by a run's context at `progress` and `save`: leave the work, in order, as soon as possible."""

    def __init__(self, why: Stopped) -> None:
        """Say why."""
        super().__init__(f"the run was told to stop: {why.value}")
        self.why = why


class RunContext(Protocol):
    """What a job's work gets: what was asked for, and where to say how far it is. Used from one thread."""

    @property
    def run_id(self) -> str:
        """Which run this is."""
        ...

    @property
    def tenant_id(self) -> str | None:
        """Whose data it is about."""
        ...

    @property
    def tenant_since(self) -> datetime | None:
        """When that tenant was made; one of the same id that was made later is another."""
        ...

    @property
    def asked_by(self) -> str | None:
        """The key that asked; None where the schedule did."""
        ...

    @property
    def parameters(self) -> Mapping[str, Json]:
        """What was asked for."""
        ...

    @property
    def saved(self) -> Mapping[str, Json] | None:
        """What an earlier attempt of this run saved."""
        ...

    def progress(self, step: str, done: int, total: int | None = None) -> None:
        """Say how far it is; cheap, written to the store at most once a second.

        Raises:
            RunStopped: the run was cancelled, took too long, or the server stops. Let it pass.
        """
        ...

    def wait(self, step: str, done: int, total: int, seconds: float) -> None:
        """Say what of somebody else's it waits for, and wait so long; its place is another run's meanwhile.

        Raises:
            RunStopped: as `progress`; it is heard at once.
        """
        ...

    def save(self, values: Mapping[str, Json]) -> None:
        """Note, durably, what a later attempt goes on from; raises what `progress` raises."""
        ...


Work = Callable[[RunContext], Mapping[str, Json]]
"""Does the work in a thread of its own and returns the run's result.

A `BursarError` that it raises is shown to whoever asked; of anything else they learn its type only."""
ParameterCheck = Callable[[Mapping[str, Json]], tuple[Reason, ...]]
"""What is wrong with the parameters of a run that somebody asks for; nothing where all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that the runner knows by name."""

    id: str
    title: str
    """One sentence on what it does."""
    work: Work
    schedule: Schedule | None = None
    """None: it runs only when somebody asks."""
    jitter_seconds: int = 0
    """A scheduled run starts up to this much later, so that not everything happens on the hour."""
    timeout_seconds: int = 3600
    missed: Missed = Missed.RUN_ONCE
    resumes: bool = False
    """Its work may be begun again after a crash, from `saved`; others are marked interrupted."""
    for_tenants: bool = False
    """Its runs belong to a tenant, whose admin may ask for them; others are the operator's."""
    permission: str | None = None
    """What starting or cancelling it asks for besides what all jobs do; every job for tenants names one."""
    by_request_only: bool = False
    """It needs parameters that only its own endpoint gives, so it can't be triggered by name."""
    check: ParameterCheck | None = None
    """What it may be triggered with; None: without parameters only. Its own endpoint checks for itself."""
    done: Callable[[Run], Mapping[str, Json] | None] | None = None
    """The result of a run that nobody works on, where what it was to do is done for good; else None.

    Asked before such a run is called cancelled or given up, for its process may have died behind the point
    from which nothing takes it back. Raises `Unavailable` where that isn't known yet: it is asked again."""
    settled: Callable[[Run], None] | None = None
    """Called with every run of it that has ended for good, however it did. A crash may come before."""


def refuse_unknown(parameters: Mapping[str, Json], known: Collection[str]) -> tuple[Reason, ...]:
    """A reason for each parameter that isn't known; for the checks of jobs."""
    allowed = f"known: {', '.join(sorted(known))}" if known else "the job takes none"
    return tuple(
        Reason(f"parameters.{name}", "unknown_parameter", f"there is no such parameter; {allowed}")
        for name in sorted(parameters)
        if name not in known
    )
