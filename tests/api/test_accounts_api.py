"""Users in ReskPoints' words: the same people, by the same rules, as those below `/api/v1/users`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar import ids
from tests.support.access import ask, keys_of
from tests.support.people import PASSWORD, a_person

if TYPE_CHECKING:
    import httpx

    from tests.support.people import Person
    from tests.support.serving import RunningServer

ACCOUNTS, USERS, BINDINGS = "/api/v1/auth/users", "/api/v1/users", "/api/v1/role-bindings"


@pytest.fixture
def tenant_id(server: RunningServer) -> str:
    return str(server.client.post("/api/v1/tenants", json={}).json()["id"])


@pytest.fixture
def owner(server: RunningServer, tenant_id: str) -> Person:
    return a_person(server, tenant_id, "owner")


def an_address() -> str:
    return f"{ids.make_id('p')}@example.com"


def reason_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def fields_of(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    return {one["field"] for one in answer.json()["errors"]}


def made(maker: Person, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """The answer to making an account."""
    answer = maker.ask(maker.log_in(), "POST", ACCOUNTS, json={"email": an_address(), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_account_is_a_user_who_logs_in_by_username(server: RunningServer, owner: Person) -> None:
    email = an_address()
    account = made(
        owner, email=email, username=email.upper(), password=PASSWORD, full_name="Ada", roles=["viewer"]
    )
    assert (account["username"], account["email"], account["full_name"]) == (email, email, "Ada")
    assert (account["is_active"], account["roles"], account["invitation"]) == (True, ["viewer"], None)
    typed = {"username": email, "password": PASSWORD, "tenant_id": account["tenant_id"]}
    assert server.stranger.post("/api/v1/auth/login", json=typed).status_code == 200
    user = owner.ask(owner.log_in(), "GET", f"{USERS}/{account['id']}").json()
    assert (user["email"], user["name"]) == (email, "Ada")
    assert user["roles"] == [{"role": "viewer", "project_id": None}]


def test_an_account_without_a_password_gets_a_link(owner: Person) -> None:
    account = made(owner)
    assert account["invitation"]["link"].partition("/welcome#")[2]
    assert account["full_name"] == account["email"]


def test_a_username_that_is_no_address_is_refused_by_name(owner: Person) -> None:
    body = {"email": "a@b.example", "username": "ada", "password": ""}
    refused = owner.ask(owner.log_in(), "POST", ACCOUNTS, json=body)
    assert fields_of(refused) == {"username", "password"}
    assert "other_than_email" in {one["code"] for one in refused.json()["errors"]}


def test_faults_are_told_by_the_names_that_were_sent(owner: Person) -> None:
    tokens, body = owner.log_in(), {"email": "nobody", "full_name": " ", "password": "short"}
    refused = owner.ask(tokens, "POST", ACCOUNTS, json=body)
    assert fields_of(refused) == {"email", "full_name", "password"}
    one = f"{ACCOUNTS}/{made(owner)['id']}"
    assert fields_of(owner.ask(tokens, "PUT", one, json={"email": "x", "full_name": ""})) == {
        "email",
        "full_name",
    }
    for fault in ({"roles": ["Owner"]}, {"roles": "owner"}, {"username": "ada"}, {"is_active": "maybe"}):
        assert owner.ask(tokens, "PUT", one, json=fault).status_code == 422


def test_accounts_are_listed_in_pages_with_roles_of_the_whole_tenant_alone(
    server: RunningServer, owner: Person
) -> None:
    tenant_id, tokens = owner.user.tenant_id, owner.log_in()
    server.client.post("/api/v1/projects", json={"id": "search", "name": "x", "tenant_id": tenant_id})
    account = made(owner, roles=["viewer"])
    given = {"user_id": account["id"], "role": "owner", "project_id": "search"}
    owner.ask(tokens, "POST", BINDINGS, json=given).raise_for_status()
    first = owner.ask(tokens, "GET", ACCOUNTS, params={"limit": 1}).json()
    rest = owner.ask(tokens, "GET", ACCOUNTS, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [owner.user.id, account["id"]]
    assert rest["next_cursor"] is None
    assert rest["items"][0]["roles"] == ["viewer"]
    assert owner.ask(tokens, "GET", f"{ACCOUNTS}/{account['id']}").json() == rest["items"][0]


def test_an_account_is_changed_whole_and_keeps_its_roles_in_projects(
    server: RunningServer, owner: Person
) -> None:
    tenant_id, tokens, email = owner.user.tenant_id, owner.log_in(), an_address()
    server.client.post("/api/v1/projects", json={"id": "search", "name": "x", "tenant_id": tenant_id})
    one = made(owner, roles=["viewer", "analyst"])["id"]
    given = {"user_id": one, "role": "member", "project_id": "search"}
    owner.ask(tokens, "POST", BINDINGS, json=given).raise_for_status()
    body = {"email": email, "full_name": "Eve", "is_active": False, "roles": ["analyst", "admin"]}
    changed = owner.ask(tokens, "PUT", f"{ACCOUNTS}/{one}", json=body).json()
    assert {name: changed[name] for name in body} == body
    bound = owner.ask(tokens, "GET", BINDINGS, params={"user_id": one}).json()["items"]
    found = {(binding["role"], binding["project_id"]) for binding in bound}
    assert found == {("analyst", None), ("admin", None), ("member", "search")}
    same = owner.ask(tokens, "PUT", f"{ACCOUNTS}/{one}", json={"is_active": True}).json()
    assert same == {**changed, "is_active": True}


def test_a_change_that_can_t_be_whole_is_not_done_at_all(owner: Person) -> None:
    tokens, one = owner.log_in(), made(owner, roles=["viewer"])["id"]
    before = owner.ask(tokens, "GET", f"{ACCOUNTS}/{one}").json()
    body = {"full_name": "Eve", "roles": ["admin"], "email": owner.user.email}
    assert reason_of(owner.ask(tokens, "PUT", f"{ACCOUNTS}/{one}", json=body)) == (409, "user_exists")
    unknown = {"full_name": "Eve", "roles": ["viewer", "user"]}
    assert owner.ask(tokens, "PUT", f"{ACCOUNTS}/{one}", json=unknown).status_code == 404
    assert owner.ask(tokens, "GET", f"{ACCOUNTS}/{one}").json() == before
    own = f"{ACCOUNTS}/{owner.user.id}"
    last = {"full_name": "Eve", "roles": ["viewer"]}
    assert reason_of(owner.ask(tokens, "PUT", own, json=last)) == (409, "last_owner")
    shown = owner.ask(tokens, "GET", own).json()
    assert (shown["roles"], shown["full_name"]) == (["owner"], owner.user.name)


def test_nobody_gives_or_takes_more_than_they_have(server: RunningServer, owner: Person) -> None:
    admin = a_person(server, owner.user.tenant_id, "admin")
    tokens, one = admin.log_in(), f"{ACCOUNTS}/{made(owner, roles=['viewer'])['id']}"
    refused: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", ACCOUNTS, {"email": an_address(), "roles": ["owner"]}),
        ("PUT", one, {"roles": ["owner"]}),
        ("PUT", f"{ACCOUNTS}/{owner.user.id}", {"full_name": "x"}),
        ("PUT", f"{ACCOUNTS}/{owner.user.id}", {"roles": []}),
    )
    for method, path, body in refused:
        answer = admin.ask(tokens, method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), (method, body)
    assert admin.ask(tokens, "PUT", one, json={"roles": ["analyst"]}).json()["roles"] == ["analyst"]


def test_roles_of_an_account_need_the_permission_that_roles_need(
    server: RunningServer, owner: Person
) -> None:
    owner_asks = owner.log_in()
    role = {"name": "reception", "permissions": ["users:write", "users:read"]}
    owner.ask(owner_asks, "POST", "/api/v1/roles", json=role).raise_for_status()
    desk, one = a_person(server, owner.user.tenant_id, "reception"), f"{ACCOUNTS}/{made(owner)['id']}"
    tokens = desk.log_in()
    assert desk.ask(tokens, "PUT", one, json={"full_name": "Eve", "roles": []}).status_code == 200
    answer = desk.ask(tokens, "PUT", one, json={"roles": ["reception"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert "roles:write" in answer.json()["detail"]


def test_another_tenants_accounts_are_as_unknown_as_none(server: RunningServer, owner: Person) -> None:
    other = a_person(server, f"{owner.user.tenant_id}-2", "owner")
    tokens = other.log_in()
    for body in (None, {"full_name": "x"}, {"roles": ["viewer"]}, {}):
        told = [
            other.ask(tokens, "GET" if body is None else "PUT", f"{ACCOUNTS}/{user_id}", json=body)
            for user_id in (owner.user.id, "usr_nobody")
        ]
        assert {(one.status_code, one.json()["code"]) for one in told} == {(404, "not_found")}, body
        assert told[0].json()["detail"].replace(owner.user.id, "usr_nobody") == told[1].json()["detail"]
    assert [one["id"] for one in other.ask(tokens, "GET", ACCOUNTS).json()["items"]] == [other.user.id]
    keys = keys_of(server, f"{owner.user.tenant_id}-keys")
    assert ask(server, keys["read"], "GET", ACCOUNTS).status_code == 403


def test_what_is_done_to_accounts_is_in_the_audit_log_without_address_or_name(owner: Person) -> None:
    account, tokens = made(owner, full_name="Somebody"), owner.log_in()
    body = {"is_active": False, "full_name": "Else", "roles": ["viewer"]}
    owner.ask(tokens, "PUT", f"{ACCOUNTS}/{account['id']}", json=body).raise_for_status()
    listed = owner.ask(tokens, "GET", "/api/v1/audit", params={"limit": 100})
    about = {
        one["act"]: one
        for one in listed.json()["items"]
        if one["target"] == account["id"] and one["outcome"] == "done"
    }
    assert set(about) == {"user.create", "user.change"}
    assert about["user.change"]["before"] == {"state": "active", "roles": []}
    assert about["user.change"]["after"]["roles"] == ["viewer"]
    assert not [word for word in (account["email"], "Somebody", "Else") if word in listed.text]
