"""What a server is asked to do beside its work, so that a kill can come in the middle of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

from bursar import clock
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.server import ServerProcess

    Chore = Callable[[httpx.Client], httpx.Response]

PAUSE_SECONDS = 0.05
RUNS, TENANTS = "/api/v1/scheduler", "/api/v1/tenants"
AGED = "aged-"
"""Tenants whose events are all older than their retention."""
RETENTION_DAYS, AGE = 40, timedelta(days=60)
OLD_EVENTS = 20


def _trigger(job_id: str, client: httpx.Client, **params: str) -> httpx.Response:
    return client.post(f"{RUNS}/jobs/{job_id}/trigger", params=params)


def _expire(client: httpx.Client) -> httpx.Response:
    """Have a new tenant's old events removed, once nobody waits for that: each removal renews the store."""
    status = client.get(f"{RUNS}/status")
    if status.is_error or status.json()["queued"]:
        return status
    tenant_id = f"{AGED}{uuid4().hex[:12]}"
    client.post(TENANTS, json={"id": tenant_id}).raise_for_status()
    at = clock.rfc3339(clock.now() - AGE)
    events = [{"event_id": f"old-{n}", "model": "gpt-4o-mini", "time": at} for n in range(OLD_EVENTS)]
    # An expiry that runs before they are applied finds nothing to do.
    asked = {"tenant_id": tenant_id, "wait": "applied"}
    answer = client.post("/api/v1/events/import", json=events, params=asked)
    return _retain(client, tenant_id) if answer.is_success else answer


def _retain(client: httpx.Client, tenant_id: str) -> httpx.Response:
    _choose_retention(client, tenant_id)
    return _trigger("retention", client, tenant_id=tenant_id)


def _choose_retention(client: httpx.Client, tenant_id: str) -> None:
    chosen = {"events_days": RETENTION_DAYS}
    client.put("/api/v1/retention", json=chosen, params={"tenant_id": tenant_id}).raise_for_status()


def _erase(client: httpx.Client) -> httpx.Response:
    """Have one of the writers' users forgotten, once nobody waits for that; every event of theirs stays."""
    status = client.get(f"{RUNS}/status")
    if status.is_error or status.json()["queued"]:
        return status
    return client.post("/api/v1/erasures", json={"user_id": "user-7", "reason": "asked to be forgotten"})


CHORES: dict[str, Chore] = {
    "compaction": partial(_trigger, "compaction"),
    "archive": partial(_trigger, "archive"),
    "backup": partial(_trigger, "backup"),
    "rebuild": lambda client: client.post("/control/rebuild"),
    "expiry": _expire,
    "erasure": _erase,
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


def _ask(url: str, chore: Chore, done: threading.Event) -> None:
    with httpx.Client(base_url=url, headers={"X-API-Key": ADMIN_KEY}, timeout=DEADLINE_SECONDS) as client:
        while not done.wait(PAUSE_SECONDS):
            try:
                answer = chore(client)
            except httpx.TransportError:
                return
            # Busy with the last one, most often.
            assert answer.status_code in {200, 202, 409, 503}, answer.text


def finish_expiries(server: ServerProcess) -> None:
    """Have all aged tenants' events removed, whatever a kill left of it: none of them is left then."""
    with server.client() as client:
        left = [tenant_id for tenant_id in _aged_tenants(client) if _has_events(client, tenant_id)]
        if not left:
            return
        for tenant_id in left:
            _choose_retention(client, tenant_id)
        run = _trigger("retention", client).raise_for_status().json()
        at = f"{RUNS}/runs/{run['id']}"
        wait_until(lambda: client.get(at).json()["finished_at"] is not None, "what is old goes")
        assert client.get(at).json()["state"] == "succeeded", client.get(at).text
        assert not any(_has_events(client, tenant_id) for tenant_id in left)


def _has_events(client: httpx.Client, tenant_id: str) -> bool:
    asked = {"tenant_id": tenant_id, "window": "all", "limit": "1"}
    return bool(client.get("/api/v1/usage", params=asked).raise_for_status().json()["events"])


def _aged_tenants(client: httpx.Client) -> list[str]:
    found: list[str] = []
    page: dict[str, str] = {}
    while True:
        document = client.get(TENANTS, params=page).raise_for_status().json()
        found += [one["id"] for one in document["items"] if one["id"].startswith(AGED)]
        if document["next_cursor"] is None:
            return found
        page = {"cursor": document["next_cursor"]}
