"""Resets: everything that a tenant ever recorded goes, from the store, the journal and its archive.

Or everything that is in one project of it. `deletion.py` removes the tenant or the project as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bursar import clock
from bursar.usage.changes import (
    EVENTS_PER_RECORD,
    PROJECT_RESET,
    RELEASE,
    RESET,
    ProjectResetRecord,
    ReleaseRecord,
    ResetRecord,
)
from bursar.usage.record import encode_record
from bursar.usage.revising.author import Author, wait_until_applied
from bursar.usage.whose import Whose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from bursar.scheduling.job import RunContext
    from bursar.usage.change_log import ChangeLog
    from bursar.usage.changes import ChangeRecord
    from bursar.usage.revising.purging import Purges

RESET_JOB = "reset"
PROJECT = "project_id"
"""The parameter that says which project; absent where it is all of the tenant."""
PLANS_ENDED = "plans_ended"
"""What a run notes of seat plans that its reset has ended."""


class _Kind(msgspec.Struct):
    kind: str


_kind_of = msgspec.json.Decoder(_Kind).decode


def whose_of(run: RunContext) -> Whose:
    """Whose usage a run is to remove."""
    return Whose(str(run.tenant_id), run.parameters.get(PROJECT))


@dataclass(frozen=True, slots=True)
class ResetWork:
    """The work of the job `reset`."""

    changes: ChangeLog
    purges: Purges
    anew: Callable[[Whose], AbstractContextManager[int]]
    """Entered while a reset is journaled: what Bursar itself records of them begins anew, or ends; how many
    plans of it end."""
    refuse_late: Callable[[RunContext], None]
    """Raises Conflict where what a run is part of has ended, or its project was made again since."""

    def __call__(self, run: RunContext) -> Mapping[str, Any]:
        """Remove everything from before; a later attempt goes on from the record that it finds."""
        return {**self.reset(run, Author.of_run(run)), "reason": str(run.parameters["reason"])}

    def reset(self, run: RunContext, author: Author) -> dict[str, Any]:
        """Journal a reset, unless this run has, and purge; counts of what went."""
        with self.purges.alone(run):
            if run.saved is None:
                wait_until_applied(self.changes, self.changes.durable_seq, run, "catching up", 0)
                events = self.purges.events_of(whose_of(run))
                run.save({"after_seq": self.changes.durable_seq, "events": events})
            saved = run.saved or {}
            if not self._written(run, int(saved["after_seq"])):
                # Of a tenant that was deleted meanwhile no run is left, and this one ends here; until the
                # record is journaled nobody else removes the tenant.
                run.save(saved)
                self.refuse_late(run)
                run.save({**saved, PLANS_ENDED: self.write(run, author)})
            changed = self.purge(run, int(saved["after_seq"]))
        return {"events": int(saved["events"]), "journal_records": changed}

    def write(self, run: RunContext, author: Author) -> int:
        """Journal a reset and wait until it is applied; how many seat plans have ended with it."""
        records = [encode_record(one) for one in self._records(run, whose_of(run), author)]
        with self.anew(whose_of(run)) as ended:
            seq = self.changes.append(records)
        wait_until_applied(self.changes, seq, run, "removing", 0)
        return ended

    def purge(self, run: RunContext, after_seq: int) -> int:
        """Take out of journal and store what the last reset of this run removed; lines changed."""
        seq, line = self._written(run, after_seq)[-1]
        wait_until_applied(self.changes, seq, run, "removing", 0)
        return self.purges.purge_removed(run, seq, line)

    def _written(self, run: RunContext, after_seq: int) -> list[tuple[int, bytes]]:
        """The resets that this run has journaled."""
        written = self.purges.records_of(run.run_id, after_seq)
        return [(seq, line) for seq, line in written if _kind_of(line).kind in {RESET, PROJECT_RESET}]

    def _records(self, run: RunContext, whose: Whose, author: Author) -> list[ChangeRecord]:
        now = clock.now()
        if whose.project_id is None:
            return [ResetRecord(**author.head(RESET, now))]
        aside = self.purges.aside_of(run, whose)
        pages = [
            aside[start : start + EVENTS_PER_RECORD] for start in range(0, len(aside), EVENTS_PER_RECORD)
        ]
        released = [ReleaseRecord(**author.head(RELEASE, now), positions=page) for page in pages]
        return [*released, ProjectResetRecord(**author.head(PROJECT_RESET, now), project_id=whose.project_id)]
