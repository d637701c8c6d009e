"""Logging in over HTTP: tokens, their rotation and theft, logging out, and who hears of changes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.identity.logins.access_token import AccessClaims, SigningKeys, sign
from bursar.identity.logins.attempts import FREE_ATTEMPTS
from bursar.identity.roles import RoleBinding
from bursar.identity.users.user import UserChange, UserState
from bursar.settings import load_settings
from tests.support.access import ask, keys_of
from tests.support.people import PASSWORD, Person, a_person, a_user
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

LOGIN, TOKEN, REFRESH, LOGOUT, ME = (
    f"/api/v1/auth/{name}" for name in ("login", "token", "refresh", "logout", "me")
)


@pytest.fixture(scope="module")
def ada(server: RunningServer) -> Person:
    """A viewer of the tenant `logins`."""
    return a_person(server, "logins")


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def refreshed(person: Person, tokens: dict[str, Any]) -> httpx.Response:
    return person.server.stranger.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})


# ------------------------------------------------------------------------------------------------- ways in


def test_a_login_brings_tokens_that_open_what_the_role_allows(ada: Person) -> None:
    answer = ada.server.stranger.post(LOGIN, json=ada.credentials())
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert tokens["user"]["email"] == ada.user.email
    assert tokens["user"]["last_login_at"] is not None
    assert ada.ask(tokens, "GET", "/api/v1/projects").status_code == 200
    assert code_of(ada.ask(tokens, "GET", "/api/v1/keys")) == (403, "missing_scope")
    assert code_of(ada.ask(tokens, "GET", "/api/v1/tenants")) == (403, "forbidden")


def test_a_token_goes_in_every_header_that_takes_keys(ada: Person) -> None:
    token = ada.log_in()["access_token"]
    for headers in ({"x-api-key": token}, {"authorization": f"bearer {token}"}):
        assert ada.server.stranger.get("/api/v1/projects", headers=headers).status_code == 200


def test_an_address_is_the_same_in_any_case(ada: Person) -> None:
    typed = {**ada.credentials(), "email": f"  {ada.user.email.upper()} "}
    assert ada.server.stranger.post(LOGIN, json=typed).status_code == 200


def test_every_failed_login_looks_alike(server: RunningServer) -> None:
    ada, eve, new = (a_person(server, "alike") for _ in range(3))
    users = server.platform.logins.users
    users.change_user("alike", eve.user.id, UserChange(state=UserState.SUSPENDED), clock.now())
    typed = [
        ada.credentials("wrong password"),
        {**ada.credentials(), "email": "nobody@example.com"},
        {**ada.credentials(), "tenant_id": "no-such-tenant"},
        {**ada.credentials(), "tenant_id": "default"},
        {**ada.credentials(), "email": "no address"},
        eve.credentials(),
        new.credentials("\U0001f600" * 20),
    ]
    answers = [server.stranger.post(LOGIN, json=one) for one in typed]
    assert {answer.status_code for answer in answers} == {401}
    told = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in answers]
    assert all(one == told[0] for one in told)
    assert told[0]["code"] == "wrong_login"


def attempts_that_fail(server: RunningServer) -> dict[str, dict[str, str]]:
    """What is typed, by why it fails."""
    known, suspended, locked = (a_person(server, "same-work") for _ in range(3))
    users = server.platform.logins.users
    users.change_user("same-work", suspended.user.id, UserChange(state=UserState.SUSPENDED), clock.now())
    without = a_user("same-work", "no-password@example.com")
    users.add_user(without)
    for _ in range(FREE_ATTEMPTS):
        assert server.stranger.post(LOGIN, json=locked.credentials("wrong password")).status_code == 401
    wrong = known.credentials("wrong password")
    return {
        "wrong password": wrong,
        "unknown address": {**wrong, "email": "nobody@example.com"},
        "unknown tenant": {**wrong, "tenant_id": "no-such-tenant"},
        "suspended": suspended.credentials(),
        "suspended, wrong password": suspended.credentials("wrong password"),
        "no password": {**wrong, "email": without.email},
        "locked": locked.credentials(),
        "locked, wrong password": locked.credentials("wrong password"),
    }


def test_failures_for_known_and_unknown_addresses_do_the_same_work(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared by what is done, not by the clock: one hash is compared, one attempt is begun."""
    typed, done = attempts_that_fail(server), list[str]()
    logins = server.platform.logins
    hasher, begin = logins.passwords._hasher, type(logins.store).begin_attempt
    hashes = type(hasher)

    def verify(*given: Any) -> bool:  # noqa: ANN401 - argon2's
        done.append("hash compared")
        return compare(*given)

    def begin_attempt(*given: Any) -> Any:  # noqa: ANN401 - the store's
        done.append("attempt begun")
        return begin(*given)

    compare = hashes.verify
    monkeypatch.setattr(hashes, "verify", verify)
    monkeypatch.setattr(type(logins.store), "begin_attempt", begin_attempt)
    found: dict[str, list[str]] = {}
    for why, one in typed.items():
        done.clear()
        assert code_of(server.stranger.post(LOGIN, json=one)) == (401, "wrong_login")
        found[why] = [*done]
    assert found == {why: ["attempt begun", "hash compared"] for why in typed}


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(server: RunningServer) -> None:
    ada, bob = a_person(server, "locked"), a_person(server, "locked")
    for _ in range(FREE_ATTEMPTS):
        assert server.stranger.post(LOGIN, json=ada.credentials("wrong password")).status_code == 401
    assert code_of(server.stranger.post(LOGIN, json=ada.credentials())) == (401, "wrong_login")
    assert bob.log_in()["user"]["id"] == bob.user.id


