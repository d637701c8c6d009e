"""What single tenants are allowed: requests a minute (`limits/own.py`), usage in a month (`quotas`).

A tenant has at most one allowance on a subject. There are few, and whoever counts by them can't ask a store
for each request: all are in memory. A change in this process counts at once, one in another at its next
`refresh`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from datetime import datetime


class Allowance(Protocol):
    """Something that was set for a tenant."""

    @property
    def tenant_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def subject(self) -> Hashable:
        """What of the tenant's it is on: a use, or a measure of all its usage or of one project's."""
        ...

    @property
    def set_at(self) -> datetime:
        """Since when it is as it is."""
        ...

    @property
    def set_by(self) -> str:
        """The id of the key that set it."""
        ...


Kept = TypeVar("Kept", bound=Allowance)


class AllowanceStore(Protocol[Kept]):
    """Keeps allowances of one kind; each method is one transaction, and may raise `Unavailable`."""

    def allowances(self) -> Sequence[Kept]:
        """Every allowance of every tenant."""
        ...

    def put(self, kept: Kept) -> None:
        """Keep an allowance in place of the tenant's on the same subject.

        Raises:
            NotFound: there is no such tenant, or no such project.
            Conflict: somebody else set it at the same moment.
        """
        ...

    def remove(self, kept: Kept) -> None:
        """Forget the tenant's allowance on this one's subject.

        Raises:
            NotFound: it has none any more.
        """
        ...


class Allowances(Generic[Kept]):
    """Knows every tenant's allowances of one kind; safe to call from any thread."""

    def __init__(self, store: AllowanceStore[Kept], tell: Callable[[Sequence[Kept]], None]) -> None:
        """Read what `store` keeps; `tell` hears of it, now and after every change."""
        self._store = store
        self._tell = tell
        self._lock = threading.Lock()
        self.known: Sequence[Kept] = store.allowances()
        """Every allowance of every tenant."""
        tell(self.known)

    def of(self, tenant_id: str) -> list[Kept]:
        """The tenant's allowances."""
        return [one for one in self.known if one.tenant_id == tenant_id]

    def on(self, tenant_id: str, subject: Hashable) -> Kept | None:
        """The tenant's allowance on this subject; None where it has none."""
        return next((one for one in self.of(tenant_id) if one.subject == subject), None)

    def put(self, kept: Kept) -> None:
        """Keep an allowance and count by it from now on.

        Raises:
            NotFound: there is no such tenant, or no such project.
            Conflict: somebody else set it at the same moment.
        """
        self._store.put(kept)
        self.refresh()

    def remove(self, kept: Kept) -> None:
        """Forget the tenant's allowance on this one's subject.

        Raises:
            NotFound: it has none any more.
        """
        self._store.remove(kept)
        self.refresh()

    def refresh(self) -> None:
        """Learn what was changed, here or elsewhere.

        Raises:
            Unavailable: the store doesn't answer; what is known stays.
        """
        with self._lock:
            known = self._store.allowances()
            if known != self.known:
                self.known = known
                self._tell(known)
