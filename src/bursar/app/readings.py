"""What the parts of a running platform say about themselves, read all at once.

The numbers are counted where they arise; here they are only collected, for Prometheus (`metrics.py`)
and for the operator (`control.py`). Reading asks the store and the file system, so it belongs into a
thread.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from bursar import clock
from bursar.app.metrics import Readings
from bursar.storage.journal.archiving import archive_size
from bursar.storage.journal.segments import segment_paths

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.app.platform import Platform


def read_platform(platform: Platform) -> Readings:
    """The present counts and levels of every part."""
    journal, applier = platform.journal, platform.applier.state
    ingest = platform.ingestor.counters
    sizes = segment_sizes(platform.folder.journal)
    archive = archive_size(platform.folder.journal)
    return Readings(
        ingest_accepted=dict(ingest.accepted),
        ingest_rejected=dict(ingest.rejected),
        ingest_unpriced=dict(ingest.unpriced),
        quota_refused=platform.quotas.gate.refused,
        quotas=platform.quotas.register.standing,
        redactions=platform.privacy.told(),
        duplicates=applier.totals.duplicates,
        conflicts=applier.totals.conflicts,
        journal_written=journal.counters.bytes_written,
        journal_records=journal.counters.records,
        journal_commits=journal.counters.commits,
        journal_sync_seconds=journal.counters.sync_seconds,
        journal_failures=journal.counters.failures,
        journal_pending_bytes=journal.pending_bytes,
        journal_bytes=sum(sizes),
        journal_segments=len(sizes),
        archive_bytes=archive.stored_bytes,
        archive_raw_bytes=archive.raw_bytes,
        archive_files=archive.files,
        **_of_applier(platform),
        quarantined=applier.totals.quarantined,
        quarantine_dropped=applier.totals.quarantine_dropped,
        quarantine_records=_quarantine_records(platform),
        key_index_entries=platform.stores.index.count(),
        rebuilding=int(platform.rebuilder.is_at_work),
        rebuilds=platform.rebuilder.completed,
        rebuild_held_seconds=platform.rebuilder.held_seconds,
    )


def _of_applier(platform: Platform) -> dict[str, Any]:
    """Those about applying and compaction, by their names in `Readings`."""
    applier, compaction = platform.applier.state, platform.stores.applier.compactor.counters
    behind_since = applier.behind_since
    return {
        "applier_records": applier.totals.new + applier.totals.duplicates + applier.totals.conflicts,
        "applier_batches": applier.batches,
        "applier_seconds": applier.seconds,
        "applier_held_seconds": applier.held_seconds,
        "compaction_steps": compaction.steps,
        "compaction_seconds": compaction.seconds,
        "compaction_rows_saved": compaction.rows_saved,
        "applier_errors": applier.errors,
        "applier_lag_records": max(0, platform.journal.mark.last_seq - applier.applied_seq),
        "applier_lag_seconds": 0.0 if behind_since is None else clock.monotonic() - behind_since,
    }


def segment_sizes(folder: Path) -> list[int]:
    """Bytes of each plain segment of the journal."""
    sizes: list[int] = []
    for path in segment_paths(folder):
        # One may be archived at this very moment.
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sizes


def _quarantine_records(platform: Platform) -> int:
    cursor = platform.stores.cursor()
    try:
        row = cursor.execute("SELECT count(*) FROM quarantine").fetchone()
        return int(row[0]) if row else 0
    finally:
        cursor.close()
