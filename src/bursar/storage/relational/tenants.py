"""Tenants and projects in SQL; implements `TenantStore` and `ProjectStore` of `identity/store.py`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, or_, select, update

from bursar import ids
from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.tenant import (
    Project,
    ProjectState,
    RemovedProject,
    RemovedTenant,
    Tenant,
    TenantState,
    no_project,
)
from bursar.storage.relational.engine import forget_replaced
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.runs import OPEN_STATES
from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.tables.agreements import TENANT_PRICING
from bursar.storage.relational.tables.allocations import ALLOCATIONS
from bursar.storage.relational.tables.identity import API_KEYS, PROJECTS, TENANTS
from bursar.storage.relational.tables.jobs import RUNS
from bursar.storage.relational.tables.users import LOGIN_ATTEMPTS
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.usage.revising.deletion import DELETE_JOB, DELETE_PROJECT_JOB
from bursar.usage.revising.resetting import PROJECT

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.tenant import ProjectChange, TenantChange

TABLES_OF_PROJECTS = tuple(
    table for table in METADATA.sorted_tables if {"tenant_id", "project_id"} <= set(table.c.keys())
)
"""Whatever names a project of a tenant goes with it."""


class RelationalTenants:
    """Keeps tenants in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_tenant(self, tenant: Tenant) -> None:
        """See `TenantStore.add_tenant`."""
        taken = Conflict(
            f"There is a tenant '{tenant.id}' already.",
            reasons=(Reason("id", "tenant_exists", "choose another id, or leave it out"),),
        )
        row = insert(TENANTS).values(
            id=tenant.id,
            name=tenant.name,
            zone=tenant.zone,
            state=tenant.state.value,
            created_at=tenant.created_at,
        )
        with writing(self._engine) as connection, refusing(duplicate=taken):
            connection.execute(row)

    def tenant(self, tenant_id: str) -> Tenant:
        """See `TenantStore.tenant`."""
        with reading(self._engine) as connection:
            row = connection.execute(select(TENANTS).where(TENANTS.c.id == tenant_id)).one_or_none()
        if row is None:
            raise no_tenant(tenant_id)
        return _tenant_of(row)

    def tenants(self, ask: PageAsk) -> Page[Tenant]:
        """See `TenantStore.tenants`."""
        with reading(self._engine) as connection:
            return read_page(connection, select(TENANTS), TENANTS, ask, _tenant_of)

    def change_tenant(self, tenant_id: str, change: TenantChange) -> Tenant:
        """See `TenantStore.change_tenant`."""
        state = change.state.value if change.state else None
        named = {"name": change.name, "zone": change.zone, "state": state}
        values = {column: value for column, value in named.items() if value is not None}
        if not values:
            return self.tenant(tenant_id)
        statement = update(TENANTS).where(TENANTS.c.id == tenant_id).values(values).returning(TENANTS)
        with writing(self._engine) as connection:
            if change.state is TenantState.ACTIVE and _is_being_deleted(connection, tenant_id):
                raise _being_deleted("tenant", tenant_id)
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise no_tenant(tenant_id)
        return _tenant_of(row)

    def remove_tenant(
        self, tenant_id: str, since: datetime | None = None, by_run: str | None = None
    ) -> RemovedTenant:
        """See `TenantStore.remove_tenant`."""
        found = select(TENANTS.c.created_at).where(TENANTS.c.id == tenant_id)
        with writing(self._engine) as connection:
            made_at = connection.execute(found).scalar_one_or_none()
            if made_at is None or since not in {None, made_at}:
                raise no_tenant(tenant_id)
            keys = connection.execute(delete(API_KEYS).where(API_KEYS.c.tenant_id == tenant_id)).rowcount
            projects = connection.execute(delete(PROJECTS).where(PROJECTS.c.tenant_id == tenant_id)).rowcount
            connection.execute(delete(LOGIN_ATTEMPTS).where(LOGIN_ATTEMPTS.c.tenant_id == tenant_id))
            # A run at work hears of it at its next `save`: it isn't there any more.
            others = RUNS.c.tenant_id == tenant_id, RUNS.c.id != (by_run or "")
            connection.execute(delete(RUNS).where(*others))
            connection.execute(delete(TENANTS).where(TENANTS.c.id == tenant_id))
        forget_replaced(self._engine)
        return RemovedTenant(keys, projects)


