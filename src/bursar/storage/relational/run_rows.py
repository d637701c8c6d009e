"""Rows of the table of runs: how a run is written there, and read back.

The statements are in `runs.py`; JSON is kept as text, so that both engines answer what was written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bursar.scheduling.run import Run, RunState, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from bursar.scheduling.run import Json


def to_json(values: Mapping[str, Json]) -> str:
    """Values as a row has them."""
    return json.dumps(dict(values))


def clean(text: str) -> str:
    """Text that PostgreSQL takes: it keeps no NUL and no half of a pair."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def row_of(run: Run) -> dict[str, object]:
    """The columns of a new run."""
    return {
        "id": run.id,
        "job_id": run.job_id,
        "tenant_id": run.tenant_id,
        "state": run.state.value,
        "trigger": run.trigger.value,
        "asked_by": run.asked_by,
        "parameters": to_json(run.parameters),
        "saved": None if run.saved is None else to_json(run.saved),
        "attempts": run.attempts,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "is_stop_asked": run.is_stop_asked,
        "journal_id": run.journal_id,
    }


def run_of(row: Row[Any]) -> Run:
    """The run of a whole row."""
    return Run(
        id=row.id,
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        tenant_since=row.tenant_since,
        state=RunState(row.state),
        trigger=Trigger(row.trigger),
        asked_by=row.asked_by,
        parameters=json.loads(row.parameters),
        saved=None if row.saved is None else json.loads(row.saved),
        step=row.step,
        done=row.done,
        total=row.total,
        result=None if row.result is None else json.loads(row.result),
        error=row.error,
        attempts=row.attempts,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        is_stop_asked=row.is_stop_asked,
        journal_id=row.journal_id,
    )
