"""A disk too full for DuckDB's checkpoint: the database gives itself up, and comes back with the room.

The whole program runs in a child process on a small disk; the checkpoint that large amounts of data
would cause is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.support.child import Child
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.used_folder import an_event

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20
EVENTS = 2000


def test_a_store_that_could_not_checkpoint_is_used_again_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 * MIB) as disk:
        Child(tmp_path / "output", tmp_path / "errors", disk).run(fill_and_make_room, disk)


def fill_and_make_room(disk: SmallDisk) -> None:
    """Runs in the child."""
    with running_server(disk.mount_point / "data", min_free_disk_bytes=0, log_level="error") as server:
        send(server, 0)
        wait_until(lambda: is_applied(server), "the events are applied")
        disk.leave_only(1 * MIB)
        with pytest.raises(duckdb.Error, match="has been invalidated"):
            server.platform.stores.database.execute("CHECKPOINT usage")
        (disk.mount_point / "filler").unlink()

        send(server, EVENTS)
        wait_until(lambda: is_applied(server), "the events are applied")
        assert server.client.get("/ready").is_success
        assert server.platform.applier.state.errors > 0
        listed = server.client.get("/api/v1/usage", params={"window": "all"}).raise_for_status().json()
        assert listed["total_count"] == 2 * EVENTS
        assert server.platform.stores.recount(lambda _step, _records: None).is_clean


def send(server: RunningServer, first: int) -> None:
    events = [an_event(first + i) for i in range(EVENTS)]
    server.client.post("/api/v1/events", json=events).raise_for_status()


def is_applied(server: RunningServer) -> bool:
    platform = server.platform
    return platform.applier.state.applied_seq >= platform.journal.mark.last_seq