class RelationalProjects:
    """Keeps projects in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_project(self, project: Project) -> None:
        """See `ProjectStore.add_project`."""
        taken = Conflict(
            f"There is a project '{project.id}' already.",
            reasons=(Reason("id", "project_exists", "choose another id, or leave it out"),),
        )
        row = insert(PROJECTS).values(
            tenant_id=project.tenant_id,
            id=project.id,
            name=project.name,
            created_at=project.created_at,
            state=project.state.value,
        )
        orphan = no_tenant(project.tenant_id)
        with writing(self._engine) as connection, refusing(duplicate=taken, orphan=orphan):
            connection.execute(row)

    def project(self, tenant_id: str, project_id: str) -> Project:
        """See `ProjectStore.project`."""
        with reading(self._engine) as connection:
            question = select(PROJECTS).where(_is_project(tenant_id, project_id))
            row = connection.execute(question).one_or_none()
        if row is None:
            raise no_project(project_id)
        return _project_of(row)

    def projects(self, tenant_id: str, ask: PageAsk, among: Collection[str] | None = None) -> Page[Project]:
        """See `ProjectStore.projects`."""
        question = select(PROJECTS).where(PROJECTS.c.tenant_id == tenant_id)
        if among is not None:
            question = question.where(PROJECTS.c.id.in_(sorted(among)))
        with reading(self._engine) as connection:
            return read_page(connection, question, PROJECTS, ask, _project_of)

    def suspended_projects(self) -> tuple[tuple[str, str], ...]:
        """See `ProjectStore.suspended_projects`."""
        is_suspended = PROJECTS.c.state == ProjectState.SUSPENDED.value
        with reading(self._engine) as connection:
            rows = connection.execute(select(PROJECTS.c.tenant_id, PROJECTS.c.id).where(is_suspended))
            return tuple((row.tenant_id, row.id) for row in rows)

    def change_project(self, tenant_id: str, project_id: str, change: ProjectChange) -> Project:
        """See `ProjectStore.change_project`."""
        named = {"name": change.name, "state": change.state.value if change.state else None}
        values = {column: value for column, value in named.items() if value is not None}
        if not values:
            return self.project(tenant_id, project_id)
        statement = update(PROJECTS).where(_is_project(tenant_id, project_id))
        with writing(self._engine) as connection:
            if change.state is ProjectState.ACTIVE and _is_project_being_deleted(
                connection, tenant_id, project_id
            ):
                raise _being_deleted("project", project_id)
            row = connection.execute(statement.values(values).returning(PROJECTS)).one_or_none()
        if row is None:
            raise no_project(project_id)
        return _project_of(row)

    def remove_project(
        self, tenant_id: str, project_id: str, since: datetime | None = None
    ) -> RemovedProject:
        """See `ProjectStore.remove_project`."""
        statement = delete(PROJECTS).where(_is_project(tenant_id, project_id))
        if since is not None:
            statement = statement.where(PROJECTS.c.created_at == since)
        keys, kinds = API_KEYS.c, ALLOCATIONS.c
        in_it = select(keys.id).where(keys.tenant_id == tenant_id, keys.project_id == project_id)
        of_it = (kinds.kind == "project") & (kinds.subject == project_id)
        of_its_keys = (kinds.kind == "key") & kinds.subject.in_(in_it)
        counts: dict[str, int] = {}
        with writing(self._engine) as connection:
            if connection.execute(statement.returning(PROJECTS.c.id)).one_or_none() is None:
                raise no_project(project_id)
            allocations = delete(ALLOCATIONS).where(kinds.tenant_id == tenant_id, of_it | of_its_keys)
            counts["allocations"] = connection.execute(allocations).rowcount
            for table in TABLES_OF_PROJECTS:
                rows = table.c.tenant_id == tenant_id, table.c.project_id == project_id
                counts[table.name] = connection.execute(delete(table).where(*rows)).rowcount
            # Other processes read again what the tenant agreed on.
            stamped = update(TENANT_PRICING).where(TENANT_PRICING.c.tenant_id == tenant_id)
            connection.execute(stamped.values(stamp=ids.make_id("stamp")))
        forget_replaced(self._engine)
        return RemovedProject(
            keys=counts["api_keys"],
            roles=counts["role_bindings"],
            seat_plans=counts["seat_plans"],
            price_terms=counts["price_terms"],
            allocations=counts["allocations"],
            quotas=counts["quotas"],
        )


def _is_being_deleted(connection: Connection, tenant_id: str) -> bool:
    """Whether a deletion of the tenant waits or is at work, on whichever server."""
    is_open = RUNS.c.job_id == DELETE_JOB, RUNS.c.state.in_(OPEN_STATES)
    question = (
        select(RUNS.c.id)
        .join(TENANTS, TENANTS.c.id == RUNS.c.tenant_id)
        .where(
            *is_open,
            RUNS.c.tenant_id == tenant_id,
            or_(RUNS.c.tenant_since.is_(None), RUNS.c.tenant_since == TENANTS.c.created_at),
        )
    )
    return connection.execute(question.limit(1)).first() is not None


def _is_project_being_deleted(connection: Connection, tenant_id: str, project_id: str) -> bool:
    """Whether a deletion of the project waits or is at work, on whichever server."""
    is_open = RUNS.c.job_id == DELETE_PROJECT_JOB, RUNS.c.state.in_(OPEN_STATES)
    question = select(RUNS.c.parameters).where(RUNS.c.tenant_id == tenant_id, *is_open)
    asked = (json.loads(text) for text in connection.execute(question).scalars())
    return any(one.get(PROJECT) == project_id for one in asked)


def _being_deleted(what: str, its_id: str) -> Conflict:
    message = (
        f"The {what} '{its_id}' is being deleted and can't be resumed. Once the deletion has ended, a new"
        f" {what} of this id can be made; a deletion that was cancelled or failed lets it be resumed."
    )
    return Conflict(message, reasons=(Reason("state", "being_deleted", message),))


def no_tenant(tenant_id: str) -> NotFound:
    """The refusal of a tenant id that isn't there."""
    return NotFound(f"There is no tenant '{tenant_id}'.")


def hold_project(connection: Connection, tenant_id: str, project_id: str) -> None:
    """Let nobody remove a project before this transaction has ended.

    Raises:
        NotFound: the tenant has no such project.
    """
    question = select(PROJECTS.c.id).where(_is_project(tenant_id, project_id))
    # SQLite knows no locks of rows, and has one writer at a time.
    if connection.execute(question.with_for_update(read=True, key_share=True)).one_or_none() is None:
        raise no_project(project_id)


def _is_project(tenant_id: str, project_id: str) -> ColumnElement[bool]:
    return (PROJECTS.c.tenant_id == tenant_id) & (PROJECTS.c.id == project_id)


def _tenant_of(row: Row[Any]) -> Tenant:
    return Tenant(row.id, row.name, row.zone, row.created_at, TenantState(row.state))


def _project_of(row: Row[Any]) -> Project:
    return Project(row.id, row.tenant_id, row.name, row.created_at, ProjectState(row.state))
