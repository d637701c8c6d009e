"""A job asks for the permission of the act that it does: `jobs:write` alone lets nobody erase or re-price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar.identity.permissions import Permission
from tests.support.patience import wait_until

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

SCHEDULER = "/api/v1/scheduler"
NEEDED = {
    "retention": Permission.USAGE_ERASE,
    "billing": Permission.BILLING_WRITE,
    "seats": Permission.BILLING_WRITE,
    "void": Permission.USAGE_WRITE,
    "erase": Permission.USAGE_ERASE,
    "reprice": Permission.PRICES_WRITE,
    "reset": Permission.USAGE_ERASE,
    "delete_tenant": Permission.TENANTS_WRITE,
    "delete_project": Permission.USAGE_ERASE,
}


@pytest.fixture
def tenant_id(server: RunningServer) -> str:
    return str(server.client.post("/api/v1/tenants", json={}).json()["id"])


def key_with(server: RunningServer, tenant_id: str, *scopes: str) -> dict[str, str]:
    body = {"label": "jobs", "scopes": list(scopes), "tenant_id": tenant_id}
    return {"X-API-Key": server.client.post("/api/v1/keys", json=body).json()["key"]}


def test_every_job_for_tenants_says_what_it_asks_for(server: RunningServer) -> None:
    jobs = server.platform.runner.jobs.values()
    assert {job.id: job.permission for job in jobs if job.for_tenants} == NEEDED


@pytest.mark.parametrize("job_id", sorted(NEEDED))
def test_starting_jobs_alone_starts_none(server: RunningServer, tenant_id: str, job_id: str) -> None:
    key = key_with(server, tenant_id, "jobs:read", "jobs:write")
    assert server.stranger.get(f"{SCHEDULER}/jobs/{job_id}", headers=key).status_code == 200
    refused = server.stranger.post(f"{SCHEDULER}/jobs/{job_id}/trigger", headers=key)
    assert refused.status_code == 403
    if NEEDED[job_id] is not Permission.TENANTS_WRITE:
        assert NEEDED[job_id] in refused.json()["detail"]
    assert server.stranger.get(f"{SCHEDULER}/history", headers=key).json()["items"] == []


def test_who_may_do_it_otherwise_may_do_it_by_a_job(server: RunningServer, tenant_id: str) -> None:
    key = key_with(server, tenant_id, "jobs:write", "usage:erase")
    assert server.stranger.post(f"{SCHEDULER}/jobs/retention/trigger", headers=key).status_code == 202
    refused = server.stranger.post(f"{SCHEDULER}/jobs/billing/trigger", headers=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


def test_a_run_is_cancelled_only_by_who_might_have_started_it(server: RunningServer, tenant_id: str) -> None:
    admin = key_with(server, tenant_id, "admin")
    run_id = server.stranger.post(f"{SCHEDULER}/jobs/retention/trigger", headers=admin).json()["id"]
    cancel = f"{SCHEDULER}/runs/{run_id}/cancel"
    refused = server.stranger.post(cancel, headers=key_with(server, tenant_id, "jobs:read", "jobs:write"))
    assert refused.status_code == 403
    assert "usage:erase" in refused.json()["detail"]

    def has_ended() -> bool:
        found = server.stranger.get(f"{SCHEDULER}/runs/{run_id}", headers=admin).json()
        return found["state"] == "succeeded"

    wait_until(has_ended, "the run has ended")
