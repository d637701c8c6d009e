"""A usage store fed with lines that a test keeps in memory: a journal without files.

The lines are numbered and batched as the journal's are, so that a test can rewrite them and replay
them into a fresh store. For whole folders see `ledger.py`.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.storage.duckdb.apply import DuckDBApplier, make_applier
from bursar.storage.duckdb.connection import DuckDBLimits, StoreDatabase, open_store
from bursar.storage.duckdb.keys import read_keys
from bursar.storage.duckdb.recount import Recount, Recounter
from bursar.storage.journal.replay import kept_batches
from bursar.storage.keyindex.index import RunKeyIndex
from bursar.usage.applying import Applied, BatchKind, RecordBatch
from tests.support.ledger import ask_store, dump_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bursar.storage.duckdb.beginning import Beginning
    from bursar.storage.duckdb.rewriting import Decide

QUARANTINE_LIMIT = 3
KINDS = {"usage": BatchKind.USAGE, "tombstone": BatchKind.TOMBSTONE}


class Lines:
    """A journal of lines; the first has seq 1, those that were dropped are empty."""

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        self.lines = list(lines)
        self.dropped = 0
        self.kept: Path | None = None
        """What is kept of dropped lines."""

    def add(self, record: dict[str, Any]) -> int:
        """Append a record; returns its seq."""
        seq = len(self.lines) + 1
        self.lines.append(b'{"seq":%d,%b\n' % (seq, msgspec.json.encode(record)[1:]))
        return seq

    def rewrite(self, decide: Decide) -> None:
        """Put what `decide` says in the place of every line that it doesn't leave."""
        self.lines = [line and (decide(i, line) or line) for i, line in enumerate(self.lines, 1)]

    def drop(self, beginning: Beginning, last_seq: int, kept: Path) -> None:
        """Drop the lines up to a position, or none, and keep anew what matters of all that are gone."""
        going = [batch for batch in self._records(self.dropped) if batch.first_seq <= last_seq]
        if going and going[-1].last_seq > last_seq:
            size = last_seq - going[-1].first_seq + 1
            cut = b"".join(going[-1].payload.splitlines(keepends=True)[:size])
            going[-1] = replace(going[-1], last_seq=last_seq, payload=cut)
        beginning.write(self.kept, going, last_seq, kept)
        self.lines[:last_seq] = [b""] * last_seq
        self.dropped, self.kept = last_seq, kept

    def lines_before(self, seq: int) -> list[bytes]:
        """Everything that the journal says before a position, with what is kept of dropped lines."""
        kept = b"" if self.kept is None else self.kept.read_bytes()
        early = [line for line in kept.splitlines() if msgspec.json.decode(line)["seq"] < seq]
        return early + [line for line in self.lines[: seq - 1] if line]

    def batches(self, after_seq: int = 0) -> Iterator[RecordBatch]:
        """What a store at `after_seq` lacks, records of one kind together."""
        if after_seq == 0 and self.kept is not None:
            yield from kept_batches(self.kept)
            after_seq = self.dropped
        yield from self._records(after_seq)

    def _records(self, after_seq: int) -> Iterator[RecordBatch]:
        numbered = list(enumerate(self.lines, 1))[after_seq:]
        for kind, run in groupby(numbered, key=lambda one: _kind_of(one[1])):
            seqs, lines = zip(*run, strict=True)
            yield RecordBatch(seqs[0], seqs[-1], kind, b"".join(lines))


class ChangedStore:
    """A store in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.database: StoreDatabase = open_store(
            folder / "usage.duckdb", DuckDBLimits(threads=1), folder / "temp"
        )
        self.index = RunKeyIndex(folder / "keys.index")
        self.applier: DuckDBApplier = make_applier(
            self.database, self.index, "journal", folder / "scratch", QUARANTINE_LIMIT
        )

    def apply(self, lines: Lines) -> Applied:
        """Apply what the store hasn't yet."""
        position = self.applier.position()
        return self.applier.apply(list(lines.batches(position[1] if position else 0)))

    def recount(self, lines: Lines) -> Recount:
        """What `verify` finds when these are the journal's lines."""
        recounter = Recounter(self.database, self.folder / "scratch", lambda _step, _records: None)
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
        shutil.rmtree(self.folder / "keys.index")
        self.index = RunKeyIndex(self.folder / "keys.index")
        for keys, seqs, prints in read_keys(self.database.cursor()):
            self.index.record(keys, seqs, prints)
        self.applier = make_applier(
            self.database, self.index, "journal", self.folder / "scratch", QUARANTINE_LIMIT
        )

    def close(self) -> None:
        """Close both."""
        self.index.close()
        self.database.close()


def _kind_of(line: bytes) -> BatchKind:
    return KINDS.get(msgspec.json.decode(line)["kind"], BatchKind.OTHER)
