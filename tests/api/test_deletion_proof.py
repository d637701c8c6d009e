"""A tenant that had everything is deleted, and `verify --gone` proves that nothing is left but what must."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.tables.identity import API_KEYS, PROJECTS, TENANTS
from bursar.storage.relational.tables.jobs import RUNS
from bursar.storage.relational.tables.users import LOGIN_ATTEMPTS
from tests.cli.command_line import bursar
from tests.support.access import ask, keys_of
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

GONE, KEPT = "gone-corp", "kept-corp"
CANARY = "canary-7f3a"
"""Stands in everything that the tenant ever said."""
EVENT = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 10, "time": "2026-11-10T12:00:00Z"}

THINGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/api/v1/projects", {"id": "search", "name": CANARY}),
    ("POST", "/api/v1/keys", {"label": CANARY, "scopes": ["ingest"]}),
    ("POST", "/api/v1/roles", {"name": "reader", "description": CANARY, "permissions": ["usage:read"]}),
    ("POST", "/api/v1/users", {"email": f"{CANARY}@example.org", "roles": [{"role": "reader"}]}),
    ("POST", "/api/v1/tokens", {"label": CANARY}),
    ("POST", "/api/v1/allocations", {"kind": "user", "subject": CANARY, "cost_centre": CANARY}),
    ("PUT", "/api/v1/retention", {"events_days": 4000, "rollups_days": 4000}),
    ("POST", "/api/v1/services", {"service_type": "translate", "description": CANARY}),
    (
        "POST",
        "/api/v1/billing/seats",
        {
            "provider": "openai",
            "plan": CANARY,
            "seats": 1,
            "price_per_seat": "3",
            "starts": "2026-11-10",
            "ends": "2026-11-12",
        },
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data"), max_past_days=3650) as running:
        yield running


def fill(server: RunningServer, tenant_id: str) -> str:
    """Something of the tenant in as many places as there are; its admin's key."""
    key = keys_of(server, tenant_id)["admin"]
    for method, path, body in THINGS:
        answer = ask(server, key, method, path, json=body)
        assert answer.is_success, (path, answer.text)
    sent = [{**EVENT, "event_id": f"{CANARY}-{index}", "user_id": CANARY} for index in range(5)]
    for events in (sent, [{**sent[0], "input_tokens": 11}]):
        params = {"wait": "applied"}
        ask(server, key, "POST", "/api/v1/events", json=events, params=params).raise_for_status()
    void = {
        "filters": {"event_id": f"{CANARY}-4"},
        "window": "all",
        "reason": "a mistake",
        "dry_run": False,
    }
    begun = ask(server, key, "POST", "/api/v1/events/void", json=void)
    assert begun.status_code == 202, begun.text
    ended(server, begun.json()["run"]["url"])
    return key


def ended(server: RunningServer, url: str) -> dict[str, Any]:
    wait_until(lambda: server.client.get(url).json()["finished_at"] is not None, "the run ends")
    run = server.client.get(url).json()
    assert run["state"] == "succeeded", run
    return run


def proof(server: RunningServer, tenant_id: str) -> dict[str, Any]:
    answer = server.client.post("/control/verify", params={"gone": tenant_id}, timeout=60)
    result = json.loads(answer.text.splitlines()[-1])["result"]
    assert result["is_clean"], result["differences"]
    return result["gone"]


def holding(folder: Path, text: str) -> list[str]:
    """The files that hold a text as it is."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path.name for path in files if text.encode() in path.read_bytes()]


def test_a_deleted_tenant_is_proven_gone_and_what_stays_says_why(server: RunningServer) -> None:
    fill(server, GONE)
    kept_key = fill(server, KEPT)
    before = proof(server, GONE)
    assert not before["is_gone"]
    assert {
        "journal/usage",
        "store/usage_events",
        "store/quarantine",
        "state/tenants",
        "state/api_keys",
        "state/allocations",
        "state/audit_entries",
    } <= before["left"].keys()
    body = {"confirm": GONE, "reason": "contract ended"}
    begun = server.client.request("DELETE", f"/api/v1/tenants/{GONE}", json=body)
    run = ended(server, begun.json()["run"]["url"])
    assert set(run["result"]["rows_left"].values()) == {0}
    after = proof(server, GONE)
    assert (after["is_gone"], after["left"]) == (True, {})
    assert {one["place"] for one in after["stays"]} - {"journal/tombstone"} == {
        "journal/reset",
        "state/runs",
        "state/audit_entries/platform",
    }
    assert not proof(server, KEPT)["is_gone"]
    listed = ask(server, kept_key, "GET", "/api/v1/events", params={"window": "all", "total_count": "true"})
    assert listed.json()["total_count"] == 4 + 2


def test_the_words_of_a_deleted_tenant_are_in_no_file(server: RunningServer) -> None:
    tenant = "wordy-corp"
    keys_of(server, tenant)
    params, word = {"tenant_id": tenant, "wait": "applied"}, "shibboleth-91c"
    event = {**EVENT, "event_id": word, "user_id": word, "metadata": {"said": word}}
    server.client.post("/api/v1/events", json=event, params=params).raise_for_status()
    named = {"id": "p", "name": word}
    server.client.post("/api/v1/projects", json=named, params={"tenant_id": tenant}).raise_for_status()
    folder = server.platform.folder.path
    assert holding(folder, word)
    body = {"confirm": tenant, "reason": "contract ended"}
    begun = server.client.request("DELETE", f"/api/v1/tenants/{tenant}", json=body)
    ended(server, begun.json()["run"]["url"])
    assert holding(folder, word) == []


def test_the_command_says_what_stays_and_fails_where_something_is_left(server: RunningServer) -> None:
    server.client.post("/api/v1/tenants", json={"id": "cli-corp"}).raise_for_status()
    data = "--data", server.platform.folder.path
    there = bursar("verify", "--gone", "cli-corp", *data)
    assert there.code == 3
    assert "Of tenant cli-corp there is something left" in there.out
    assert bursar("tenants", "delete", "cli-corp", "--reason", "over", "--yes", *data).code == 0
    gone = bursar("verify", "--gone", "cli-corp", *data)
    assert gone.code == 0, gone.err
    assert "Nothing is left of tenant cli-corp" in gone.out
    assert "Stays: state/audit_entries/platform" in gone.out
    assert "Not looked at: backups" in gone.out
    never = bursar("verify", "--gone", "never-was", "--json", *data).json["gone"]
    assert (never["is_gone"], never["stays"]) == (True, [])


def test_whatever_names_a_tenant_goes_with_it() -> None:
    """Each table says so itself, but for those that a deletion clears by name."""
    for table in METADATA.sorted_tables:
        if table in {API_KEYS, PROJECTS, RUNS, LOGIN_ATTEMPTS} or "tenant_id" not in table.c:
            continue
        keys = [key for key in table.c.tenant_id.foreign_keys if key.column is TENANTS.c.id]
        assert [key.ondelete for key in keys] == ["CASCADE"], table.name
