"""What keeps allocations, in the words of the feature; `storage/relational/allocations.py` does it in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bursar.identity.page import Page, PageAsk
    from bursar.usage.allocations.allocation import Allocation, AllocationAsk, AllocationFilter, Author


class AllocationStore(Protocol):
    """Keeps the allocations of each tenant, those too that aren't believed any more."""

    def record(self, ask: AllocationAsk, allocation_id: str, author: Author) -> Allocation:
        """Record an allocation; one of the same bearer and day isn't believed from then on.

        What the ask doesn't name is taken from what holds on that day. One that says what is recorded for
        that day already is that one: nothing is recorded twice.

        Raises:
            NotFound: there is no such tenant, or no such key of it.
        """
        ...

    def withdraw(self, tenant_id: str, allocation_id: str, author: Author) -> Allocation:
        """Believe an allocation no more: what was before it holds on.

        Raises:
            NotFound: the tenant has none of this id.
            Conflict: it is replaced or withdrawn already.
        """
        ...

    def allocation(self, tenant_id: str, allocation_id: str) -> Allocation:
        """The tenant's allocation of this id, believed or not.

        Raises:
            NotFound: the tenant has none.
        """
        ...

    def allocations(self, tenant_id: str, which: AllocationFilter, ask: PageAsk) -> Page[Allocation]:
        """The tenant's allocations in order of recording."""
        ...

    def believed(self, tenant_id: str) -> tuple[Allocation, ...]:
        """Everything that holds for a tenant now."""
        ...

    def replaced_keys(self, tenant_id: str) -> Mapping[str, str]:
        """Of each of the tenant's keys that took another's place, that one's id."""
        ...

    def forget(self, tenant_id: str, identifiers: Collection[str]) -> int:
        """Forget for good what names a person who is erased: as the user, or as an owner. Says how many."""
        ...
