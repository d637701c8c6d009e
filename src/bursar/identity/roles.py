"""Roles: named sets of permissions that people are given, in a whole tenant or in one project of it.

Five are built in and the same everywhere; a tenant may add its own. What a person may do is the union of
what their bindings grant (`permissions_for`). Everything here is pure: `role_store.py` says what is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bursar.errors import Conflict, Invalid, MissingScope, Reason
from bursar.identity.permissions import IN_PROJECTS, OF_PLATFORM, OF_TENANTS, Permission

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from bursar.identity.caller import Caller

ROLE_NAME = r"^[a-z][a-z0-9_-]{0,63}$"
"""Names of roles are words of a command line and of a path."""
DESCRIPTION_LIMIT = 200
_NAME = re.compile(ROLE_NAME)


@dataclass(frozen=True, slots=True)
class Role:
    """What a person may do who has it."""

    name: str
    permissions: frozenset[Permission]
    description: str = ""


_SEEING = frozenset(
    {
        Permission.USAGE_READ,
        Permission.COST_READ,
        Permission.PROJECTS_READ,
        Permission.SERVICES_READ,
        Permission.BILLING_READ,
        Permission.TENANT_READ,
    }
)
_ANALYSING = _SEEING | {Permission.EVENTS_READ, Permission.USAGE_EXPORT, Permission.PRICES_READ}
_TAKING_PART = _ANALYSING | {Permission.METADATA_READ, Permission.USAGE_INGEST}

BUILT_IN: Mapping[str, Role] = {
    role.name: role
    for role in (
        Role("viewer", _SEEING, "Sees usage and cost in sums, never single events."),
        Role("analyst", _ANALYSING, "Also sees single events and exports them, without metadata and tags."),
        Role("member", _TAKING_PART, "Also sees metadata and tags, and sends usage."),
        Role("admin", OF_TENANTS - {Permission.USAGE_ERASE}, "Everything in the tenant but destroying data."),
        Role("owner", OF_TENANTS, "Everything in the tenant."),
    )
}
"""The roles that every tenant has, from the least to the most."""


@dataclass(frozen=True, slots=True)
class RoleBinding:
    """One person's role in a tenant, or in one project of it."""

    tenant_id: str
    user_id: str
    role: str
    project_id: str | None
    """None: in the whole tenant."""
    granted_by: str
    granted_at: datetime


class Granted(NamedTuple):
    """What bindings come to, as a `Caller` takes it."""

    permissions: frozenset[Permission]
    """In the whole tenant."""
    within: dict[Permission, frozenset[str]]
    """What else in some projects, and in which."""


def permissions_for(bindings: Iterable[RoleBinding], roles: Mapping[str, Role] = BUILT_IN) -> Granted:
    """What a person with these bindings may do.

    Args:
        bindings: of one person in one tenant.
        roles: every role that they may name; a binding to another grants nothing.
    """
    everywhere: set[Permission] = set()
    somewhere: dict[Permission, set[str]] = {}
    for binding in bindings:
        role = roles.get(binding.role)
        if role is None:
            continue
        if binding.project_id is None:
            everywhere |= role.permissions
            continue
        for permission in role.permissions & IN_PROJECTS:
            somewhere.setdefault(permission, set()).add(binding.project_id)
    within = {one: frozenset(some) for one, some in somewhere.items() if one not in everywhere}
    return Granted(frozenset(everywhere - OF_PLATFORM), within)


def refuse_unfit_role(maker: Caller, role: Role) -> None:
    """Let a role of one's own pass that can be kept.

    Raises:
        Conflict: a built-in role has the name.
        Invalid: a name that is no word, no permissions, or some that are the operator's alone.
        MissingScope: it would grant what its maker lacks.
    """
    refuse_built_in(role.name)
    reasons = tuple(_faults_of(role))
    if reasons:
        raise Invalid(reasons=reasons)
    refuse_more_than_own(maker, role)


def refuse_built_in(name: str) -> None:
    """Let only names of roles of one's own pass.

    Raises:
        Conflict: it is a built-in role's.
    """
    if name in BUILT_IN:
        message = f"The role '{name}' is built in and can't be changed; make one of another name."
        raise Conflict(message, reasons=(Reason("name", "built_in_role", message),))


def refuse_more_than_own(giver: Caller, role: Role) -> None:
    """Let nobody give or take a role that grants more than they may do themselves.

    Raises:
        MissingScope: it does.
    """
    missing = sorted(role.permissions - giver.permissions)
    if missing:
        message = (
            f"The role '{role.name}' grants what the credential lacks in the whole tenant:"
            f" {', '.join(missing)}."
        )
        raise MissingScope(message)


def _faults_of(role: Role) -> Iterable[Reason]:
    if _NAME.fullmatch(role.name) is None:
        yield Reason("name", "invalid_name", "begins with a letter; up to 64 of a-z, 0-9, _ and -")
    if not role.permissions:
        yield Reason("permissions", "no_permissions", "must name at least one permission")
    for permission in sorted(role.permissions & OF_PLATFORM):
        yield Reason("permissions", "operator_only", f"'{permission}' is the operator's alone")
