"""Tenants and projects as the jobs that delete them need them; `Owner` of `usage/revising/deletion.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bursar.errors import NotFound
from bursar.identity.tenant import ProjectChange, ProjectState, TenantChange, TenantState
from bursar.storage.relational.closings import forget_project_everywhere
from bursar.usage.revising.resetting import PROJECT

if TYPE_CHECKING:
    from bursar.app.job_ground import JobGround
    from bursar.scheduling.job import RunContext

SINCE = "project_since"
"""The parameter that says when the project was made: a later one of its id is another one."""


@dataclass(frozen=True, slots=True)
class Tenants:
    """Deletes a run's tenant."""

    ground: JobGround
    counted = "keys", "projects"

    def is_there(self, run: RunContext) -> bool:
        """See `Owner.is_there`."""
        try:
            made_at = self.ground.identity.tenant(str(run.tenant_id)).created_at
        except NotFound:
            return False
        return run.tenant_since in {None, made_at}

    def suspend(self, run: RunContext) -> None:
        """See `Owner.suspend`."""
        self.ground.identity.change_tenant(str(run.tenant_id), TenantChange(state=TenantState.SUSPENDED))
        self.ground.authenticator.forget()

    def remove(self, run: RunContext) -> dict[str, int]:
        """See `Owner.remove`."""
        identity = self.ground.identity
        return asdict(identity.remove_tenant(str(run.tenant_id), run.tenant_since, run.run_id))

    def forget(self, run: RunContext) -> None:
        """See `Owner.forget`."""
        ground, tenant_id = self.ground, str(run.tenant_id)
        ground.authenticator.forget()
        ground.horizons.forget(tenant_id)
        ground.tenant_pricing.in_force.forget(tenant_id)
        ground.registry.forget(tenant_id)
        ground.suspended_projects.refresh()
        ground.tokens.refresh()
        ground.privacy.refresh()
        ground.quotas.register.quotas.refresh()


@dataclass(frozen=True, slots=True)
class Projects:
    """Deletes the project of a run's tenant that its parameters name."""

    ground: JobGround
    counted = "keys", "roles", "seat_plans", "price_terms", "allocations", "quotas"

    def is_there(self, run: RunContext) -> bool:
        """See `Owner.is_there`."""
        try:
            project = self.ground.identity.project(*_project_of(run))
        except NotFound:
            return False
        return project.created_at == _since(run)

    def suspend(self, run: RunContext) -> None:
        """See `Owner.suspend`."""
        self.ground.identity.change_project(*_project_of(run), ProjectChange(state=ProjectState.SUSPENDED))
        self.ground.suspended_projects.refresh()

    def remove(self, run: RunContext) -> dict[str, int]:
        """See `Owner.remove`."""
        # Also of servers that are left out, and of months that were closed while the reset was under way.
        forget_project_everywhere(self.ground.engine, *_project_of(run))
        return asdict(self.ground.identity.remove_project(*_project_of(run), _since(run)))

    def forget(self, run: RunContext) -> None:
        """See `Owner.forget`."""
        self.ground.authenticator.forget()
        self.ground.horizons.forget(*_project_of(run))
        # The tenant's other terms go on: none may be missed in between.
        self.ground.tenant_pricing.in_force.changed(str(run.tenant_id))
        self.ground.suspended_projects.refresh()
        self.ground.quotas.register.quotas.refresh()


def _project_of(run: RunContext) -> tuple[str, str]:
    return str(run.tenant_id), str(run.parameters[PROJECT])


def _since(run: RunContext) -> datetime:
    return datetime.fromisoformat(str(run.parameters[SINCE]))
