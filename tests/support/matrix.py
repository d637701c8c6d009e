"""Asks one operation of the API as one caller, and says what must come of it; for the matrices of access.

The operations come from the OpenAPI document, what each must ask for from `operations.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.identity.permissions import OF_PLATFORM, OF_TENANTS, Permission
from tests.support.api_document import api_document
from tests.support.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import httpx

    from tests.support.serving import RunningServer

DECLARED = {
    f"{method.upper()} {path}": operation["x-permission"]
    for path, item in api_document()["paths"].items()
    for method, operation in item.items()
}
EXPECTED = {operation: asked for asked, several in OPERATIONS.items() for operation in several}
WITHIN_TENANTS = [operation for operation, asked in DECLARED.items() if asked in OF_TENANTS]
OPEN, ANY, LET_IN = "none", "any", "let in"


NOT_SET_UP = frozenset(["GET /api/v1/auth/oidc/callback", "GET /api/v1/auth/oidc/login"])
"""Operations that are there only with settings which a matrix's server doesn't have, and say so."""


def verdict(operation: str, answer: httpx.Response) -> str:
    """The code of a refusal, or that the operation looked at the request itself."""
    assert answer.status_code < 500, answer.text
    if answer.status_code in {401, 403}:
        return str(answer.json()["code"])
    is_lost = answer.status_code == 405 or (answer.status_code == 404 and not _misses(operation, answer))
    return f"no operation: {answer.status_code}" if is_lost else LET_IN


def _misses(operation: str, answer: httpx.Response) -> bool:
    """Whether it is the operation that misses what the path names, and not the router that misses it."""
    problem = answer.json()
    names_something = "{" in operation or operation in NOT_SET_UP
    return names_something and problem["detail"] != problem["title"]


def asking(house: RunningServer, operation: str) -> Callable[..., str]:
    """Asks this operation, with nothing in it that could change anything."""
    method, path = operation.split()
    parts = ["x" if part.startswith("{") else part for part in path.split("/")]
    content = None if method in {"GET", "DELETE"} else b"{}"

    def ask(key: str | None, **params: str) -> str:
        headers = {"content-type": "application/json", **({} if key is None else {"X-API-Key": key})}
        return verdict(
            operation,
            house.stranger.request(method, "/".join(parts), headers=headers, params=params, content=content),
        )

    return ask


def refusal_without(asked: str) -> str:
    """The code for somebody who lacks what an operation asks for."""
    return "forbidden" if asked in OF_PLATFORM else "missing_scope"


def expected(asked: str, permissions: Collection[Permission]) -> str:
    """The verdict on somebody with these permissions in all of their tenant."""
    return LET_IN if asked in {*permissions, OPEN, ANY} else refusal_without(asked)
