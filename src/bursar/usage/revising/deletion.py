"""Deletions: a tenant or a project goes with everything that it has.

A deletion is a reset, and then what the state store has. Usage that was on its way when the tenant or the
project was suspended may come after the reset, so a deletion looks and resets again until nothing is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bursar.errors import Conflict
from bursar.usage.revising.author import Author
from bursar.usage.revising.resetting import PLANS_ENDED, whose_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bursar.scheduling.job import RunContext
    from bursar.usage.revising.resetting import ResetWork

DELETE_JOB = "delete_tenant"
DELETE_PROJECT_JOB = "delete_project"
PLANS = "seat_plans"
"""What `remove` counts of them is what was added since the first reset, which ends them."""
ROUNDS = 10
"""Resets of one deletion: each needs usage that was on its way for a whole reset."""


class Owner(Protocol):
    """Tenants, or projects: whoever is to be deleted, by a run that says which one."""

    @property
    def counted(self) -> Sequence[str]:
        """What `remove` counts."""
        ...

    def is_there(self, run: RunContext) -> bool:
        """Whether it is there, and not another one that was made under its id since the run was asked for."""
        ...

    def suspend(self, run: RunContext) -> None:
        """Let no more usage in: whoever resumed it did so before the run was known."""
        ...

    def remove(self, run: RunContext) -> Mapping[str, int]:
        """Remove it from the state store with all that is kept of it there; how much of what.

        Raises:
            NotFound: there is none any more, or it is a later one.
        """
        ...

    def forget(self, run: RunContext) -> None:
        """Let nothing that is known of it in memory count any more; it is gone."""
        ...


class Elsewhere(Protocol):
    """Other servers with data folders of their own on the same state store."""

    def reset(self, run: RunContext) -> None:
        """Have each remove what it recorded of whom the run deletes; waits until all have.

        Raises:
            Conflict: one of them could not.
            RunStopped: the run is to stop; a later attempt goes on waiting.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeleteWork:
    """The work of a job that deletes a tenant or a project, which is suspended already."""

    resets: ResetWork
    owner: Owner
    elsewhere: Elsewhere

    def __call__(self, run: RunContext) -> Mapping[str, Any]:
        """Remove all usage until none is left, then whose it is; the proof is in the result."""
        author = Author.of_run(run)
        if not self.owner.is_there(run):
            # An earlier attempt came so far; one that was made since then is another one.
            self.owner.forget(run)
            events = int((run.saved or {}).get("events", 0))
            return {"events": events, **self._nothing(), "reason": author.reason}
        self.owner.suspend(run)
        done = self.resets.reset(run, author)
        if not run.parameters.get("leave_elsewhere"):
            self.elsewhere.reset(run)
        for _ in range(ROUNDS):
            removed = self._remove(run, author)
            if removed is not None:
                self.owner.forget(run)
                return {**done, **removed, "reason": author.reason}
        message = "Usage keeps coming in; is another server recording it?"
        raise Conflict(message)

    def _remove(self, run: RunContext, author: Author) -> dict[str, Any] | None:
        """Remove the owner, unless usage came in behind the reset: then that goes, and None is answered."""
        resets = self.resets
        # Alone, so that no other run journals a change of it once it is gone.
        with resets.purges.alone(run):
            # While this waited for its turn the tenant may have been deleted, or another server's run may
            # have come so far; whoever has the id by now is another one.
            run.save(dict(run.saved or {}))
            if not self.owner.is_there(run):
                return self._nothing()
            removed = self._remove_empty(run)
            if removed is None:
                after_seq = resets.changes.durable_seq
                resets.write(run, author)
                resets.purge(run, after_seq)
        return removed

    def _remove_empty(self, run: RunContext) -> dict[str, Any] | None:
        """Remove the owner, if nothing is left of its usage."""
        resets, whose = self.resets, whose_of(run)
        looked_at = resets.changes.durable_seq
        left = resets.purges.rows_left(run, whose)
        if any(left.values()):
            return None
        # All of a long journal was looked at before others had to wait; now only what came in meanwhile.
        with resets.anew(whose) as ended:
            left = resets.purges.rows_left(run, whose, looked_at)
            if any(left.values()):
                return None
            removed = dict(self.owner.remove(run))
        plans = ended + int((run.saved or {}).get(PLANS_ENDED, 0))
        if PLANS in removed:
            removed[PLANS] += plans
        return {**removed, "rows_left": left}

    def _nothing(self) -> dict[str, Any]:
        return {**dict.fromkeys(self.owner.counted, 0), "rows_left": {}}
