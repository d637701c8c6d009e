"""Takes what has expired out of the journal's archive: one pass for all expiries that still wait for it.

When an expiry is applied, the store notes which positions the journal must lose. Here the segment in use
is sealed, what is sealed is archived, and the archive rewritten line by line as the store decides
(`storage/duckdb/rewriting.py`). The notes are forgotten last, so a run that ends in the middle leaves them to
the next. Erasures and resets are rewritten by the jobs that made them; what stands behind one of those
waits for it, because rewritings come into force in the order of their records.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.duckdb.ages import seqs_to_rewrite
from bursar.storage.duckdb.rewriting import removal_decider
from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.rewriting import rewrite
from bursar.usage.changes import EXPIRE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.app.job_ground import JobGround
    from bursar.scheduling.job import RunContext
    from bursar.storage.duckdb.rewriting import Decide


class _Line(msgspec.Struct):
    kind: str = ""


_decode = msgspec.json.Decoder(_Line).decode


def drop_expired_lines(ground: JobGround, context: RunContext) -> int:
    """Rewrite the archive for every expiry that waits for it; how many records became tombstones.

    Raises:
        RunStopped: the run is to stop; the archive is as it was.
        Conflict: another job changes the archive.
        DiskFull, Unavailable: the archive is as it was.
    """
    with closing(ground.stores.cursor()) as cursor:
        waiting = seqs_to_rewrite(cursor)
        expiries = _leading_expiries(ground, waiting)
        if not expiries:
            return 0
        context.progress("sealing the journal", 0)
        ground.changes.seal()
        archive_sealed(ground.folder.journal, ground.changes.applied_seq, context.progress)
        last_seq = expiries[-1][0]
        deciders = [removal_decider(cursor, line) for _, line in expiries]
        report = rewrite(ground.folder.journal, _all_in_turn(deciders), last_seq, context.progress)
    if report.last_seq < last_seq:
        # Behind what could be archived; the notes stay for the next run.
        return report.tombstones
    applier = ground.stores.applier
    ground.applier.between_batches(lambda: applier.forget_removed(last_seq)).result()
    return report.tombstones


def _leading_expiries(ground: JobGround, seqs: Sequence[int]) -> list[tuple[int, bytes]]:
    """Seq and line of the waiting records up to the first that is no expiry."""
    if not seqs:
        return []
    wanted, found = set(seqs), dict[int, bytes]()
    for batch in batches_up_to(ground.folder.journal, seqs[-1], seqs[0] - 1):
        for seq, line in enumerate(batch.payload.splitlines(), batch.first_seq):
            if seq in wanted:
                found[seq] = line
    leading: list[tuple[int, bytes]] = []
    for seq in sorted(found):
        if _decode(found[seq]).kind != EXPIRE:
            break
        leading.append((seq, found[seq]))
    return leading


def _all_in_turn(deciders: Sequence[Decide]) -> Decide:
    """One decision for several rewritings, each asked about what the one before has left."""

    def decide(seq: int, line: bytes) -> bytes | None:
        now = line
        for one in deciders:
            now = one(seq, now) or now
        return None if now is line else now

    return decide
