"""Erasing a person and resetting a tenant, killed again and again: the job goes on until it is done.

Each round kills the server a little later, so that every step of the job is hit; whatever is half done,
the books tie out at each start, and at the end nobody finds the person.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.flows.test_forget_story import OTHERS, PERSON, PROJECT, by_user, holding, send_usage, totals
from tests.support.aim import Aim, take_aim
from tests.support.patience import wait_until
from tests.support.server import server_process

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

MOMENTS = (0.1, 0.4, 0.8, 1.3)
"""Seconds after a start: the job takes one to three on an idle machine. A run that five processes didn't
survive is given up by the runner, so there is one kill less."""
BEFORE_THE_END = Aim(
    "the erasure is done, its run still open", "bursar.storage.relational.runs:RelationalRuns.end", "before"
)
WHY = "asked to be forgotten"


def kill_at_every_moment(folder: Path, ask: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Begin a job, kill the server after each of the moments; the run once it has ended, and the files."""
    with server_process(folder) as server:
        server.start()
        with server.client() as client:
            send_usage(client)
            before = totals(client)
            url = client.request(**ask).raise_for_status().json()["run"]["url"]
        for moment in MOMENTS:
            at = time.monotonic() + moment
            wait_until(lambda at=at: time.monotonic() >= at, "the moment has come")
            server.kill()
            server.start()
        with server.client() as client:
            wait_until(lambda: client.get(url).json()["finished_at"] is not None, "the job ends")
            run = client.get(url).json()
            after = totals(client)
            assert by_user(client, PERSON) == 0
            check_totals(client, run["job_id"], before, after)
        recount = server.verify()
        assert recount["is_clean"], recount["differences"]
        server.stop()
    return run, holding(folder, PERSON)


def check_totals(client: httpx.Client, job_id: str, before: object, after: object) -> None:
    if job_id == "erase":
        assert after == before
    else:
        listed = client.get("/api/v1/events", params={"total_count": True}).json()
        assert listed["total_count"] == (OTHERS if job_id == "delete_project" else 0)


@pytest.mark.kills
@pytest.mark.timeout(300)
def test_an_erasure_survives_kills_at_any_step(tmp_path: Path) -> None:
    body = {"identifiers": [PERSON], "reason": WHY}
    ask = {"method": "POST", "url": "/api/v1/erasures", "json": body}
    run, left = kill_at_every_moment(tmp_path / "data", ask)
    assert run["state"] == "succeeded", run
    assert (run["result"]["left"], left) == (0, [])


@pytest.mark.kills
@pytest.mark.timeout(300)
def test_a_reset_survives_kills_at_any_step(tmp_path: Path) -> None:
    body = {"confirm": "default", "reason": "start anew"}
    ask = {"method": "DELETE", "url": "/api/v1/usage", "json": body}
    run, left = kill_at_every_moment(tmp_path / "data", ask)
    assert (run["state"], left) == ("succeeded", [])


@pytest.mark.kills
@pytest.mark.timeout(300)
def test_the_deletion_of_a_project_survives_kills_at_any_step(tmp_path: Path) -> None:
    body = {"confirm": PROJECT, "reason": "given up"}
    ask = {"method": "DELETE", "url": f"/api/v1/projects/{PROJECT}", "json": body}
    run, left = kill_at_every_moment(tmp_path / "data", ask)
    assert (run["state"], set(run["result"]["rows_left"].values())) == ("succeeded", {0})
    assert left == []


@pytest.mark.timeout(300)
def test_an_erasure_whose_end_was_not_written_is_looked_at_again(tmp_path: Path) -> None:
    with server_process(tmp_path / "data") as server:
        server.start(partial(take_aim, BEFORE_THE_END, 1))
        with server.client() as client:
            send_usage(client)
            body = {"identifiers": [PERSON], "reason": WHY}
            asked = client.post("/api/v1/erasures", json=body).raise_for_status().json()
        wait_until(lambda: server.was_killed, BEFORE_THE_END.name)
        server.kill()
        server.start()
        with server.client() as client:
            url = asked["run"]["url"]
            wait_until(lambda: client.get(url).json()["finished_at"] is not None, "the job ends")
            run = client.get(url).json()
        server.stop()
    assert (run["state"], run["attempts"], run["result"]["left"]) == ("succeeded", 2, 0)
    assert holding(tmp_path / "data", PERSON) == []
