"""What only the operator may ask of a running server: `bursar doctor`, `verify` and the like use it.

These routes are for Bursar's own commands, through the socket in the data folder or with the
operator's key. They are no part of the public API, may change with any version, and are left out of
the OpenAPI document.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import bursar
from bursar import clock
from bursar.app import auth
from bursar.app.problems import InternalError
from bursar.app.readings import read_platform
from bursar.errors import BursarError, Conflict, Unavailable

if TYPE_CHECKING:
    from bursar.app.build import Platform
    from bursar.storage.duckdb.recount import Recount

log = structlog.get_logger()

NDJSON = "application/x-ndjson"
PROGRESS_SECONDS = 0.2
"""Steps reported more often than this help nobody."""


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
        prefix="/control", include_in_schema=False, dependencies=[Depends(auth.require_operator)]
    )
    started_at = clock.now()
    recounting = threading.Lock()

    @router.get("/status")
    async def status() -> ServerStatus:
        """Positions, sizes and counts."""
        return await run_in_threadpool(_status_of, controls.platform, started_at)

    @router.post("/verify")
    async def verify() -> StreamingResponse:
        """Recount everything; lines of progress, then one line with what was found."""
        if not recounting.acquire(blocking=False):
            message = "A recount is running already."
            raise Conflict(message)
        return StreamingResponse(_recount(controls.platform, recounting), media_type=NDJSON)

    @router.post("/stop", status_code=202)
    async def stop() -> Stopping:
        """Stop as on SIGTERM."""
        if controls.stop is None:
            message = "This app isn't run by Bursar's own server."
            raise Unavailable(message)
        # After this answer is out: the connection is one of those that are closed.
        asyncio.get_running_loop().call_later(0.1, controls.stop)
        return Stopping(process=os.getpid())

    return router


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
        figures=asdict(read_platform(platform)),
    )


async def _recount(platform: Platform, recounting: threading.Lock) -> AsyncIterator[bytes]:
    """The recount's progress and result as lines; the recount goes on to its end whoever listens."""
    lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    thread = threading.Thread(
        target=_run_recount, args=(platform, recounting, lines), name="recount", daemon=True
    )
    thread.start()
    while (line := await asyncio.to_thread(lines.get)) is not None:
        yield json.dumps(line).encode() + b"\n"


def _run_recount(
    platform: Platform,
    recounting: threading.Lock,
    lines: queue.SimpleQueue[dict[str, Any] | None],
) -> None:
    said_at = float("-inf")

    def progress(step: str, records: int) -> None:
        nonlocal said_at
        if clock.monotonic() - said_at >= PROGRESS_SECONDS:
            said_at = clock.monotonic()
            lines.put({"step": step, "records": records})

    try:
        lines.put({"result": _shown(platform.stores.recount(progress))})
    except BursarError as error:
        lines.put({"error": {"code": error.code, "detail": error.detail}})
    except Exception:
        log.exception("the recount failed")
        detail = "The recount failed; the server's log says why."
        lines.put({"error": {"code": InternalError.code, "detail": detail}})
    finally:
        lines.put(None)
        recounting.release()


def _shown(recount: Recount) -> dict[str, Any]:
    return {**asdict(recount), "is_clean": recount.is_clean}
