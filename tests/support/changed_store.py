"""A usage store fed with lines that a test keeps in memory: a journal without files.

The lines are numbered and batched as the journal's are, so that a test can rewrite them and replay
them into a fresh store. For whole folders see `ledger.py`.
"""

from __future__ import annotations

import shutil
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.storage.duckdb.apply import DuckDBApplier, make_applier
from bursar.storage.duckdb.connection import DuckDBLimits, StoreDatabase, open_store
from bursar.storage.duckdb.keys import read_keys
from bursar.storage.duckdb.recount import Recount, Recounter
from bursar.storage.keyindex.index import LmdbKeyIndex
from bursar.usage.applying import Applied, BatchKind, RecordBatch
from tests.support.ledger import ask_store, dump_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bursar.storage.duckdb.rewriting import Decide

QUARANTINE_LIMIT = 3
KINDS = {"usage": BatchKind.USAGE, "tombstone": BatchKind.TOMBSTONE}


class Lines:
    """A journal of lines; the first has seq 1."""

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        self.lines = list(lines)

    def add(self, record: dict[str, Any]) -> int:
        """Append a record; returns its seq."""
        seq = len(self.lines) + 1
        self.lines.append(b'{"seq":%d,%b\n' % (seq, msgspec.json.encode(record)[1:]))
        return seq

    def rewrite(self, decide: Decide) -> None:
        """Put what `decide` says in the place of every line that it doesn't leave."""
        self.lines = [decide(i, line) or line for i, line in enumerate(self.lines, 1)]

    def batches(self, after_seq: int = 0) -> Iterator[RecordBatch]:
        """What lies behind `after_seq`, records of one kind together."""
        numbered = list(enumerate(self.lines, 1))[after_seq:]
        for kind, run in groupby(numbered, key=lambda one: _kind_of(one[1])):
            seqs, lines = zip(*run, strict=True)
            yield RecordBatch(seqs[0], seqs[-1], kind, b"".join(lines))


class ChangedStore:
    """A store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.database: StoreDatabase = open_store(
            folder / "usage.duckdb", DuckDBLimits(threads=1), folder / "temp"
        )
        self.index = LmdbKeyIndex(folder / "keys.lmdb")
        self.applier: DuckDBApplier = make_applier(
            self.database, self.index, "journal", folder / "scratch", QUARANTINE_LIMIT
        )

    def apply(self, lines: Lines) -> Applied:
        """Apply what the store hasn't yet."""
        position = self.applier.position()
        return self.applier.apply(list(lines.batches(position[1] if position else 0)))

    def recount(self, lines: Lines) -> Recount:
        """What `verify` finds when these are the journal's lines."""
        recounter = Recounter(self.database, self._folder / "scratch", lambda _step, _records: None)
        return recounter.run(lambda _seq: lines.batches(), self.index)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        return ask_store(self.database, sql)

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that the store and its index hold."""
        return dump_store(self.database, self.index)

    def lose_index(self) -> None:
        """Make the index anew from the store, as after a power cut."""
        self.index.close()
        shutil.rmtree(self._folder / "keys.lmdb")
        self.index = LmdbKeyIndex(self._folder / "keys.lmdb")
        for keys, seqs, prints in read_keys(self.database.cursor()):
            self.index.record(keys, seqs, prints)
        self.applier = make_applier(
            self.database, self.index, "journal", self._folder / "scratch", QUARANTINE_LIMIT
        )

    def close(self) -> None:
        """Close both."""
        self.index.close()
        self.database.close()


def _kind_of(line: bytes) -> BatchKind:
    return KINDS.get(msgspec.json.decode(line)["kind"], BatchKind.OTHER)
