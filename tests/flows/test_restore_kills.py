"""A restore that is killed at any moment: there is no ledger yet, or a whole one; never half of one."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from bursar.cli.main import app as command_line
from tests.cli.command_line import bursar
from tests.support.aim import Aim, take_aim
from tests.support.child import Child
from tests.support.patience import wait_until
from tests.support.sampled import kills
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EVENTS = 40
_RESTORE = "bursar.app.restore"
NOT_YET = [
    Aim("the files are copied", f"{_RESTORE}:_copy_files", "after"),
    Aim("the journal is another one", "bursar.storage.journal.adopting:adopt_journal", "after"),
    Aim("the journal goes on far behind", f"{_RESTORE}:adopt_copy", "after"),
    Aim("the store is the new journal's", f"{_RESTORE}:adopt_store", "after"),
    Aim("the state store is filled, its runs as they were", f"{_RESTORE}:restore_state", "after"),
    Aim("everything is there, under another name", f"{_RESTORE}:_move", "before"),
]
THERE = (
    Aim("the folder has its name, not durably", f"{_RESTORE}:sync_folder", "before"),
    Aim("the folder has its name", f"{_RESTORE}:_move", "after"),
    Aim("the store is open", f"{_RESTORE}:open_stores", "after"),
    Aim("everything is compared", f"{_RESTORE}:_recount", "after"),
)


def restore_and_die(aim: Aim, backup: str, data: str) -> None:
    """What the child does."""
    take_aim(aim, 1)
    command_line(["restore", backup, "--data", data], prog_name="bursar")


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with a tail that its copy of the store doesn't have."""
    folder = tmp_path_factory.mktemp("original")
    with running_server(folder / "data") as server:
        events = [{"event_id": f"e-{n}", "model": "gpt-4o-mini", "input_tokens": n} for n in range(EVENTS)]
        server.client.post("/api/v1/events?wait=applied", json=events).raise_for_status()
        assert bursar("backup", folder / "backup", "--data", folder / "data").code == 0
    return folder / "backup"


def kill(backup: Path, data: Path, aim: Aim) -> None:
    """Restore in a process that dies at the moment."""
    child = Child(data.with_suffix(".out"), data.with_suffix(".err")).start(
        restore_and_die, aim, str(backup), str(data)
    )
    wait_until(lambda: not child.is_alive(), aim.name)
    assert child.exitcode == -signal.SIGKILL, data.with_suffix(".err").read_text()
    child.close()


def events_in(data: Path) -> int:
    """How many events a server has there, after a recount that finds nothing wrong."""
    with running_server(data) as server:
        recount = server.platform.stores.recount(lambda _step, _records: None)
        assert recount.is_clean, recount.differences
        assert server.client.post("/api/v1/events?wait=applied", json={"model": "m"}).status_code == 200
        return recount.events


@pytest.mark.timeout(300)
@pytest.mark.parametrize("moments", kills({"some": NOT_YET[::2], "all": NOT_YET}, always=["some"]))
def test_a_restore_killed_before_it_is_whole_has_made_no_ledger_and_can_be_made_again(
    backup: Path, tmp_path: Path, moments: Sequence[Aim]
) -> None:
    data = tmp_path / "data"
    for aim in moments:
        kill(backup, data, aim)
        assert not data.exists(), aim.name
    done = bursar("restore", backup, "--data", data, "--json")
    assert (done.code, done.json["recount"]["events"]) == (0, EVENTS)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["data"]
    assert events_in(data) == EVENTS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("aim", kills({aim.name: aim for aim in THERE}, always=["the folder has its name"]))
def test_a_restore_killed_once_the_ledger_has_its_name_has_made_a_whole_one(
    backup: Path, tmp_path: Path, aim: Aim
) -> None:
    data = tmp_path / "data"
    kill(backup, data, aim)
    again = bursar("restore", backup, "--data", data)
    assert (again.code, "isn't empty" in again.err) == (1, True)
    assert events_in(data) == EVENTS