def test_four_wrong_passwords_and_the_right_one_begin_anew(server: RunningServer) -> None:
    ada = a_person(server, "forgetful")
    for _ in range(2):
        for _ in range(FREE_ATTEMPTS - 1):
            assert server.stranger.post(LOGIN, json=ada.credentials("wrong password")).status_code == 401
        ada.log_in()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"email": "a@b.c"}, 422),
        ({"email": "a@b.c", "password": "x", "more": 1}, 422),
        ({"email": "a\u0000@b.c", "password": "x"}, 422),
        ({"email": "a@b.c", "password": "x" * 1025}, 422),
        ({"email": "a@b.c", "password": "x", "tenant_id": "../x"}, 422),
        ({"email": 7, "password": True}, 422),
        ({"username": "a\u0000@b.c", "password": "x"}, 422),
        ({"username": "a@b.c", "email": "a@b.c", "password": "x"}, 422),
        ({"username": None, "email": None, "password": "x"}, 422),
        ([], 422),
    ],
)
def test_a_login_that_can_t_be_is_refused_by_name(server: RunningServer, body: Any, status: int) -> None:  # noqa: ANN401 - any JSON
    answer = server.stranger.post(LOGIN, json=body)
    assert answer.status_code == status
    assert answer.json()["code"] == "invalid"


def test_a_username_is_another_name_of_the_address(ada: Person) -> None:
    typed = {"username": ada.user.email.upper(), "password": PASSWORD, "tenant_id": "logins"}
    answer = ada.server.stranger.post(LOGIN, json=typed)
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["id"] == ada.user.id


def test_a_login_names_somebody_once_and_is_told_of_every_fault(server: RunningServer) -> None:
    told = {
        "neither_given": server.stranger.post(LOGIN, json={}),
        "given_twice": server.stranger.post(LOGIN, json={"email": "a@b.c", "username": "a@b.c"}),
    }
    for code, answer in told.items():
        found = {(one["field"], one["code"]) for one in answer.json()["errors"]}
        assert found == {("email", code), ("password", "missing")}
        assert "'username'" in answer.json()["detail"]


