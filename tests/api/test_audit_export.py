"""Taking the audit log out: all that was asked for, and an act of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import update

from bursar import ids
from bursar.identity.audit import api
from bursar.storage.relational.tables.audit import AUDIT_ENTRIES
from bursar.storage.relational.transactions import writing
from tests.support.access import unasked_key
from tests.support.audit import a_deed
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

AUDIT = "/api/v1/audit"
EXPORT = f"{AUDIT}/export"


@pytest.fixture
def admin(server: RunningServer) -> Iterator[httpx.Client]:
    """An admin of a tenant of this test's own, of whom the log says nothing yet."""
    tenant = f"exports-{ids.make_id('x')[2:]}"
    server.client.post("/api/v1/tenants", json={"id": tenant}).raise_for_status()
    headers = {"X-API-Key": unasked_key(server, tenant, "admin")}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        yield client


def listed(client: httpx.Client, **params: str) -> list[dict[str, Any]]:
    return client.get(AUDIT, params=params).raise_for_status().json()["items"]


def exported(client: httpx.Client, **params: str) -> list[dict[str, Any]]:
    answer = client.get(EXPORT, params=params).raise_for_status()
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_export_is_an_act_that_stands_in_the_log_and_in_the_file(admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"id": "p", "name": "One"}).raise_for_status()
    answer = admin.get(EXPORT).raise_for_status()
    done, *others = listed(admin)
    assert [json.loads(line) for line in answer.text.splitlines()] == others
    begun = others[0]
    assert (begun["act"], begun["outcome"]) == ("audit.export", "begun")
    assert (done["outcome"], done["begun"]) == ("done", begun["number"])
    assert done["after"] == {"rows": 3, "bytes": len(answer.content)}
    assert begun["actor"]["id"] == admin.get("/api/v1/auth/me").json()["id"]


def test_a_look_at_the_log_is_no_act(admin: httpx.Client) -> None:
    for path in (AUDIT, f"{AUDIT}/verify", "/api/v1/keys"):
        admin.get(path).raise_for_status()
    assert listed(admin) == []


def test_an_export_says_what_was_asked_for_but_no_name_of_a_person(admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"id": "p", "name": "One"}).raise_for_status()
    params = {"act": "project.", "outcome": "done", "actor": "max.mustermann", "from": "2026-01-01T00:00:00Z"}
    assert exported(admin, **params) == []
    begun = listed(admin, act="audit.export", outcome="begun")[0]
    assert begun["asked"] == {name: params[name] for name in ("act", "outcome", "from")}
    assert [one["act"] for one in exported(admin, act="project.", outcome="done")] == ["project.create"]


def test_what_is_refused_is_told_as_well(admin: httpx.Client) -> None:
    assert admin.get(EXPORT, params={"outcome": "maybe"}).status_code == 422
    assert [(one["outcome"], one["reason"]) for one in listed(admin)] == [
        ("refused", "invalid"),
        ("begun", None),
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_an_export_goes_on_over_all_pages(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(api, "ENTRIES_AT_ONCE", 2)
    tenant = admin.get("/api/v1/auth/me").json()["tenant_id"]
    for _ in range(count):
        server.platform.audit.record(tenant, a_deed())
    found = exported(admin, act="key.create")
    assert [one["number"] for one in found] == [*range(count, 0, -1)]


def test_everybody_takes_out_their_own_chain_only(server: RunningServer, admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"id": "p", "name": "One"}).raise_for_status()
    me = admin.get("/api/v1/auth/me").json()
    named = {"tenant_id": me["tenant_id"]}
    assert admin.get(EXPORT, params={"tenant_id": "default"}).status_code == 403
    assert {one["act"] for one in exported(server.client, **named)} == {"project.create", "audit.export"}
    assert me["id"] not in {one["actor"]["id"] for one in exported(server.client)}
    # The operator's own is in the log that was taken out, and without an address for those whose log it is.
    operators = [one for one in listed(admin, act="audit.export") if one["actor"]["is_operator"]]
    assert [(one["outcome"], one["address"]) for one in operators] == [("done", None), ("begun", None)]


def test_an_export_that_breaks_off_is_told_with_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "ENTRIES_AT_ONCE", 2)
    with running_server(tmp_path / "data") as server:
        server.platform.audit.record_own(a_deed())
        with writing(server.platform.engine) as connection:
            connection.execute(update(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.number == 1).values(spelled="{"))
        with pytest.raises(httpx.RemoteProtocolError):
            server.client.get(EXPORT)
        failed = listed(server.client, outcome="failed", act="audit.export")[0]
        assert (failed["reason"], failed["after"]["rows"]) == ("broken_off", 2)
