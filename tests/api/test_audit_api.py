"""The audit log over HTTP: every act is there with who, what, before and after; nobody sees another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import delete, update

from bursar.app.audited_acts import ACTS, EXEMPT, OPEN_ACTS
from bursar.app.http import make_bare_api
from bursar.errors import Unavailable
from bursar.storage.relational.tables.audit import AUDIT_ENTRIES
from bursar.storage.relational.transactions import writing
from tests.support.access import unasked_key
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bursar.identity.audit.deed import Deed
    from tests.support.serving import RunningServer

AUDIT = "/api/v1/audit"


@pytest.fixture
def tenant(server: RunningServer, request: pytest.FixtureRequest) -> str:
    """A tenant of this test's own."""
    tenant_id = f"t{abs(hash(request.node.name)) % 10**12}"
    server.client.post("/api/v1/tenants", json={"id": tenant_id}).raise_for_status()
    return tenant_id


@pytest.fixture
def admin(server: RunningServer, tenant: str) -> Iterator[httpx.Client]:
    """An admin of that tenant."""
    with httpx.Client(
        base_url=server.url, headers={"X-API-Key": unasked_key(server, tenant, "admin")}
    ) as client:
        yield client


def listed(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - parameters
    return client.get(AUDIT, params=params).raise_for_status().json()["items"]


def routes_of(api: Any) -> Iterator[APIRoute]:  # noqa: ANN401 - FastAPI's routers or an app
    for route in api.routes:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from routes_of(included)


def test_every_endpoint_that_is_no_read_is_an_act_or_exempt_with_a_reason() -> None:
    routes = list(routes_of(make_bare_api()))
    changing = {route.name for route in routes if (route.methods or set()) - {"GET", "HEAD"}}
    assert len(changing) > 30
    assert changing - ACTS.keys() - OPEN_ACTS.keys() == EXEMPT.keys()
    # What is listed exists; the only reading acts hand out files.
    names = {route.name for route in routes}
    assert names >= ACTS.keys() | OPEN_ACTS.keys() | EXEMPT.keys()
    assert not ACTS.keys() & OPEN_ACTS.keys()
    reading = ACTS.keys() - changing
    assert reading == {"export", "export_audit", "list_events", "list_usage", "show_event"}
    assert {name for name in ACTS if ACTS[name].only_as_file} == reading - {"export", "export_audit"}
    assert all(len(reason) > 20 for reason in EXEMPT.values())


def test_an_act_is_announced_and_concluded_with_who_what_and_from_where(admin: httpx.Client) -> None:
    answer = admin.post("/api/v1/projects", json={"id": "p", "name": "One"})
    assert answer.status_code == 201
    done, begun = listed(admin)
    assert (begun["act"], begun["outcome"], begun["number"]) == ("project.create", "begun", 1)
    assert (done["act"], done["outcome"], done["begun"]) == ("project.create", "done", 1)
    assert begun["asked"] == {"id": "p", "name": "One"}
    assert (done["target"], done["after"]["name"]) == ("p", "One")
    who = admin.get("/api/v1/keys").json()["items"][0]["id"]
    assert done["actor"] == {"kind": "key", "id": who, "is_operator": False}
    assert (done["address"], done["request_id"]) == ("127.0.0.1", answer.headers["x-request-id"])


def test_a_change_keeps_what_was_before(admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"id": "p", "name": "One"})
    admin.patch("/api/v1/projects/p", json={"name": "Two"})
    admin.put("/api/v1/retention", json={"events_days": 900})
    admin.put("/api/v1/retention", json={"events_days": 800})
    body = {"confirm": "p", "reason": "given up"}
    assert admin.request("DELETE", "/api/v1/projects/p", json=body).status_code == 202
    removed, retained, _, renamed, _ = listed(admin, outcome="done")
    assert (renamed["before"], renamed["after"]["name"]) == ({"name": "One", "state": "active"}, "Two")
    assert retained["before"]["events_days"] == 900
    assert retained["after"]["events_days"] == 800
    before = {"name": "Two", "state": "active"}
    assert (removed["act"], removed["before"], removed["target"]) == ("project.delete", before, "p")


