"""Counts that wait in memory until they are written down together, so that nothing at the door waits for it.

A process that is killed loses what it counted since it last wrote.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Count = TypeVar("Count")
Place: TypeAlias = tuple[str, str]
"""A tenant, and what of it is counted."""


class Tally(Generic[Count]):
    """Counts by tenant and by something of the tenant's; safe to use from any thread."""

    def __init__(self, add: Callable[[Count, Count], Count]) -> None:
        """Nothing counted yet; `add` makes one count of two."""
        self._add = add
        self._lock = threading.Lock()
        self._waiting: dict[Place, Count] = {}

    def note(self, counts: Mapping[Place, Count]) -> None:
        """Count these too."""
        with self._lock:
            for place, count in counts.items():
                before = self._waiting.get(place)
                self._waiting[place] = count if before is None else self._add(before, count)

    def write_down(self, write: Callable[[Mapping[Place, Count]], None]) -> None:
        """Hand over what was counted since the last time; if that raises, it waits for the next call."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            write(waiting)
        except BaseException:
            self.note(waiting)
            raise
