"""The one queue in which the journal's archive is rewritten, whatever asks for it.

Expiries, erasures and resets leave notes in the store of what the journal must lose. A rewriting seals
the segment in use, archives what is sealed, and goes through the archive line by line as the store
decides (`storage/duckdb/rewriting.py`); the notes are forgotten last, so one that ends in the middle
leaves them to the next. Rewritings come into force in the order of their records: whoever's turn it is
does everything that waits before its own, in the same pass, also what a run left that was killed or
cancelled. Who asks: the retention job (`jobs.py`) and the purger of erasures and resets (`purging.py`).
"""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bursar.app.archive_retention import renew_beginning
from bursar.errors import Conflict
from bursar.storage.duckdb.ages import seqs_to_rewrite
from bursar.storage.duckdb.rewriting import erasure_decider, removal_decider
from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.rewriting import RewriteReport, rewrite
from bursar.usage.changes import ERASE, TOMBSTONE
from bursar.usage.revising.author import wait_until_applied

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from bursar.app.job_ground import JobGround
    from bursar.scheduling.job import RunContext
    from bursar.storage.duckdb.connection import Database
    from bursar.storage.duckdb.rewriting import Decide

Result = TypeVar("Result")

LOOK_SECONDS = 1.0
"""How long a run may not hear that it is to stop, while it waits for its turn."""


class _Line(msgspec.Struct):
    kind: str = ""
    tenant_id: str = ""


_decode = msgspec.json.Decoder(_Line).decode


@dataclass(frozen=True, slots=True)
class Own:
    """The records that a run wants the archive rewritten for, and what decides for them."""

    seqs: Sequence[int]
    """In order, at least one."""
    decider: Callable[[Database], Decide]


@dataclass(frozen=True, slots=True)
class Rewritings:
    """One data folder's queue. Use from the threads of runs."""

    ground: JobGround
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def alone(self, run: RunContext) -> Generator[None]:
        """Hold off every other rewriting, and whatever else takes records out of the archive.

        Raises:
            RunStopped: the run is to stop before its turn came.
        """
        while not self._turn.acquire(timeout=LOOK_SECONDS):
            run.progress("waiting for another change of the archive", 0)
        try:
            yield
        finally:
            self._turn.release()

    def rewrite(self, run: RunContext, own: Own | None = None) -> RewriteReport:
        """Rewrite the archive for all records that wait for it, up to the run's own ones if it has any.

        Call it inside `alone`. Where the report's `last_seq` lies before the last of those records, not all
        could be archived yet, and nothing is forgotten.

        Raises:
            RunStopped: the run is to stop; the archive is as it was.
            DiskFull, Unavailable: the archive is as it was.
        """
        with closing(self.ground.stores.cursor()) as cursor:
            waiting = seqs_to_rewrite(cursor)
            if own is not None:
                waiting = [seq for seq in waiting if seq <= own.seqs[-1] and seq not in own.seqs]
            if not waiting and own is None:
                return RewriteReport()
            through_seq = waiting[-1] if own is None else own.seqs[-1]
            self._archive(run)
            deciders = [_decider_of(cursor, seq, line) for seq, line in self._lines_of(waiting)]
            if own is not None:
                deciders.append(own.decider(cursor))
            decide = in_turn(deciders)
            journal = self.ground.folder.journal
            report = await_turn(run, lambda: rewrite(journal, decide, through_seq, in_shares(run)))
        if report.last_seq >= through_seq:
            await_turn(run, lambda: renew_beginning(self.ground, in_shares(run)))
            self.forget(through_seq)
        return report

    def forget(self, through_seq: int) -> None:
        """Forget the notes up to a record: the rewritten journal is in force."""
        stores = self.ground.stores
        self.ground.applier.between_batches(lambda: stores.applier.forget_removed(through_seq)).result()

    def _archive(self, run: RunContext) -> None:
        changes, journal = self.ground.changes, self.ground.folder.journal
        run.progress("sealing the journal", 0)
        changes.seal()
        wait_until_applied(changes, changes.durable_seq, run, "catching up", 0)
        await_turn(run, lambda: archive_sealed(journal, changes.applied_seq, in_shares(run)))

    def _lines_of(self, seqs: Sequence[int]) -> list[tuple[int, bytes]]:
        """Position and line of these records."""
        if not seqs:
            return []
        wanted = set(seqs)
        return [
            (seq, line)
            for batch in batches_up_to(self.ground.folder.journal, seqs[-1], seqs[0] - 1)
            for seq, line in enumerate(batch.payload.splitlines(), batch.first_seq)
            if seq in wanted
        ]


def in_turn(deciders: Sequence[Decide]) -> Decide:
    """One decision for several rewritings, each asked about what the one before has left."""

    def decide(seq: int, line: bytes) -> bytes | None:
        now = line
        for one in deciders:
            now = one(seq, now) or now
        return None if now is line else now

    return decide


def in_percent(run: RunContext, last_seq: int) -> Callable[[str, int], None]:
    """Tells the run how far work along the journal is, in percent: positions are nobody's business."""
    return lambda step, seq: run.progress(step, min(100 * seq // max(last_seq, 1), 100), 100)


def in_shares(run: RunContext) -> Callable[[str, int, int | None], None]:
    """Tells the run in percent how much of everybody's files is done: their number is nobody's business."""

    def tell(step: str, done: int, total: int | None) -> None:
        run.progress(step, 0 if total is None else 100 * done // max(total, 1), 100)

    return tell


def await_turn(run: RunContext, work: Callable[[], Result]) -> Result:
    """What `work` returns, once nobody else changes the archive or rebuilds the store."""
    while True:
        try:
            return work()
        except Conflict:
            run.progress("waiting for another change of the archive", 0)
            threading.Event().wait(LOOK_SECONDS)


def _decider_of(cursor: Database, seq: int, line: bytes) -> Decide:
    """What decides for a record whose run isn't here.

    An erasure whose run ended takes the person out of what it named; a run of it that goes on
    later does the rest, for it alone knows the identifiers.
    """
    record = _decode(line)
    if record.kind == TOMBSTONE:
        # A later reset has taken the record: its rewriting is in force, only the notes are still there.
        return _keep
    if record.kind == ERASE:
        return erasure_decider(cursor, record.tenant_id, [seq], ())
    return removal_decider(cursor, line)


def _keep(seq: int, line: bytes) -> bytes | None:  # noqa: ARG001 - a `Decide`
    return None
