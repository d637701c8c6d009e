"""Starting anew over HTTP: `DELETE /api/v1/usage` for one's own tenant, `DELETE /api/v1/tenants/{id}`.

Both can't be undone, so the body must say the tenant's id once more. A tenant that is being deleted is
suspended at once; its keys go with it at the end.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from bursar.app.auth import require
from bursar.app.changing import ACCEPTED, ChangeDesk, RunAsked
from bursar.errors import Conflict, Invalid, NotFound, Reason
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.identity.tenant import DEFAULT_TENANT_ID, ID_PATTERN, TenantChange, TenantState
from bursar.scheduling.run import RunState
from bursar.scheduling.store import RunAsk
from bursar.usage.revising.author import read_reason
from bursar.usage.revising.resetting import DELETE_JOB, RESET_JOB

if TYPE_CHECKING:
    from fastapi.responses import Response

    from bursar.app.platform import Platform


class ResetIn(BaseModel):
    """That somebody means it, and why."""

    model_config = ConfigDict(extra="forbid")

    confirm: str = Field(description="The tenant's id once more.")
    reason: str | None = Field(default=None, description="Why; it stays with the change for good.")


class DeletionIn(ResetIn):
    """The same, and what becomes of other servers' records."""

    leave_elsewhere: bool = Field(
        default=False,
        description="Don't wait for other servers on this state store; what they recorded stays in their"
        " folders. For a server whose folder is gone for good. A deletion of the tenant that waits for it is"
        " cancelled.",
    )


@dataclass(frozen=True, slots=True)
class ResetAnswer:
    """The job that removes everything."""

    tenant_id: str
    run: RunAsked


_Admin = Annotated[Caller, Depends(require(Permission.USAGE_ERASE))]
_Operator = Annotated[Caller, Depends(require(Permission.TENANTS_WRITE))]


def make_router(platform: Platform) -> APIRouter:
    """`DELETE /api/v1/usage` and `DELETE /api/v1/tenants/{tenant_id}`."""
    router = APIRouter(prefix="/api/v1")
    desk = ChangeDesk(platform)

    @router.delete("/usage", status_code=202, responses=ACCEPTED, response_model=ResetAnswer, tags=["usage"])
    async def reset_usage(body: ResetIn, caller: _Admin) -> Response:
        """Remove everything that the tenant ever recorded. Can't be undone."""
        reason = read_reason(body.reason)
        _refuse_unconfirmed(body, caller.tenant_id)
        run = await desk.enqueue(RESET_JOB, caller, {"reason": reason})
        return desk.accepted(ResetAnswer(caller.tenant_id, run), run)

    @router.delete(
        "/tenants/{tenant_id}",
        status_code=202,
        responses=ACCEPTED,
        response_model=ResetAnswer,
        tags=["identity"],
    )
    async def delete_tenant(
        tenant_id: Annotated[str, Path(pattern=ID_PATTERN)], body: DeletionIn, caller: _Operator
    ) -> Response:
        """Delete a tenant with all it has: usage, keys, projects. Operator only. Can't be undone."""
        reason = read_reason(body.reason)
        if tenant_id == DEFAULT_TENANT_ID:
            message = "The default tenant can't be deleted; DELETE /api/v1/usage removes what it recorded."
            raise Conflict(message)
        _refuse_unconfirmed(body, tenant_id)
        change = TenantChange(state=TenantState.SUSPENDED)
        await run_in_threadpool(platform.identity.change_tenant, tenant_id, change)
        platform.authenticator.forget()
        parameters = {"reason": reason, **({"leave_elsewhere": True} if body.leave_elsewhere else {})}
        run = await desk.enqueue(DELETE_JOB, replace(caller, tenant_id=tenant_id), parameters)
        if body.leave_elsewhere:
            await run_in_threadpool(_cancel_waiting, platform, tenant_id)
        return desk.accepted(ResetAnswer(tenant_id, run), run)

    return router


def _cancel_waiting(platform: Platform, tenant_id: str) -> None:
    """Let no deletion that waits for other servers keep back the one that leaves them out."""
    ask = RunAsk(tenant_id, DELETE_JOB, states=(RunState.QUEUED, RunState.RUNNING))
    for run in platform.runner.runs(ask).runs:
        if not run.parameters.get("leave_elsewhere"):
            # It may just have ended.
            with contextlib.suppress(Conflict, NotFound):
                platform.runner.cancel(run.id)


def _refuse_unconfirmed(body: ResetIn, tenant_id: str) -> None:
    if body.confirm != tenant_id:
        message = f"Say the id of the tenant, {tenant_id}, in `confirm`: everything it recorded will be gone."
        raise Invalid(message, reasons=(Reason("confirm", "not_confirmed", message),))