def test_half_a_character_in_a_password_is_no_fault_of_ours(server: RunningServer) -> None:
    body = json.dumps({"email": "a@b.c", "password": "\ud800"})
    answer = server.stranger.post(LOGIN, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {401, 422}


# ------------------------------------------------------------------------------------------ OAuth 2's form


def test_oauth_clients_log_in_with_a_form(ada: Person) -> None:
    form = {"grant_type": "password", "username": ada.user.email, "password": PASSWORD, "tenant_id": "logins"}
    answer = ada.server.stranger.post(TOKEN, data=form)
    assert answer.status_code == 200, answer.text
    assert ada.ask(answer.json(), "GET", ME).json()["user"]["id"] == ada.user.id
    form = {"grant_type": "refresh_token", "refresh_token": answer.json()["refresh_token"]}
    assert ada.server.stranger.post(TOKEN, data=form).status_code == 200
    assert code_of(ada.server.stranger.post(TOKEN, data=form)) == (401, "session_ended")


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ("username=a&password=b", "grant_type"),
        ("grant_type=client_credentials", "grant_type"),
        ("grant_type=password&username=a", "username"),
        ("grant_type=refresh_token", "refresh_token"),
        ("grant_type=password&username=a&username=b&password=c", "username"),
    ],
)
def test_a_form_that_lacks_something_is_refused_by_name(server: RunningServer, form: str, field: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = server.stranger.post(TOKEN, content=form, headers=headers)
    assert answer.status_code == 422, answer.text
    assert {"username", "password", field} >= {fault["field"] for fault in answer.json()["errors"]}


@pytest.mark.parametrize("content", [b"\xff", b"%%%", b"a", b""])
def test_what_is_no_form_is_refused(server: RunningServer, content: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert server.stranger.post(TOKEN, content=content, headers=headers).status_code in {400, 422}
    assert server.stranger.post(TOKEN, json={}).status_code == 415


# ------------------------------------------------------------------------------------------------ rotation


def test_a_refresh_token_brings_the_next_ones(ada: Person) -> None:
    first = ada.log_in()
    second = refreshed(ada, first).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert ada.ask(second, "GET", ME).status_code == 200
    assert ada.ask(first, "GET", ME).status_code == 200, "it counts until its minutes are over"
    assert second["session_expires_at"] == first["session_expires_at"]


def test_a_stolen_refresh_token_ends_the_session_for_thief_and_owner(ada: Person) -> None:
    other, stolen = ada.log_in(), ada.log_in()
    thief = refreshed(ada, stolen).json()
    assert ada.ask(thief, "GET", ME).status_code == 200
    assert code_of(refreshed(ada, stolen)) == (401, "session_ended")
    for tokens in (stolen, thief):
        assert code_of(ada.ask(tokens, "GET", ME)) == (401, "session_ended")
    assert code_of(refreshed(ada, thief)) == (401, "session_ended")
    assert ada.ask(other, "GET", ME).status_code == 200


@pytest.mark.parametrize("token", ["x", "bur_refresh_x", "eyJhbGciOiJub25lIn0.e30."])
def test_an_unknown_refresh_token_is_refused(server: RunningServer, token: str) -> None:
    assert code_of(server.stranger.post(REFRESH, json={"refresh_token": token})) == (401, "bad_token")


def test_neither_kind_of_token_counts_as_the_other(ada: Person) -> None:
    tokens = ada.log_in()
    swapped = {"access_token": tokens["refresh_token"], "refresh_token": tokens["access_token"]}
    assert code_of(ada.ask(swapped, "GET", ME)) == (401, "unknown_key")
    assert code_of(refreshed(ada, swapped)) == (401, "bad_token")


# --------------------------------------------------------------------------------------------- access tokens


def test_an_alg_none_token_is_refused_over_http(ada: Person) -> None:
    _, content, signature = ada.log_in()["access_token"].split(".")
    head = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for forged in (f"{head}.{content}.", f"{head}.{content}.{signature}"):
        assert code_of(ada.ask({"access_token": forged}, "GET", ME)) == (401, "bad_token")


def test_an_expired_token_says_so(ada: Person) -> None:
    platform, now = ada.server.platform, clock.now()
    session = platform.logins.store.sessions("logins", ada.user.id, now)[0]
    claims = AccessClaims(ada.user.id, session.id, now - timedelta(seconds=1))
    expired = sign(platform.logins.keys, claims, now - timedelta(minutes=15))
    assert code_of(ada.ask({"access_token": expired}, "GET", ME)) == (401, "expired_token")


def test_a_token_for_another_users_session_is_refused_even_if_signed(ada: Person) -> None:
    bob = a_person(ada.server, "logins")
    bob.log_in()
    now = clock.now()
    session = ada.server.platform.logins.store.sessions("logins", bob.user.id, now)[0]
    claims = AccessClaims(ada.user.id, session.id, now + timedelta(minutes=1))
    mixed = sign(ada.server.platform.logins.keys, claims, now)
    assert code_of(ada.ask({"access_token": mixed}, "GET", ME)) == (401, "session_ended")


def test_a_person_may_not_name_another_tenant(ada: Person) -> None:
    keys_of(ada.server, "logins-rival")
    answer = ada.ask(ada.log_in(), "GET", "/api/v1/projects", params={"tenant_id": "logins-rival"})
    assert code_of(answer) == (403, "tenant_mismatch")


# --------------------------------------------------------------------------------------------- ways out, me


def test_logging_out_ends_this_session_at_once(ada: Person) -> None:
    here, there = ada.log_in(), ada.log_in()
    assert ada.ask(here, "POST", LOGOUT).status_code == 204
    assert code_of(ada.ask(here, "GET", ME)) == (401, "session_ended")
    assert code_of(refreshed(ada, here)) == (401, "session_ended")
    assert ada.ask(there, "GET", ME).status_code == 200


def test_logging_out_everywhere_ends_them_all_and_nobody_elses(ada: Person) -> None:
    bob = a_person(ada.server, "logins")
    here, there, his = ada.log_in(), ada.log_in(), bob.log_in()
    assert ada.ask(here, "POST", LOGOUT, json={"everywhere": True}).status_code == 204
    for tokens in (here, there):
        assert code_of(ada.ask(tokens, "GET", ME)) == (401, "session_ended")
    assert bob.ask(his, "GET", ME).status_code == 200


def test_logging_out_needs_a_credential(server: RunningServer) -> None:
    assert code_of(server.stranger.post(LOGOUT)) == (401, "missing_key")
    assert code_of(server.stranger.get(ME)) == (401, "missing_key")


def test_me_tells_a_person_who_they_are(ada: Person) -> None:
    tokens = ada.log_in()
    me = ada.ask(tokens, "GET", ME).json()
    assert (me["kind"], me["id"], me["tenant_id"]) == ("user", ada.user.id, "logins")
    assert me["roles"] == [{"role": "viewer", "project_id": None}]
    assert "cost:read" in me["permissions"]
    assert "keys:write" not in me["permissions"]
    assert me["sessions"][0]["address"] == "127.0.0.1"


def test_me_tells_a_key_what_it_may(server: RunningServer) -> None:
    keys = keys_of(server, "logins-keys")
    me = ask(server, keys["ingest"], "GET", ME).json()
    assert (me["kind"], me["permissions"], me["user"]) == ("key", ["usage:ingest"], None)
    assert me["roles"] == []
    assert ask(server, keys["ingest"], "POST", LOGOUT).status_code == 204
    assert ask(server, keys["ingest"], "GET", ME).status_code == 200
    assert server.client.get(ME).json()["kind"] == "operator"


# ---------------------------------------------------------------------------------- what counts at once


def test_a_role_given_or_taken_counts_at_once_here(server: RunningServer) -> None:
    ada = a_person(server, "roles-at-once", role=None)
    tokens, platform = ada.log_in(), server.platform
    assert code_of(ada.ask(tokens, "GET", "/api/v1/projects")) == (403, "missing_scope")
    binding = RoleBinding("roles-at-once", ada.user.id, "admin", None, "tests", clock.now())
    platform.identity.bind(binding)
    platform.authenticator.forget()
    assert ada.ask(tokens, "GET", "/api/v1/keys").status_code == 200
    platform.identity.unbind(binding)
    platform.authenticator.forget()
    assert code_of(ada.ask(tokens, "GET", "/api/v1/keys")) == (403, "missing_scope")


def test_a_suspended_tenants_people_read_and_send_nothing(server: RunningServer) -> None:
    ada = a_person(server, "asleep", role="member")
    tokens = ada.log_in()
    event = {"event_id": "e1", "model": "gpt-4o-mini", "input_tokens": 7}
    assert ada.ask(tokens, "POST", "/api/v1/events", json=event).status_code == 202
    server.client.patch("/api/v1/tenants/asleep", json={"state": "suspended"}).raise_for_status()
    assert ada.ask(tokens, "GET", "/api/v1/projects").status_code == 200
    assert code_of(ada.ask(tokens, "POST", "/api/v1/events", json=event)) == (403, "tenant_suspended")


# ------------------------------------------------------------------------------------------------ the secret


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        ada = a_person(server, "acme")
        tokens = ada.log_in()
        path = server.platform.folder.secret_key
        content = path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
    with running_server(tmp_path / "data") as again:
        assert path.read_bytes() == content
        assert Person(again, ada.user).ask(tokens, "GET", ME).status_code == 200


def test_a_changed_secret_key_counts_with_the_one_before_until_that_is_unset(tmp_path: Path) -> None:
    old, new = "o" * 32, "n" * 32
    with running_server(tmp_path / "data", secret_key=old) as server:
        ada = a_person(server, "acme")
        tokens = ada.log_in()
        assert not server.platform.folder.secret_key.exists()
    with running_server(tmp_path / "data", secret_key=new, secret_key_previous=old) as server:
        ada = Person(server, ada.user)
        assert ada.ask(tokens, "GET", ME).status_code == 200
        renewed = ada.log_in()
    with running_server(tmp_path / "data", secret_key=new) as server:
        ada = Person(server, ada.user)
        assert code_of(ada.ask(tokens, "GET", ME)) == (401, "bad_token")
        assert ada.ask(renewed, "GET", ME).status_code == 200
        assert refreshed(ada, tokens).status_code == 200, "sessions outlive the secret"
        assert server.platform.logins.keys == SigningKeys.of(new)


def test_the_minutes_of_a_token_are_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = load_settings({"JWT_EXPIRE_MINUTES": "3"}).jwt_expire_minutes
    with running_server(tmp_path / "data", jwt_expire_minutes=minutes) as server:
        ada, real = a_person(server, "acme"), clock.now
        tokens = ada.log_in()
        assert tokens["expires_in"] == 180
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=2))
        assert ada.ask(tokens, "GET", ME).status_code == 200
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=3))
        assert code_of(ada.ask(tokens, "GET", ME)) == (401, "expired_token")