def test_roles_credentials_services_and_seats_keep_what_was_before(admin: httpx.Client) -> None:
    role = {"name": "reader", "permissions": ["cost:read"]}
    admin.post("/api/v1/roles", json=role).raise_for_status()
    admin.put("/api/v1/roles/reader", json={"permissions": ["usage:read"]}).raise_for_status()
    user = admin.post("/api/v1/users", json={"email": "ada@example.com"}).raise_for_status().json()
    binding = {"user_id": user["id"], "role": "viewer"}
    admin.post("/api/v1/role-bindings", json=binding).raise_for_status()
    admin.delete("/api/v1/role-bindings", params=binding).raise_for_status()
    credential = {"provider": "openai", "name": "main", "secret": "a secret of some length"}
    made = admin.post("/api/v1/credentials", json=credential).raise_for_status().json()
    admin.delete(f"/api/v1/credentials/{made['id']}").raise_for_status()
    service = {"service_type": "ocr", "description": "first"}
    admin.post("/api/v1/services", json=service).raise_for_status()
    admin.put("/api/v1/services/ocr", json={**service, "description": "second"}).raise_for_status()
    seats = {"provider": "openai", "plan": "Team", "seats": 2, "price_per_seat": "25", "starts": "2026-10-01"}
    plan = admin.post("/api/v1/billing/seats", json=seats).raise_for_status().json()
    admin.post(f"/api/v1/billing/seats/{plan['id']}/end", json={}).raise_for_status()
    found = {one["act"]: one for one in listed(admin, outcome="done")}
    assert found["role.change"]["before"]["permissions"] == ["cost:read"]
    assert (found["role.take"]["target"], found["role.take"]["before"]["role"]) == (user["id"], "viewer")
    assert found["credential.revoke"]["before"]["state"] == "usable"
    assert "a secret of some length" not in str(found)
    assert found["service.change"]["before"]["description"] == "first"
    assert found["seats.end"]["before"]["ends"] is None


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (
            "prices",
            {"kind": "discount", "percent": "12", "provider": "openai", "valid_from": "2026-01-01T00:00:00Z"},
            "12",
        ),
        ("prices/aliases", {"alias": "mine", "to_model": "gpt-4o"}, "gpt-4o"),
        (
            "billing/exchange-rates",
            {"date": "2026-10-01", "base": "EUR", "quote": "USD", "rate": "1.17"},
            "1.17",
        ),
    ],
    ids=["override", "alias", "exchange rate"],
)
def test_what_is_withdrawn_is_kept_as_it_was_before_and_the_second_time_as_withdrawn(
    admin: httpx.Client, path: str, body: dict[str, str], said: str
) -> None:
    admin.post(f"/api/v1/{path}", json=body).raise_for_status()
    listed_at = f"/api/v1/{'prices/overrides' if path == 'prices' else path}"
    (held,) = admin.get(listed_at).raise_for_status().json()["items"]
    for _ in range(2):
        gone = admin.delete(f"{listed_at}/{held['id']}", params={"reason": "renegotiated"})
        assert gone.raise_for_status().json()["withdrawn"]["reason"] == "renegotiated"
    again, first = [one for one in listed(admin, outcome="done") if one["act"].endswith(".withdraw")]
    assert (first["target"], first["before"]["withdrawn"]) == (held["id"], None)
    assert said in str(first["before"])
    assert again["before"]["withdrawn"] is not None


def test_what_was_refused_has_its_reason_and_changed_nothing(admin: httpx.Client) -> None:
    body = {"confirm": "none", "reason": "given up"}
    assert admin.request("DELETE", "/api/v1/projects/none", json=body).status_code == 404
    assert admin.post("/api/v1/projects", json={"nonsense": 1}).status_code == 422
    assert [(one["outcome"], one["reason"], one["before"]) for one in listed(admin, outcome="refused")] == [
        ("refused", "invalid", None),
        ("refused", "not_found", None),
    ]


def test_no_secret_gets_into_the_log(server: RunningServer, admin: httpx.Client) -> None:
    body = {"label": "mine is bur_abcdefghijklmnop", "scopes": ["read"]}
    made = admin.post("/api/v1/keys", json=body).raise_for_status().json()
    entries = admin.get(AUDIT).text
    assert made["id"] in entries
    assert made["key"] not in entries
    assert "bur_abcdefghijklmnop" not in entries
    content = b"".join(path.read_bytes() for path in server.platform.folder.path.glob("state.db*"))
    assert made["key"].encode() not in content


