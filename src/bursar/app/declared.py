"""What each operation of the API asks for: the permission that its route declares, read off the route itself.

The OpenAPI document says it (`x-permission`), the published table and the tests of access are made from
that. A route that declares nothing is open to anybody who is known, or to everybody where it takes no
credential at all.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute, iter_route_contexts

from bursar.app.auth import require
from bursar.identity.permissions import Permission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from fastapi.dependencies.models import Dependant

EXTENSION = "x-permission"
IN_PROJECTS_TOO = "x-permission-in-projects"
"""Also answers for who has the permission in some projects only, about these alone."""
ANY_CREDENTIAL = "any"
"""Any credential that counts will do."""
OPEN = "none"
"""No credential is needed."""


def declare_permissions(api: FastAPI, found: dict[str, Any]) -> None:
    """Say in every operation of a document which permission it asks for."""
    for route in iter_route_contexts(api.routes):
        if not isinstance(route.original_route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = found["paths"][route.path_format][method.lower()]
            operation[EXTENSION] = _asked_by(route.dependant) or _without(operation)
            if _limited() & set(_calls_of(route.dependant)):
                operation[IN_PROJECTS_TOO] = True


def _without(operation: dict[str, Any]) -> str:
    security = operation.get("security", [])
    return OPEN if not security or {} in security else ANY_CREDENTIAL


def _asked_by(dependant: Dependant) -> Permission | None:
    asked = {known[one] for one in _calls_of(dependant) if one in (known := _known())}
    if len(asked) > 1:
        message = f"a route asks for several permissions: {sorted(asked)}"
        raise ValueError(message)
    return next(iter(asked), None)


def _calls_of(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls_of(inner)


@cache
def _known() -> dict[Any, Permission]:
    """Every dependency that asks for a permission; `require` makes one of each."""
    whole = {require(one): one for one in Permission}
    return whole | {require(one, in_projects=True): one for one in Permission}


@cache
def _limited() -> frozenset[Any]:
    return frozenset(require(one, in_projects=True) for one in Permission)
