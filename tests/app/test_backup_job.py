"""The job `backup`: what it may be asked for, who may ask, and what `BURSAR_BACKUP_DIR` schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar.storage.backup_folder import load_backup
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from pathlib import Path

TRIGGER = "/api/v1/scheduler/jobs/backup/trigger"


def ended(server: RunningServer, run_id: str) -> dict[str, Any]:
    """The run, once it has ended."""

    def look() -> dict[str, Any]:
        return server.client.get(f"/api/v1/scheduler/runs/{run_id}").raise_for_status().json()

    wait_until(lambda: look()["state"] not in {"queued", "running"}, "the run ends")
    return look()


@pytest.mark.parametrize(
    ("parameters", "codes"),
    [
        ({}, {"required"}),
        ({"directory": "backup"}, {"not_absolute"}),
        ({"directory": 7, "without_store": "no"}, {"not_absolute", "not_a_boolean"}),
        ({"directory": "/backup", "speed": "high"}, {"unknown_parameter"}),
    ],
)
def test_wrong_parameters_are_refused_with_every_reason(
    tmp_path: Path, parameters: dict[str, Any], codes: set[str]
) -> None:
    with running_server(tmp_path / "data") as server:
        answer = server.client.post(TRIGGER, json={"parameters": parameters})
    assert answer.status_code == 422
    assert {reason["code"] for reason in answer.json()["errors"]} == codes


def test_only_the_operator_may_ask_for_a_backup(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        key = server.client.post("/api/v1/keys", json={"label": "admin", "scopes": ["admin"]}).json()["key"]
        asked = {"parameters": {"directory": str(tmp_path / "backup")}}
        answer = server.stranger.post(TRIGGER, json=asked, headers={"X-API-Key": key})
    assert answer.status_code in {403, 404}
    assert not (tmp_path / "backup").exists()


def test_a_folder_in_the_settings_schedules_it_and_needs_no_parameter(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", backup_dir=tmp_path / "backup", scheduler=True) as server:
        job = server.client.get("/api/v1/scheduler/jobs/backup").raise_for_status().json()
        assert job["next_run_at"] is not None
        run = server.client.post(TRIGGER).raise_for_status().json()
        done = ended(server, run["id"])
    assert done["state"] == "succeeded", done["error"]
    assert done["result"]["run"] == load_backup(tmp_path / "backup").run


def test_without_a_folder_it_has_no_schedule(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", scheduler=True) as server:
        job = server.client.get("/api/v1/scheduler/jobs/backup").raise_for_status().json()
    assert job["next_run_at"] is None


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with running_server(tmp_path / "data") as server:
        run = server.client.post(TRIGGER, json={"parameters": {"directory": str(tmp_path / "file" / "b")}})
        done = ended(server, run.raise_for_status().json()["id"])
    assert done["state"] == "failed"
    assert "Not a directory" in done["error"]
