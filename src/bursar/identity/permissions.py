"""Permissions: the words in which every endpoint says what a caller must be allowed to do.

Each endpoint asks for one of them (`app/auth.require`). Callers get them through the scopes of their key
or the roles of their user; nothing else grants anything. What concerns all tenants together
(`OF_PLATFORM`) is the operator's alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Permission(StrEnum):
    """One thing that a caller may do within its tenant."""

    USAGE_INGEST = "usage:ingest"
    USAGE_READ = "usage:read"
    USAGE_WRITE = "usage:write"
    USAGE_ERASE = "usage:erase"
    USAGE_EXPORT = "usage:export"
    COST_READ = "cost:read"
    EVENTS_READ = "events:read"
    METADATA_READ = "metadata:read"
    PRICES_READ = "prices:read"
    PRICES_WRITE = "prices:write"
    BILLING_READ = "billing:read"
    BILLING_WRITE = "billing:write"
    SERVICES_READ = "services:read"
    SERVICES_WRITE = "services:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    SECRETS_READ = "secrets:read"
    SECRETS_WRITE = "secrets:write"
    TENANT_READ = "tenant:read"
    TENANT_WRITE = "tenant:write"
    ROLES_READ = "roles:read"
    ROLES_WRITE = "roles:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    AUDIT_READ = "audit:read"
    SYSTEM_READ = "system:read"
    TENANTS_READ = "tenants:read"
    TENANTS_WRITE = "tenants:write"
    BOOK_WRITE = "book:write"
    SYSTEM_WRITE = "system:write"


MEANINGS: dict[Permission, str] = {
    Permission.USAGE_INGEST: "Send usage events.",
    Permission.USAGE_READ: "See counts, units and latencies, by any dimension.",
    Permission.USAGE_WRITE: "Correct and void events, see and replay what was refused.",
    Permission.USAGE_ERASE: (
        "Erase what is stored of a user, delete a project with its data, reset the ledger,"
        " set how long events are kept."
    ),
    Permission.USAGE_EXPORT: "Download single events and what they cost as files.",
    Permission.COST_READ: "See what was spent.",
    Permission.EVENTS_READ: "See single events, what each cost and why.",
    Permission.METADATA_READ: "See metadata, tags, messages and raw usage objects of events; ask by tags.",
    Permission.PRICES_READ: "See prices, contracts, aliases and exchange rates.",
    Permission.PRICES_WRITE: "Enter prices, contracts, aliases and exchange rates; rate events again.",
    Permission.BILLING_READ: "See monthly summaries, estimates, seat plans, and who owns and bears what.",
    Permission.BILLING_WRITE: "Finalise months, change seat plans, allocations and billing settings.",
    Permission.SERVICES_READ: "See registered services and their billing rules.",
    Permission.SERVICES_WRITE: "Register services and enter billing rules.",
    Permission.JOBS_READ: "See jobs, their schedules and runs.",
    Permission.JOBS_WRITE: "Start and cancel jobs.",
    Permission.PROJECTS_READ: "See projects.",
    Permission.PROJECTS_WRITE: "Make, rename and suspend projects.",
    Permission.KEYS_READ: "See API keys (never their secrets).",
    Permission.KEYS_WRITE: "Make and revoke API keys.",
    Permission.TOKENS_READ: "See tracking tokens and how much they are used.",
    Permission.TOKENS_WRITE: "Make, switch off and delete tracking tokens.",
    Permission.SECRETS_READ: "See which credentials for providers there are (never their secrets).",
    Permission.SECRETS_WRITE: "Entrust, replace and revoke credentials for providers.",
    Permission.TENANT_READ: "See the tenant's settings.",
    Permission.TENANT_WRITE: "Change the tenant's settings.",
    Permission.ROLES_READ: "See roles, and who has which.",
    Permission.ROLES_WRITE: "Make roles, give and take them, up to what one may do oneself.",
    Permission.USERS_READ: "See users, their addresses and roles.",
    Permission.USERS_WRITE: "Make, invite, suspend and remove users, up to what one may do oneself.",
    Permission.AUDIT_READ: "See the audit log: who did what, from where.",
    Permission.SYSTEM_READ: "See the state of the server, and its metrics.",
    Permission.TENANTS_READ: "See which tenants there are.",
    Permission.TENANTS_WRITE: "Make, change, suspend and delete tenants.",
    Permission.BOOK_WRITE: "Update the price book that all tenants share.",
    Permission.SYSTEM_WRITE: "Verify, rebuild, back up and stop the server.",
}
"""What each permission allows, for people."""


class Scope(StrEnum):
    """A bundle of permissions that a key may be given by one word."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


_SEEING_ALL = frozenset({Permission.SYSTEM_READ, Permission.TENANTS_READ})
OF_PLATFORM = _SEEING_ALL | {Permission.TENANTS_WRITE, Permission.BOOK_WRITE, Permission.SYSTEM_WRITE}
"""What tells of all tenants together, or changes something for all of them: only the operator's."""
OF_TENANTS = frozenset(Permission) - OF_PLATFORM
"""Everything that can be allowed within a tenant."""
IN_PROJECTS = frozenset(
    {
        Permission.USAGE_INGEST,
        Permission.USAGE_READ,
        Permission.COST_READ,
        Permission.EVENTS_READ,
        Permission.METADATA_READ,
        Permission.USAGE_EXPORT,
        Permission.PROJECTS_READ,
    }
)
"""What can be allowed in some of a tenant's projects only: the stores' own questions look at the project, and
so does the door at each event that comes in (`usage/tracking.name_project`)."""
_READING = frozenset(one for one in OF_TENANTS if one.endswith(":read")) - {
    Permission.KEYS_READ,
    Permission.JOBS_READ,
    Permission.ROLES_READ,
    Permission.USERS_READ,
    Permission.AUDIT_READ,
    Permission.SECRETS_READ,
}
BUNDLES: dict[str, frozenset[Permission]] = {
    Scope.INGEST: frozenset({Permission.USAGE_INGEST}),
    Scope.READ: _READING | {Permission.USAGE_EXPORT},
    Scope.ADMIN: OF_TENANTS,
}
"""What each bundle grants."""


def permissions_of_operator(scopes: Iterable[str]) -> frozenset[Permission]:
    """What these scopes grant to the operator: as to anybody, and as much for the platform."""
    scopes = frozenset(scopes)
    granted = permissions_of(scopes)
    if Scope.ADMIN in scopes:
        return granted | OF_PLATFORM
    return granted | _SEEING_ALL if Scope.READ in scopes else granted


def permissions_of(scopes: Iterable[str]) -> frozenset[Permission]:
    """What these scopes grant together: bundles, and permissions named one by one.

    Raises:
        ValueError: one of them is neither.
    """
    granted: set[Permission] = set()
    for scope in scopes:
        granted |= BUNDLES.get(scope) or {Permission(scope)}
    return frozenset(granted)
