"""In whose chain of the audit log an act stands: the tenant's that it is done to, whoever does it.

What a caller does who is no operator is in its own tenant's chain, whatever else it names: nobody writes into
another's. What the operator does to a tenant is in that tenant's, so that its admins see it. Which endpoints
name tenants where is in `audited_acts.py`; `audited.py` asks here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from fastapi.concurrency import run_in_threadpool

from bursar.app.audited_acts import NamedIn
from bursar.errors import NotFound
from bursar.identity.audit.entry import PLATFORM
from bursar.identity.tenant import ID_PATTERN

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

    from bursar.app.audited_acts import Act
    from bursar.identity.caller import Caller
    from bursar.scheduling.run import Run

    FindRun = Callable[[str], Run]

_NAME = "tenant_id"
_ID = re.compile(ID_PATTERN)


async def owner_of(request: Request, caller: Caller, act: Act) -> str:
    """Whose chain this act of a caller belongs to who may do it; there may be no such tenant."""
    if not caller.is_operator:
        return caller.tenant_id
    match act.tenant_in:
        case NamedIn.NOWHERE:
            return PLATFORM
        case NamedIn.PATH:
            return _as_owner(request.path_params[_NAME])
        case NamedIn.QUERY:
            return caller.tenant_id if _NAME in request.query_params else PLATFORM
        case NamedIn.RUN:
            return await _tenant_of_run(request, caller)
        case NamedIn.BODY:
            return await _named_in_body(request, caller)


async def _named_in_body(request: Request, caller: Caller) -> str:
    queried = caller.tenant_id if _NAME in request.query_params else None
    named = _tenant_in(await _read(request))
    if queried is not None:
        # Who names two is refused, and neither may learn of the other.
        return queried if named in {None, queried} else PLATFORM
    return PLATFORM if named is None else _as_owner(named)


async def _tenant_of_run(request: Request, caller: Caller) -> str:
    if _NAME in request.query_params:
        return caller.tenant_id
    find: FindRun = request.app.state.find_run
    run_id: str = request.path_params["run_id"]
    if _ID.fullmatch(run_id) is None:
        # Nothing that can't be an id reaches a store: PostgreSQL takes no NUL.
        return PLATFORM
    try:
        run = await run_in_threadpool(find, run_id)
    except NotFound:
        return PLATFORM
    return run.tenant_id or PLATFORM


def _as_owner(named: object) -> str:
    """What can't be a tenant's id names nobody; the endpoint refuses it."""
    return named if isinstance(named, str) and _ID.fullmatch(named) else PLATFORM


def _tenant_in(body: object) -> object:
    return cast("dict[str, object]", body).get(_NAME) if isinstance(body, dict) else None


async def _read(request: Request) -> object:
    """The body as its endpoint reads it, whatever it says that it is; None where it is no JSON.

    Neither body nor JSON are read twice: the request keeps both.
    """
    try:
        return await request.json()
    except (ValueError, RecursionError):
        return None
