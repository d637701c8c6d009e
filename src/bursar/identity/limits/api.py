"""`/api/v1/limits`: how often a tenant may ask, where the operator set that for it alone.

The operator sets limits, naming the tenant (`?tenant_id=`); the tenant sees its own. What isn't set for a
tenant is as the settings say for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from bursar import clock
from bursar.described import describe_fields
from bursar.identity.audit.noting import note_before
from bursar.identity.bodies import Strict
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.own import OwnLimit, OwnLimits, no_own_limit
from bursar.identity.limits.policy import Use
from bursar.identity.permissions import Permission

PATH = "/api/v1/limits"
MOST_PER_MINUTE, MOST_AT_ONCE = 6_000_000, 1_000_000
"""As in the settings: beyond, the script that counts in Redis would lose digits."""

log = structlog.get_logger()


class LimitAsked(Strict):
    """How often all keys of a tenant together may ask."""

    per_minute: Annotated[int, Field(ge=1, le=MOST_PER_MINUTE, description="In the long run.")]
    burst: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] | None = Field(
        default=None, description="At once; as many as in a minute if absent."
    )


class LimitOut(BaseModel):
    """A limit that holds for all keys of the tenant together."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    use: Use
    """`ingest` is posts of events, `read` everything else."""
    per_minute: int | None
    """Null where it isn't limited."""
    burst: int | None
    is_own: bool
    """Whether it was set for this tenant; else it is the settings'."""
    set_at: datetime | None


class LimitsOut(BaseModel):
    """A tenant's limits, one for each use."""

    tenant_id: str
    items: list[LimitOut]
    next_cursor: None = None
    """Always null: there is one page."""


def make_router(
    own: OwnLimits,
    defaults: Callable[[], Mapping[Use, Limit]],
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it.

    `defaults` are the settings' limits per tenant.
    """
    router = APIRouter(prefix=PATH, tags=["identity"])
    reader = Depends(caller(Permission.TENANT_READ))
    _add_changes(router, own, Depends(caller(Permission.TENANTS_WRITE)), now)

    @router.get("")
    def list_limits(caller: Caller = reader) -> LimitsOut:
        """How often all keys of the tenant together may ask, for each use."""
        its = {one.use: one for one in own.of(caller.tenant_id)}
        items = [_shown(use, its.get(use), defaults().get(use)) for use in Use]
        return LimitsOut(tenant_id=caller.tenant_id, items=items)

    return router


def _add_changes(
    router: APIRouter, own: OwnLimits, operator: CallerDependency, now: Callable[[], datetime]
) -> None:
    @router.put("/{use}")
    def put_limit(use: Use, body: LimitAsked, caller: Caller = operator) -> LimitOut:
        """Set a tenant's limit in place of the settings'. Operator only; it counts within 5 seconds."""
        _note(own, caller.tenant_id, use)
        limit = Limit(body.per_minute, body.burst or min(body.per_minute, MOST_AT_ONCE))
        made = OwnLimit(caller.tenant_id, use, limit, now(), caller.key_id)
        own.put(made)
        log.info("a tenant's limit was set", tenant=caller.tenant_id, by=caller.key_id, use=use.value)
        return _shown(use, made, None)

    @router.delete("/{use}", status_code=HTTPStatus.NO_CONTENT)
    def remove_limit(use: Use, caller: Caller = operator) -> None:
        """Let the settings' limit hold again. Operator only."""
        before = _note(own, caller.tenant_id, use)
        if before is None:
            raise no_own_limit(use)
        own.remove(before)
        log.info("a tenant's limit was removed", tenant=caller.tenant_id, by=caller.key_id, use=use.value)


def _note(own: OwnLimits, tenant_id: str, use: Use) -> OwnLimit | None:
    """Tell the audit log what was; answers it, None where there was nothing."""
    before = own.on(tenant_id, use)
    note_before({"per_minute": before.limit.per_minute, "burst": before.limit.burst} if before else {})
    return before


def _shown(use: Use, own: OwnLimit | None, default: Limit | None) -> LimitOut:
    limit = default if own is None else own.limit
    return LimitOut(
        use=use,
        per_minute=None if limit is None else limit.per_minute,
        burst=None if limit is None else limit.burst,
        is_own=own is not None,
        set_at=None if own is None else own.set_at,
    )
