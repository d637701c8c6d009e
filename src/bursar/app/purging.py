"""Takes data out for good over a running server: rewrites the journal's archive, renews the store.

Implements `Purges` of `usage/revising/purging.py`. The order: seal the journal's segment, archive what is
sealed, rewrite the archive with what the store decides line by line, forget the notes about it, and
derive the store anew into fresh files, because a database keeps deleted bytes in its free blocks. Each
step can be repeated; while one is under way, no other change of the archive is.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bursar.app.expired_lines import drop_expired_lines
from bursar.errors import Conflict, Unavailable
from bursar.storage.duckdb.person_sql import rows_naming
from bursar.storage.duckdb.rewriting import Decide, erasure_decider, removal_decider
from bursar.storage.duckdb.tenant_sql import rows_of_tenant
from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.rewriting import rewrite
from bursar.usage.changes import RESET, TOMBSTONE
from bursar.usage.person import person_pattern
from bursar.usage.revising.author import wait_until_applied

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Sequence

    from bursar.app.job_ground import JobGround
    from bursar.scheduling.job import RunContext
    from bursar.storage.duckdb.connection import Database
    from bursar.usage.revising.author import Author

Result = TypeVar("Result")

LOOK_SECONDS = 1.0
"""How long a run may not hear that it is to stop, while it waits for its turn."""


class _Line(msgspec.Struct):
    seq: int = 0
    kind: str = ""
    tenant_id: str = ""
    run_id: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


@dataclass(frozen=True, slots=True)
class Purger:
    """Rewrites one data folder's journal and renews its store. Use from the threads of runs."""

    ground: JobGround
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def alone(self, run: RunContext) -> Generator[None]:
        """See `Purges.alone`."""
        while not self._turn.acquire(timeout=LOOK_SECONDS):
            run.progress("waiting for another change of the archive", 0)
        try:
            yield
        finally:
            self._turn.release()

    def records_of(self, run_id: str, after_seq: int) -> list[tuple[int, bytes]]:
        """See `Purges.records_of`."""
        mark = b'"run_id":' + msgspec.json.encode(run_id)
        return [(_read(line).seq, line) for line in self._lines(after_seq) if mark in line]

    def purge_removed(self, run: RunContext, seq: int, line: bytes) -> int:
        """See `Purges.purge_removed`."""
        return self._purge(run, [seq], lambda cursor: removal_decider(cursor, line))

    def purge_person(
        self, run: RunContext, author: Author, seqs: Sequence[int], identifiers: Collection[str]
    ) -> int:
        """See `Purges.purge_person`."""
        tenant_id = author.tenant_id
        return self._purge(run, seqs, lambda cursor: erasure_decider(cursor, tenant_id, seqs, identifiers))

    def places_left(
        self, run: RunContext, tenant_id: str, identifiers: Collection[str], through_seq: int
    ) -> list[int]:
        """See `Purges.places_left`."""
        pattern = person_pattern(identifiers)
        found = re.compile(pattern.encode()).search
        left: set[int] = set()
        for number, line in enumerate(self._lines(0, through_seq)):
            if number % 10_000 == 0:
                run.progress("looking whether anything is left", number)
            if found(line) and _read(line).tenant_id == tenant_id:
                left.add(_read(line).seq)
        with self._cursor() as cursor:
            left |= rows_naming(cursor, tenant_id, pattern, through_seq)
        return sorted(left)

    def rows_left(self, tenant_id: str) -> dict[str, int]:
        """See `Purges.rows_left`."""
        with self._cursor() as cursor:
            left = rows_of_tenant(cursor, tenant_id)
        mark = b'"tenant_id":' + msgspec.json.encode(tenant_id)
        lines = (_read(line) for line in self._lines(0) if mark in line)
        gone = {RESET, TOMBSTONE}
        left["journal"] = sum(one.tenant_id == tenant_id and one.kind not in gone for one in lines)
        return left

    def _purge(self, run: RunContext, seqs: Sequence[int], decider: Callable[[Database], Decide]) -> int:
        ground, through_seq = self.ground, seqs[-1]
        run.progress("sealing the journal", 0)
        ground.changes.seal()
        wait_until_applied(ground.changes, ground.changes.durable_seq, run, "catching up", 0)
        # Rewritings come in the order of their records; what this one forgets, it forgets of all before.
        _in_turn(run, lambda: drop_expired_lines(ground, run))
        journal, applied_seq = ground.folder.journal, ground.changes.applied_seq
        _in_turn(run, lambda: archive_sealed(journal, applied_seq, run.progress))
        with self._cursor() as cursor:
            decide = decider(cursor)
            report = _in_turn(run, lambda: rewrite(journal, decide, through_seq, run.progress))
        if report.last_seq < through_seq:
            message = "The journal could not be rewritten to its end; the run can be started again."
            raise Unavailable(message)
        self._forget(through_seq)
        _in_turn(run, lambda: ground.rebuilder.run(run.progress))
        # The new store has noted what it read of the same record.
        self._forget(through_seq)
        return report.changed

    def _forget(self, through_seq: int) -> None:
        stores = self.ground.stores
        self.ground.applier.between_batches(lambda: stores.applier.forget_removed(through_seq)).result()

    def _lines(self, after_seq: int, last_seq: int | None = None) -> Iterator[bytes]:
        last = self.ground.changes.durable_seq if last_seq is None else last_seq
        for batch in batches_up_to(self.ground.folder.journal, last, after_seq):
            yield from batch.payload.splitlines()

    @contextmanager
    def _cursor(self) -> Generator[Database]:
        cursor = self.ground.stores.cursor()
        try:
            yield cursor
        finally:
            cursor.close()


def _in_turn(run: RunContext, work: Callable[[], Result]) -> Result:
    """What `work` returns, once nobody else changes the archive or rebuilds the store."""
    while True:
        try:
            return work()
        except Conflict:
            run.progress("waiting for another change of the archive", 0)
            threading.Event().wait(LOOK_SECONDS)


def _read(line: bytes) -> _Line:
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return _Line()
