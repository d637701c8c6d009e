"""Who waits to hear what became of their records: each watches a range of seqs until it is applied.

Nobody is told a wrong outcome: where applying failed half-way, all who waited hear that none is known.
The applier tells what it applied (`applier.py`); requests wait here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.applying import Repeat


@dataclass(slots=True, eq=False)
class Watch:
    """A range of records whose outcome somebody waits for."""

    first_seq: int
    last_seq: int
    future: asyncio.Future[dict[int, Repeat]]
    repeats: dict[int, Repeat] = field(default_factory=dict[int, "Repeat"])
    is_spoiled: bool = False
    """Applying failed half-way, so that some outcomes may be lost; nobody is told a wrong one."""


class Watches:
    """All that wait. They begin and end on the event loop, and are told from the applier's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: list[Watch] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._watches)

    def begin(self, first_seq: int, count: int) -> Watch:
        """Follow records that were just appended; call it before they can have been applied."""
        watch = Watch(first_seq, first_seq + count - 1, asyncio.get_running_loop().create_future())
        with self._lock:
            self._watches.append(watch)
        return watch

    async def outcomes(self, watch: Watch, timeout_seconds: float) -> dict[int, Repeat] | None:
        """Those of the watched records that were repeats, once all are applied; None after the timeout."""
        try:
            repeats = await asyncio.wait_for(watch.future, timeout_seconds)
        except TimeoutError:
            return None
        else:
            return None if watch.is_spoiled else repeats
        finally:
            self.forget(watch)

    def forget(self, watch: Watch) -> None:
        """Stop following; nobody waits any more."""
        with self._lock, contextlib.suppress(ValueError):
            self._watches.remove(watch)

    def spoil(self) -> None:
        """Applying failed: whoever waits now can't be told."""
        with self._lock:
            for watch in self._watches:
                watch.is_spoiled = True

    def tell(self, repeats: Mapping[int, Repeat], applied_seq: int) -> None:
        """Say which of the records that were just applied were repeats, and how far all is applied."""
        with self._lock:
            watches = list(self._watches)
        for watch in watches:
            for seq, repeat in repeats.items():
                if watch.first_seq <= seq <= watch.last_seq:
                    watch.repeats[seq] = repeat
            if watch.last_seq <= applied_seq:
                watch.future.get_loop().call_soon_threadsafe(_finish, watch)


def _finish(watch: Watch) -> None:
    if not watch.future.done():
        watch.future.set_result(watch.repeats)
