"""The claims of each tenant as every question needs them: read once, and anew when something changes.

A change in this process counts for the next question; `refresh`, called every few seconds, is for those of
other processes on the same state store.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from bursar.usage.allocations.claims import Claims, claims_of

if TYPE_CHECKING:
    from bursar.usage.allocations.store import AllocationStore

KEPT_TENANTS = 1_000
"""Of more tenants than this at once, claims are read for each question: a few milliseconds."""


class ClaimRegister:
    """Hands out claims by tenant. Any thread."""

    def __init__(self, store: AllocationStore) -> None:
        """Read from this store."""
        self.store = store
        self._lock = Lock()
        self._kept: dict[str, Claims] = {}
        self._changes = 0

    def claims_of(self, tenant_id: str) -> Claims:
        """What a tenant's bearers name.

        Raises:
            Unavailable: the state store doesn't answer.
        """
        with self._lock:
            kept, seen = self._kept.get(tenant_id), self._changes
        if kept is not None:
            return kept
        found = claims_of(self.store.believed(tenant_id), self.store.replaced_keys(tenant_id))
        with self._lock:
            # What was read before a change must not outlive it.
            if seen == self._changes and len(self._kept) < KEPT_TENANTS:
                self._kept[tenant_id] = found
        return found

    def refresh(self) -> None:
        """Read everything anew when it is asked for."""
        with self._lock:
            self._changes += 1
            self._kept.clear()
