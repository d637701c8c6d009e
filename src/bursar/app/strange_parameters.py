"""Query parameters that an operation doesn't know, or that are given twice: refused, for all of FastAPI.

FastAPI leaves out what it doesn't know and takes the last of several, so that a misspelt `valid_from` would
silently mean now. What is known is read from what OpenAPI says of the operation, so that whatever is
described is checked; of that operation alone, for the whole document takes most of a second. Questions with
filters take more names than can be listed; what they don't know, `usage/asked.py` refuses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi

from bursar.app.auth import doorkeeper_of
from bursar.errors import Invalid, Reason
from bursar.usage.asked import unknown_parameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fastapi.routing import APIRoute

OPEN = "x-open-parameters"
"""Marks an operation that others call with parameters of their own: none is refused there."""
_NAMES_ARE_OPEN = "tag:<key>"
"""A parameter that stands for many, of the operations that read theirs by hand."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What one operation takes."""

    names: tuple[str, ...]
    lists: frozenset[str]
    """Those that may be given several times."""
    needs_key: bool


_KNOWN: dict[tuple[str, str], _Known | None] = {}
"""By path and method, each read when it is first asked for: every app of a process has the same routes. What
isn't described is None."""


async def refuse_strange_parameters(request: Request) -> None:
    """A FastAPI dependency that refuses what the operation doesn't know, once it is known who asks.

    Raises:
        Invalid: with every parameter that is unknown, or given twice and no list.
        Unauthenticated: the operation needs a key, and there is no usable one.
    """
    given = request.query_params.multi_items()
    if not given:
        return
    known = await _known_of(request.scope["route"], request.method.lower())
    reasons = () if known is None else tuple(_faults([name for name, _ in given], known))
    if known is None or not reasons:
        return
    if known.needs_key:
        await doorkeeper_of(request).identify(request.scope)
    raise Invalid(" ".join(reason.message for reason in reasons), reasons=reasons)


async def _known_of(route: APIRoute, method: str) -> _Known | None:
    place = (route.path_format, method)
    if place not in _KNOWN:
        _KNOWN[place] = (await run_in_threadpool(_read, route)).get(place)
    return _KNOWN[place]


def _faults(given: Sequence[str], known: _Known) -> Iterator[Reason]:
    for name, times in Counter(given).items():
        if name not in known.names:
            if _NAMES_ARE_OPEN not in known.names:
                yield unknown_parameter(name, known.names)
        elif times > 1 and name not in known.lists:
            yield Reason(name, "repeated", f"{name} is given {times} times; send one.")


def _read(route: APIRoute) -> dict[tuple[str, str], _Known]:
    described = get_openapi(title="", version="", routes=[route])["paths"]
    return {
        (path, method): _known(operation)
        for path, operations in described.items()
        for method, operation in operations.items()
        if not operation.get(OPEN, False)
    }


def _known(operation: Mapping[str, Any]) -> _Known:
    parameters = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    names = tuple(one["name"] for one in parameters)
    lists = frozenset(one["name"] for one in parameters if _is_list(one["schema"]))
    security = operation.get("security", [])
    return _Known(names, lists, needs_key=bool(security) and {} not in security)


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))
