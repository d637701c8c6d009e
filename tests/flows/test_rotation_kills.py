"""A rotation of encryption keys that is killed at any moment: every secret opens, the next one ends it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from bursar.cli.main import app as command_line
from bursar.identity.credentials.master_keys import new_key_text, read_keys
from tests.cli.command_line import bursar
from tests.support.aim import Aim, take_aim
from tests.support.child import Child
from tests.support.patience import wait_until
from tests.support.sampled import kills
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = 7
FEW = {"bursar.identity.credentials.vault:BATCH": 2}
_RESEAL = "bursar.storage.relational.credentials:RelationalCredentials.reseal"
MOMENTS = (
    (Aim("nothing is sealed anew", _RESEAL, "before", FEW), 1, 0),
    (Aim("the first batch is", _RESEAL, "after", FEW), 1, 2),
    (Aim("the third batch is only in memory", _RESEAL, "before", FEW), 3, 4),
    (Aim("everything is, and nobody was told", _RESEAL, "after", FEW), 4, 7),
)


def rotate_and_die(aim: Aim, call: int, data: str, keys: str) -> None:
    """What the child does."""
    os.environ["BURSAR_ENCRYPTION_KEY"] = keys
    take_aim(aim, call)
    command_line(["secrets", "rotate", "--data", data], prog_name="bursar")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("aim", "call", "done"),
    kills({one[0].name: one for one in MOMENTS}, always=["the third batch is only in memory"]),
)
def test_a_rotation_that_is_killed_is_ended_by_the_next_and_then_the_old_key_can_go(
    aim: Aim, call: int, done: int, tmp_path: Path
) -> None:
    old, new = new_key_text(), new_key_text()
    old_id, new_id = (read_keys(text, "here")[0].id for text in (old, new))
    data = tmp_path / "data"
    with running_server(data, encryption_key=old) as server:
        for number in range(SECRETS):
            body = {"provider": "openai", "name": str(number), "secret": f"secret {number}"}
            server.client.post("/api/v1/credentials", json=body).raise_for_status()
    both = f"{new},{old}"
    child = Child(tmp_path / "out", tmp_path / "err").start(rotate_and_die, aim, call, str(data), both)
    wait_until(lambda: not child.is_alive(), aim.name)
    assert child.exitcode == -signal.SIGKILL, (tmp_path / "err").read_text()
    child.close()
    with running_server(data, encryption_key=both) as server:
        counted = {key["key_id"]: key["secrets"] for key in bursar_keys(data)}
        assert counted == {new_id: done, old_id: SECRETS - done}
        assert bursar("secrets", "check", "--data", data).out == f"All {SECRETS} secrets open.\n"
        ended = bursar("secrets", "rotate", "--data", data, "--json").json
        assert ended == {"key_id": new_id, "rotated": SECRETS - done, "left": 0}
    with running_server(data, encryption_key=new) as server:
        assert [key["key_id"] for key in bursar_keys(data)] == [new_id]
        for one in server.client.get("/api/v1/credentials").json()["items"]:
            revealed = server.platform.vault.reveal("default", one["id"], "a test")
            assert revealed.get_secret_value() == f"secret {one['name']}"


def bursar_keys(data: Path) -> list[dict[str, str]]:
    return bursar("secrets", "list", "--data", data, "--json").json
