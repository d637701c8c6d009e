"""`/api/v1/retention`: for how many days a tenant's data is kept, and since when it has been.

The tenant is the caller's; an operator may name another. A choice counts at once at the doors; what it
lets expire is removed by the `retention` job.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from bursar import clock
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.usage.retention.horizons import Horizons
from bursar.usage.retention.policy import DAYS_LIMIT, Retention, RetentionChoice

log = structlog.get_logger()

Days = Annotated[int, Field(ge=0, le=DAYS_LIMIT, description="0 keeps them forever.")]


class RetentionIn(BaseModel):
    """What a tenant chooses; null and absent leave a kind to the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events_days: Days | None = None
    rollups_days: Days | None = None
    quarantine_days: Days | None = None


class DaysOut(BaseModel):
    """Days per kind of data; 0 keeps it forever."""

    events_days: int
    rollups_days: int
    quarantine_days: int

    @classmethod
    def of(cls, retention: Retention) -> DaysOut:
        """The days as they are shown."""
        return cls(
            events_days=retention.events,
            rollups_days=retention.rollups,
            quarantine_days=retention.quarantine,
        )


class RetentionOut(DaysOut):
    """For how many days a tenant's data is kept."""

    tenant_id: str
    chosen: RetentionIn = Field(description="What the tenant chose itself; null where the default counts.")
    defaults: DaysOut
    events_from: datetime | None = Field(
        description="Events from before are refused as `beyond_retention`, and removed by the next expiry."
    )


def make_router(
    horizons: Horizons,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(scope)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1", tags=["retention"])
    reader, admin = Depends(caller(Permission.TENANT_READ)), Depends(caller(Permission.USAGE_ERASE))

    @router.get("/retention")
    def get_retention(caller: Caller = reader) -> RetentionOut:
        """For how many days the tenant's data is kept."""
        return _shown(horizons, caller.tenant_id, now())

    @router.put("/retention")
    def put_retention(body: RetentionIn, caller: Caller = admin) -> RetentionOut:
        """Choose for how many days data is kept. What is older is removed by the next expiry, for good."""
        choice = RetentionChoice(body.events_days, body.rollups_days, body.quarantine_days)
        before = horizons.choice_of(caller.tenant_id)
        note_before(
            {
                "events_days": before.events,
                "rollups_days": before.rollups,
                "quarantine_days": before.quarantine,
            }
        )
        horizons.choose(caller.tenant_id, choice)
        log.info("retention was chosen", tenant=caller.tenant_id, key=caller.key_id, **body.model_dump())
        return _shown(horizons, caller.tenant_id, now())

    return router


def _shown(horizons: Horizons, tenant_id: str, now: datetime) -> RetentionOut:
    chosen = horizons.choice_of(tenant_id)
    return RetentionOut(
        **DaysOut.of(horizons.retention_of(tenant_id)).model_dump(),
        tenant_id=tenant_id,
        chosen=RetentionIn(
            events_days=chosen.events, rollups_days=chosen.rollups, quarantine_days=chosen.quarantine
        ),
        defaults=DaysOut.of(horizons.defaults),
        events_from=horizons.horizon_of(tenant_id, now),
    )
