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
