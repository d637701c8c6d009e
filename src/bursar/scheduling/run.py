"""One execution of a job: what was asked for, how far it is, what came of it.

A run is kept in the state store, so that it survives a restart: a run whose process died is taken up
again from what it saved, where its job can do that, and is marked `interrupted` where it can't.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - as below
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from enum import StrEnum
from typing import Any

from bursar.ids import EventIds

_IDS = EventIds()

Json = Any
"""Anything that JSON can say."""


class RunState(StrEnum):
    """Where a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process ended, and the job can't go on from the middle."""
    MISSED = "missed"
    """Nobody was there at its time, and the job doesn't catch up."""


ENDED = frozenset(RunState) - {RunState.QUEUED, RunState.RUNNING}
FAILURES = frozenset({RunState.FAILED, RunState.TIMED_OUT, RunState.INTERRUPTED})
"""Ends that somebody may want to look into later."""


class Trigger(StrEnum):
    """Why a run began."""

    SCHEDULE = "schedule"
    REQUEST = "request"
    """Somebody asked for it."""
    CATCH_UP = "catch_up"
    """Its time passed while no runner was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a job."""

    id: str
    job_id: str
    tenant_id: str | None
    """Whose data it is about; None for the whole installation, which only the operator sees."""
    tenant_since: datetime | None = None
    """When that tenant was made: a later one of the same id is another, and the run isn't its own."""
    state: RunState
    trigger: Trigger
    asked_by: str | None
    """The key that asked, where somebody did."""
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    saved: Mapping[str, Json] | None = None
    """What the job noted to go on from after a crash."""
    step: str | None = None
    done: int | None = None
    total: int | None = None
    result: Mapping[str, Json] | None = None
    error: str | None = None
    attempts: int = 0
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    is_stop_asked: bool = False
    """Somebody asked to cancel it, and it hasn't ended yet."""
    journal_id: str | None = None
    """Whose records it works on: only a process on that journal takes it; None in runs of an older Bursar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended."""

    state: RunState
    at: datetime
    result: Mapping[str, Json] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """That a listener is told of a run's end; kept as long as the run, so that a restart forgets none."""

    run_id: str
    listener: str
    """The name under which it is registered in code."""
    told_at: datetime | None = None
    """None: not yet, or it failed each time."""
    attempts: int = 0
    error: str | None = None
    """What the listener raised the last time."""


def make_run_id(now: datetime) -> str:
    """A new run's id; those of one process sort in the order in which they were made."""
    return f"run_{_IDS.make(now)}"
