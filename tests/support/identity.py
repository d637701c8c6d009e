"""Tenants, projects and keys as tests need them: valid, and different only where it matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bursar.identity.keys import IssuedKey, KeyTerms, hash_key, new_key
from bursar.identity.permissions import Scope
from bursar.identity.tenant import Project, Tenant

if TYPE_CHECKING:
    from bursar.identity.store import KeyStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_tenant(tenant_id: str = "acme", *, zone: str = "Europe/Berlin", created_at: datetime = NOON) -> Tenant:
    """A tenant."""
    return Tenant(tenant_id, f"Name of {tenant_id}", zone, created_at)


def a_project(project_id: str = "search", *, tenant_id: str = "acme", created_at: datetime = NOON) -> Project:
    """A project."""
    return Project(project_id, tenant_id, f"Name of {project_id}", created_at)


def some_terms(
    tenant_id: str = "acme",
    scopes: frozenset[Scope] = frozenset({Scope.READ}),
    *,
    is_operator: bool = False,
    expires_at: datetime | None = None,
    from_setting: str | None = None,
) -> KeyTerms:
    """What a key is to be."""
    return KeyTerms(tenant_id, "a label", scopes, is_operator, expires_at, from_setting)


def add_key(store: KeyStore, terms: KeyTerms | None = None, now: datetime = NOON) -> IssuedKey:
    """A key that the store knows."""
    issued = new_key(terms or some_terms(), now)
    store.add_key(issued.key, hash_key(issued.secret))
    return issued
