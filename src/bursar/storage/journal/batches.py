"""The whole journal from its first record, as batches: what `verify` and `rebuild` read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.journal.holding import hold_archive
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


def batches_up_to(folder: Path, last_seq: int, after_seq: int = 0) -> Iterator[RecordBatch]:
    """Every record behind `after_seq` and up to `last_seq`, in order, archived ones too.

    Safe beside a writer (what is behind may still be written) and beside changes of the archive, which
    wait until this one reading is done; who reads several times holds the archive (`holding.py`).

    Raises:
        ConfigurationError: the journal is damaged, or what is asked for was dropped for its age.
    """
    if not folder.exists():
        return
    with hold_archive(folder):
        yield from _held_batches(folder, last_seq, after_seq)


def _held_batches(folder: Path, last_seq: int, after_seq: int) -> Iterator[RecordBatch]:
    segments = load_segments(folder)
    if not segments:
        return
    last = segments[-1].path
    reader = JournalReader(folder, after_seq)
    try:
        mark = DurableMark(last, last.stat().st_size, last_seq)
        while reader.position < last_seq:
            before = reader.position
            for frame in reader.read(mark, READ_BYTES):
                yield batch_of(frame).between(after_seq, last_seq)
            if reader.position == before:
                return
    finally:
        reader.close()
