"""The archive's own retention: the oldest segments go, once nobody needs anything in them.

They go in order from the beginning, so the journal stays one chain with a later start. The manifest
then says where that is and keeps a file of the caller's beside it: what a replay must know of what is
gone, such as sums of expired events. Manifest and file come into force with one rename.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from bursar import clock
from bursar.storage.durable_files import sync_folder
from bursar.storage.journal.archiving import told_by_name
from bursar.storage.journal.batches import batch_of
from bursar.storage.journal.content import walk_frames
from bursar.storage.journal.frame import Frame
from bursar.storage.journal.holding import PATIENCE_SECONDS, change_archive, when_not_held
from bursar.storage.journal.leftovers import discard, remove_leftovers, remove_unneeded
from bursar.storage.journal.manifest import ArchiveStart, archive_folder, load_manifest, save_manifest
from bursar.storage.journal.segments import from_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from bursar.storage.journal.holding import Progress
    from bursar.storage.journal.manifest import ArchivedSegment, Manifest
    from bursar.usage.applying import RecordBatch

    Carry = Callable[[Path | None, Iterator[RecordBatch], Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRule:
    """Which segments may go, and what is kept of them."""

    before: datetime
    """Only segments whose last record was received before; without any, those archived before."""
    is_needed: Callable[[ArchivedSegment], bool]
    """Whether a segment holds anything live; asked in order, from the oldest, until it says so."""
    carry: Carry
    """Gets the file that an earlier drop kept, the records that go, in order, and where to write the new
    file. Where it writes none, none is kept. It must not change the earlier file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReport:
    """What a drop removed."""

    files: int = 0
    records: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ReplayStart:
    """Where a replay of the journal begins."""

    after_seq: int
    """0 where nothing was dropped yet."""
    payload: Path | None
    """What was kept of the records before, as the last drop's `carry` wrote it."""


def replay_start(journal: Path) -> ReplayStart:
    """Where a replay of this journal begins; hold the archive from before this until the replay's end."""
    start = load_manifest(journal).start
    if start is None:
        return ReplayStart(0, None)
    payload = archive_folder(journal) / start.payload if start.payload else None
    return ReplayStart(start.last_seq, payload)


def drop_oldest(
    journal: Path, rule: DropRule, progress: Progress, patience_seconds: float = PATIENCE_SECONDS
) -> DropReport:
    """Remove the oldest archived segments that the rule lets go.

    Call it from a worker thread; what `progress` or the rule raises stops it without a trace. Before the
    end it waits up to `patience_seconds` until nobody holds the archive.

    Raises:
        Conflict: another job is changing the archive.
        DiskFull, Unavailable: the disk is full or fails, or the archive was held all the time.
        ConfigurationError: a file that is to be dropped is missing or damaged.
    """
    if not archive_folder(journal).exists():
        return DropReport()
    remove_leftovers(journal)
    with told_by_name(), change_archive(journal):
        manifest = load_manifest(journal)
        before = clock.to_micros(rule.before)
        old = takewhile(lambda entry: (entry.last_received or entry.archived_at) < before, manifest.files)
        gone = list(takewhile(lambda entry: not rule.is_needed(entry), old))
        if not gone:
            return DropReport()
        payload = _next_payload(journal, manifest)
        with _discarded_unless_in_force(journal, manifest, payload):
            rule.carry(replay_start(journal).payload, _records(journal, gone, progress), payload)
            later = _without(manifest, gone, _made_durable(payload))
            with when_not_held(journal, progress, patience_seconds):
                save_manifest(journal, later)
                remove_unneeded(journal)
    return DropReport(
        files=len(gone),
        records=sum(sum(entry.records.values()) for entry in gone),
        stored_bytes=sum(entry.stored_bytes for entry in gone),
    )


def renew_start(
    journal: Path, carry: Carry, progress: Progress, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Write anew what is kept of dropped records, where there are any; `carry` gets no further ones.

    Raises:
        Conflict: another job is changing the archive.
        DiskFull, Unavailable: the disk is full or fails, or the archive was held all the time.
    """
    if load_manifest(journal).start is None:
        return
    remove_leftovers(journal)
    with told_by_name(), change_archive(journal):
        manifest = load_manifest(journal)
        if manifest.start is None:
            return
        payload = _next_payload(journal, manifest)
        with _discarded_unless_in_force(journal, manifest, payload):
            carry(replay_start(journal).payload, iter(()), payload)
            start = msgspec.structs.replace(manifest.start, payload=_made_durable(payload))
            later = msgspec.structs.replace(manifest, generation=manifest.generation + 1, start=start)
            with when_not_held(journal, progress, patience_seconds):
                save_manifest(journal, later)
                remove_unneeded(journal)


def _next_payload(journal: Path, manifest: Manifest) -> Path:
    return archive_folder(journal) / f"start.{manifest.generation + 1}"


@contextmanager
def _discarded_unless_in_force(journal: Path, manifest: Manifest, payload: Path) -> Generator[None]:
    try:
        yield
    except BaseException:
        if load_manifest(journal).generation == manifest.generation:
            discard([payload])
        raise


def _records(journal: Path, gone: Sequence[ArchivedSegment], progress: Progress) -> Iterator[RecordBatch]:
    for done, entry in enumerate(gone):
        progress("dropping old segments", done, len(gone))
        segment = from_archive(journal, entry)
        content = segment.open_surely()
        try:
            for _, header, payload in walk_frames(content, segment.path, entry.data_start, entry.raw_bytes):
                yield batch_of(Frame(header, payload))
        finally:
            content.close()


def _made_durable(payload: Path) -> str | None:
    if not payload.exists():
        return None
    descriptor = os.open(payload, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(payload.parent)
    return payload.name


def _without(manifest: Manifest, gone: Sequence[ArchivedSegment], payload: str | None) -> Manifest:
    earlier = manifest.start
    last_seqs = [entry.last_seq for entry in gone if entry.records]
    start = ArchiveStart(
        last_seq=max(last_seqs, default=earlier.last_seq if earlier else 0),
        previous=gone[-1].segment,
        previous_length=gone[-1].sealed_bytes,
        dropped_at=clock.to_micros(clock.now()),
        dropped_files=len(gone) + (earlier.dropped_files if earlier else 0),
        payload=payload,
    )
    return msgspec.structs.replace(
        manifest, generation=manifest.generation + 1, start=start, files=manifest.files[len(gone) :]
    )
