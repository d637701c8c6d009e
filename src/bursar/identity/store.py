"""The identity store as questions and changes: what `identity` needs kept, not how.

`storage/relational` implements it. Each method is one transaction: done wholly or not at all, and on
disk when it returns. Every question and change is bound to the tenant that it names: another tenant's
project or key is as unknown as one that doesn't exist. Every method may raise `Unavailable` when the
store doesn't answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bursar.identity.role_store import RoleStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from bursar.identity.keys import ApiKey, Credential, Revocation
    from bursar.identity.page import Page, PageAsk
    from bursar.identity.tenant import (
        Project,
        ProjectChange,
        RemovedProject,
        RemovedTenant,
        Tenant,
        TenantChange,
    )


@dataclass(frozen=True, slots=True)
class KeyUse:
    """When a key was last used, as one process saw it."""

    tenant_id: str
    key_id: str
    at: datetime


class TenantStore(Protocol):
    """Keeps tenants."""

    def add_tenant(self, tenant: Tenant) -> None:
        """Keep a new tenant.

        Raises:
            Conflict: there is one with this id (reason `tenant_exists`).
        """
        ...

    def tenant(self, tenant_id: str) -> Tenant:
        """The tenant of this id.

        Raises:
            NotFound: there is none.
        """
        ...

    def tenants(self, ask: PageAsk) -> Page[Tenant]:
        """All tenants in order of creation."""
        ...

    def change_tenant(self, tenant_id: str, change: TenantChange) -> Tenant:
        """Change what the change names and answer the tenant as it is then.

        Raises:
            NotFound: there is no such tenant.
            Conflict: it would become active while its deletion waits or is at work (`being_deleted`).
        """
        ...

    def remove_tenant(
        self, tenant_id: str, since: datetime | None = None, by_run: str | None = None
    ) -> RemovedTenant:
        """Forget a tenant, its keys, projects and runs; whoever calls has removed its usage before.

        Args:
            tenant_id: which tenant.
            since: when it was made, so that a later one of the same id stays.
            by_run: the run that does it; of all runs about the tenant only this one is kept.

        Raises:
            NotFound: there is no such tenant, or it is a later one.
        """
        ...


class ProjectStore(Protocol):
    """Keeps the projects of each tenant."""

    def add_project(self, project: Project) -> None:
        """Keep a new project.

        Raises:
            Conflict: the tenant has one with this id (reason `project_exists`).
            NotFound: there is no such tenant.
        """
        ...

    def project(self, tenant_id: str, project_id: str) -> Project:
        """The tenant's project of this id.

        Raises:
            NotFound: the tenant has none.
        """
        ...

    def projects(self, tenant_id: str, ask: PageAsk, among: Collection[str] | None = None) -> Page[Project]:
        """The tenant's projects in order of creation; none for an unknown tenant.

        Args:
            tenant_id: whose projects.
            ask: which page.
            among: only those with one of these ids; None: all of them.
        """
        ...

    def suspended_projects(self) -> Collection[tuple[str, str]]:
        """Every suspended project of all tenants, by tenant and id: what the doors hold events to."""
        ...

    def change_project(self, tenant_id: str, project_id: str, change: ProjectChange) -> Project:
        """Change what the change names and answer the project as it is then.

        Raises:
            NotFound: the tenant has no such project.
            Conflict: it would become active while its deletion waits or is at work (`being_deleted`).
        """
        ...

    def remove_project(
        self, tenant_id: str, project_id: str, since: datetime | None = None
    ) -> RemovedProject:
        """Forget a project with all that names it; whoever calls has removed its usage before.

        Args:
            tenant_id: whose project.
            project_id: which one.
            since: when it was made, so that a later one of the same id stays.

        Raises:
            NotFound: the tenant has no such project, or it is a later one.
        """
        ...


class KeyStore(Protocol):
    """Keeps API keys by the hash of their secret."""

    def add_key(self, key: ApiKey, secret_hash: str) -> None:
        """Keep a new key.

        Raises:
            Conflict: a key with this secret exists (reason `key_exists`).
            NotFound: there is no such tenant.
        """
        ...

    def key(self, tenant_id: str, key_id: str) -> ApiKey:
        """The tenant's key of this id.

        Raises:
            NotFound: the tenant has none.
        """
        ...

    def keys(self, tenant_id: str, ask: PageAsk) -> Page[ApiKey]:
        """The tenant's keys in order of creation, revoked ones included."""
        ...

    def rotate_key(self, key: ApiKey, secret_hash: str, ends_at: datetime) -> ApiKey:
        """Keep a new key, and let the one that it replaces end then, if that doesn't end before.

        Answers the replaced key as it is then.

        Raises:
            NotFound: the tenant has no key of the id that is to be replaced, or it was revoked meanwhile.
            Conflict: a key with this secret exists (reason `key_exists`).
        """
        ...

    def revoke_key(self, tenant_id: str, key_id: str, at: datetime, why: Revocation) -> ApiKey:
        """Revoke a key and answer it as it is then.

        A key revoked before keeps its first moment; a revocation by a caller is never taken back.

        Raises:
            NotFound: the tenant has no such key.
        """
        ...

    def credentials(self, secret_hashes: Collection[str]) -> Mapping[str, Credential]:
        """The keys with these secrets by hash, revoked and expired ones included; unknown ones are absent.

        The only question without a tenant: the secret is what tells which tenant it is.
        """
        ...

    def record_use(self, uses: Iterable[KeyUse]) -> None:
        """Note when keys were used; an earlier moment never replaces a later one."""
        ...


class SettingKeyStore(Protocol):
    """Keeps track of the keys that settings name, for the start of a server."""

    def starting_alone(self) -> AbstractContextManager[None]:
        """Hold off every other process that starts on the same store, until the block is left."""
        ...

    def keys_from_setting(self, tenant_id: str, setting: str) -> tuple[ApiKey, ...]:
        """Every key that this setting has ever named."""
        ...

    def adopt_key(self, tenant_id: str, key_id: str, setting: str) -> None:
        """Let a key count (again) as the one that this setting names, unless a caller has revoked it."""
        ...

    def has_operator_key(self, now: datetime) -> bool:
        """Whether the operator has a key that is neither revoked nor expired."""
        ...


class IdentityStore(TenantStore, ProjectStore, KeyStore, SettingKeyStore, RoleStore, Protocol):
    """Everything that `identity` needs kept."""
