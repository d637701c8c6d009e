"""What a server is asked to do beside its work, so that a kill can come in the middle of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from tests.support.patience import DEADLINE_SECONDS
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.server import ServerProcess

PAUSE_SECONDS = 0.05
CHORES = {
    "compaction": "/api/v1/scheduler/jobs/compaction/trigger",
    "archive": "/api/v1/scheduler/jobs/archive/trigger",
    "backup": "/api/v1/scheduler/jobs/backup/trigger",
    "rebuild": "/control/rebuild",
}


@contextmanager
def doing(server: ServerProcess, chore: str | None) -> Generator[None]:
    """Ask for the chore again and again, while the block runs and the server lives."""
    if chore is None:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_ask, args=(server.url, CHORES[chore], done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(DEADLINE_SECONDS)


def _ask(url: str, path: str, done: threading.Event) -> None:
    with httpx.Client(base_url=url, headers={"X-API-Key": ADMIN_KEY}, timeout=DEADLINE_SECONDS) as client:
        while not done.wait(PAUSE_SECONDS):
            try:
                answer = client.post(path)
            except httpx.TransportError:
                return
            # Busy with the last one, most often.
            assert answer.status_code in {200, 202, 409, 503}, answer.text
