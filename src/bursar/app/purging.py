"""Takes data out for good over a running server: rewrites the journal's archive, renews the store.

Implements `Purges` of `usage/revising/purging.py`. First the archive is rewritten, in the one queue of
all rewritings (`rewritings.py`); then the store is derived anew into fresh files, because a database
keeps deleted bytes in its free blocks. Each step can be repeated.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.app.belongings import read_head, records_of
from bursar.app.billing import months_of
from bursar.app.rewritings import Own, await_turn, in_percent
from bursar.errors import Unavailable
from bursar.storage.duckdb.person_sql import rows_naming
from bursar.storage.duckdb.rewriting import erasure_decider, removal_decider, seqs_aside
from bursar.storage.duckdb.tenant_sql import (
    events_of,
    former_versions,
    rows_of_project,
    rows_of_tenant,
)
from bursar.storage.journal.replay import replay_up_to
from bursar.storage.relational.allocations import RelationalAllocations
from bursar.storage.relational.runs import RelationalRuns
from bursar.usage.changes import PROJECT_EXPIRE, PROJECT_RESET, RESET, TOMBSTONE
from bursar.usage.erasing import fields_naming, texts_of
from bursar.usage.person import Person
from bursar.usage.revising.purging import PlacesLeft

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bursar.app.job_ground import JobGround
    from bursar.app.rewritings import Rewritings
    from bursar.scheduling.job import RunContext
    from bursar.storage.duckdb.connection import Database
    from bursar.usage.revising.author import Author
    from bursar.usage.whose import Whose

LINES_BETWEEN_WORDS = 10_000
"""After so many lines of the journal, some 50 ms, a run says how far it is."""
REMOVING = frozenset({RESET, PROJECT_RESET, PROJECT_EXPIRE, TOMBSTONE})
"""Records that stay: what removed others, and what stands where they were."""


@dataclass(frozen=True, slots=True)
class Purger:
    """Rewrites one data folder's journal and renews its store. Use from the threads of runs."""

    ground: JobGround
    rewritings: Rewritings

    def alone(self, run: RunContext) -> AbstractContextManager[None]:
        """See `Purges.alone`."""
        return self.rewritings.alone(run)

    def records_of(self, run_id: str, after_seq: int) -> list[tuple[int, bytes]]:
        """See `Purges.records_of`."""
        mark = b'"run_id":' + msgspec.json.encode(run_id)
        # An event's metadata may say the same, so only what the record says of itself counts.
        found = ((read_head(line), line) for line in self._lines(after_seq) if mark in line)
        return [(head.seq, line) for head, line in found if head.run_id == run_id]

    def purge_removed(self, run: RunContext, seq: int, line: bytes) -> int:
        """See `Purges.purge_removed`."""
        # Without the usage that they sum up, closed months would be corrected down to nothing.
        head, closings = read_head(line), months_of(self.ground).store
        if head.project_id is None:
            closings.forget(head.tenant_id)
        else:
            closings.forget_project(head.tenant_id, head.project_id)
        return self._purge(run, Own([seq], lambda cursor: removal_decider(cursor, line)))

    def purge_person(
        self, run: RunContext, author: Author, seqs: Sequence[int], identifiers: Collection[str]
    ) -> int:
        """See `Purges.purge_person`."""
        tenant_id = author.tenant_id
        own = Own(seqs, lambda cursor: erasure_decider(cursor, tenant_id, seqs, identifiers))
        return self._purge(run, own)

    def places_left(
        self, run: RunContext, tenant_id: str, identifiers: Collection[str], through_seq: int
    ) -> PlacesLeft:
        """See `Purges.places_left`."""
        person = Person(identifiers)
        left: set[tuple[str, int]] = set()
        for line in self._told(run, self._lines(0, through_seq)):
            if person.is_in(line) and read_head(line).tenant_id == tenant_id:
                left |= {(name, read_head(line).seq) for name in fields_naming(line, person)}
        with self._cursor() as cursor:
            left |= rows_naming(cursor, tenant_id, person, through_seq)
        fields = Counter(name for name, _ in left)
        return PlacesLeft(len({seq for _, seq in left}), dict(sorted(fields.items())))

    def conceal_runs(self, tenant_id: str, identifiers: Collection[str]) -> int:
        """See `Purges.conceal_runs`."""
        person = Person(identifiers)

        def is_named(content: str) -> bool:
            return any(map(person.is_in_text, texts_of(content.encode())))

        return RelationalRuns(self.ground.engine).conceal_ended(tenant_id, is_named)

    def forget_allocations(self, tenant_id: str, identifiers: Collection[str]) -> int:
        """See `Purges.forget_allocations`."""
        return RelationalAllocations(self.ground.engine).forget(tenant_id, identifiers)

    def events_of(self, whose: Whose) -> int:
        """See `Purges.events_of`."""
        with self._cursor() as cursor:
            return events_of(cursor, whose.tenant_id, whose.project_id)

    def rows_left(self, run: RunContext, whose: Whose, after_seq: int = 0) -> dict[str, int]:
        """See `Purges.rows_left`."""
        tenant_id, project_id = whose.tenant_id, whose.project_id
        stay = aside = frozenset[int]()
        with self._cursor() as cursor:
            if project_id is None:
                left = rows_of_tenant(cursor, tenant_id)
            else:
                left = {**rows_of_project(cursor, tenant_id, project_id), "quarantine": 0}
                stay, aside = former_versions(cursor, tenant_id, project_id), seqs_aside(cursor, tenant_id)
        left["journal"] = 0
        for one in records_of(self._told(run, self._lines(after_seq)), whose):
            left["quarantine"] += one.seq in aside
            left["journal"] += one.kind not in REMOVING and one.seq not in stay
        return left

    def aside_of(self, run: RunContext, whose: Whose) -> list[int]:
        """See `Purges.aside_of`."""
        with self._cursor() as cursor:
            aside = seqs_aside(cursor, whose.tenant_id)
        if whose.project_id is None or not aside:
            return []
        lines = self._told(run, self._lines(0))
        return [one.seq for one in records_of(lines, whose) if one.seq in aside]

    def _purge(self, run: RunContext, own: Own) -> int:
        through_seq = own.seqs[-1]
        report = self.rewritings.rewrite(run, own)
        if report.last_seq < through_seq:
            message = "The journal could not be rewritten to its end; the run can be started again."
            raise Unavailable(message)
        tell = in_percent(run, self.ground.changes.durable_seq)
        await_turn(run, lambda: self.ground.rebuilder.run(tell))
        # The new store has noted what it read of the same record.
        self.rewritings.forget(through_seq)
        return report.changed

    def _lines(self, after_seq: int, last_seq: int | None = None) -> Iterator[bytes]:
        last = self.ground.changes.durable_seq if last_seq is None else last_seq
        # From the beginning means: with what is kept of dropped segments.
        for batch in replay_up_to(self.ground.folder.journal, last, after_seq):
            yield from batch.payload.splitlines()

    def _told(self, run: RunContext, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The same lines; the run hears how far they are, and may stop in between."""
        tell = in_percent(run, self.ground.changes.durable_seq)
        for number, line in enumerate(lines):
            if number % LINES_BETWEEN_WORDS == 0:
                tell("looking whether anything is left", number)
            yield line

    @contextmanager
    def _cursor(self) -> Generator[Database]:
        cursor = self.ground.stores.cursor()
        try:
            yield cursor
        finally:
            cursor.close()
