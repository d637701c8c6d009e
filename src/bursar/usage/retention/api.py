"""`/api/v1/retention`: for how many days a tenant's data is kept, and since when it has been.

The tenant is the caller's; an operator may name another. `/api/v1/projects/{project_id}/retention` says the
same of one project, of which less may be kept. A choice counts at once at the doors; what it lets expire is
removed by the `retention` job.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from bursar import clock
from bursar.identity.api import IdInPath
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.identity.tenant import no_project
from bursar.usage.retention.horizons import Horizons
from bursar.usage.retention.policy import DAYS_LIMIT, Retention, RetentionChoice

FindProject = Callable[[str, str], object]

log = structlog.get_logger()

Days = Annotated[int, Field(ge=0, le=DAYS_LIMIT, description="0 keeps them forever.")]


class ProjectRetentionIn(BaseModel):
    """What a tenant chooses for a project; null and absent leave a kind to the tenant's days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events_days: Days | None = None
    rollups_days: Days | None = None

    def choice(self) -> RetentionChoice:
        """The choice that it says."""
        return RetentionChoice(self.events_days, self.rollups_days)


class RetentionIn(ProjectRetentionIn):
    """What a tenant chooses; null and absent leave a kind to the default."""

    quarantine_days: Days | None = None

    def choice(self) -> RetentionChoice:
        """The choice that it says."""
        return RetentionChoice(self.events_days, self.rollups_days, self.quarantine_days)


class ProjectDaysOut(BaseModel):
    """Days per kind of data that is of projects; 0 keeps it forever."""

    events_days: int
    rollups_days: int


class DaysOut(ProjectDaysOut):
    """Days per kind of data; 0 keeps it forever."""

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


class ProjectRetentionOut(ProjectDaysOut):
    """For how many days data of a project is kept: of each kind the fewer days, its own or the tenant's."""

    tenant_id: str
    project_id: str
    chosen: ProjectRetentionIn = Field(
        description="What is chosen for it; null where the tenant's days count."
    )
    tenant: ProjectDaysOut = Field(
        description="What is in force for the tenant: a project is kept for no longer."
    )
    events_from: datetime | None = Field(
        description="Its events from before are refused as `beyond_retention`; the next expiry removes them."
    )


def make_router(
    horizons: Horizons,
    find_project: FindProject,
    caller: CallerDependency,
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints.

    Args:
        horizons: since when what is kept.
        find_project: raises NotFound where the tenant has no such project.
        caller: `caller(permission)` is a FastAPI dependency that gives the `Caller` or refuses it.
        now: the moment of asking.
    """
    router = APIRouter(prefix="/api/v1", tags=["retention"])
    reader, admin = Depends(caller(Permission.TENANT_READ)), Depends(caller(Permission.USAGE_ERASE))

    @router.get("/retention")
    def get_retention(caller: Caller = reader) -> RetentionOut:
        """For how many days the tenant's data is kept."""
        return _shown(horizons, caller.tenant_id, now())

    @router.put("/retention")
    def put_retention(body: RetentionIn, caller: Caller = admin) -> RetentionOut:
        """Choose for how many days data is kept. What is older is removed by the next expiry, for good."""
        before = horizons.choice_of(caller.tenant_id)
        note_before(
            {
                "events_days": before.events,
                "rollups_days": before.rollups,
                "quarantine_days": before.quarantine,
            }
        )
        horizons.choose(caller.tenant_id, body.choice())
        log.info("retention was chosen", tenant=caller.tenant_id, key=caller.key_id, **body.model_dump())
        return _shown(horizons, caller.tenant_id, now())

    _add_projects(router, horizons, find_project, caller, now)
    return router


def _add_projects(
    router: APIRouter,
    horizons: Horizons,
    find_project: FindProject,
    caller: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    reader = Depends(caller(Permission.PROJECTS_READ, in_projects=True))
    admin = Depends(caller(Permission.USAGE_ERASE))
    path = "/projects/{project_id}/retention"

    @router.get(path)
    def get_project_retention(project_id: IdInPath, caller: Caller = reader) -> ProjectRetentionOut:
        """For how many days data of a project is kept."""
        if not caller.may_in(Permission.PROJECTS_READ, project_id):
            raise no_project(project_id)
        find_project(caller.tenant_id, project_id)
        return _shown_of_project(horizons, (caller.tenant_id, project_id), now())

    @router.put(path)
    def put_project_retention(
        project_id: IdInPath, body: ProjectRetentionIn, caller: Caller = admin
    ) -> ProjectRetentionOut:
        """Choose fewer days for a project than its tenant has; a kind without its own has the tenant's.

        What is older is removed by the next expiry, for good; its sums stay in every total until they expire.
        """
        whose = caller.tenant_id, project_id
        find_project(*whose)
        before = horizons.choice_of(*whose)
        note_before({"events_days": before.events, "rollups_days": before.rollups})
        horizons.choose(caller.tenant_id, body.choice(), project_id)
        about = {"tenant": caller.tenant_id, "project": project_id, "key": caller.key_id}
        log.info("retention of a project was chosen", **about, **body.model_dump())
        return _shown_of_project(horizons, whose, now())


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


def _shown_of_project(horizons: Horizons, whose: tuple[str, str], now: datetime) -> ProjectRetentionOut:
    tenant_id, project_id = whose
    retention, tenant = horizons.retention_of(*whose), horizons.retention_of(tenant_id)
    chosen = horizons.choice_of(*whose)
    return ProjectRetentionOut(
        tenant_id=tenant_id,
        project_id=project_id,
        events_days=retention.events,
        rollups_days=retention.rollups,
        chosen=ProjectRetentionIn(events_days=chosen.events, rollups_days=chosen.rollups),
        tenant=ProjectDaysOut(events_days=tenant.events, rollups_days=tenant.rollups),
        events_from=horizons.horizon_of(tenant_id, now, project_id),
    )
