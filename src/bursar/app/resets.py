"""Starting anew over HTTP: `DELETE /api/v1/usage`, `/api/v1/tenants/{id}` and `/api/v1/projects/{id}`.

None can be undone, so the body must say once more whose usage goes. Who is being deleted is suspended at
once; keys go with it at the end.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from bursar import clock
from bursar.app.auth import require
from bursar.app.changing import ACCEPTED, ChangeDesk, RunAsked
from bursar.app.owners import SINCE
from bursar.errors import Conflict, Invalid, NotFound, Reason
from bursar.identity.api import IdInPath
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.identity.tenant import (
    DEFAULT_TENANT_ID,
    ID_PATTERN,
    Project,
    ProjectChange,
    ProjectState,
    TenantChange,
    TenantState,
)
from bursar.scheduling.run import RunState
from bursar.scheduling.store import RunAsk
from bursar.storage.duckdb.tenant_sql import rows_of_project
from bursar.usage.revising.author import read_reason
from bursar.usage.revising.deletion import DELETE_JOB, DELETE_PROJECT_JOB
from bursar.usage.revising.resetting import PROJECT, RESET_JOB

if TYPE_CHECKING:
    from fastapi.responses import Response

    from bursar.app.platform import Platform


class ResetIn(BaseModel):
    """That somebody means it, and why."""

    model_config = ConfigDict(extra="forbid")

    confirm: str = Field(description="The id of the tenant, or of the project, once more.")
    reason: str | None = Field(default=None, description="Why; it stays with the change for good.")


class DeletionIn(ResetIn):
    """The same, and what becomes of other servers' records."""

    leave_elsewhere: bool = Field(
        default=False,
        description="Don't wait for other servers on this state store; what they recorded stays in their"
        " folders. For a server whose folder is gone for good. A deletion that waits for it is cancelled.",
    )


@dataclass(frozen=True, slots=True)
class ResetAnswer:
    """The job that removes everything."""

    tenant_id: str
    run: RunAsked


@dataclass(frozen=True, slots=True)
class ProjectAnswer(ResetAnswer):
    """The job that removes everything of a project."""

    project_id: str


_Admin = Annotated[Caller, Depends(require(Permission.USAGE_ERASE))]
_Operator = Annotated[Caller, Depends(require(Permission.TENANTS_WRITE))]


def make_router(platform: Platform) -> APIRouter:
    """The endpoints that remove what was recorded, and whose it was."""
    router = APIRouter(prefix="/api/v1")
    desk = ChangeDesk(platform)

    @router.delete("/usage", status_code=202, responses=ACCEPTED, response_model=ResetAnswer, tags=["usage"])
    async def reset_usage(body: ResetIn, caller: _Admin) -> Response:
        """Remove everything that the tenant ever recorded. Can't be undone."""
        reason = read_reason(body.reason)
        _refuse_unconfirmed(body, "tenant", caller.tenant_id)
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
        _refuse_unconfirmed(body, "tenant", tenant_id)
        change = TenantChange(state=TenantState.SUSPENDED)
        await run_in_threadpool(platform.identity.change_tenant, tenant_id, change)
        platform.authenticator.forget()
        parameters = {"reason": reason, **({"leave_elsewhere": True} if body.leave_elsewhere else {})}
        run = await desk.enqueue(DELETE_JOB, replace(caller, tenant_id=tenant_id), parameters)
        if body.leave_elsewhere:
            await run_in_threadpool(_cancel_waiting, platform, RunAsk(tenant_id, DELETE_JOB))
        return desk.accepted(ResetAnswer(tenant_id, run), run)

    _add_deletion_of_projects(router, platform, desk)
    return router


def _add_deletion_of_projects(router: APIRouter, platform: Platform, desk: ChangeDesk) -> None:
    @router.delete(
        "/projects/{project_id}",
        status_code=202,
        responses=ACCEPTED,
        response_model=ProjectAnswer,
        tags=["identity"],
    )
    async def delete_project(project_id: IdInPath, body: DeletionIn, caller: _Admin) -> Response:
        """Delete a project with all it has: usage, keys, roles, seat plans, price terms. Can't be undone.

        Usage that names it is refused at once. What closed months billed for it stays as a nameless sum. It
        need not have been made: what only usage names can be deleted, too.
        """
        reason, tenant_id = read_reason(body.reason), caller.tenant_id
        held = await run_in_threadpool(_project, platform, tenant_id, project_id)
        _refuse_unconfirmed(body, "project", project_id)
        note_before({"name": held.name, "state": held.state})
        suspended = await run_in_threadpool(_suspend, platform, held)
        asked = {PROJECT: project_id, SINCE: suspended.created_at.isoformat(), "reason": reason}
        more = {"leave_elsewhere": True} if body.leave_elsewhere else {}
        run = await desk.enqueue(DELETE_PROJECT_JOB, caller, {**asked, **more})
        if body.leave_elsewhere:
            ask = RunAsk(tenant_id, DELETE_PROJECT_JOB)
            await run_in_threadpool(_cancel_waiting, platform, ask, project_id)
        return desk.accepted(ProjectAnswer(tenant_id, run, project_id), run)


def _project(platform: Platform, tenant_id: str, project_id: str) -> Project:
    """The tenant's project; of one that nobody made and usage names, what is to be kept while it is deleted.

    Raises:
        NotFound: there is neither.
    """
    try:
        return platform.identity.project(tenant_id, project_id)
    except NotFound:
        with contextlib.closing(platform.stores.cursor()) as cursor:
            if not any(rows_of_project(cursor, tenant_id, project_id).values()):
                raise
        return Project(project_id, tenant_id, project_id, clock.now())


def _suspend(platform: Platform, project: Project) -> Project:
    """Let no more usage of the project in; the project as it is kept then."""
    identity, whose = platform.identity, (project.tenant_id, project.id)
    # There is one, as a rule: made by somebody, or by a request for its deletion that came before.
    with contextlib.suppress(Conflict):
        identity.add_project(replace(project, state=ProjectState.SUSPENDED))
    kept = identity.change_project(*whose, ProjectChange(state=ProjectState.SUSPENDED))
    platform.suspended_projects.refresh()
    return kept


def _cancel_waiting(platform: Platform, ask: RunAsk, project_id: str | None = None) -> None:
    """Let no deletion that waits for other servers keep back the one that leaves them out."""
    open_ones = replace(ask, states=(RunState.QUEUED, RunState.RUNNING))
    for run in platform.runner.runs(open_ones).runs:
        if run.parameters.get(PROJECT) == project_id and not run.parameters.get("leave_elsewhere"):
            # It may just have ended.
            with contextlib.suppress(Conflict, NotFound):
                platform.runner.cancel(run.id)


def _refuse_unconfirmed(body: ResetIn, what: str, its_id: str) -> None:
    if body.confirm != its_id:
        message = f"Say the id of the {what}, {its_id}, in `confirm`: everything it recorded will be gone."
        raise Invalid(message, reasons=(Reason("confirm", "not_confirmed", message),))
