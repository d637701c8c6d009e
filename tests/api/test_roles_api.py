"""Roles over HTTP: made, changed, given and taken by who has as much, and seen by nobody else's tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar import ids
from bursar.identity.permissions import OF_TENANTS, Permission
from bursar.identity.roles import BUILT_IN
from tests.support.access import ask, keys_of
from tests.support.people import a_person

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.serving import RunningServer

ROLES, BINDINGS = "/api/v1/roles", "/api/v1/role-bindings"
BILLING = {"name": "billing", "permissions": ["cost:read", "billing:read"], "description": "Sees money"}


@pytest.fixture
def tenant_id(server: RunningServer) -> str:
    return str(server.client.post("/api/v1/tenants", json={}).json()["id"])


@pytest.fixture
def admin(server: RunningServer, tenant_id: str) -> Iterator[httpx.Client]:
    with_key = {"X-API-Key": a_key(server, tenant_id, "admin")}
    server.stranger.headers.update(with_key)
    yield server.stranger
    for name in with_key:
        del server.stranger.headers[name]


def a_key(server: RunningServer, tenant_id: str, *scopes: str) -> str:
    body = {"label": "roles", "scopes": list(scopes), "tenant_id": tenant_id}
    return str(server.client.post("/api/v1/keys", json=body).raise_for_status().json()["key"])


def a_user(client: httpx.Client) -> str:
    body = {"email": f"{ids.make_id('p')}@example.com", "mail": False}
    return str(client.post("/api/v1/users", json=body).raise_for_status().json()["id"])


def names(client: httpx.Client) -> list[str]:
    return [role["name"] for role in client.get(ROLES).raise_for_status().json()["items"]]


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_role_is_made_shown_changed_and_removed(admin: httpx.Client) -> None:
    made = admin.post(ROLES, json=BILLING)
    assert (made.status_code, made.json()["is_built_in"]) == (201, False)
    assert names(admin) == [*BUILT_IN, "billing"]
    assert admin.get(f"{ROLES}/billing").json() == made.json()
    changed = admin.put(f"{ROLES}/billing", json={"permissions": ["cost:read"]})
    assert (changed.status_code, changed.json()["permissions"]) == (200, ["cost:read"])
    assert admin.delete(f"{ROLES}/billing").status_code == 204
    assert names(admin) == [*BUILT_IN]


def test_built_in_roles_are_shown_and_stay_as_they_are(admin: httpx.Client) -> None:
    owner = admin.get(f"{ROLES}/owner").json()
    assert (owner["is_built_in"], set(owner["permissions"])) == (True, set(OF_TENANTS))
    for answer in (
        admin.put(f"{ROLES}/viewer", json={"permissions": ["cost:read"]}),
        admin.delete(f"{ROLES}/viewer"),
        admin.post(ROLES, json={"name": "viewer", "permissions": ["cost:read"]}),
    ):
        assert code_of(answer) == (409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Billing", "permissions": ["cost:read"]},
        {"name": "billing", "permissions": []},
        {"name": "billing", "permissions": ["cost:spend"]},
        {"name": "billing", "permissions": ["cost:read"], "description": "two\nlines"},
        {"name": "billing", "permissions": ["cost:read"], "more": 1},
    ],
)
def test_a_role_that_cannot_be_kept_is_refused(admin: httpx.Client, body: dict[str, Any]) -> None:
    assert admin.post(ROLES, json=body).status_code == 422
    assert names(admin) == [*BUILT_IN]


def test_no_role_of_a_tenant_grants_what_is_the_operators(server: RunningServer, tenant_id: str) -> None:
    body = {"name": "sly", "permissions": ["tenants:write"]}
    refused = server.client.post(ROLES, json=body, params={"tenant_id": tenant_id})
    assert refused.status_code == 422
    assert [one["code"] for one in refused.json()["errors"]] == ["operator_only"]


def test_nobody_makes_changes_gives_or_takes_more_than_they_have(
    server: RunningServer, tenant_id: str, admin: httpx.Client
) -> None:
    admin.post(ROLES, json=BILLING).raise_for_status()
    given = {"user_id": a_user(admin), "role": "owner"}
    admin.post(BINDINGS, json=given).raise_for_status()
    key = a_key(server, tenant_id, "roles:read", "roles:write", "usage:read")
    refused: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", ROLES, {"json": {"name": "mine", "permissions": ["usage:read", "keys:write"]}}),
        ("PUT", f"{ROLES}/billing", {"json": {"permissions": ["usage:read"]}}),
        ("DELETE", f"{ROLES}/billing", {}),
        ("POST", BINDINGS, {"json": {"user_id": "usr_2", "role": "viewer"}}),
        ("DELETE", BINDINGS, {"params": given}),
    )
    for method, path, more in refused:
        assert code_of(ask(server, key, method, path, **more)) == (403, "missing_scope"), path
    assert len(admin.get(BINDINGS).json()["items"]) == 1
    mine = {"name": "mine", "permissions": ["usage:read"]}
    assert ask(server, key, "POST", ROLES, json=mine).status_code == 201


def test_a_role_is_given_and_taken_in_the_tenant_and_in_a_project(admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json={"id": "search", "name": "Search"}).raise_for_status()
    ada, bob = a_user(admin), a_user(admin)
    for body in (
        {"user_id": ada, "role": "viewer"},
        {"user_id": ada, "role": "member", "project_id": "search"},
    ):
        assert admin.post(BINDINGS, json=body).status_code == 201
    admin.post(BINDINGS, json={"user_id": bob, "role": "admin"}).raise_for_status()
    found = admin.get(BINDINGS, params={"user_id": ada}).json()["items"]
    assert [(one["role"], one["project_id"]) for one in found] == [("viewer", None), ("member", "search")]
    taken = {"user_id": ada, "role": "member"}
    assert admin.delete(BINDINGS, params=taken).status_code == 404
    assert admin.delete(BINDINGS, params={**taken, "project_id": "search"}).status_code == 204
    assert len(admin.get(BINDINGS).json()["items"]) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"role": "nothing"},
        {"role": "viewer", "project_id": "unknown"},
        {"role": "viewer", "user_id": "usr_nobody"},
    ],
    ids=["role", "project", "user"],
)
def test_only_what_there_is_can_be_given(admin: httpx.Client, more: dict[str, str]) -> None:
    assert admin.post(BINDINGS, json={"user_id": a_user(admin), **more}).status_code == 404


def test_a_role_that_somebody_has_stays(admin: httpx.Client) -> None:
    admin.post(ROLES, json=BILLING).raise_for_status()
    admin.post(BINDINGS, json={"user_id": a_user(admin), "role": "billing"}).raise_for_status()
    refused = admin.delete(f"{ROLES}/billing")
    assert [one["code"] for one in refused.json()["errors"]] == ["role_in_use"]


def test_another_tenants_roles_are_as_unknown_as_none(server: RunningServer, admin: httpx.Client) -> None:
    admin.post(ROLES, json=BILLING).raise_for_status()
    given = {"user_id": a_user(admin), "role": "billing"}
    admin.post(BINDINGS, json=given).raise_for_status()
    theirs = keys_of(server, str(server.client.post("/api/v1/tenants", json={}).json()["id"]) + "-2")["admin"]
    assert ask(server, theirs, "GET", BINDINGS).json() == {"items": [], "next_cursor": None}
    unknown = ask(server, theirs, "GET", f"{ROLES}/billing")
    assert code_of(unknown) == (404, "not_found")
    assert (
        ask(server, theirs, "PUT", f"{ROLES}/billing", json={"permissions": ["cost:read"]}).status_code == 404
    )
    assert ask(server, theirs, "DELETE", f"{ROLES}/billing").status_code == 404
    assert ask(server, theirs, "POST", BINDINGS, json=given).status_code == 404
    assert ask(server, theirs, "DELETE", BINDINGS, params=given).status_code == 404
    assert names(admin)[-1] == "billing"


def test_bindings_are_listed_in_pages_in_the_order_in_which_they_were_given(
    admin: httpx.Client,
) -> None:
    user_id = a_user(admin)
    given = ["viewer", "analyst", "member"]
    for role in given:
        admin.post(BINDINGS, json={"user_id": user_id, "role": role}).raise_for_status()
    admin.post(BINDINGS, json={"user_id": a_user(admin), "role": "viewer"}).raise_for_status()
    found: list[str] = []
    params = {"user_id": user_id, "limit": "2"}
    while "cursor" not in params or params["cursor"]:
        page = admin.get(BINDINGS, params=params).json()
        found += [one["role"] for one in page["items"]]
        params["cursor"] = page["next_cursor"]
        assert len(found) <= len(given)
    assert found == given
    assert admin.get(BINDINGS, params={"cursor": "x"}).status_code == 422
    assert admin.get(BINDINGS, params={"limit": "501"}).status_code == 422


def test_every_list_says_where_it_goes_on(server: RunningServer) -> None:
    for path in (ROLES, BINDINGS, "/api/v1/limits", "/api/v1/quotas", "/api/v1/secrets/keys"):
        assert server.client.get(path).raise_for_status().json()["next_cursor"] is None, path


def test_everybody_sees_what_they_may_do(server: RunningServer, tenant_id: str) -> None:
    key = a_key(server, tenant_id, "ingest", "cost:read")
    shown = ask(server, key, "GET", "/api/v1/auth/permissions").json()
    assert (shown["tenant_id"], shown["is_operator"]) == (tenant_id, False)
    assert [one["name"] for one in shown["permissions"]] == list(Permission)
    granted = {one["name"] for one in shown["permissions"] if one["is_granted"]}
    assert granted == {Permission.USAGE_INGEST, Permission.COST_READ}
    assert (shown["kind"], shown["username"], shown["roles"]) == ("key", None, [])


def test_a_person_is_told_by_which_roles_they_may_do_it(server: RunningServer, tenant_id: str) -> None:
    ada, bob = a_person(server, tenant_id), a_person(server, tenant_id, "owner")
    server.client.post("/api/v1/projects", json={"id": "search", "name": "x", "tenant_id": tenant_id})
    given = {"user_id": ada.user.id, "role": "member", "project_id": "search"}
    bob.ask(bob.log_in(), "POST", BINDINGS, json=given).raise_for_status()
    tokens = ada.log_in()
    shown = ada.ask(tokens, "GET", "/api/v1/auth/permissions").json()
    assert (shown["kind"], shown["id"], shown["username"]) == ("user", ada.user.id, ada.user.email)
    roles = [{"role": "viewer", "project_id": None}, {"role": "member", "project_id": "search"}]
    assert shown["roles"] == ada.ask(tokens, "GET", "/api/v1/auth/me").json()["roles"] == roles
