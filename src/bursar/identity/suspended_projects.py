"""Which projects are suspended, in memory, as the doors need it: an event asks no store.

A change in this process counts at once, one in another at its next `refresh`. What suspending means is in
`tenant.py`; events are held to it in `usage/tracking.py`.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.identity.store import ProjectStore

_NONE: frozenset[str] = frozenset()


class SuspendedProjects:
    """Knows every tenant's suspended projects; safe to call from any thread."""

    def __init__(self, store: ProjectStore) -> None:
        """Read what `store` keeps."""
        self._store = store
        self._lock = threading.Lock()
        self._known: Mapping[str, frozenset[str]] = {}
        self.refresh()

    def of(self, tenant_id: str) -> frozenset[str]:
        """The ids of the tenant's suspended projects; cheap."""
        return self._known.get(tenant_id, _NONE)

    def refresh(self) -> None:
        """Learn what was changed, here or elsewhere.

        Raises:
            Unavailable: the store doesn't answer; what is known stays.
        """
        # One at a time, so that no older answer takes the place of a later one.
        with self._lock:
            found: defaultdict[str, set[str]] = defaultdict(set)
            for tenant_id, project_id in self._store.suspended_projects():
                found[tenant_id].add(project_id)
            self._known = {tenant_id: frozenset(some) for tenant_id, some in found.items()}
