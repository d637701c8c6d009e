"""Limits of single tenants: what the operator sets for all keys of a tenant together, instead of the default.

Such a limit takes the place of the settings' limit per tenant; those per key and per address hold as ever.
`app/rate_limits.py` counts by it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bursar.identity.limits.bucket import Limit
    from bursar.identity.limits.policy import Use


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """How often a tenant may ask for one use."""

    tenant_id: str
    use: Use
    limit: Limit
    set_at: datetime
    set_by: str


class OwnLimitStore(Protocol):
    """Keeps limits of tenants; each method is one transaction, and may raise `Unavailable`."""

    def own_limits(self) -> Sequence[OwnLimit]:
        """Every limit of every tenant."""
        ...

    def put_own_limit(self, own: OwnLimit) -> None:
        """Keep a limit in place of the tenant's on the same use.

        Raises:
            NotFound: there is no such tenant.
        """
        ...

    def remove_own_limit(self, tenant_id: str, use: Use) -> None:
        """Forget a limit.

        Raises:
            NotFound: the tenant has none on this use.
        """
        ...


class OwnLimits:
    """Knows every tenant's own limits; safe to call from any thread."""

    def __init__(self, store: OwnLimitStore, tell: Callable[[Sequence[OwnLimit]], None]) -> None:
        """Read what `store` keeps; `tell` hears of it, now and after every change."""
        self._store = store
        self._tell = tell
        self._lock = threading.Lock()
        self._known: Sequence[OwnLimit] = ()
        self.refresh()

    def of(self, tenant_id: str) -> list[OwnLimit]:
        """The tenant's own limits."""
        return [one for one in self._known if one.tenant_id == tenant_id]

    def put(self, own: OwnLimit) -> None:
        """Keep a limit and count by it from now on.

        Raises:
            NotFound: there is no such tenant.
        """
        self._store.put_own_limit(own)
        self.refresh()

    def remove(self, tenant_id: str, use: Use) -> None:
        """Forget a limit: the settings' counts again.

        Raises:
            NotFound: the tenant has none on this use.
        """
        self._store.remove_own_limit(tenant_id, use)
        self.refresh()

    def refresh(self) -> None:
        """Learn what was changed, here or elsewhere.

        Raises:
            Unavailable: the store doesn't answer; what is known stays.
        """
        with self._lock:
            known = self._store.own_limits()
            if known != self._known:
                self._known = known
                self._tell(known)
