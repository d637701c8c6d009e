"""Users over HTTP: made, invited, changed, suspended, removed, by who may do as much, in their own tenant."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from bursar import ids
from bursar.identity.logins.attempts import FREE_ATTEMPTS
from tests.support.access import ask, keys_of
from tests.support.people import PASSWORD, a_person

if TYPE_CHECKING:
    import httpx

    from tests.support.people import Person
    from tests.support.serving import RunningServer

USERS, ACCEPT, FORGOT, LOGIN = (
    "/api/v1/users",
    "/api/v1/auth/accept",
    "/api/v1/auth/forgot",
    "/api/v1/auth/login",
)
ME = "/api/v1/auth/me"


@pytest.fixture
def tenant_id(server: RunningServer) -> str:
    return str(server.client.post("/api/v1/tenants", json={}).json()["id"])


@pytest.fixture
def owner(server: RunningServer, tenant_id: str) -> Person:
    return a_person(server, tenant_id, "owner")


@pytest.fixture
def admin(server: RunningServer, tenant_id: str) -> Person:
    return a_person(server, tenant_id, "admin")


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def reason_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def an_address() -> str:
    return f"{ids.make_id('p')}@example.com"


def invited(maker: Person, *roles: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """The answer to making a user."""
    body = {"email": an_address(), "roles": [{"role": one} for one in roles], **more}
    answer = maker.ask(maker.log_in(), "POST", USERS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def secret_in(link: str) -> str:
    page, _, secret = link.partition("/welcome#")
    assert page.startswith("http://127.0.0.1:")
    return secret


def accepted(server: RunningServer, link: str, password: str = PASSWORD) -> httpx.Response:
    return server.stranger.post(ACCEPT, json={"token": secret_in(link), "password": password})


# ---------------------------------------------------------------------------------------- made and invited


def test_somebody_invited_chooses_a_password_and_is_in(server: RunningServer, owner: Person) -> None:
    made = invited(owner, "viewer", name="Ada")
    assert (made["name"], made["state"], made["has_password"]) == ("Ada", "active", False)
    assert made["roles"] == [{"role": "viewer", "project_id": None}]
    invitation = made["invitation"]
    assert (invitation["mailed"], invitation["problem"]) == (False, None)
    answer = accepted(server, invitation["link"])
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert (tokens["user"]["id"], tokens["user"]["has_password"]) == (made["id"], True)
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert server.stranger.get("/api/v1/projects", headers=bearer).status_code == 200
    typed = {"email": made["email"].upper(), "password": PASSWORD, "tenant_id": made["tenant_id"]}
    assert server.stranger.post(LOGIN, json=typed).status_code == 200


def test_a_link_counts_once_also_for_many_at_once(server: RunningServer, owner: Person) -> None:
    link = invited(owner, "viewer")["invitation"]["link"]

    def follow(number: int) -> int:
        return accepted(server, link, f"{PASSWORD} {number}").status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(follow, range(4)))
    assert sorted(statuses) == [200, 401, 401, 401]
    assert code_of(accepted(server, link)) == (401, "bad_link")


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "password12345", "ada@example.com"])
def test_a_password_that_the_rules_refuse_uses_no_link_up(
    server: RunningServer, owner: Person, password: str
) -> None:
    body = {"email": "ada@example.com"}
    made = owner.ask(owner.log_in(), "POST", USERS, json=body).json()
    link = made["invitation"]["link"]
    refused = accepted(server, link, password)
    assert code_of(refused) == (422, "invalid")
    assert {one["field"] for one in refused.json()["errors"]} == {"password"}
    assert accepted(server, link).status_code == 200


def test_an_address_a_name_and_a_password_that_are_all_unfit_are_told_together(owner: Person) -> None:
    body = {"email": "nobody", "name": " ", "password": "short"}
    refused = owner.ask(owner.log_in(), "POST", USERS, json=body)
    assert {one["field"] for one in refused.json()["errors"]} == {"email", "name", "password"}


def test_who_is_locked_out_gets_in_by_a_new_password(server: RunningServer, owner: Person) -> None:
    bob = a_person(server, owner.user.tenant_id)
    for _ in range(FREE_ATTEMPTS):
        assert server.stranger.post(LOGIN, json=bob.credentials("wrong password")).status_code == 401
    handed = owner.ask(owner.log_in(), "POST", f"{USERS}/{bob.user.id}/link").json()
    assert accepted(server, handed["link"], "another horse battery").status_code == 200
    assert server.stranger.post(LOGIN, json=bob.credentials("another horse battery")).status_code == 200


def test_a_user_with_a_password_needs_no_link(server: RunningServer, owner: Person) -> None:
    made = invited(owner, "viewer", password=PASSWORD)
    assert (made["invitation"], made["has_password"]) == (None, True)
    typed = {"email": made["email"], "password": PASSWORD, "tenant_id": made["tenant_id"]}
    assert server.stranger.post(LOGIN, json=typed).status_code == 200
    weak = {"email": an_address(), "password": "short"}
    assert code_of(owner.ask(owner.log_in(), "POST", USERS, json=weak)) == (422, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "nobody"},
        {"email": "a@b.c\nBcc: x@y.z"},
        {"email": "a@b.c", "name": " "},
        {"email": "a@b.c", "roles": [{"role": "Owner"}]},
        {"email": "a@b.c", "roles": "owner"},
        {"email": "a@b.c", "more": 1},
        {"email": "a@b.c", "password": ""},
        {"email": f"{'a' * 250}@b.c"},
    ],
)
def test_a_user_who_can_t_be_is_refused_by_name(owner: Person, body: dict[str, Any]) -> None:
    assert code_of(owner.ask(owner.log_in(), "POST", USERS, json=body)) == (422, "invalid")


def test_an_address_is_taken_once_in_a_tenant_and_free_in_another(
    server: RunningServer, owner: Person
) -> None:
    tokens, taken = owner.log_in(), {"email": f" {owner.user.email.upper()}"}
    assert reason_of(owner.ask(tokens, "POST", USERS, json=taken)) == (409, "user_exists")
    other = a_person(server, f"{owner.user.tenant_id}-2", "owner")
    assert other.ask(other.log_in(), "POST", USERS, json=taken).status_code == 201


def test_a_role_that_isn_t_there_makes_nobody(owner: Person) -> None:
    tokens = owner.log_in()
    for roles in ([{"role": "nothing"}], [{"role": "viewer", "project_id": "unknown"}]):
        answer = owner.ask(tokens, "POST", USERS, json={"email": an_address(), "roles": roles})
        assert code_of(answer) == (404, "not_found")
    assert len(owner.ask(tokens, "GET", USERS).json()["items"]) == 1


def test_a_link_is_mailed_only_where_mail_is_set_up(server: RunningServer, owner: Person) -> None:
    tokens = owner.log_in()
    asked = {"email": an_address(), "mail": True}
    assert reason_of(owner.ask(tokens, "POST", USERS, json=asked)) == (409, "no_mail")
    assert len(owner.ask(tokens, "GET", USERS).json()["items"]) == 1
    for email in (owner.user.email, "nobody@example.com"):
        answer = server.stranger.post(FORGOT, json={"email": email, "tenant_id": owner.user.tenant_id})
        assert reason_of(answer) == (409, "no_mail")


# ------------------------------------------------------------------------------------------ seen and changed


def test_users_are_listed_in_pages_with_their_roles(owner: Person) -> None:
    made = [owner.user.id, *(invited(owner, "viewer")["id"] for _ in range(3))]
    tokens, found, cursor = owner.log_in(), [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = owner.ask(tokens, "GET", USERS, params=params).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [one["id"] for one in found] == made
    roles = [[each["role"] for each in one["roles"]] for one in found]
    assert roles == [["owner"], ["viewer"], ["viewer"], ["viewer"]]
    assert owner.ask(tokens, "GET", f"{USERS}/{made[1]}").json() == found[1]
    assert not {"password", "password_hash"} & set(found[0])


def test_an_address_is_the_same_however_a_keyboard_composed_it(server: RunningServer, owner: Person) -> None:
    rest = an_address()
    apart, composed = f"zoe\u0308{rest}", f"zo\u00eb{rest}"
    owner_asks = owner.log_in()
    made = owner.ask(owner_asks, "POST", USERS, json={"email": apart, "password": PASSWORD}).json()
    assert made["email"] == composed
    again = owner.ask(owner_asks, "POST", USERS, json={"email": composed, "password": PASSWORD})
    assert reason_of(again) == (409, "user_exists")
    typed = {"email": composed, "password": PASSWORD, "tenant_id": made["tenant_id"]}
    assert server.stranger.post(LOGIN, json=typed).status_code == 200


def test_a_name_and_an_address_are_changed(owner: Person) -> None:
    user_id, tokens, email = invited(owner)["id"], owner.log_in(), an_address()
    changed = owner.ask(tokens, "PATCH", f"{USERS}/{user_id}", json={"name": "Eve", "email": email.upper()})
    assert (changed.json()["name"], changed.json()["email"]) == ("Eve", email)
    taken = owner.ask(tokens, "PATCH", f"{USERS}/{user_id}", json={"email": owner.user.email})
    assert reason_of(taken) == (409, "user_exists")
    for body in ({"name": ""}, {"email": "x"}, {"state": "gone"}, {"roles": "owner"}):
        assert code_of(owner.ask(tokens, "PATCH", f"{USERS}/{user_id}", json=body)) == (422, "invalid")


def test_who_is_suspended_is_out_at_once_and_may_come_back(server: RunningServer, owner: Person) -> None:
    ada = a_person(server, owner.user.tenant_id)
    theirs, tokens, one = ada.log_in(), owner.log_in(), f"{USERS}/{ada.user.id}"
    assert ada.ask(theirs, "GET", ME).status_code == 200
    assert owner.ask(tokens, "PATCH", one, json={"state": "suspended"}).json()["state"] == "suspended"
    assert code_of(ada.ask(theirs, "GET", ME)) == (401, "session_ended")
    assert server.stranger.post(LOGIN, json=ada.credentials()).status_code == 401
    assert reason_of(owner.ask(tokens, "POST", f"{one}/link")) == (409, "user_suspended")
    owner.ask(tokens, "PATCH", one, json={"state": "active"}).raise_for_status()
    assert code_of(ada.ask(theirs, "GET", ME)) == (401, "session_ended")
    ada.log_in()


def test_who_is_removed_is_out_at_once_and_leaves_no_role(server: RunningServer, owner: Person) -> None:
    ada = a_person(server, owner.user.tenant_id)
    theirs, tokens, one = ada.log_in(), owner.log_in(), f"{USERS}/{ada.user.id}"
    assert ada.ask(theirs, "GET", ME).status_code == 200
    assert owner.ask(tokens, "DELETE", one).status_code == 204
    assert code_of(ada.ask(theirs, "GET", ME)) == (401, "session_ended")
    refreshed = server.stranger.post("/api/v1/auth/refresh", json={"refresh_token": theirs["refresh_token"]})
    assert refreshed.status_code == 401
    bound = owner.ask(tokens, "GET", "/api/v1/role-bindings", params={"user_id": ada.user.id})
    assert bound.json()["items"] == []
    assert code_of(owner.ask(tokens, "DELETE", one)) == (404, "not_found")


def test_somebody_is_logged_out_everywhere(server: RunningServer, owner: Person) -> None:
    ada = a_person(server, owner.user.tenant_id)
    sessions = [ada.log_in() for _ in range(2)]
    ended = owner.ask(owner.log_in(), "POST", f"{USERS}/{ada.user.id}/logout")
    assert ended.json() == {"ended": 2}
    assert {code_of(ada.ask(one, "GET", ME)) for one in sessions} == {(401, "session_ended")}


def test_a_reset_ends_sessions_and_the_old_password_once_it_is_followed(
    server: RunningServer, owner: Person
) -> None:
    ada = a_person(server, owner.user.tenant_id)
    theirs, tokens = ada.log_in(), owner.log_in()
    links = [owner.ask(tokens, "POST", f"{USERS}/{ada.user.id}/link").json()["link"] for _ in range(2)]
    assert ada.ask(theirs, "GET", ME).status_code == 200
    assert code_of(accepted(server, links[0])) == (401, "bad_link")
    assert accepted(server, links[1], "another horse battery").status_code == 200
    assert code_of(ada.ask(theirs, "GET", ME)) == (401, "session_ended")
    assert server.stranger.post(LOGIN, json=ada.credentials()).status_code == 401
    assert server.stranger.post(LOGIN, json=ada.credentials("another horse battery")).status_code == 200


# -------------------------------------------------------------------------------------- nobody beyond reach


def test_nobody_has_power_over_who_may_do_more(server: RunningServer, owner: Person, admin: Person) -> None:
    tokens, one = admin.log_in(), f"{USERS}/{owner.user.id}"
    refused: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", USERS, {"json": {"email": an_address(), "roles": [{"role": "owner"}]}}),
        ("PATCH", one, {"json": {"name": "x"}}),
        ("PATCH", one, {"json": {"email": admin.user.email}}),
        ("PATCH", one, {"json": {"state": "suspended"}}),
        ("DELETE", one, {}),
        ("POST", f"{one}/link", {}),
        ("POST", f"{one}/logout", {}),
    )
    for method, path, more in refused:
        assert code_of(admin.ask(tokens, method, path, **more)) == (403, "missing_scope"), (method, path)
    assert server.stranger.post(LOGIN, json=owner.credentials()).status_code == 200


def test_a_link_shown_to_an_admin_opens_no_account_that_has_risen_above_them(
    server: RunningServer, owner: Person, admin: Person
) -> None:
    made = invited(admin, "viewer")
    given = {"user_id": made["id"], "role": "owner"}
    owner.ask(owner.log_in(), "POST", "/api/v1/role-bindings", json=given).raise_for_status()
    assert code_of(accepted(server, made["invitation"]["link"])) == (401, "bad_link")


def test_the_last_owner_stays(server: RunningServer, owner: Person) -> None:
    tokens, one = owner.log_in(), f"{USERS}/{owner.user.id}"
    role = {"user_id": owner.user.id, "role": "owner"}
    attempts: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("DELETE", one, {}),
        ("PATCH", one, {"json": {"state": "suspended"}}),
        ("DELETE", "/api/v1/role-bindings", {"params": role}),
    )
    for method, path, more in attempts:
        assert reason_of(owner.ask(tokens, method, path, **more)) == (409, "last_owner"), (method, path)
    assert owner.ask(tokens, "GET", ME).status_code == 200
    a_person(server, owner.user.tenant_id, "owner")
    assert owner.ask(tokens, "DELETE", one).status_code == 204


def test_another_tenants_users_are_as_unknown_as_none(server: RunningServer, owner: Person) -> None:
    other = a_person(server, f"{owner.user.tenant_id}-2", "owner")
    tokens = other.log_in()
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("GET", "", {}),
        ("PATCH", "", {"json": {"name": "x"}}),
        ("DELETE", "", {}),
        ("POST", "/link", {}),
        ("POST", "/logout", {}),
    )
    for method, below, more in asked:
        told = [
            other.ask(tokens, method, f"{USERS}/{user_id}{below}", **more)
            for user_id in (owner.user.id, "usr_nobody")
        ]
        assert {code_of(one) for one in told} == {(404, "not_found")}, (method, below)
        assert told[0].json()["detail"].replace(owner.user.id, "usr_nobody") == told[1].json()["detail"]
    given = {"user_id": owner.user.id, "role": "viewer"}
    assert code_of(other.ask(tokens, "POST", "/api/v1/role-bindings", json=given)) == (404, "not_found")
    assert [one["id"] for one in other.ask(tokens, "GET", USERS).json()["items"]] == [other.user.id]


def test_reading_keys_see_no_users(server: RunningServer, tenant_id: str) -> None:
    keys = keys_of(server, f"{tenant_id}-keys")
    assert code_of(ask(server, keys["read"], "GET", USERS)) == (403, "missing_scope")
    assert ask(server, keys["admin"], "GET", USERS).json()["items"] == []
    body = {"email": an_address(), "roles": [{"role": "owner"}]}
    assert ask(server, keys["admin"], "POST", USERS, json=body).status_code == 201


def test_what_is_done_to_users_is_in_the_audit_log_without_address_or_link(owner: Person) -> None:
    made = invited(owner, "viewer", name="Somebody")
    tokens = owner.log_in()
    owner.ask(tokens, "POST", f"{USERS}/{made['id']}/link").raise_for_status()
    owner.ask(tokens, "PATCH", f"{USERS}/{made['id']}", json={"state": "suspended", "name": "Else"})
    owner.ask(tokens, "DELETE", f"{USERS}/{made['id']}")
    listed = owner.ask(tokens, "GET", "/api/v1/audit", params={"limit": 100})
    about = [
        one for one in listed.json()["items"] if one["target"] == made["id"] and one["outcome"] == "done"
    ]
    assert {one["act"] for one in about} == {"user.create", "user.link", "user.change", "user.remove"}
    text = listed.text
    assert not [word for word in (made["email"], "Somebody", "Else", "bur_link") if word in text]
