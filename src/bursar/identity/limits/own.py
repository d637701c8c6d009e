"""Limits of single tenants: what the operator sets for all keys of a tenant together, instead of the default.

Such a limit takes the place of the settings' limit per tenant; those per key and per address hold as ever.
`allowances.py` knows which there are, `app/rate_limits.py` counts by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bursar.errors import NotFound
from bursar.identity.allowances import Allowances

if TYPE_CHECKING:
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

    @property
    def subject(self) -> Use:
        """See `Allowance.subject`."""
        return self.use


OwnLimits: TypeAlias = Allowances[OwnLimit]


def no_own_limit(use: Use) -> NotFound:
    """The refusal to forget a limit that isn't there."""
    return NotFound(f"The tenant has no limit of its own on '{use.value}'.")
