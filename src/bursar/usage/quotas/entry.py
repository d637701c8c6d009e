"""What came of a body at the gate: the room that is held for its records until they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bursar.usage.quotas.arrivals import Needs
    from bursar.usage.quotas.quota import Exceeded
    from bursar.usage.quotas.room import Hold, Limited


@dataclass(slots=True)
class Entry:
    """A body that was let in, whole or in part."""

    holds: Sequence[Hold] = ()
    exceeded: Exceeded | None = None
    """The first quota that had no room left for an event."""
    refused: int = 0
    """How many events had none."""

    def place(self, last_seq: int) -> None:
        """Its records have their places in the journal, up to this one."""
        for hold in self.holds:
            hold.last_seq = last_seq

    def give_back(self) -> None:
        """Its records were not kept."""
        for hold in self.holds:
            hold.give_back()


def unsure_of(needs: Needs, held: Collection[Limited] = ()) -> set[Limited]:
    """Where it isn't certain that there is room for all of it.

    Nobody may take of what is closed but who closed it (`held`).
    """
    return {
        one
        for (one, month), wanted in needs.items()
        if (one.is_closed and one not in held) or not one.surely_takes(month, wanted)
    }


def hold_all(needs: Needs) -> list[Hold]:
    """Take room for all of it, in months that are known."""
    return [one.hold(month, wanted) for (one, month), wanted in needs.items()]