@pytest.mark.parametrize("misspelt", ["apiKey", "api-key", "Secret", "value", "openai"])
def test_a_secret_under_a_name_that_nobody_asked_for_is_not_kept(admin: httpx.Client, misspelt: str) -> None:
    canary = "canary-of-no-known-shape"
    body = {"provider": "openai", "name": "ours", misspelt: canary}
    assert admin.post("/api/v1/credentials", json=body).status_code == 422
    entries = admin.get(AUDIT, params={"act": "credential.create"}).text
    assert "ours" in entries
    assert canary not in entries


def test_what_names_a_person_is_not_kept(admin: httpx.Client) -> None:
    body = {"user_id": "max.mustermann", "reason": "asked by max.mustermann", "dry_run": True}
    admin.post("/api/v1/erasures", json=body)
    admin.get("/api/v1/export", params={"format": "json", "user_id": "max.mustermann"})
    admin.put("/api/v1/events/evt-of-max.mustermann", json={"user_id": "max.mustermann"})
    found = admin.get(AUDIT).text
    assert "export.download" in found
    assert "erasure.request" in found
    assert "mustermann" not in found


DOWNLOADS: list[tuple[dict[str, str], str]] = [
    ({"format": "csv"}, "*/*"),
    ({}, "text/csv"),
    ({}, "text/csv, application/json;q=0.5"),
    ({"format": "csv"}, "application/json"),
]
QUESTIONS: list[tuple[dict[str, str], str]] = [
    ({}, "*/*"),
    ({"format": "json"}, "text/csv"),
    ({}, "application/json, text/csv;q=0.5"),
]


@pytest.mark.parametrize("path", ["events", "usage", "events/evt-1"])
def test_single_events_as_a_file_are_a_download_and_as_json_a_question(
    admin: httpx.Client, path: str
) -> None:
    event = {"event_id": "evt-1", "provider": "openai", "model": "gpt-4o", "user_id": "max.mustermann"}
    admin.post("/api/v1/events", json=event, params={"wait": "applied"}).raise_for_status()
    narrowed = {} if path == "events/evt-1" else {"user_id": "max.mustermann"}
    for params, accept in QUESTIONS:
        asked = admin.get(f"/api/v1/{path}", params={**params, **narrowed}, headers={"Accept": accept})
        assert asked.headers["content-type"] == "application/json"
    assert listed(admin) == []
    for params, accept in DOWNLOADS:
        got = admin.get(f"/api/v1/{path}", params={**params, **narrowed}, headers={"Accept": accept})
        assert got.headers["content-type"].startswith("text/csv")
        done, begun = listed(admin)[:2]
        assert (begun["act"], begun["outcome"], begun["asked"]) == (
            "export.download",
            "begun",
            params or None,
        )
        assert (done["outcome"], done["begun"]) == ("done", begun["number"])
        assert done["after"] == {"rows": 1, "bytes": len(got.content)}
    assert len(listed(admin)) == 2 * len(DOWNLOADS)
    assert "mustermann" not in str(listed(admin))


def test_a_download_that_is_refused_has_its_reason(admin: httpx.Client) -> None:
    assert admin.get("/api/v1/events/none", params={"format": "csv"}).status_code == 404
    assert admin.get("/api/v1/events", params={"format": "csv", "nonsense": "1"}).status_code == 422
    reasons = [one["reason"] for one in listed(admin, act="export.download", outcome="refused")]
    assert sorted(reasons) == ["invalid", "not_found"]


def test_sums_as_a_file_are_no_download(admin: httpx.Client) -> None:
    for path in ("cost/summary", "analytics/top"):
        admin.get(f"/api/v1/{path}", params={"format": "csv"}).raise_for_status()
    assert listed(admin) == []


def test_a_tenant_sees_its_own_entries_only(server: RunningServer, tenant: str, admin: httpx.Client) -> None:
    mine = listed(admin)
    server.client.post("/api/v1/projects", json={"id": f"other-{tenant}", "name": "x"}).raise_for_status()
    assert listed(admin) == mine
    assert admin.get(AUDIT, params={"tenant_id": "default"}).json()["code"] == "tenant_mismatch"
    verdict = admin.get(f"{AUDIT}/verify").json()
    assert [one["tenant_id"] for one in verdict["chains"]] == [tenant]


