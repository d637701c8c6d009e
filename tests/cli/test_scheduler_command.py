"""`bursar scheduler`: against a running server and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cli.command_line import bursar
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from pathlib import Path


def test_a_job_is_triggered_and_its_run_found_in_the_history(server: RunningServer) -> None:
    data = ("--data", server.platform.folder.path)
    ran = bursar("scheduler", "trigger", "compaction", *data, "--json")
    assert (ran.code, ran.json["state"], ran.json["asked_by"]) == (0, "succeeded", "socket")
    listed = bursar("scheduler", "history", "--job", "compaction", *data, "--json")
    assert ran.json["id"] in [run["id"] for run in listed.json]
    shown = bursar("scheduler", "run", ran.json["id"], *data)
    assert (shown.code, "succeeded" in shown.out) == (0, True)
    cancelled = bursar("scheduler", "cancel", ran.json["id"], *data)
    assert (cancelled.code, "ended already" in cancelled.err) == (1, True)


def test_jobs_times_status_and_health_are_told(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    with running_server(tmp_path / "data", scheduler=True):
        jobs = bursar("scheduler", "jobs", *data)
        assert (jobs.code, "compaction" in jobs.out, "every 300 s" in jobs.out) == (0, True, True)
        assert "compaction" in bursar("scheduler", "next", *data).out
        wait_until(lambda: _status(data)["holds_lease"] is True, "the process has the lease")
        assert bursar("scheduler", "health", *data, "--json").json == {"status": "healthy", "details": []}


def _status(data: tuple[object, ...]) -> dict[str, Any]:
    return bursar("scheduler", "status", *data, "--json").json


def test_what_is_wrong_is_said_in_one_line(server: RunningServer) -> None:
    data = ("--data", server.platform.folder.path)
    unknown = bursar("scheduler", "trigger", "nonsense", *data)
    assert (unknown.code, unknown.err) == (1, "bursar: There is no job 'nonsense'.\n")
    refused = bursar("scheduler", "trigger", "compaction", "--param", "deep=true", *data)
    assert (refused.code, "there is no such parameter" in refused.err) == (1, True)
    assert bursar("scheduler", "trigger", "compaction", "--param", "deep", *data).code == 2


def test_without_a_server_a_job_runs_in_the_command_itself_and_nothing_else_does(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_server(folder):
        pass
    ran = bursar("scheduler", "trigger", "compaction", "--data", folder, "--json")
    assert (ran.code, ran.json["state"]) == (0, "succeeded")
    listed = bursar("scheduler", "history", "--data", folder, "--json")
    assert [run["id"] for run in listed.json] == [ran.json["id"]]
