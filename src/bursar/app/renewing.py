"""Deletes what has expired from the disk too: derives the usage store anew into fresh files.

A database keeps deleted rows in blocks that it hasn't used again yet. An erasure and a reset renew the
store at once (`purging.py`). An expiry happens every night, and a renewal takes as long as a rebuild, so
one that came by itself is done within the days of a setting, one that somebody asked for at once.
A note beside the store's files says since when they hold deleted rows; it goes with them, whatever
replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.app.rewritings import await_turn, in_percent
from bursar.errors import DiskFull
from bursar.storage.durable_files import write_durably

if TYPE_CHECKING:
    from bursar.app.job_ground import JobGround
    from bursar.scheduling.job import RunContext
    from bursar.scheduling.run import Json

log = structlog.get_logger()


def is_due(noted_at: datetime, now: datetime, days: int, *, is_asked_for: bool) -> bool:
    """Whether files that hold deleted rows since `noted_at` are to be renewed now."""
    return is_asked_for or now - noted_at >= timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Renewals:
    """Renews one data folder's usage store. Use from the threads of runs."""

    ground: JobGround

    def note(self) -> None:
        """Note, durably, that rows are about to be deleted from the files in use; before they are."""
        path = self.ground.stores.derived.files.deletions
        if not path.exists():
            write_durably(path, clock.rfc3339(clock.now()).encode())

    @property
    def noted_at(self) -> datetime | None:
        """Since when the files in use hold deleted rows; None where they hold none."""
        try:
            said = self.ground.stores.derived.files.deletions.read_text()
        except FileNotFoundError:
            return None
        return datetime.fromisoformat(said).astimezone(UTC)

    def renew_if_due(self, run: RunContext, *, has_removed: bool) -> dict[str, Json]:
        """Renew the store where it is time to, or say when it will be; for the result of the run.

        Without room for a second store the next run tries again. A run that has removed nothing renews
        only what others have left for too long.

        Raises:
            RunStopped: the run is to stop; the store is as it was.
        """
        noted_at, days = self.noted_at, self.ground.settings.retention_renew_days
        is_asked_for = has_removed and run.asked_by is not None
        if noted_at is None or not is_due(noted_at, clock.now(), days, is_asked_for=is_asked_for):
            shown = noted_at if has_removed else None
            by = None if shown is None else clock.rfc3339(shown + timedelta(days=days))
            return {"renewed": False, "renewal_by": by}
        tell = in_percent(run, self.ground.changes.durable_seq)
        try:
            await_turn(run, lambda: self.ground.rebuilder.run(tell))
        except DiskFull as error:
            log.warning("deleted rows stay in the usage store's file", because=error.detail)
            return {"renewed": False, "renewal_error": error.detail}
        return {"renewed": True}
