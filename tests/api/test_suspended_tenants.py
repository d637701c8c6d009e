"""A suspended tenant: its usage is refused by name, whoever sends it; what it has stays readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

EVENTS = "/api/v1/events"
EVENT = {"model": "gpt-4o-mini", "input_tokens": 1}


@pytest.fixture
def tenant_id(server: RunningServer) -> str:
    return server.client.post("/api/v1/tenants", json={}).json()["id"]


def key_of(server: RunningServer, tenant_id: str) -> dict[str, str]:
    made = server.client.post(
        "/api/v1/keys", json={"label": "theirs", "scopes": ["admin"]}, params={"tenant_id": tenant_id}
    )
    return {"X-API-Key": made.json()["key"]}


def set_state(server: RunningServer, tenant_id: str, state: str) -> None:
    changed = server.client.patch(f"/api/v1/tenants/{tenant_id}", json={"state": state})
    assert (changed.status_code, changed.json()["state"]) == (200, state)


def test_a_suspended_tenants_usage_is_refused_until_it_takes_part_again(
    server: RunningServer, tenant_id: str
) -> None:
    key = key_of(server, tenant_id)
    assert server.stranger.post(EVENTS, json=EVENT, headers=key).status_code == 202
    set_state(server, tenant_id, "suspended")
    for path in (EVENTS, f"{EVENTS}/batch", f"{EVENTS}/import"):
        refused = server.stranger.post(path, json=EVENT, headers=key)
        assert (refused.status_code, refused.json()["code"]) == (403, "tenant_suspended")
    assert server.stranger.get(EVENTS, headers=key).status_code == 200
    set_state(server, tenant_id, "active")
    assert server.stranger.post(EVENTS, json=EVENT, headers=key).status_code == 202


def test_the_operator_cant_record_for_a_suspended_tenant_either(
    server: RunningServer, tenant_id: str
) -> None:
    set_state(server, tenant_id, "suspended")
    named = server.client.post(EVENTS, json=EVENT, params={"tenant_id": tenant_id})
    assert (named.status_code, named.json()["code"]) == (403, "tenant_suspended")
    inside = server.client.post(EVENTS, json=[{**EVENT, "tenant_id": tenant_id}, EVENT]).json()
    assert inside["accepted"] == 1
    assert inside["rejected"][0]["errors"][0]["code"] == "unknown_tenant"


def test_only_the_operator_may_suspend(server: RunningServer, tenant_id: str) -> None:
    refused = server.stranger.patch(
        f"/api/v1/tenants/{tenant_id}", json={"state": "suspended"}, headers=key_of(server, tenant_id)
    )
    assert refused.status_code == 403
