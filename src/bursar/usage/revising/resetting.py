"""Resets: everything that a tenant ever recorded goes, from the store, the journal and its archive.

Deleting a tenant is a reset, and then its keys, its projects and the tenant itself. Usage that was on
its way when the tenant was suspended may come after the reset, so a deletion looks and resets again
until nothing is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bursar import clock
from bursar.errors import Conflict, NotFound
from bursar.usage.changes import RESET, ResetRecord
from bursar.usage.record import encode_record
from bursar.usage.revising.author import Author, wait_until_applied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bursar.identity.store import TenantStore
    from bursar.scheduling.job import RunContext
    from bursar.usage.change_log import ChangeLog
    from bursar.usage.revising.purging import Purges

RESET_JOB = "reset"
DELETE_JOB = "delete_tenant"
ROUNDS = 10
"""Resets of one deletion: each needs usage that was on its way for a whole reset."""


@dataclass(frozen=True, slots=True)
class ResetWork:
    """The work of the job `reset`."""

    changes: ChangeLog
    purges: Purges
    anew: Callable[[str], AbstractContextManager[None]]
    """Entered with the tenant's id while a reset is journaled: what counts what is recorded begins anew."""

    def __call__(self, run: RunContext) -> Mapping[str, Any]:
        """Remove everything from before; a later attempt goes on from the record that it finds."""
        return {**self.reset(run, Author.of_run(run)), "reason": str(run.parameters["reason"])}

    def reset(self, run: RunContext, author: Author) -> dict[str, Any]:
        """Journal a reset, unless this run has, and purge; counts of what went."""
        with self.purges.alone(run):
            if run.saved is None:
                wait_until_applied(self.changes, self.changes.durable_seq, run, "catching up", 0)
                before = self.purges.rows_left(author.tenant_id)
                run.save({"after_seq": self.changes.durable_seq, "events": before["usage_events"]})
            saved = run.saved or {}
            written = self.purges.records_of(run.run_id, int(saved["after_seq"]))
            if not written:
                # Of a tenant that was deleted meanwhile no run is left, and this one ends here; until the
                # record is journaled nobody else removes the tenant.
                run.save(saved)
                self.write(run, author)
                written = self.purges.records_of(run.run_id, int(saved["after_seq"]))
            seq, line = written[-1]
            wait_until_applied(self.changes, seq, run, "removing", 0)
            changed = self.purges.purge_removed(run, seq, line)
        return {"events": int(saved["events"]), "journal_records": changed}

    def write(self, run: RunContext, author: Author) -> None:
        """Journal a reset and wait until it is applied."""
        record = ResetRecord(**author.head(RESET, clock.now()))
        with self.anew(author.tenant_id):
            seq = self.changes.append([encode_record(record)])
        wait_until_applied(self.changes, seq, run, "removing", 0)


class Elsewhere(Protocol):
    """Other servers with data folders of their own on the same state store."""

    def reset(self, run: RunContext) -> None:
        """Have each remove what it recorded for the run's tenant, which is suspended; waits until all have.

        Raises:
            Conflict: one of them could not.
            RunStopped: the run is to stop; a later attempt goes on waiting.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeleteWork:
    """The work of the job that deletes a tenant, which is suspended already."""

    resets: ResetWork
    tenants: TenantStore
    forget: Callable[[str], None]
    """Called with the tenant's id when it is gone, so that nothing known of it in memory counts any more."""
    suspend: Callable[[str], None]
    """Called with the tenant's id before anything else: whoever resumed it before the run was known."""

    elsewhere: Elsewhere

    def __call__(self, run: RunContext) -> Mapping[str, Any]:
        """Remove the tenant's usage until none is left, then the tenant; the proof is in the result."""
        author = Author.of_run(run)
        if not self._is_there(author.tenant_id, run.tenant_since):
            # An earlier attempt came so far; a tenant that was made since then is another one.
            self.forget(author.tenant_id)
            events = int((run.saved or {}).get("events", 0))
            return {"events": events, "keys": 0, "projects": 0, "rows_left": {}, "reason": author.reason}
        self.suspend(author.tenant_id)
        done = self.resets.reset(run, author)
        if not run.parameters.get("leave_elsewhere"):
            self.elsewhere.reset(run)
        for _ in range(ROUNDS):
            removed = self._remove(run, author)
            if removed is not None:
                self.forget(author.tenant_id)
                return {**done, **removed, "reason": author.reason}
        message = "Usage of the tenant keeps coming in; is another server recording for it?"
        raise Conflict(message)

    def _is_there(self, tenant_id: str, since: datetime | None) -> bool:
        try:
            return since in {None, self.tenants.tenant(tenant_id).created_at}
        except NotFound:
            return False

    def _remove(self, run: RunContext, author: Author) -> dict[str, Any] | None:
        """Remove the tenant, unless usage came in behind the reset: then that goes, and None is answered."""
        purges, changes = self.resets.purges, self.resets.changes
        # Alone, so that no other run journals a change for the tenant once it is gone.
        with purges.alone(run):
            left = purges.rows_left(author.tenant_id)
            if not any(left.values()):
                removed = self.tenants.remove_tenant(author.tenant_id, run.tenant_since, run.run_id)
                return {"keys": removed.keys, "projects": removed.projects, "rows_left": left}
            after_seq = changes.durable_seq
            self.resets.write(run, author)
            seq, line = purges.records_of(run.run_id, after_seq)[-1]
            purges.purge_removed(run, seq, line)
        return None