def test_the_operator_sees_the_platforms_entries_and_a_named_tenants(
    server: RunningServer, tenant: str, admin: httpx.Client
) -> None:
    made = next(one for one in listed(server.client, act="tenant.create") if one["target"] == tenant)
    assert (made["outcome"], made["actor"]["is_operator"]) == ("done", True)
    body = {"id": "theirs", "name": "x"}
    named = {"tenant_id": tenant}
    server.client.patch("/api/v1/projects/none", params=named, json={"name": "x"})
    server.operator.post("/api/v1/projects", json={**body, "tenant_id": tenant})
    acts = ["project.create"] * 2 + ["project.change"] * 2
    assert [one["act"] for one in listed(server.client, **named)] == acts
    # The tenant sees that an operator was at work, not from where.
    assert {(one["actor"]["is_operator"], one["address"]) for one in listed(admin)} == {(True, None)}
    assert listed(server.client, **named)[2]["address"] == "127.0.0.1"
    assert listed(server.client, **named)[0]["actor"]["kind"] == "socket"


@pytest.mark.parametrize("path", [AUDIT, f"{AUDIT}/export", f"{AUDIT}/verify"])
def test_reading_the_log_needs_its_own_permission(server: RunningServer, tenant: str, path: str) -> None:
    for scope, status in (("read", 403), ("ingest", 403), ("audit:read", 200)):
        key = unasked_key(server, tenant, scope)
        assert server.stranger.get(path, headers={"X-API-Key": key}).status_code == status
    assert server.stranger.get(path).status_code == 401


def test_pages_go_on_where_the_one_before_ended(admin: httpx.Client) -> None:
    for number in range(3):
        admin.post("/api/v1/projects", json={"id": f"p{number}", "name": "x"})
    found: list[int] = []
    params: dict[str, Any] = {"limit": 4}
    while True:
        page = admin.get(AUDIT, params=params).json()
        found += [one["number"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert found == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "params",
    [{"cursor": "x"}, {"cursor": "MA"}, {"outcome": "maybe"}, {"from": "today"}, {"limit": 0}, {"act": "\0"}],
)
def test_a_question_that_makes_no_sense_is_refused(admin: httpx.Client, params: dict[str, Any]) -> None:
    assert admin.get(AUDIT, params=params).status_code == 422


def test_verifying_finds_what_was_changed_in_the_store(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        for number in range(3):
            server.client.post("/api/v1/projects", json={"id": f"p{number}", "name": "x"})
        whole = server.client.get(f"{AUDIT}/verify").json()
        # The operator's key of the settings comes first.
        assert (whole["is_clean"], whole["chains"][0]["entries"]) == (True, 8)
        with writing(server.platform.engine) as connection:
            connection.execute(update(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.number == 2).values(hash="0"))
            connection.execute(delete(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.number > 6))
        found = server.client.get(f"{AUDIT}/verify").json()
        kinds = {fault["kind"] for fault in found["chains"][0]["faults"]}
        assert (found["is_clean"], kinds) == (False, {"changed", "cut"})


def test_keys_that_a_start_makes_are_in_the_log(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        done, begun = listed(server.client)
    assert (begun["act"], begun["outcome"], begun["actor"]["kind"]) == ("key.create", "begun", "system")
    assert begun["asked"] == {"label": "from BURSAR_ADMIN_KEY", "scopes": ["admin"], "is_operator": True}
    assert (done["outcome"], done["begun"], done["target"]) == ("done", 1, begun["target"])


def test_an_act_that_cant_be_written_down_isnt_carried_out(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_owner: str, _deed: Deed) -> int:
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(server.platform.audit, "record", fail)
        answer = admin.post("/api/v1/projects", json={"id": "p", "name": "One"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert admin.get("/api/v1/projects/p").status_code == 404


def test_an_act_whose_conclusion_cant_be_written_down_isnt_acknowledged(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = server.platform.audit.record

    def fail_later(owner: str, deed: Deed) -> int:
        if deed.begun is not None:
            raise Unavailable
        return record(owner, deed)

    with monkeypatch.context() as broken:
        broken.setattr(server.platform.audit, "record", fail_later)
        answer = admin.post("/api/v1/projects", json={"id": "p", "name": "One"})
        assert answer.status_code == 503
        assert "may have been done" in answer.json()["detail"]
    assert [one["outcome"] for one in listed(admin)] == ["begun"]
