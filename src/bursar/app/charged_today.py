"""Tells listings of keys, projects and users who owns and bears each of them today, from what is in memory.

It joins `identity`, which lists them, to `usage/allocations`, which knows since when what holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar import clock
from bursar.identity.charged import Charge, Kind
from bursar.usage.allocations.allocation import Bearer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from bursar.identity.charged import ChargesToday
    from bursar.usage.allocations.register import ClaimRegister


def charges_of(claims: ClaimRegister, now: Callable[[], datetime] = clock.now) -> ChargesToday:
    """What asks these claims."""

    def charges_today(tenant_id: str, kind: Kind) -> Mapping[str, Charge]:
        """What each of a kind is charged to, by its id.

        Raises:
            Unavailable: the state store doesn't answer.
        """
        held = claims.claims_of(tenant_id).held(Bearer(kind), now())
        return {one: Charge(claim.owner, claim.cost_centre) for one, claim in held.items()}

    return charges_today
