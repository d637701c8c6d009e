"""Jobs whose process is killed: taken up again where they were, by the next process or by another one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.scheduling.run import RunState
from tests.support.job_process import COUNT, make_counting_runner
from tests.support.jobs import wait_for_state
from tests.support.patience import wait_until
from tests.support.sampled import kills
from tests.support.server import server_process

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import httpx
    from sqlalchemy import Engine

    from tests.support.relational import PostgresServer

UP_TO = 400
PROJECT = "search"


@contextmanager
def counting(url: str, place: str, written: Path) -> Generator[subprocess.Popen[bytes]]:
    """A process of that place which runs jobs; killed at the end of the block."""
    program = [sys.executable, "-m", "tests.support.job_process", url, place, str(written)]
    process = subprocess.Popen(program)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lines_of(written: Path) -> list[tuple[str, int]]:
    lines = written.read_text().splitlines() if written.exists() else []
    return [(place, int(number)) for place, _, number in (line.partition(" ") for line in lines)]


def assert_counted_through(written: Path, *, places: list[str]) -> None:
    """Every number is there, in order; only the one at the moment of the kill may be there twice."""
    lines = lines_of(written)
    assert sorted({place for place, _ in lines}) == places
    numbers = [number for _, number in lines]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, UP_TO + 1))
    assert len(numbers) <= UP_TO + 1


def test_a_run_goes_on_from_what_it_saved_when_its_process_was_killed(
    state_url: str, open_engine: Callable[[str], Engine], tmp_path: Path
) -> None:
    written = tmp_path / "written"
    asking = make_counting_runner(open_engine(state_url), "asking", written)
    run = asking.enqueue(COUNT, parameters={"up_to": UP_TO})
    with counting(state_url, "here", written):
        wait_until(lambda: len(lines_of(written)) > 20, "some are counted")
    killed_at = len(lines_of(written))
    assert killed_at < UP_TO, "it was too quick to be killed"
    with counting(state_url, "here", written):
        ended = wait_for_state(asking, run, RunState.SUCCEEDED)
    assert (ended.attempts, ended.result) == (2, {"counted": UP_TO})
    assert_counted_through(written, places=["here"])


def test_of_two_processes_one_runs_jobs_and_the_other_takes_over_when_it_dies(
    postgres: PostgresServer, open_engine: Callable[[str], Engine], tmp_path: Path
) -> None:
    url, written = postgres.make_migrated(), tmp_path / "written"
    asking = make_counting_runner(open_engine(url), "asking", written)
    with counting(url, "a", written) as first:
        wait_until(lambda: asking._lease._store.look() is not None, "the first process leads")
        with counting(url, "b", written):
            run = asking.enqueue(COUNT, parameters={"up_to": UP_TO})
            wait_until(lambda: len(lines_of(written)) > 20, "some are counted")
            first.kill()
            first.wait()
            assert {place for place, _ in lines_of(written)} == {"a"}
            ended = wait_for_state(asking, run, RunState.SUCCEEDED)
    assert ended.attempts == 2
    assert_counted_through(written, places=["a", "b"])


def old_events(count: int) -> list[dict[str, Any]]:
    now = clock.now()
    return [
        {
            "event_id": f"event-{number}",
            "provider": "openai",
            "model": "gpt-4o",
            "project_id": PROJECT,
            "time": clock.rfc3339(now - timedelta(days=100 if number % 2 else 1)),
            "input_tokens": 1000,
        }
        for number in range(count)
    ]


def run_of(client: httpx.Client, run_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/api/v1/scheduler/runs/{run_id}").raise_for_status().json()
    return answer


EXPIRIES = {
    "asked": ("asked", "/retention"),
    "running": ("running", "/retention"),
    "journaled": ("journaled", "/retention"),
    "journaled of a project": ("journaled", f"/projects/{PROJECT}/retention"),
}


@pytest.mark.parametrize(("pause", "days_of"), kills(EXPIRIES, always=["journaled of a project"]))
def test_an_expiry_that_is_killed_is_carried_out_after_the_next_start(
    tmp_path: Path, pause: str, days_of: str
) -> None:
    with server_process(tmp_path / "data") as server:
        server.start()
        with server.client() as client:
            client.post("/api/v1/events/import?wait=applied", json=old_events(2000)).raise_for_status()
            client.post("/api/v1/projects", json={"id": PROJECT, "name": PROJECT}).raise_for_status()
            client.put(f"/api/v1{days_of}", json={"events_days": 40}).raise_for_status()
            before = server.counter("bursar_journal_records_total")
            run = client.post("/api/v1/scheduler/jobs/retention/trigger").raise_for_status().json()
            if pause == "running":
                wait_until(lambda: run_of(client, run["id"])["state"] != "queued", "it runs")
            if pause == "journaled":
                wait_until(lambda: server.counter("bursar_journal_records_total") > before, "it is journaled")
        server.kill()
        server.start()
        with server.client() as client:
            wait_until(lambda: run_of(client, run["id"])["finished_at"] is not None, "the run has ended")
            ended = run_of(client, run["id"])
            assert ended["state"] == "succeeded"
            assert [one["events"] for one in ended["result"]["expired"]] == [1000], "whichever attempt did it"
            assert ended["result"]["renewed"]
            assert client.get("/api/v1/events/event-1").status_code == 404
            assert client.get("/api/v1/events/event-2").status_code == 200
            totals = client.get("/api/v1/cost/summary", params={"days": 365}).json()
            assert totals["total_transactions"] == 2000
        assert server.verify()["is_clean"]
