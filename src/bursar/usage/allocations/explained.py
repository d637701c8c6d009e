"""Who bears one event and why, for its explanation: by which allocation of its key, project or user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 - FastAPI reads the annotations
from typing import TYPE_CHECKING, ClassVar

from bursar.described import DESCRIBED
from bursar.usage.allocations.allocation import Bearer
from bursar.usage.query_dimensions import ALLOCATED, UNALLOCATED

if TYPE_CHECKING:
    from bursar.usage.allocations.claims import Claims
    from bursar.usage.stored_event import StoredEvent


@dataclass(frozen=True, slots=True)
class BorneBy:
    """The owner or the cost centre of an event."""

    __pydantic_config__: ClassVar = DESCRIBED

    name: str
    """`unallocated` where neither key nor project nor user names one on the event's day."""
    kind: Bearer | None = None
    """Which of them names it; the first of key, project and user that does."""
    allocation_id: str | None = None
    since: date | None = None
    """The first UTC day on which that holds."""


def explain_bearers(claims: Claims, event: StoredEvent) -> dict[str, BorneBy]:
    """`cost_centre` and `owner` of an event."""
    ids = {Bearer.KEY: event.key_id, Bearer.PROJECT: event.project_id, Bearer.USER: event.user_id}
    found: dict[str, BorneBy] = {}
    for dimension in sorted(ALLOCATED):
        borne = claims.bearer(dimension, event.time, ids)
        found[dimension] = (
            BorneBy(UNALLOCATED)
            if borne is None
            else BorneBy(borne.value, borne.kind, borne.claim.allocation_id, borne.claim.start.date())
        )
    return found
