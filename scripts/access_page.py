"""The page of permissions: what each allows, which roles and scopes grant it, which operations ask for it."""

from __future__ import annotations

from bursar.app import openapi
from bursar.app.declared import EXTENSION, IN_PROJECTS_TOO
from bursar.identity.permissions import BUNDLES, IN_PROJECTS, MEANINGS, OF_PLATFORM, OF_TENANTS, Permission
from bursar.identity.roles import BUILT_IN

_HEAD = """\
# Permissions

Every operation asks for one permission. People get permissions by their roles, keys by their scopes:
`ingest`, `read`, `admin`, or single permissions by name. A role can be given in the whole tenant or in one
project; in a project only those permissions count that are marked with *. This page is written by `make docs`
from `src/bursar/identity/`; a test fails when it is stale.

## Roles and scopes

"""
_PLATFORM_HEAD = """
## Only the operator's

They tell of all tenants together, or change something for all of them. No role and no tenant's key has them.

| permission | allows |
|---|---|
"""
_OPERATIONS_HEAD = """
## What each operation asks for

The OpenAPI document says the same as `x-permission`. `any` is any credential that counts, `none` is no
credential at all. Operations marked with * also answer for who has the permission in some projects, about
these alone.

| operation | permission |
|---|---|
"""


def permissions_page() -> str:
    """The reference of permissions, in Markdown."""
    # Keyed by heads, not by names: `admin` is a role and a scope, and they grant different things.
    granters = {
        **{f"role {name}": role.permissions for name, role in BUILT_IN.items()},
        **{f"scope `{name}`": permissions for name, permissions in BUNDLES.items()},
    }
    head = f"| permission | allows | {' | '.join(granters)} |\n|---|---|{'---|' * len(granters)}\n"
    rows = [
        f"| {_named(one)} | {MEANINGS[one]} | "
        + " | ".join("yes" if one in granted else "" for granted in granters.values())
        + " |"
        for one in Permission
        if one in OF_TENANTS
    ]
    platform = [f"| `{one}` | {MEANINGS[one]} |" for one in Permission if one in OF_PLATFORM]
    return (
        _HEAD + head + _lines(rows) + _PLATFORM_HEAD + _lines(platform) + _OPERATIONS_HEAD + _lines(_asked())
    )


def _asked() -> list[str]:
    found = openapi.document()["paths"].items()
    return [
        f"| `{method.upper()} {path}`{_star(IN_PROJECTS_TOO in operation)} | `{operation[EXTENSION]}` |"
        for path, item in found
        for method, operation in sorted(item.items())
    ]


def _star(is_starred: object) -> str:
    return " *" if is_starred else ""


def _named(permission: Permission) -> str:
    return f"`{permission}`{_star(permission in IN_PROJECTS)}"


def _lines(rows: list[str]) -> str:
    return "\n".join(rows) + "\n"
