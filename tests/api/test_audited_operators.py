"""What an operator does to a tenant is in that tenant's audit log, wherever the request names the tenant.

And nobody else gets a word into the log of a tenant by naming it. Which operations name tenants where comes
from the OpenAPI document, so that a new one is asked here too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from bursar import ids
from bursar.app.audited_acts import ACTS, NamedIn
from bursar.app.http import make_bare_api
from bursar.identity.permissions import OF_PLATFORM
from tests.support.access import ask, keys_of
from tests.support.tenant_calls import Words, a_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.serving import RunningServer

DOCUMENT: dict[str, Any] = make_bare_api().openapi()
OPERATIONS = {
    one["operationId"]: (method.upper(), path, one)
    for path, methods in DOCUMENT["paths"].items()
    for method, one in methods.items()
    if one["operationId"] in ACTS
}


def as_bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


MISLEADING: dict[str, tuple[str, Callable[[dict[str, Any]], bytes]]] = {
    "as a text": ("text/plain", as_bytes),
    "in many bytes": ("application/json", lambda body: as_bytes(body) + b" " * 2**17),
    "in UTF-16": ("application/json", lambda body: json.dumps(body).encode("utf-16")),
    "escaped": ("application/json", lambda body: as_bytes(body).replace(b"tenant_id", rb"ten\u0061nt_id")),
    "twice": ("application/json", lambda body: b'{"tenant_id": null, ' + as_bytes(body)[1:]),
}


def schemas_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema and all that it may stand for."""
    if "$ref" in schema:
        return schemas_of(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    inner = [one for word in ("anyOf", "oneOf", "allOf") for one in schema.get(word, [])]
    return [schema, *(found for one in inner for found in schemas_of(one))]


def takes_tenant(operation: dict[str, Any]) -> bool:
    """Whether a field of the body may name a tenant."""
    kinds = operation.get("requestBody", {}).get("content", {}).values()
    return any(
        "tenant_id" in one.get("properties", {}) for kind in kinds for one in schemas_of(kind["schema"])
    )


BY_BODY = sorted(name for name, (_, _, one) in OPERATIONS.items() if takes_tenant(one))


@pytest.fixture
def acme(server: RunningServer) -> str:
    """A tenant of this test's own, in whose log nothing is."""
    tenant_id = f"acme-{ids.make_id('x')[2:]}"
    server.client.post("/api/v1/tenants", json={"id": tenant_id}).raise_for_status()
    return tenant_id


def log_of(server: RunningServer, tenant: str | None) -> list[dict[str, Any]]:
    """What is in the log of a tenant, or of the platform."""
    params = {"limit": 500, **({} if tenant is None else {"tenant_id": tenant})}
    return server.client.get("/api/v1/audit", params=params).raise_for_status().json()["items"]


def last_of_platform(server: RunningServer) -> int:
    return log_of(server, None)[0]["number"]


def a_body(name: str, tenant: str) -> tuple[str, str, dict[str, Any]]:
    """How the operation is asked with a body that names this tenant."""
    method, path, _ = OPERATIONS[name]
    call = a_call(f"{method} {path}", Words(tenant, "mark", 0))
    return method, call.path, {**call.body, "tenant_id": tenant}


def test_the_log_knows_of_each_act_where_it_names_a_tenant() -> None:
    assert len(BY_BODY) > 5
    of_socket = ACTS.keys() - OPERATIONS.keys()
    assert of_socket == {"stop", "rebuild"}
    assert {name for name in ACTS if ACTS[name].tenant_in is NamedIn.BODY} == set(BY_BODY)
    of_run = {name for name, (_, path, _) in OPERATIONS.items() if "{run_id}" in path}
    assert {name for name in ACTS if ACTS[name].tenant_in is NamedIn.RUN} == of_run
    about_one = {name for name, (_, path, _) in OPERATIONS.items() if "{tenant_id}" in path}
    in_path = {name for name in ACTS if ACTS[name].tenant_in is NamedIn.PATH}
    # A chain that goes with its tenant can't say who deleted it.
    assert about_one - in_path == {"delete_tenant"}
    of_platform = {name for name, (_, _, one) in OPERATIONS.items() if one["x-permission"] in OF_PLATFORM}
    of_all = {name for name in ACTS if ACTS[name].tenant_in is NamedIn.NOWHERE}
    one_tenants = {"put_quota", "remove_quota", "put_limit", "remove_limit"}
    assert of_platform | of_socket == of_all | in_path | one_tenants


@pytest.mark.parametrize("name", BY_BODY)
def test_what_an_operator_does_to_the_tenant_that_a_body_names_is_in_that_tenants_log(
    server: RunningServer, acme: str, name: str
) -> None:
    before = last_of_platform(server)
    method, path, body = a_body(name, acme)
    for client in (server.client, server.operator):
        assert client.request(method, path, json=body).status_code < 500
    later, earlier = log_of(server, acme)[:2], log_of(server, acme)[2:]
    for end, begun in (later, earlier):
        assert (begun["act"], begun["outcome"], end["begun"]) == (ACTS[name].word, "begun", begun["number"])
        assert begun["actor"]["is_operator"]
    assert last_of_platform(server) == before


@pytest.mark.parametrize("name", BY_BODY)
def test_a_tenants_own_key_gets_no_word_into_the_log_of_a_tenant_that_it_names(
    server: RunningServer, acme: str, name: str
) -> None:
    other = f"other-{acme}"
    key, weak = keys_of(server, other)["admin"], an_operators_key(server, "cost:read")
    before = len(log_of(server, other)), last_of_platform(server)
    method, path, body = a_body(name, acme)
    refused = ask(server, key, method, path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_mismatch")
    assert log_of(server, acme) == []
    # Its own admins see that it tried.
    tried = log_of(server, other)[: -before[0]]
    assert [(one["act"], one["outcome"]) for one in tried] == [
        (ACTS[name].word, "refused"),
        (ACTS[name].word, "begun"),
    ]
    assert server.stranger.request(method, path, json=body).status_code == 401
    assert ask(server, weak, method, path, json=body).status_code == 403
    assert log_of(server, acme) == []
    assert last_of_platform(server) == before[1]


def an_operators_key(server: RunningServer, scope: str) -> str:
    """A key of an operator who may do this only."""
    made = server.client.post("/api/v1/keys", json={"label": "x", "scopes": [scope], "is_operator": True})
    return str(made.raise_for_status().json()["key"])


@pytest.mark.parametrize("how", MISLEADING)
@pytest.mark.parametrize("name", ["create_key", "void_events", "register_service"])
def test_no_way_to_spell_a_body_hides_from_a_tenant_what_an_operator_did_to_it(
    server: RunningServer, acme: str, name: str, how: str
) -> None:
    before = last_of_platform(server)
    method, path, body = a_body(name, acme)
    kind, spelled = MISLEADING[how]
    answer = server.client.request(method, path, content=spelled(body), headers={"content-type": kind})
    assert answer.status_code < 500
    assert len(log_of(server, acme)) == 2
    assert last_of_platform(server) == before


@pytest.mark.parametrize("name", BY_BODY)
def test_who_names_two_tenants_is_refused_and_neither_learns_of_the_other(
    server: RunningServer, acme: str, name: str
) -> None:
    method, path, body = a_body(name, acme)
    answer = server.client.request(method, path, json=body, params={"tenant_id": "default"})
    assert answer.status_code == 422
    assert {one["code"] for one in answer.json()["errors"]} == {"conflicting_parameters"}
    assert log_of(server, acme) == []
    assert log_of(server, None)[0]["request_id"] == answer.headers["x-request-id"]
    again = server.client.request(method, path, json=body, params={"tenant_id": acme})
    assert {one["request_id"] for one in log_of(server, acme)} == {again.headers["x-request-id"]}


@pytest.mark.parametrize("named", ["nobody", "not an id", "\0", "*", 5, None, ["default"]])
def test_what_names_no_tenant_is_in_the_platforms_log(server: RunningServer, named: object) -> None:
    body = {"label": "x", "scopes": ["read"], "tenant_id": named}
    answer = server.client.post("/api/v1/keys", json=body)
    assert answer.status_code == (201 if named is None else 404 if named == "nobody" else 422)
    end, begun = log_of(server, None)[:2]
    assert (begun["outcome"], end["begun"]) == ("begun", begun["number"])
    assert end["request_id"] == answer.headers["x-request-id"]


def test_what_an_operator_does_to_a_tenants_state_limits_and_quotas_is_in_its_log(
    server: RunningServer, acme: str
) -> None:
    before, named = last_of_platform(server), {"tenant_id": acme}
    server.client.patch(f"/api/v1/tenants/{acme}", json={"name": "Acme"}).raise_for_status()
    server.client.put("/api/v1/limits/read", json={"per_minute": 9}, params=named).raise_for_status()
    server.client.delete("/api/v1/limits/read", params=named).raise_for_status()
    server.client.put(
        "/api/v1/quotas/events", json={"limit": "9", "enforcement": "soft"}, params=named
    ).raise_for_status()
    server.client.delete("/api/v1/quotas/events", params=named).raise_for_status()
    done = [one["act"] for one in log_of(server, acme) if one["outcome"] == "done"]
    assert done == ["quota.remove", "quota.set", "limit.remove", "limit.set", "tenant.change"]
    assert last_of_platform(server) == before
    assert server.client.patch(f"/api/v1/tenants/no-{acme}", json={"name": "x"}).status_code == 404
    assert log_of(server, None)[0]["target"] == f"no-{acme}"


def test_who_cancels_a_run_by_its_id_is_in_the_log_of_the_tenant_whose_run_it_is(
    server: RunningServer, acme: str
) -> None:
    trigger = "/api/v1/scheduler/jobs/{}/trigger"
    named = {"tenant_id": acme}
    its = server.client.post(trigger.format("retention"), json={}, params=named).raise_for_status().json()
    ours = server.client.post(trigger.format("compaction"), json={}).raise_for_status().json()
    before = last_of_platform(server)
    assert server.client.post(f"/api/v1/scheduler/runs/{its['id']}/cancel").status_code in {202, 409}
    end, begun = log_of(server, acme)[:2]
    assert (begun["act"], begun["target"], end["begun"]) == ("job.cancel", its["id"], begun["number"])
    assert last_of_platform(server) == before
    for run in (ours["id"], "no-such-run", "\0"):
        answer = server.client.post(f"/api/v1/scheduler/runs/{quote(run)}/cancel")
        assert answer.status_code in {202, 404, 409, 422}
        assert log_of(server, None)[0]["request_id"] == answer.headers["x-request-id"]
    assert len(log_of(server, acme)) == 4
