"""A tenant's life: deleted while something is under way, made again under the same id, inheriting nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.scheduling.job import RunStopped, Stopped
from bursar.scheduling.live_run import LiveRun
from bursar.scheduling.run import Run, RunState, Trigger, make_run_id
from bursar.storage.journal.holding import hold_archive
from bursar.storage.relational.runs import RelationalSchedulerStore
from bursar.usage.revising.deletion import DELETE_JOB
from bursar.usage.revising.resetting import RESET_JOB
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx

EVENTS, RUNS = "/api/v1/events", "/api/v1/scheduler/runs"
WHY = "contract ended"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


class Tenant:
    """A tenant that is made and deleted, as the operator does it."""

    def __init__(self, operator: httpx.Client, tenant_id: str) -> None:
        self.operator, self.id = operator, tenant_id
        self.make()

    def make(self) -> None:
        assert self.operator.post("/api/v1/tenants", json={"id": self.id}).status_code == 201

    def send(self, event_id: str) -> None:
        event = {"event_id": event_id, "model": "gpt-4o-mini", "input_tokens": 1}
        params = {"wait": "applied", "tenant_id": self.id}
        assert self.operator.post(EVENTS, json=event, params=params).status_code == 200

    def has(self, event_id: str) -> bool:
        params = {"tenant_id": self.id}
        return self.operator.get(f"{EVENTS}/{event_id}", params=params).status_code == 200

    def begin_deletion(self) -> str:
        """Ask for it; the path of its run."""
        body = {"confirm": self.id, "reason": WHY}
        answer = self.operator.request("DELETE", f"/api/v1/tenants/{self.id}", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["run"]["url"]

    def ended(self, url: str) -> dict[str, Any]:
        wait_until(lambda: self.operator.get(url).json()["finished_at"] is not None, "the run ends")
        return self.operator.get(url).json()

    def change(self, **what: str) -> httpx.Response:
        return self.operator.patch(f"/api/v1/tenants/{self.id}", json=what)


@contextmanager
def a_deletion_at_work(server: RunningServer, tenant: Tenant) -> Generator[str]:
    """A deletion that waits for a reader of the archive until the block ends; the path of its run."""
    with hold_archive(server.platform.folder.journal):
        url = tenant.begin_deletion()
        waits = "waiting until a replay is done with the archive, s"
        wait_until(lambda: server.client.get(url).json()["step"] == waits, "the deletion waits")
        yield url


def a_run_at_work(server: RunningServer, tenant: Tenant, job_id: str) -> LiveRun:
    """A run of the tenant that has begun, in nobody's thread yet; this server's runner leaves it alone."""
    platform = server.platform
    store = RelationalSchedulerStore(platform.engine, "another journal")
    run = Run(
        id=make_run_id(clock.now()),
        job_id=job_id,
        tenant_id=tenant.id,
        state=RunState.QUEUED,
        trigger=Trigger.REQUEST,
        asked_by=None,
        parameters={"reason": WHY},
        created_at=clock.now(),
    )
    begun = store.begin(store.add(run).id, "a test", clock.now())
    assert begun is not None
    return LiveRun(begun, platform.runner.job(job_id), store, "a test", time.monotonic)


def a_run_of_a_former_life(server: RunningServer, tenant: Tenant, job_id: str) -> LiveRun:
    """A run that had begun when its tenant was deleted; one of the same id was made since, and has sent."""
    tenant.send("of-the-first")
    former = a_run_at_work(server, tenant, job_id)
    assert tenant.ended(tenant.begin_deletion())["state"] == "succeeded"
    tenant.make()
    tenant.send("of-the-second")
    return former


def test_a_tenant_that_is_being_deleted_cant_be_resumed(server: RunningServer) -> None:
    tenant = Tenant(server.client, "resumed-too-late")
    tenant.send("a")
    with a_deletion_at_work(server, tenant) as url:
        refused = tenant.change(state="active")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert [one["code"] for one in refused.json()["errors"]] == ["being_deleted"]
        assert "is being deleted" in refused.json()["detail"]
        assert tenant.change(name="Another name").json()["state"] == "suspended"
    assert tenant.ended(url)["state"] == "succeeded"
    assert tenant.change(state="active").status_code == 404


def test_a_tenant_whose_deletion_was_cancelled_can_be_resumed(server: RunningServer) -> None:
    tenant = Tenant(server.client, "resumed-in-time")
    tenant.send("a")
    with a_deletion_at_work(server, tenant) as url:
        server.client.post(f"{url}/cancel")
        assert tenant.ended(url)["state"] == "cancelled"
    assert tenant.change(state="active").json()["state"] == "active"


def test_what_was_to_be_done_to_a_deleted_tenant_isnt_done_to_the_next_of_its_id(
    server: RunningServer,
) -> None:
    tenant = Tenant(server.client, "made-again")
    former = a_run_of_a_former_life(server, tenant, RESET_JOB)
    with pytest.raises(RunStopped) as stopped:
        former.job.work(former)
    assert stopped.value.why is Stopped.LOST
    assert tenant.has("of-the-second")


def test_a_deletion_that_goes_on_after_a_crash_leaves_the_next_tenant_of_its_id_alone(
    server: RunningServer,
) -> None:
    tenant = Tenant(server.client, "deleted-once")
    former = a_run_of_a_former_life(server, tenant, DELETE_JOB)
    nothing: dict[str, Any] = {"events": 0, "keys": 0, "projects": 0, "rows_left": {}, "reason": WHY}
    assert former.job.work(former) == nothing
    assert tenant.has("of-the-second")


def test_runs_of_a_former_tenant_are_shown_to_the_operator_alone(server: RunningServer) -> None:
    operator = server.client
    tenant = Tenant(operator, "shown-no-more")
    url = tenant.begin_deletion()
    assert tenant.ended(url)["state"] == "succeeded"
    tenant.make()
    params = {"tenant_id": tenant.id}
    made = operator.post("/api/v1/keys", json={"label": "a", "scopes": ["admin"]}, params=params)
    theirs: str = made.json()["key"]
    for key in (theirs, operator.headers["X-API-Key"]):
        headers = {"X-API-Key": key}
        assert server.stranger.get(url, params=params, headers=headers).status_code == 404
        history = server.stranger.get("/api/v1/scheduler/history", params=params, headers=headers)
        assert history.json()["items"] == []
        jobs = server.stranger.get("/api/v1/scheduler/jobs", params=params, headers=headers).json()["items"]
        assert all(job["last_run"] is None for job in jobs)
    assert operator.get(url).json()["tenant_id"] == tenant.id
