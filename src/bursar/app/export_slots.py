"""How many exports run at the same time, so that they leave room for other questions.

An export asks one piece after the other and keeps nothing in between, but each holds a connection and
perhaps a file for minutes.
"""

from __future__ import annotations

from weakref import WeakSet

from bursar.errors import Overloaded

EXPORTS_LIMIT = 4
"""As many as there are query threads on a machine of two cores; other questions still find one."""


class ExportSlot:
    """The place of one export; given back by `leave`, or when nobody holds it any more."""

    def __init__(self, slots: ExportSlots) -> None:
        self._slots = slots

    def leave(self) -> None:
        """Make room for another; more than once does no harm."""
        self._slots.running.discard(self)


class ExportSlots:
    """Counts exports; used from the event loop."""

    def __init__(self, limit: int = EXPORTS_LIMIT) -> None:
        """Let so many run."""
        self._limit = limit
        # Weak, for the one who asked may leave before an answer has even begun.
        self.running: WeakSet[ExportSlot] = WeakSet()

    def enter(self) -> ExportSlot:
        """Take a place.

        Raises:
            Overloaded: there is none left.
        """
        if len(self.running) >= self._limit:
            message = f"{self._limit} exports are running; try again when one has ended."
            raise Overloaded(message)
        slot = ExportSlot(self)
        self.running.add(slot)
        return slot
