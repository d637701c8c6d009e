"""Drops the oldest segments of the archive, once the store says that nothing live stems from them.

What a replay must know of them stays in a file beside the archive (`storage/duckdb/beginning.py`).
After each rewriting of the archive that file is written anew, so that it too loses whom an erasure
forgot and what a reset removed. Both are part of the one queue in `rewritings.py`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bursar.storage.duckdb.beginning import Beginning
from bursar.storage.journal.dropping import DropReport, DropRule, drop_oldest, renew_start, replay_start

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime
    from pathlib import Path

    from bursar.app.job_ground import JobGround
    from bursar.storage.journal.holding import Progress
    from bursar.storage.journal.manifest import ArchivedSegment
    from bursar.usage.applying import RecordBatch


def drop_old_segments(ground: JobGround, before: datetime, progress: Progress) -> DropReport:
    """Drop what was received before a moment and isn't needed; inside the queue's `alone`.

    Raises:
        Conflict: another job changes the archive.
        DiskFull, Unavailable: the archive is as it was.
    """
    journal = ground.folder.journal
    last_seq = replay_start(journal).after_seq
    with _beginning(ground) as beginning:
        needed_from = beginning.needed_from()

        def is_needed(entry: ArchivedSegment) -> bool:
            nonlocal last_seq
            if entry.last_seq >= needed_from:
                return True
            last_seq = max(last_seq, entry.last_seq)
            return False

        def carry(earlier: Path | None, dropped: Iterator[RecordBatch], new: Path) -> None:
            beginning.write(earlier, dropped, last_seq, new)

        return drop_oldest(journal, DropRule(before=before, is_needed=is_needed, carry=carry), progress)


def renew_beginning(ground: JobGround, progress: Progress) -> None:
    """Write what is kept of dropped segments anew, as the store has it now; inside the queue's `alone`.

    Raises:
        Conflict: another job changes the archive.
        DiskFull, Unavailable: the archive is as it was.
    """
    journal = ground.folder.journal
    last_seq = replay_start(journal).after_seq
    if last_seq == 0:
        return
    with _beginning(ground) as beginning:

        def carry(earlier: Path | None, dropped: Iterator[RecordBatch], new: Path) -> None:
            beginning.write(earlier, dropped, last_seq, new)

        renew_start(journal, carry, progress)


@contextmanager
def _beginning(ground: JobGround) -> Generator[Beginning]:
    """One moment of the store."""
    cursor = ground.stores.cursor()
    try:
        cursor.begin()
        yield Beginning(cursor)
        cursor.rollback()
    finally:
        cursor.close()
