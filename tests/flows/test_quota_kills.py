"""A server that is flooded over a tenant's and a project's quota and killed again and again: both hold."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.server import ServerProcess, server_process
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 300
PROJECT_LIMIT = 50
"""Of the project that every third event is in: full before its tenant is."""
KILLS = 3
SENDERS = 6
EVENTS = "/api/v1/events"
USAGE = {"provider": "openai", "model": "gpt-5", "input_tokens": 8}


@dataclass
class Flood:
    """Senders that don't stop at a refusal, nor when nobody answers."""

    server: ServerProcess
    accepted: set[str] = field(default_factory=set[str])
    refused: set[str] = field(default_factory=set[str])
    odd: list[str] = field(default_factory=list[str])
    is_full: threading.Event = field(default_factory=threading.Event)
    """Set once the tenant's quota refused something."""
    has_ended: threading.Event = field(default_factory=threading.Event)

    def send(self, sender: int) -> None:
        draw, number = random.Random(sender), 0
        while not self.has_ended.is_set():
            number += 1
            ids = [f"{sender}-{number}-{i}" for i in range(draw.choice([1, 1, 1, 7]))]
            # Now and then what was sent before comes again.
            ids += [draw.choice(sorted(self.accepted))] if number % 9 == 0 and self.accepted else []
            self._post(ids)

    def _post(self, ids: list[str]) -> None:
        body = [{**USAGE, "event_id": one, "project_id": project_of(one)} for one in ids]
        while not self.has_ended.is_set():
            try:
                answer = httpx.post(
                    self.server.url + EVENTS, json=body, headers={"X-API-Key": ADMIN_KEY}, timeout=20
                )
            except httpx.TransportError:
                # Nobody knows what came of it: sent again, as clients do.
                self.has_ended.wait(0.05)
                continue
            if answer.status_code not in {202, 429, 503}:
                self.odd.append(answer.text)
            if answer.status_code == 503:
                continue
            told = answer.json()
            self.accepted.update(one["event_id"] for one in told.get("events", ()))
            self.refused.update(one["event_id"] for one in told["rejected"])
            if any("The tenant's" in one["errors"][0]["message"] for one in told["rejected"]):
                self.is_full.set()
            return


def project_of(event_id: str) -> str | None:
    _, number, place = event_id.split("-")
    return "search" if (int(number) + int(place)) % 3 == 0 else None


@pytest.mark.timeout(300)
def test_hard_quotas_hold_to_the_event_through_kills_under_a_flood(tmp_path: Path) -> None:
    with server_process(tmp_path / "d") as server:
        server.start()
        with server.client() as client:
            quota = {"limit": str(LIMIT), "enforcement": "hard"}
            client.put("/api/v1/quotas/events", json=quota).raise_for_status()
            client.post("/api/v1/projects", json={"id": "search", "name": "Search"}).raise_for_status()
            quota["limit"] = str(PROJECT_LIMIT)
            client.put("/api/v1/projects/search/quotas/events", json=quota).raise_for_status()
        flood = Flood(server)
        threads = [threading.Thread(target=flood.send, args=(n,)) for n in range(SENDERS)]
        for thread in threads:
            thread.start()
        for share in range(1, KILLS + 1):
            # At moments spread from far below the limit to the limit.
            while len(flood.accepted) < share * LIMIT // KILLS and not flood.is_full.is_set():
                threading.Event().wait(0.01)
            server.kill()
            server.start()
        assert flood.is_full.wait(120)
        flood.has_ended.set()
        for thread in threads:
            thread.join()
        server.wait_until_applied()
        with server.client() as client:
            body = {"measures": ["events"], "dimensions": ["project_id"], "window": "30d"}
            rows = client.post("/api/v1/query", json=body).raise_for_status().json()["rows"]
            shown = client.get("/api/v1/quotas").raise_for_status().json()["items"][0]
            of_project = client.get("/api/v1/projects/search/quotas").raise_for_status().json()["items"][0]
        assert not flood.odd
        counted = {row["project_id"]: row["events"] for row in rows}
        assert counted == {"search": PROJECT_LIMIT, None: LIMIT - PROJECT_LIMIT}
        assert (shown["used"], shown["state"]) == (str(LIMIT), "exceeded")
        assert (of_project["used"], of_project["state"]) == (str(PROJECT_LIMIT), "exceeded")
        assert len(flood.accepted) <= LIMIT
        assert flood.accepted.isdisjoint(flood.refused)
        recount = server.verify()
        assert recount["is_clean"], recount["differences"]
