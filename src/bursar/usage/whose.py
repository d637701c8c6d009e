"""Whose usage something is about: a tenant's, or that of one project of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Whose:
    """All usage of a tenant, or what of it is in one project."""

    tenant_id: str
    project_id: str | None = None
    """None: all of the tenant's, also what is in no project."""
