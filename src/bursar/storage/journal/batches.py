"""The whole journal from its first record, as batches: what `verify` and `rebuild` read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.segments import load_segments
from bursar.storage.journal.writer import DurableMark
from bursar.usage.applying import BatchKind, RecordBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.storage.journal.frame import Frame

READ_BYTES = 16 * 2**20


def batch_of(frame: Frame) -> RecordBatch:
    """A frame's records as a batch to apply."""
    header = frame.header
    return RecordBatch(header.first_seq, header.last_seq, BatchKind(header.kind.value), frame.payload)


def batches_up_to(folder: Path, last_seq: int) -> Iterator[RecordBatch]:
    """Every record up to `last_seq`, in order. Safe beside a writer: what is behind may still be written.

    Raises:
        ConfigurationError: the journal is damaged.
    """
    segments = load_segments(folder)
    if not segments:
        return
    last = segments[-1].path
    reader = JournalReader(folder, after_seq=0)
    try:
        mark = DurableMark(last, last.stat().st_size, last_seq)
        while reader.position < last_seq:
            before = reader.position
            for frame in reader.read(mark, READ_BYTES):
                yield _cut(batch_of(frame), last_seq)
            if reader.position == before:
                return
    finally:
        reader.close()


def _cut(batch: RecordBatch, last_seq: int) -> RecordBatch:
    """The batch without records behind `last_seq`: changes are applied one by one."""
    if batch.last_seq <= last_seq:
        return batch
    kept = batch.payload.splitlines(keepends=True)[: last_seq - batch.first_seq + 1]
    return RecordBatch(batch.first_seq, last_seq, batch.kind, b"".join(kept))
