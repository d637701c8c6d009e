"""A disk that fills up under load: refused before anything is accepted, and back by itself.

With a reserve the door closes early and the stores go on; without one, journal, key index and usage
store all meet the full disk in the middle of their work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.patience import wait_until
from tests.support.server import ServerProcess, server_process
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.used_folder import an_event, stored_costs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 2**20
DISK, RESERVE = 96 * MIB, 24 * MIB
FREE_BYTES = (1_000_000, 600_000, 300_000, *range(160_000, 0, -8_000), 0, 0)
"""From enough for one more batch down to nothing: so each writer is the first to fail at some step."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", DISK) as made:
        yield made


class Sender:
    """Sends events one after the other and remembers which were acknowledged, at which cost."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.costs: dict[str, str] = {}
        self.sent = 0

    def send(self, count: int = 20) -> httpx.Response:
        """Send the next few events in one body."""
        events = [an_event(self.sent + i) for i in range(count)]
        self.sent += count
        with self.server.client() as client:
            answer = client.post("/api/v1/events", json=events)
        if answer.status_code == 202:
            self.costs |= {one["event_id"]: one["cost"]["total"] for one in answer.json()["events"]}
        return answer

    def is_taken(self) -> bool:
        """Whether the next events are acknowledged."""
        return self.send().status_code == 202


def is_ready(server: ServerProcess) -> bool:
    with server.client() as client:
        return client.get("/ready").is_success


def status(server: ServerProcess) -> dict[str, Any]:
    with server.client() as client:
        return client.get("/control/status").raise_for_status().json()


def has_tried(server: ServerProcess) -> bool:
    """Whether all is applied, or the applier has met the full disk."""
    found = status(server)
    return found["failing"] is not None or found["applied_seq"] >= found["durable_seq"]


def assert_ties_out(server: ServerProcess, costs: dict[str, str]) -> None:
    """Everything acknowledged is there, once, at its cost; and nothing else but what was sent."""
    wait_until(lambda: is_ready(server), "the server is ready again")
    server.wait_until_applied()
    assert stored_costs(server).items() >= costs.items()
    recount = server.verify()
    assert recount["is_clean"], recount["differences"]


def test_with_too_little_room_events_are_refused_before_any_is_accepted_until_there_is_room(
    disk: SmallDisk,
) -> None:
    with server_process(disk.mount_point / "data", disk, min_free_disk_bytes=RESERVE) as server:
        server.start()
        sender = Sender(server)
        assert sender.is_taken()
        server.wait_until_applied()
        durable_seq = status(server)["durable_seq"]

        disk.leave_only(RESERVE - MIB)
        wait_until(lambda: not is_ready(server), "the server sees the full disk")
        refused = [sender.send() for _ in range(5)]
        for answer in refused:
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["code"] == "disk_full"
        assert status(server)["durable_seq"] == durable_seq
        # Questions are still answered.
        assert stored_costs(server) == sender.costs

        disk.make_room()
        wait_until(sender.is_taken, "events are taken again")
        assert_ties_out(server, sender.costs)
        assert server.stop() == 0


def test_a_disk_that_is_full_to_the_last_byte_loses_nothing_acknowledged(disk: SmallDisk) -> None:
    with server_process(
        disk.mount_point / "data", disk, min_free_disk_bytes=0, segment_bytes=64 * 1024
    ) as server:
        server.start()
        sender = Sender(server)
        assert sender.is_taken()
        server.wait_until_applied()

        refusals = 0
        for free in FREE_BYTES:
            disk.leave_only(free)
            statuses = [sender.send(10).status_code]
            assert set(statuses) <= {202, httpx.codes.SERVICE_UNAVAILABLE}
            refusals += statuses.count(httpx.codes.SERVICE_UNAVAILABLE)
            wait_until(lambda: has_tried(server), "the applier has tried")
            disk.make_room()
            server.wait_until_applied()
        assert refusals > 0
        assert [line for line in server.log if line["event"].startswith("applying failed")]

        wait_until(sender.is_taken, "events are taken again")
        assert_ties_out(server, sender.costs)

        disk.leave_only(0)
        sender.send(200)
        server.kill()
        disk.make_room()
        server.start()
        assert_ties_out(server, sender.costs)
