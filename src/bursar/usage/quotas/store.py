"""Quotas as they are kept, as questions and changes: what `quotas` needs, not how.

`storage/relational` implements it. Each method is one transaction, and may raise `Unavailable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.usage.quotas.quota import KeptQuota, Measure


class QuotaStore(Protocol):
    """Keeps quotas."""

    def quotas(self) -> Sequence[KeptQuota]:
        """Every quota of every tenant; the doors need them all."""
        ...

    def put_quota(self, kept: KeptQuota) -> None:
        """Keep a quota in place of the tenant's on the same measure.

        Raises:
            NotFound: there is no such tenant.
        """
        ...

    def remove_quota(self, tenant_id: str, measure: Measure) -> None:
        """Forget a quota.

        Raises:
            NotFound: the tenant has none on this measure.
        """
        ...
