"""Answers that take minutes: lines of progress, then one line with the result, or with the error.

The work runs in a thread of its own. Whoever asked may leave at any time: the work's next word about its
progress ends it then, for nobody would hear of its result.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.responses import StreamingResponse

from bursar import clock
from bursar.app.problems import InternalError
from bursar.errors import BursarError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    Progress = Callable[[str, int], None]
    Work = Callable[[Progress], Mapping[str, Any]]

NDJSON = "application/x-ndjson"
PROGRESS_SECONDS = 0.2
"""Steps reported more often than this help nobody."""
ALIVE_SECONDS = 10.0
"""A line at least this often: clients and proxies take longer silence for a broken connection."""

log = structlog.get_logger()


class NobodyListens(Exception):
    """The one who asked has left."""


def answer_in_lines(name: str, work: Work) -> StreamingResponse:
    """Begin the work and stream what it tells; `name` is for the thread and the log."""
    return StreamingResponse(_Telling(name, work).lines(), media_type=NDJSON)


class _Telling:
    """One piece of work and the one who listens."""

    def __init__(self, name: str, work: Work) -> None:
        self._name = name
        self._work = work
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._has_left = threading.Event()
        self._said_at = float("-inf")

    async def lines(self) -> AsyncIterator[bytes]:
        """Each line as it comes."""
        threading.Thread(target=self._run, name=self._name, daemon=True).start()
        try:
            line: dict[str, Any] | None = {"step": "beginning", "records": 0}
            while line is not None:
                yield json.dumps(line).encode() + b"\n"
                line = await asyncio.to_thread(self._next, line)
        finally:
            self._has_left.set()

    def _next(self, last: dict[str, Any]) -> dict[str, Any] | None:
        """The next line, or the last one again where a step takes so long that a client would give up."""
        try:
            return self._lines.get(timeout=ALIVE_SECONDS)
        except queue.Empty:
            return last

    def _run(self) -> None:
        try:
            self._lines.put({"result": dict(self._work(self._tell))})
        except NobodyListens:
            log.info("ended, because nobody listens any more", work=self._name)
        except BursarError as error:
            self._lines.put({"error": {"code": error.code, "detail": error.detail}})
        except Exception:
            log.exception("failed", work=self._name)
            detail = f"The {self._name} failed; the server's log says why."
            self._lines.put({"error": {"code": InternalError.code, "detail": detail}})
        finally:
            self._lines.put(None)

    def _tell(self, step: str, records: int) -> None:
        if self._has_left.is_set():
            raise NobodyListens
        if clock.monotonic() - self._said_at >= PROGRESS_SECONDS:
            self._said_at = clock.monotonic()
            self._lines.put({"step": step, "records": records})
