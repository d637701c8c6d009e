"""Erasures: one person leaves everything that was recorded, while every total stays as it was.

The job finds where the person stands, journals that, waits until the store has lost it, rewrites the
journal, renews the store, and then looks whether anything is left. The identifiers are in the job's
parameters under seal until the run has ended, however it does, and nowhere else; the result has counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bursar import clock
from bursar.usage.changes import ERASE, EVENTS_PER_RECORD, ErasedEvent, EraseRecord, KeptPlace
from bursar.usage.record import encode_record
from bursar.usage.revising.author import Author, wait_until_applied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bursar.scheduling.job import RunContext
    from bursar.usage.change_log import ChangeLog
    from bursar.usage.person import PersonFound
    from bursar.usage.revising.purging import Purges
    from bursar.usage.store import AsksQuestions

ERASE_JOB = "erase"
CONCEALED = "erased"
"""What stands in the job's parameters where the identifiers were, once it has ended."""
ROUNDS = 10
"""Looks for a person whose usage keeps coming in; what comes later needs another erasure."""

_decode = msgspec.json.Decoder(EraseRecord).decode


@dataclass(frozen=True, slots=True)
class EraseWork:
    """The work of the job `erase`."""

    changes: ChangeLog
    questions: AsksQuestions
    purges: Purges
    open_seal: Callable[[Mapping[str, str]], list[str]]

    def __call__(self, run: RunContext) -> Mapping[str, Any]:
        """Erase the person; a later attempt goes on from what was journaled."""
        author = Author.of_run(run)
        identifiers = self.open_seal(run.parameters["identifiers"])
        with self.purges.alone(run):
            seqs, events = self._journal(run, author, identifiers)
            changed = self.purges.purge_person(run, author, seqs, identifiers)
        left = self.purges.places_left(run, author.tenant_id, identifiers, seqs[-1])
        # What a void was asked for by this user, and an erasure of them that failed, names them too.
        concealed = self.purges.conceal_runs(author.tenant_id, identifiers)
        allocations = self.purges.forget_allocations(author.tenant_id, identifiers)
        return {
            "events": events,
            "journal_records": changed,
            "runs_concealed": concealed,
            "allocations_changed": allocations,
            "left": left.places,
            "left_in": left.fields,
            "reason": author.reason,
        }

    def _journal(self, run: RunContext, author: Author, identifiers: list[str]) -> tuple[list[int], int]:
        """The seqs of the erase records, and how many events they name; applied.

        It looks again until nothing new is found: usage of the person may come in meanwhile.
        """
        saved = dict(run.saved or {"after_seq": self.changes.durable_seq})
        run.save(saved)
        before: PersonFound | None = None
        for _ in range(ROUNDS):
            wait_until_applied(self.changes, self.changes.durable_seq, run, "catching up", 0)
            run.progress("looking for the person", 0)
            found = self.questions.ask_now(lambda store: store.find_person(author.tenant_id, identifiers))
            written = self.purges.records_of(run.run_id, saved["after_seq"])
            # What is found again is beyond an erasure; it is reported at the end.
            if written and (found == before or not (found.events or found.kept)):
                break
            lines = [encode_record(record) for record in erase_records(author, found)]
            # A tenant that was deleted meanwhile has no runs any more: this one ends here.
            run.save(saved)
            wait_until_applied(self.changes, self.changes.append(lines), run, "erasing", len(found.events))
            before = found
        written = self.purges.records_of(run.run_id, saved["after_seq"])
        named = {event.seq for _, line in written for event in _decode(line).events}
        return [seq for seq, _ in written], len(named)


def erase_records(author: Author, found: PersonFound) -> list[EraseRecord]:
    """The records that take a person out; one at least, for lines that only the journal has."""
    head = author.head(ERASE, clock.now())
    kept = [KeptPlace(by_seq, place) for by_seq, place in found.kept]
    events = [ErasedEvent(seq, list(tags)) for seq, tags in found.events]
    starts = range(0, max(len(events), 1), EVENTS_PER_RECORD)
    records = [EraseRecord(**head, events=events[start : start + EVENTS_PER_RECORD]) for start in starts]
    records[0].kept = kept
    return records
