"""A replay: everything that a new store must be given, also of what was dropped from the journal.

Where the oldest segments were dropped, it begins with the lines that were kept of them (`dropping.py`;
`storage/duckdb/beginning.py` writes them), whose positions have gaps, and goes on with the records.
"""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.journal.batches import batches_up_to
from bursar.storage.journal.dropping import replay_start
from bursar.storage.journal.holding import hold_archive
from bursar.usage.applying import BatchKind, RecordBatch
from bursar.usage.changes import TOMBSTONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOMBSTONES_AT_ONCE = 50_000
"""A few megabytes of lines."""


class _Head(msgspec.Struct):
    seq: int
    kind: str


_read_head = msgspec.json.Decoder(_Head).decode


def replay_up_to(folder: Path, last_seq: int, after_seq: int = 0) -> Iterator[RecordBatch]:
    """Everything that a store at `after_seq` lacks up to `last_seq`; one at 0 is a new one.

    Safe beside a writer and beside changes of the archive, like `batches_up_to`.

    Raises:
        ConfigurationError: the journal is damaged, or begins behind `after_seq`.
    """
    if not folder.exists():
        return
    with hold_archive(folder):
        start = replay_start(folder)
        if after_seq == 0 and start.payload is not None:
            yield from kept_batches(start.payload)
            after_seq = start.after_seq
        yield from batches_up_to(folder, last_seq, after_seq)


def kept_batches(payload: Path) -> Iterator[RecordBatch]:
    """The lines that were kept of dropped records, as batches; each other record in one of its own."""
    with payload.open("rb") as file:
        heads = ((_read_head(line), line) for line in file)
        for is_stone, run in groupby(heads, key=lambda one: one[0].kind == TOMBSTONE):
            size = TOMBSTONES_AT_ONCE if is_stone else 1
            kind = BatchKind.TOMBSTONE if is_stone else BatchKind.OTHER
            while piece := list(islice(run, size)):
                payload_bytes = b"".join(line for _, line in piece)
                yield RecordBatch(piece[0][0].seq, piece[-1][0].seq, kind, payload_bytes)
