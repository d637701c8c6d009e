"""What only the operator may ask of a running server: `bursar doctor`, `verify` and the like use it.

These routes are for Bursar's own commands, through the socket in the data folder or with the
operator's key. They are no part of the public API, may change with any version, and are left out of
the OpenAPI document.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import bursar
from bursar import clock
from bursar.app import auth
from bursar.app.deletion_proof import look_for, read_whose
from bursar.app.long_answers import answer_in_lines
from bursar.app.readings import read_platform
from bursar.errors import Conflict, Unavailable
from bursar.identity.permissions import Permission
from bursar.identity.tenant import WHOSE_PATTERN

if TYPE_CHECKING:
    from bursar.app.platform import Platform
    from bursar.storage.duckdb.recount import Recount


class ServerStatus(BaseModel):
    """What a running server is at."""

    version: str
    process: int
    started_at: datetime
    data_dir: str
    journal_id: str
    durable_seq: int
    """Seq of the last record on disk."""
    applied_seq: int
    """Seq of the last record in the usage store."""
    failing: str | None
    """The applier's last error, while it tries again."""
    rebuilding: bool
    """Whether a new store is being derived beside the one in use."""
    figures: dict[str, Any]
    """Every count and level by name (`Readings`)."""


class Stopping(BaseModel):
    """The server stops now."""

    process: int


@dataclass(frozen=True, slots=True)
class Controls:
    """What the routes act on."""

    platform: Platform
    stop: Callable[[], None] | None
    """Begins an orderly stop; None where nobody runs this app as a server."""


def make_router(controls: Controls) -> APIRouter:
    """The operator's routes."""
    router = APIRouter(
        prefix="/control",
        include_in_schema=False,
        dependencies=[Depends(auth.require(Permission.SYSTEM_WRITE))],
    )
    _add_status(router, controls)
    _add_long_work(router, controls.platform)
    return router


def _add_status(router: APIRouter, controls: Controls) -> None:
    """What the server is at, and its end."""
    started_at = clock.now()

    @router.get("/status")
    async def status() -> ServerStatus:
        """Positions, sizes and counts."""
        return await run_in_threadpool(_status_of, controls.platform, started_at)

    @router.post("/stop", status_code=202)
    async def stop() -> Stopping:
        """Stop as on SIGTERM."""
        if controls.stop is None:
            message = "This app isn't run by Bursar's own server."
            raise Unavailable(message)
        # After this answer is out: the connection is one of those that are closed.
        asyncio.get_running_loop().call_later(0.1, controls.stop)
        return Stopping(process=os.getpid())


def _add_long_work(router: APIRouter, platform: Platform) -> None:
    """What answers in lines, and runs once at a time."""
    recounting = threading.Lock()

    @router.post("/verify")
    async def verify(gone: Annotated[str | None, Query(pattern=WHOSE_PATTERN)] = None) -> StreamingResponse:
        """Recount everything; lines of progress, then one line with what was found.

        Of a tenant, or a project of one (`acme/support`), named in `gone` also what is left of it anywhere.
        """
        if recounting.locked():
            message = "A recount is running already."
            raise Conflict(message)
        return answer_in_lines("recount", lambda tell: _recount(platform, recounting, gone, tell))

    @router.post("/rebuild")
    async def rebuild() -> StreamingResponse:
        """Derive the store anew beside the one in use, and swap; lines as `verify` has them."""
        rebuilder = platform.rebuilder
        if rebuilder.is_at_work:
            message = "A rebuild is running already."
            raise Conflict(message)
        return answer_in_lines("rebuild", lambda tell: asdict(rebuilder.run(tell)))


def _status_of(platform: Platform, started_at: datetime) -> ServerStatus:
    return ServerStatus(
        version=bursar.__version__,
        process=os.getpid(),
        started_at=started_at,
        data_dir=str(platform.folder.path.absolute()),
        journal_id=platform.journal.journal_id,
        durable_seq=platform.journal.mark.last_seq,
        applied_seq=platform.applier.state.applied_seq,
        failing=platform.applier.state.failing,
        rebuilding=platform.rebuilder.is_at_work,
        figures=asdict(read_platform(platform)),
    )


def _recount(
    platform: Platform, recounting: threading.Lock, gone: str | None, tell: Callable[[str, int], None]
) -> dict[str, Any]:
    if not recounting.acquire(blocking=False):
        message = "A recount is running already."
        raise Conflict(message)
    try:
        found = _shown(platform.stores.recount(tell))
        return {**found, "gone": gone and asdict(look_for(platform, read_whose(gone), tell))}
    finally:
        recounting.release()


def _shown(recount: Recount) -> dict[str, Any]:
    return {**asdict(recount), "is_clean": recount.is_clean}
