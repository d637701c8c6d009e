"""Allocations as tests need them: of acme, with a cost centre and an owner where one is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bursar.usage.allocations.allocation import Allocation, Author, Bearer, Bearing

if TYPE_CHECKING:
    from datetime import date

_SAID = Author("key_1", datetime(2026, 5, 10, 12, tzinfo=UTC))


def an_allocation(
    kind: Bearer, subject: str, day: date, *, cost_centre: str | None = None, owner: str | None = None
) -> Allocation:
    """What somebody or something bears from a day on."""
    return Allocation(
        id=f"alc_{kind}_{subject}_{day}",
        tenant_id="acme",
        of=Bearing(kind, subject),
        valid_from=day,
        owner=owner,
        cost_centre=cost_centre,
        reason=None,
        created=_SAID,
    )
