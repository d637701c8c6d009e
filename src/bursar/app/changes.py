"""Lets threads journal changes while the event loop runs: the `ChangeLog` of a running platform.

The journal's writer belongs to the event loop, so `append` goes there and waits. Before the platform
is started and after it has stopped every call is refused, never left hanging.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from bursar.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from bursar.app.applier import Applier
    from bursar.storage.journal.writer import JournalWriter

Result = TypeVar("Result")


class JournaledChanges:
    """Implements `ChangeLog` over a journal's writer and the applier that follows it."""

    def __init__(self, journal: JournalWriter, applier: Applier) -> None:
        """Refuse everything until `start`."""
        self._journal = journal
        self._applier = applier
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def durable_seq(self) -> int:
        """Seq of the last record on disk."""
        return self._journal.mark.last_seq

    @property
    def applied_seq(self) -> int:
        """Seq of the last record that the usage store holds."""
        return self._applier.state.applied_seq

    def start(self) -> None:
        """Take changes from now on. Call on the event loop that the journal is used from."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Take no more. Call on the event loop, before the journal is closed."""
        self._loop = None

    def append(self, records: Sequence[bytes], *, usage_only: bool = False) -> int:
        """Journal change records, all or none, and wait for the disk; the last one's seq (`ChangeLog`).

        `usage_only` says that all of them are usage records that are put in again.
        """
        if not records:
            message = "There is no change to journal."
            raise ValueError(message)
        return self.run(self._append(records, usage_only=usage_only))

    def wait_applied(self, seq: int, timeout_seconds: float) -> bool:
        """Wait until everything up to `seq` is applied; False where the time was too short (`ChangeLog`)."""
        return self._applier.wait_applied(seq, timeout_seconds)

    def seal(self) -> None:
        """Close the journal's current segment, so that it can be archived. From threads.

        Raises:
            DiskFull, Unavailable: the segment goes on.
        """
        self.run(self._journal.seal())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Let the event loop do something with the journal, and wait for it. From threads.

        Raises:
            Unavailable: the server is stopping; what was begun may have been done.
        """
        loop = self._loop
        if loop is None:
            work.close()
            raise _stopping()
        # Called on the loop itself, the wait below would never end.
        if _is_running_here(loop):
            work.close()
            message = "changes are appended from threads, not from the event loop"
            raise RuntimeError(message)
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:
            # The loop is closed: nothing was queued.
            work.close()
            raise _stopping() from None
        try:
            return future.result()
        except CancelledError:
            message = "The server was stopped in the middle; its next start shows whether the change counts."
            raise Unavailable(message) from None

    async def _append(self, records: Sequence[bytes], *, usage_only: bool) -> int:
        first_seq, durable = self._journal.append(records, usage_only=usage_only)
        await durable
        return first_seq + len(records) - 1


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _stopping() -> Unavailable:
    return Unavailable("The server is stopping; the change was not made.")
