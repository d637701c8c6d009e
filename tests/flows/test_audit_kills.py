"""Killed in the middle of an act: whatever was done has an entry, and the audit log is whole afterwards."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.aim import Aim, take_aim
from tests.support.patience import wait_until
from tests.support.sampled import kills
from tests.support.server import server_process

if TYPE_CHECKING:
    from pathlib import Path

APPEND = "bursar.storage.relational.audit:RelationalAudit.append"
MOMENTS = (
    Aim("nothing is announced yet", APPEND, "before"),
    Aim("an entry is durable, nobody remembers it elsewhere", APPEND, "after"),
    Aim("an act is announced, nothing is done", "bursar.identity.api:new_key", "before"),
    Aim(
        "a key is made, that isn't concluded",
        "bursar.storage.relational.keys:RelationalKeys.add_key",
        "after",
    ),
)


@pytest.mark.parametrize(
    "aim", kills({aim.name: aim for aim in MOMENTS}, always=["a key is made, that isn't concluded"])
)
def test_a_kill_leaves_no_act_without_an_entry(aim: Aim, tmp_path: Path) -> None:
    acknowledged: list[str] = []
    with server_process(tmp_path / "data") as server:
        server.start()
        server.stop()
        for call in (3, 4):
            server.start(partial(take_aim, aim, call))
            with server.client() as client, suppress(httpx.TransportError):
                for number in range(20):
                    made = client.post("/api/v1/keys", json={"label": f"{call}-{number}", "scopes": ["read"]})
                    acknowledged.append(made.raise_for_status().json()["id"])
            wait_until(lambda: server.has_ended, "the server is killed")
            assert server.was_killed
            server.kill()
        server.start()
        with server.client() as client:
            verdict = client.get("/api/v1/audit/verify").raise_for_status().json()
            assert verdict["is_clean"], verdict
            entries = client.get("/api/v1/audit", params={"act": "key.create"}).json()["items"]
            keys = client.get("/api/v1/keys").json()["items"]
        server.stop()
    assert acknowledged
    assert set(acknowledged) <= {one["target"] for one in entries if one["outcome"] == "done"}
    begun = {one["asked"]["label"] for one in entries if one["outcome"] == "begun"}
    assert {key["label"] for key in keys if "-" in key["label"]} <= begun
