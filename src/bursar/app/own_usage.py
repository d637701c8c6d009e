"""Usage that Bursar knows of by itself goes in by the one door, too: implements `OwnUsage`.

The door belongs to the event loop; jobs and endpoints in threads hand their events over and wait until
they are durable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.usage.bodies import Items
from bursar.usage.checks import Receipt
from bursar.usage.ingest import AcceptOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bursar.app.changes import JournaledChanges
    from bursar.usage.checks import TimeRules
    from bursar.usage.event import UsageEvent
    from bursar.usage.ingest import Accepted, Ingestor

DOOR = "schedule"
"""How such events came in, as listings show it; also in place of the key."""


@dataclass(frozen=True, slots=True)
class LoopDoor:
    """The one door, called from threads."""

    ingestor: Ingestor
    changes: JournaledChanges
    rules: TimeRules
    knows_tenant: Callable[[str], bool]

    def record(self, tenant_id: str, events: Sequence[UsageEvent], now: datetime) -> Accepted:
        """See `OwnUsage.record`.

        Raises:
            DiskFull, Overloaded, Unavailable: nothing of it was journaled.
        """
        caller = Caller(tenant_id, DOOR, frozenset({Permission.USAGE_INGEST}))
        receipt = Receipt.of(caller, DOOR, now, self.rules, self.knows_tenant)
        items = Items(len(events), single=False, slices=iter([list(events)]))
        options = AcceptOptions(wants_answers=False, is_within_quotas=False)
        return self.changes.run(self.ingestor.accept(items, receipt, options))
