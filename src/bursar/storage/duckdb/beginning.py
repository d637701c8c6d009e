"""What a replay must know of records that were dropped from the journal: expiries with the sums they keep.

Segments may be dropped once nothing live in the store stems from them (`needed_from`). Four kinds of
records there still matter, and are kept in a file of journal lines: each expiry whose horizon counts,
with its sums as they are now, each reset of a project, the commit of each rating run with what it changed,
and tombstones that bear a key which only a later expiry or reset frees. A replay applies these lines as it
would apply the whole journal, then goes on behind them; the last line stands at the last dropped position.
`storage/journal/dropping.py` drops, `replay.py` there reads the lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.duckdb.kept import read_kept
from bursar.storage.duckdb.rerate import sums_of_runs, with_applied
from bursar.storage.duckdb.rewriting import with_kept
from bursar.usage.applying import BatchKind
from bursar.usage.changes import EXPIRE, PROJECT_EXPIRE, PROJECT_RESET, RATING_RUN, TOMBSTONE, Tombstone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bursar.storage.duckdb.connection import Database
    from bursar.usage.applying import RecordBatch

_NEEDED_FROM = (
    "SELECT min(seq) FROM (SELECT min(seq) AS seq FROM usage_events"
    " UNION ALL SELECT min(seq) FROM usage_history"
    " UNION ALL SELECT min(seq) FROM quarantine UNION ALL SELECT min(seq) FROM quarantine_drops"
    # Their lines are still to be rewritten.
    " UNION ALL SELECT min(began_seq) FROM rating_runs"
    " UNION ALL SELECT min(seq) FROM removed WHERE NOT is_tombstone UNION ALL SELECT min(seq) FROM erased"
    " UNION ALL SELECT coalesce(max(seq), 0) + 1 FROM applied)"
)
"""An event's row stands at its first delivery; its corrections, and what ended it, come later."""
_RECORD_VERSION = 1
_EXPIRIES = frozenset({EXPIRE, PROJECT_EXPIRE})
_MAY_MATTER = re.compile(b'"kind":"(%b)"|"step":"commit"' % "|".join((*_EXPIRIES, PROJECT_RESET)).encode())


class _Head(msgspec.Struct):
    seq: int
    kind: str = ""


_read_head = msgspec.json.Decoder(_Head).decode
_read_tombstone = msgspec.json.Decoder(Tombstone).decode


class Beginning:
    """Writes what is kept of dropped records, from one moment of the store."""

    def __init__(self, database: Database) -> None:
        """`database` is a cursor in a read transaction, open as long as this is used."""
        self._database = database
        rows = database.execute("SELECT seq, what FROM horizons").fetchall()
        self._horizons = {int(seq): str(what) for seq, what in rows}
        self._runs = sums_of_runs(database)

    def needed_from(self) -> int:
        """The first position from which something live stems, or that isn't applied yet."""
        return int(self._database.execute(_NEEDED_FROM).fetchall()[0][0])

    def write(self, earlier: Path | None, dropped: Iterable[RecordBatch], last_seq: int, new: Path) -> None:
        """Write what matters of the lines kept by an earlier drop and of the records that go now.

        Args:
            earlier: the file of the drop before.
            dropped: the records, in order, behind those of the earlier file.
            last_seq: the last position that is dropped.
            new: where to write; it must not be the earlier file.
        """
        kept_seq = 0
        with new.open("wb") as file:
            for seq, line in self._kept(_lines_that_may_matter(earlier, dropped), last_seq):
                file.write(line.rstrip(b"\n") + b"\n")
                kept_seq = seq
            if kept_seq < last_seq:
                end = Tombstone(seq=last_seq, v=_RECORD_VERSION, kind=TOMBSTONE, by=last_seq)
                file.write(msgspec.json.encode(end) + b"\n")

    def _kept(self, lines: Iterable[bytes], last_seq: int) -> Iterator[tuple[int, bytes]]:
        for line in lines:
            head = _read_head(line)
            if head.kind in _EXPIRIES and head.seq in self._horizons:
                kept = read_kept(self._database, head.seq)
                has_kept = kept or b'"kept":' in line
                yield head.seq, with_kept(line, msgspec.json.encode(kept)) if has_kept else line
            elif head.kind == PROJECT_RESET and head.seq in self._horizons:
                yield head.seq, line
            elif head.kind == RATING_RUN and head.seq in self._runs:
                yield head.seq, with_applied(line, self._runs[head.seq])
            elif head.kind == TOMBSTONE:
                stone = _read_tombstone(line)
                # A key whose expiry was reset, or is dropped itself, is free.
                if stone.key is not None and stone.by > last_seq and stone.by in self._horizons:
                    yield head.seq, line


def _lines_that_may_matter(earlier: Path | None, dropped: Iterable[RecordBatch]) -> Iterator[bytes]:
    if earlier is not None:
        with earlier.open("rb") as file:
            yield from file
    for batch in dropped:
        if batch.kind is BatchKind.TOMBSTONE:
            yield from (line for line in batch.payload.splitlines() if b'"key":' in line)
        elif batch.kind is BatchKind.OTHER:
            yield from (line for line in batch.payload.splitlines() if _MAY_MATTER.search(line))
