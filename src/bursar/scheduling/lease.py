"""The lease that makes one process the runner among several that share a state store.

No process compares its clock with another's. The holder counts a beat up every few seconds; who wants
the lease watches, and takes it over once the beat has stood still for a whole term of its own
monotonic time. The holder gives up, by its own monotonic time, when it couldn't give a sign of life
for most of a term. So neither a clock that jumps nor one that is wrong makes two runners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.scheduling.store import LeaseSight

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.scheduling.store import LeaseStore

TERM_SECONDS = 15.0
"""Jobs stand still for this long when a runner dies elsewhere: nothing that a person waits for."""
BEAT_SECONDS = 3.0
"""Several signs of life fit into a term, so that one slow answer of the store costs no lease."""
GIVE_UP_SECONDS = 10.0
"""Below the term: the old holder's work is told to stop before a new holder can begin."""


class Lease:
    """This process's view of the lease. Use from one thread."""

    def __init__(self, store: LeaseStore, holder: str, place: str, monotonic: Callable[[], float]) -> None:
        """`holder` names this process, `place` where at most one process can be, such as a locked folder."""
        self._store = store
        self._mine = LeaseSight(holder, place, 1)
        self._monotonic = monotonic
        self._seen: LeaseSight | None = None
        self._seen_at = 0.0
        self._beaten_at: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process may run jobs at this moment."""
        return self._beaten_at is not None and self._monotonic() - self._beaten_at < GIVE_UP_SECONDS

    @property
    def other(self) -> LeaseSight | None:
        """Who else holds it, by the last look."""
        return self._seen

    def keep(self) -> bool:
        """Give a sign of life if one is due, or try to become the holder; whether this process holds it.

        Raises:
            Unavailable: the store doesn't answer; the lease lapses by itself.
        """
        now = self._monotonic()
        if self._beaten_at is None:
            return self._try_to_take(now)
        if now - self._beaten_at < BEAT_SECONDS:
            return True
        # Whatever the gap was: where nobody has taken it meanwhile, it is still ours.
        if self._store.beat(self._mine.holder):
            self._beaten_at = now
            return True
        self._beaten_at = None
        return self._try_to_take(now)

    def release(self) -> None:
        """Let go of it at once; the process stops."""
        if self._beaten_at is not None:
            self._beaten_at = None
            self._store.release(self._mine.holder)

    def _try_to_take(self, now: float) -> bool:
        seen = self._store.look()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        if not self._is_free(seen, now) or not self._store.take(self._mine, seen):
            return False
        self._seen, self._beaten_at = None, now
        return True

    def _is_free(self, seen: LeaseSight | None, now: float) -> bool:
        if seen is None or seen.place == self._mine.place:
            return True
        return now - self._seen_at >= TERM_SECONDS
