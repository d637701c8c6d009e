"""A data folder as a killed server leaves it: several segments, everything applied, nothing closed.

Made once and copied for each test that damages it. The events in it and what they cost are known.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.server import ServerProcess, server_process

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_BYTES = 64 * 1024
BATCHES, BATCH = 12, 40


@dataclass(frozen=True, slots=True)
class UsedFolder:
    """The folder, and the cost of each event in it as it was answered."""

    path: Path
    costs: dict[str, str]

    def copy_to(self, path: Path) -> Path:
        """The folder again, to be damaged."""
        shutil.copytree(self.path, path)
        return path


def an_event(number: int) -> dict[str, Any]:
    """The event of this number, the same whenever it is sent."""
    return {
        "event_id": f"evt-{number}",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input_tokens": 1000 + number,
        "output_tokens": number,
        "metadata": {"note": "x" * 100},
    }


def make_used_folder(path: Path) -> UsedFolder:
    """Fill a folder through a server and kill that."""
    costs: dict[str, str] = {}
    with server_process(path, segment_bytes=SEGMENT_BYTES) as server:
        server.start()
        with server.client() as client:
            for batch in range(BATCHES):
                events = [an_event(batch * BATCH + i) for i in range(BATCH)]
                answer = client.post("/api/v1/events", json=events).raise_for_status().json()
                costs |= {one["event_id"]: one["cost"]["total"] for one in answer["events"]}
        server.wait_until_applied()
        server.kill()
    for name in ("bursar.sock", "LOCK"):
        (path / name).unlink()
    return UsedFolder(path, costs)


def stored_costs(server: ServerProcess) -> dict[str, str]:
    """The cost of each event that the server has, by id; no id may be there twice."""
    with server.client() as client:
        page = (
            client.get("/api/v1/usage", params={"window": "all", "limit": 10_000}).raise_for_status().json()
        )
    assert not page["has_more"]
    costs = {event["event_id"]: event["cost"]["total"] for event in page["events"]}
    assert len(costs) == len(page["events"]) == page["total_count"]
    return costs
