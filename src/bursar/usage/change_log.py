"""How work in a thread journals changes and learns that they count: corrections, voids, expiry, erasure.

Only the words: `app/changes.py` does it over the journal's writer and the applier. Jobs and worker
threads use it; requests for usage go through `ingest.py`, which never leaves the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class ChangeLog(Protocol):
    """The journal as a thread sees it that has changes to make. Any thread but the event loop's."""

    @property
    def durable_seq(self) -> int:
        """Seq of the last record on disk."""
        ...

    @property
    def applied_seq(self) -> int:
        """Seq of the last record that the usage store holds."""
        ...

    def append(self, records: Sequence[bytes]) -> int:
        """Journal encoded change records (JSON objects without `seq`), all or none, and wait for the disk.

        They get consecutive seqs; the last one's is returned. Give a few megabytes at most in one call:
        together they are one commit.

        Raises:
            DiskFull: there is no room; nothing was journaled.
            Overloaded: too much waits for the disk already; nothing was journaled.
            Unavailable: the server stops or the journal can't be written; nothing was journaled.
        """
        ...

    def wait_applied(self, seq: int, timeout_seconds: float) -> bool:
        """Wait until everything up to `seq` is applied; False where the time was too short.

        Raises:
            Unavailable: the server stops.
        """
        ...
