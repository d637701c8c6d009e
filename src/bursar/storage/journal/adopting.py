"""Lets a copy of a journal go on under an id of its own, far behind the last seq that it has.

Whatever the original goes on to write, its positions and the copy's can't be mistaken for each other
(`identity.py`), and no seq that it has given out since the copy was made is given out here again, within
reason.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bursar.storage.durable_files import sync_folder, write_all
from bursar.storage.journal.identity import JOURNAL_VERSION, JournalIdentity
from bursar.storage.journal.recover import adopt_journal, recover_journal
from bursar.storage.journal.segments import SegmentHeader, encode_segment_header, segment_name

if TYPE_CHECKING:
    from pathlib import Path

RESTORE_GAP = 2**30
"""Seqs skipped by a restored journal: as many records as the original may have taken since the backup."""


def adopt_copy(folder: Path) -> JournalIdentity:
    """Begin a new identity, and an empty segment far behind. Only where no writer runs.

    Raises:
        ConfigurationError: the journal is damaged.
    """
    identity = adopt_journal(folder)
    recovered = recover_journal(folder)
    first_seq = recovered.next_seq + RESTORE_GAP
    header = SegmentHeader(
        format=JOURNAL_VERSION,
        journal_id=identity.journal_id,
        first_seq=first_seq,
        previous=recovered.last.name if recovered.last else None,
        previous_length=recovered.last_length if recovered.last else None,
    )
    path = folder / segment_name(first_seq)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, encode_segment_header(header))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)
    return identity
