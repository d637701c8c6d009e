"""Who changes something, why, and by which run: what every change record says about itself.

`change_log.py` says how records get into the journal; the jobs here wait with `wait_until_applied`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bursar import clock
from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.scheduling.job import RunContext
    from bursar.usage.change_log import ChangeLog

CHANGE_VERSION = 1
REASON_LIMIT = 500
WAIT_SECONDS = 1.0
"""How long a job waits at a time before it looks whether it should stop."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a tenant's data, and why."""

    tenant_id: str
    key_id: str
    reason: str
    run_id: str | None = None

    @classmethod
    def of_run(cls, run: RunContext) -> Author:
        """The author of what a job's run writes: who asked for it, with the reason given then."""
        if run.tenant_id is None:
            message = "a change of usage needs a tenant"
            raise ValueError(message)
        return cls(run.tenant_id, run.asked_by or "schedule", str(run.parameters["reason"]), run.run_id)

    def head(self, kind: str, now: datetime) -> dict[str, Any]:
        """The fields that every change record begins with."""
        return {
            "v": CHANGE_VERSION,
            "kind": kind,
            "received": clock.to_micros(now),
            "tenant_id": self.tenant_id,
            "key_id": self.key_id,
            "door": "api",
            "reason": self.reason,
            "run_id": self.run_id,
        }


def read_reason(text: str | None) -> str:
    """The reason that somebody gives for a change.

    Raises:
        Invalid: there is none, or it is too long.
    """
    given = (text or "").strip()
    if not given:
        message = "Say why in `reason`: it stays with the change for good."
        raise Invalid(message, reasons=(Reason("reason", "required", message),))
    if len(given) > REASON_LIMIT:
        message = f"A reason has at most {REASON_LIMIT} characters."
        raise Invalid(message, reasons=(Reason("reason", "too_long", message),))
    return given


def wait_until_applied(changes: ChangeLog, seq: int, run: RunContext, step: str, done: int = 0) -> None:
    """Wait as long as it takes, but for a run that should stop.

    Raises:
        RunStopped: the run was cancelled, took too long, or the server stops.
    """
    while not changes.wait_applied(seq, WAIT_SECONDS):
        run.progress(step, done)
