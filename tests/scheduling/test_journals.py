"""Servers with folders of their own on one state store: each carries out what it was asked for itself."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar.scheduling.job import Cron
from bursar.scheduling.run import Ending, Run, RunState
from bursar.scheduling.runner import JobRunner
from bursar.scheduling.runner_values import RunnerOptions
from bursar.scheduling.store import RunAsk
from bursar.storage.relational.leases import RelationalLease
from bursar.storage.relational.runs import RelationalSchedulerStore, adopt_runs
from tests.support.jobs import House, a_job
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from pathlib import Path

    from bursar.scheduling.job import Job
    from tests.support.relational import PostgresServer


def runner_on(house: House, journal_id: str, *jobs: Job) -> JobRunner:
    store = RelationalSchedulerStore(house.engine, journal_id)
    options = RunnerOptions(place=journal_id, now=house.clock.now, monotonic=house.clock.monotonic)
    lease = RelationalLease(house.engine, f"scheduler {journal_id}")
    house.runners.append(JobRunner(jobs, store, lease, options))
    return house.runners[-1]


def ended(runner: JobRunner, run: Run) -> Run:
    def is_settled() -> bool:
        runner.pulse()
        return runner.run(run.id).finished_at is not None

    wait_until(is_settled, "the run has ended")
    return runner.run(run.id)


def test_a_run_is_carried_out_only_where_it_was_asked_for_and_shown_everywhere(house: House) -> None:
    here, there = house.gate(), house.gate()
    here.opened.set()
    there.opened.set()
    mine = runner_on(house, "mine", a_job(work=here.work))
    other = runner_on(house, "other", a_job(work=there.work))
    run = mine.enqueue("sweep")
    other.pulse()
    other.pulse()
    assert (run.journal_id, other.run(run.id).state, there.seen) == ("mine", RunState.QUEUED, [])
    assert (mine.counts(None).total(), other.counts(None).total()) == (1, 0)
    assert ended(mine, run).state is RunState.SUCCEEDED
    assert [one.journal_id for one in other.runs(RunAsk()).runs] == ["mine"]
    assert (list(mine.last_runs(None)), list(other.last_runs(None))) == (["sweep"], [])


def test_both_run_at_the_same_time_and_neither_takes_the_others_for_left_behind(house: House) -> None:
    gates = house.gate(), house.gate()
    mine = runner_on(house, "mine", a_job(work=gates[0].work))
    other = runner_on(house, "other", a_job(work=gates[1].work))
    runs = mine.enqueue("sweep"), other.enqueue("sweep")
    for runner in (mine, other, mine, other):
        runner.pulse()
    assert all(gate.begun.wait(5) for gate in gates)
    assert [mine.run(run.id).state for run in runs] == [RunState.RUNNING, RunState.RUNNING]
    # Cancelled through the other server, it stops where it runs.
    other.cancel(runs[0].id)
    assert ended(mine, runs[0]).state is RunState.CANCELLED
    gates[1].opened.set()
    assert ended(other, runs[1]).state is RunState.SUCCEEDED


def test_each_keeps_its_own_time(house: House) -> None:
    job = a_job(schedule=Cron("30 3 * * *"))
    mine, other = runner_on(house, "mine", job), runner_on(house, "other", job)
    mine.pulse()
    other.pulse()
    house.clock.at += timedelta(days=1)
    mine.stop()
    mine = runner_on(house, "mine", job)
    mine.pulse()
    assert [run.journal_id for run in mine.runs(RunAsk()).runs] == ["mine"]
    other.stop()
    other = runner_on(house, "other", job)
    other.pulse()
    assert sorted(str(run.journal_id) for run in mine.runs(RunAsk()).runs) == ["mine", "other"]


def test_a_restored_ledger_goes_on_with_the_runs_of_the_one_it_was(house: House) -> None:
    before = RelationalSchedulerStore(house.engine, "before")
    runner = runner_on(house, "before", a_job())
    run = runner.enqueue("sweep")
    before.reckon("sweep", house.clock.at)
    adopt_runs(house.engine, "before", "restored")
    after = RelationalSchedulerStore(house.engine, "restored")
    assert ([one.id for one in after.open_runs()], before.open_runs()) == ([run.id], ())
    assert (after.reckoned(), before.reckoned()) == ({"sweep": house.clock.at}, {})
    assert after.end(run.id, None, Ending(state=RunState.CANCELLED, at=house.clock.at), ())


def send(server: RunningServer, name: str, **more: str) -> None:
    event = {"event_id": name, "model": "gpt-4o-mini", "input_tokens": 10, **more}
    server.client.post("/api/v1/events?wait=applied", json=event).raise_for_status()


def count(server: RunningServer) -> int:
    question: dict[str, Any] = {"measures": ["events"], "window": "all"}
    return server.client.post("/api/v1/query", json=question).raise_for_status().json()["totals"]["events"]


def test_two_servers_on_one_postgresql_reset_each_its_own_usage(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with (
        running_server(tmp_path / "a", database_url=url) as first,
        running_server(tmp_path / "b", database_url=url) as second,
    ):
        for server in (first, second):
            send(server, "the-same-id")
            assert server.platform.runner.state.is_started
        body = {"confirm": "default", "reason": "test data"}
        asked = second.client.request("DELETE", "/api/v1/usage", json=body).raise_for_status().json()
        path = asked["run"]["url"]
        wait_until(lambda: first.client.get(path).json()["finished_at"] is not None, "the reset ends")
        run = first.client.get(path).json()
        journal_id = second.platform.stores.journal.identity.journal_id
        assert (run["state"], run["journal_id"]) == ("succeeded", journal_id)
        assert (count(first), count(second)) == (1, 0)
        assert first.platform.runner.state.holds_lease
        assert second.platform.runner.state.holds_lease


def send_for(server: RunningServer, tenant_id: str) -> None:
    params = {"tenant_id": tenant_id, "wait": "applied"}
    event = {"event_id": "of-acme", "model": "gpt-4o-mini", "input_tokens": 10}
    server.client.post("/api/v1/events", json=event, params=params).raise_for_status()


def rows_of(server: RunningServer, tenant_id: str) -> int:
    with server.platform.stores.cursor() as cursor:
        question = "SELECT count(*) FROM usage_events WHERE tenant_id = ?"
        return int(cursor.execute(question, [tenant_id]).fetchall()[0][0])


def begin_deletion(server: RunningServer, tenant_id: str, **more: bool) -> str:
    body = {"confirm": tenant_id, "reason": "contract ended", **more}
    answer = server.client.request("DELETE", f"/api/v1/tenants/{tenant_id}", json=body)
    return answer.raise_for_status().json()["run"]["url"]


def begin_deletion_of_search(server: RunningServer) -> str:
    body = {"confirm": "search", "reason": "given up"}
    answer = server.client.request("DELETE", "/api/v1/projects/search", json=body)
    return answer.raise_for_status().json()["run"]["url"]


def finished(server: RunningServer, path: str) -> dict[str, Any]:
    wait_until(lambda: server.client.get(path).json()["finished_at"] is not None, "the run ends")
    return server.client.get(path).json()


def test_a_tenant_is_deleted_only_when_every_server_on_its_state_store_has_removed_its_part(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with running_server(tmp_path / "a", database_url=url) as first:
        first.client.post("/api/v1/tenants", json={"id": "acme"}).raise_for_status()
        with running_server(tmp_path / "b", database_url=url) as second:
            for server in (first, second):
                send_for(server, "acme")
            journal_id = second.platform.stores.journal.identity.journal_id
        path = begin_deletion(first, "acme")
        waits = f"waiting for the server on journal {journal_id} to remove its part"
        wait_until(lambda: first.client.get(path).json()["step"] == waits, "the other server is waited for")
        assert rows_of(first, "acme") == 0
        assert first.client.get("/api/v1/tenants/acme").json()["state"] == "suspended"
        with running_server(tmp_path / "b", database_url=url) as second:
            assert finished(first, path)["state"] == "succeeded"
            assert rows_of(second, "acme") == 0
            assert second.client.get("/api/v1/tenants/acme").status_code == 404


def test_a_server_that_is_gone_for_good_is_left_out_on_the_operators_word(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with running_server(tmp_path / "b", database_url=url, scheduler=False) as second:
        second.client.post("/api/v1/tenants", json={"id": "acme"}).raise_for_status()
        send_for(second, "acme")
    with running_server(tmp_path / "a", database_url=url) as first:
        path = begin_deletion(first, "acme", leave_elsewhere=True)
        assert finished(first, path)["state"] == "succeeded"
        assert first.client.get("/api/v1/tenants/acme").status_code == 404


def test_a_deletion_that_waits_for_a_server_gives_way_to_one_that_leaves_it_out(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with running_server(tmp_path / "b", database_url=url, scheduler=False) as second:
        second.client.post("/api/v1/tenants", json={"id": "acme"}).raise_for_status()
    with running_server(tmp_path / "a", database_url=url) as first:
        waiting = begin_deletion(first, "acme")
        wait_until(lambda: "remove its part" in str(first.client.get(waiting).json()["step"]), "it waits")
        begin_deletion(first, "acme")
        path = begin_deletion(first, "acme", leave_elsewhere=True)
        assert finished(first, path)["state"] == "succeeded"
        assert first.client.get("/api/v1/tenants/acme").status_code == 404


def test_a_project_is_deleted_on_every_server_on_its_state_store(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with running_server(tmp_path / "a", database_url=url) as first:
        first.client.post("/api/v1/projects", json={"id": "search", "name": "Search"}).raise_for_status()
        with running_server(tmp_path / "b", database_url=url) as second:
            for server, project_id in itertools.product((first, second), ("search", "ads")):
                send(server, f"of-{project_id}", project_id=project_id)
            run = finished(first, begin_deletion_of_search(first))
            assert run["state"] == "succeeded", run
            for server in (first, second):
                assert [one["event_id"] for one in listed(server)] == ["of-ads"]


@pytest.mark.long
def test_a_server_that_was_down_keeps_its_usage_of_a_project_whose_deletion_was_cancelled(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with running_server(tmp_path / "b", database_url=url) as second:
        second.client.post("/api/v1/projects", json={"id": "search", "name": "Search"}).raise_for_status()
        send(second, "a", project_id="search")
    with running_server(tmp_path / "a", database_url=url) as first:
        path = begin_deletion_of_search(first)
        wait_until(lambda: "remove its part" in str(first.client.get(path).json()["step"]), "it waits")
        first.client.post(f"{path}/cancel").raise_for_status()
        assert finished(first, path)["state"] == "cancelled"
        first.client.patch("/api/v1/projects/search", json={"state": "active"}).raise_for_status()
    with running_server(tmp_path / "b", database_url=url) as second:
        reset = second.platform.runner.last_runs("default")["reset"]
        assert finished(second, f"/api/v1/scheduler/runs/{reset.id}")["state"] == "failed"
        assert [one["event_id"] for one in listed(second)] == ["a"]


def listed(server: RunningServer) -> list[dict[str, Any]]:
    return server.client.get("/api/v1/events", params={"window": "all"}).raise_for_status().json()["items"]
