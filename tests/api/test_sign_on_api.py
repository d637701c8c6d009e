"""Single sign-on over HTTP, at a certified OpenID provider: who comes in, as whom, with which roles."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.identity.roles import RoleBinding
from bursar.identity.sign_on.provider import RENEWED_AFTER_SECONDS
from bursar.identity.users.user import UserChange, UserState
from tests.support import openid_provider
from tests.support.openid_provider import (
    CALLBACK,
    CLIENT_ID,
    LOGIN,
    Browser,
    OpenIdProvider,
    signing_on,
    someone,
)
from tests.support.patience import wait_until
from tests.support.people import a_person, a_user
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

both, server, provider = openid_provider.both, openid_provider.server, openid_provider.provider


def roles_of(server: RunningServer, user_id: str) -> set[tuple[str, str | None, str]]:
    bindings = server.platform.identity.bindings("acme", user_id)
    return {(one.role, one.project_id, one.granted_by) for one in bindings}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# ----------------------------------------------------------------------------------------------- coming in


def test_somebody_whom_the_provider_knows_comes_in_with_the_roles_of_their_groups(
    server: RunningServer,
) -> None:
    browser = Browser(server.url)
    answer = browser.log_in("ada")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    user = tokens["user"]
    assert (user["email"], user["name"], user["tenant_id"]) == ("ada@example.com", "Ada Lovelace", "acme")
    assert user["has_password"] is False
    assert roles_of(server, user["id"]) == {("analyst", None, "oidc")}
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert server.stranger.get("/api/v1/projects", headers=headers).status_code == 200
    assert server.stranger.get("/api/v1/keys", headers=headers).status_code == 403
    renewed = server.stranger.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert renewed.status_code == 200


def test_the_browser_is_sent_off_with_pkce_state_and_nonce(server: RunningServer) -> None:
    browser = Browser(server.url)
    answer = browser.begin()
    assert answer.status_code == 303
    asked = browser.asked
    assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == server.url + CALLBACK
    assert asked["scope"].split() == ["openid", "profile", "email"]
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=600" in cookie
    assert asked["state"] not in answer.headers["set-cookie"]


def test_a_browser_that_wants_to_be_elsewhere_gets_there_with_cookies(server: RunningServer) -> None:
    browser = Browser(server.url)
    answer = browser.log_in("ada", f"{LOGIN}?next=/docs?a=b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs?a=b")
    assert "access_token" not in answer.text
    cookies = answer.headers.get_list("set-cookie")
    assert [line.partition("=")[0] for line in cookies if "Max-Age=0" not in line] == [
        "bursar_session",
        "bursar_refresh",
        "bursar_csrf",
    ]
    me = browser.http.get(f"{server.url}/api/v1/auth/me").json()
    assert (me["kind"], me["user"]["email"]) == ("user", "ada@example.com")


def test_the_cookie_is_gone_once_it_was_used(server: RunningServer) -> None:
    browser = Browser(server.url)
    assert browser.log_in().status_code == 200
    assert "bursar-sign-on" not in browser.http.cookies


def test_a_second_login_is_the_same_user(server: RunningServer, provider: OpenIdProvider) -> None:
    provider.know(**someone("grace", "finance"))
    first = Browser(server.url).log_in("grace").json()["user"]
    provider.know(**someone("grace", "finance", email="elsewhere@example.com"))
    second = Browser(server.url).log_in("grace").json()["user"]
    assert second["id"] == first["id"]
    assert second["email"] == "grace@example.com"


def test_roles_follow_the_groups_and_those_given_by_hand_stay(
    server: RunningServer, provider: OpenIdProvider
) -> None:
    provider.know(**someone("mary", "finance"))
    user = Browser(server.url).log_in("mary").json()["user"]["id"]
    by_hand = {"user_id": user, "role": "viewer"}
    assert server.client.post("/api/v1/role-bindings?tenant_id=acme", json=by_hand).status_code == 201
    hand = {one for one in roles_of(server, user) if one[0] == "viewer"}
    provider.know(**someone("mary", "web", "platform"))
    tokens = Browser(server.url).log_in("mary").json()
    assert roles_of(server, user) == hand | {("member", "shop", "oidc"), ("owner", None, "oidc")}
    provider.know(**someone("mary", "web"))
    assert Browser(server.url).log_in("mary").status_code == 200
    assert roles_of(server, user) == hand | {("member", "shop", "oidc")}
    # What the earlier session may do went with them, at once.
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert server.stranger.get("/api/v1/keys", headers=headers).status_code == 403


def test_a_role_that_somebody_had_by_hand_is_not_taken_with_the_group(
    server: RunningServer, provider: OpenIdProvider
) -> None:
    provider.know(**someone("joan", "web"))
    user = Browser(server.url).log_in("joan").json()["user"]["id"]
    server.platform.identity.bind(RoleBinding("acme", user, "analyst", None, "key_hand", clock.now()))
    for groups in (("web", "finance"), ("web",)):
        provider.know(**someone("joan", *groups))
        assert Browser(server.url).log_in("joan").status_code == 200
        assert roles_of(server, user) == {("analyst", None, "key_hand"), ("member", "shop", "oidc")}


def test_a_role_given_by_hand_over_that_of_a_group_stays_without_the_group(
    server: RunningServer, provider: OpenIdProvider
) -> None:
    provider.know(**someone("ruth", "web", "finance"))
    user = Browser(server.url).log_in("ruth").json()["user"]["id"]
    server.platform.identity.bind(RoleBinding("acme", user, "analyst", None, "key_hand", clock.now()))
    provider.know(**someone("ruth", "web"))
    assert Browser(server.url).log_in("ruth").status_code == 200
    assert roles_of(server, user) == {("analyst", None, "key_hand"), ("member", "shop", "oidc")}


def test_the_keys_of_the_provider_may_rotate(server: RunningServer, provider: OpenIdProvider) -> None:
    assert Browser(server.url).log_in().status_code == 200
    provider.rotate_keys()
    # Keys read within the last five seconds are not read again for the sake of one that is unknown.
    assert server.platform.sign_on
    keys = server.platform.sign_on.provider._keys
    assert keys._known
    keys._known = keys._known[0], clock.monotonic() - RENEWED_AFTER_SECONDS
    assert Browser(server.url).log_in().status_code == 200


# --------------------------------------------------------------------------------------------- staying out


def test_nobody_without_a_mapped_group_comes_in(server: RunningServer, provider: OpenIdProvider) -> None:
    for number, groups in enumerate([(), ("everybody",), ("ghosts",), ("owner", "admin")]):
        name = f"nobody{number}"
        provider.know(**someone(name, *groups))
        answer = Browser(server.url).log_in(name)
        assert code_of(answer) == (403, "sign_on_refused"), groups


def test_who_leaves_every_group_is_out_and_has_no_role_any_more(
    server: RunningServer, provider: OpenIdProvider
) -> None:
    provider.know(**someone("leaver", "platform"))
    tokens = Browser(server.url).log_in("leaver").json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert server.stranger.get("/api/v1/keys", headers=headers).status_code == 200
    provider.know(**someone("leaver"))
    assert code_of(Browser(server.url).log_in("leaver")) == (403, "sign_on_refused")
    assert roles_of(server, tokens["user"]["id"]) == set()
    assert server.stranger.get("/api/v1/keys", headers=headers).status_code == 403


@pytest.mark.parametrize("verified", [False, None])
def test_an_unverified_address_stays_out(
    server: RunningServer,
    provider: OpenIdProvider,
    verified: bool | None,  # noqa: FBT001 - a claim
) -> None:
    provider.know(**someone("eve", "finance", email_verified=verified))
    answer = Browser(server.url).log_in("eve")
    assert code_of(answer) == (403, "sign_on_refused")
    assert "verified" in answer.json()["detail"]


def test_a_suspended_user_stays_out(server: RunningServer, provider: OpenIdProvider) -> None:
    provider.know(**someone("carol", "finance"))
    user = Browser(server.url).log_in("carol").json()["user"]["id"]
    change = UserChange(state=UserState.SUSPENDED)
    server.platform.logins.users.change_user("acme", user, change, clock.now())
    assert code_of(Browser(server.url).log_in("carol")) == (403, "sign_on_refused")


def test_an_address_alone_makes_nobody_a_user_who_exists(
    server: RunningServer, provider: OpenIdProvider
) -> None:
    server.platform.logins.users.add_user(a_user("acme", "boss@example.com"))
    provider.know(**someone("boss", "finance"))
    answer = Browser(server.url).log_in("boss")
    assert code_of(answer) == (403, "sign_on_refused")
    assert "administrator" in answer.json()["detail"]


def test_linking_by_address_is_a_choice_and_happens_once(tmp_path: Path) -> None:
    with signing_on(tmp_path, oidc_link_by_email=True) as (server, provider):
        boss = a_user("acme", "boss@example.com")
        server.platform.logins.users.add_user(boss)
        provider.know(**someone("boss", "finance"), **someone("impostor", "finance", email=boss.email))
        assert Browser(server.url).log_in("boss").json()["user"]["id"] == boss.id
        # Another subject with the same address is somebody else.
        assert code_of(Browser(server.url).log_in("impostor")) == (403, "sign_on_refused")
        assert Browser(server.url).log_in("boss").json()["user"]["id"] == boss.id


def test_whoever_made_a_user_keeps_no_way_into_the_account_that_the_provider_vouches_for(
    tmp_path: Path,
) -> None:
    with signing_on(tmp_path, oidc_link_by_email=True) as (server, provider):
        prepared = a_person(server, "acme", "viewer")
        tokens, access = prepared.log_in(), prepared.enter()
        provider.know(**someone("boss", "finance", email=prepared.user.email))
        user = Browser(server.url).log_in("boss").json()["user"]
        assert (user["id"], user["has_password"]) == (prepared.user.id, False)
        typed = server.stranger.post("/api/v1/auth/login", json=prepared.credentials())
        assert code_of(typed) == (401, "wrong_login")
        assert prepared.ask({"access_token": access}, "GET", "/api/v1/auth/me").status_code == 401
        renewal = {"refresh_token": tokens["refresh_token"]}
        assert code_of(server.stranger.post("/api/v1/auth/refresh", json=renewal)) == (401, "session_ended")
        assert Browser(server.url).log_in("boss").status_code == 200


def test_a_default_role_and_domains_are_choices(tmp_path: Path) -> None:
    terms = {"oidc_default_role": "viewer", "oidc_email_domains": "example.com"}
    with signing_on(tmp_path, **terms) as (server, provider):
        provider.know(**someone("guest"), **someone("far", "finance", email="far@example.org"))
        user = Browser(server.url).log_in("guest").json()["user"]["id"]
        assert roles_of(server, user) == {("viewer", None, "oidc")}
        assert code_of(Browser(server.url).log_in("far")) == (403, "sign_on_refused")


def test_without_a_provider_there_is_no_single_sign_on(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        for path in (LOGIN, CALLBACK):
            assert code_of(server.stranger.get(path)) == (404, "not_found")


def test_a_provider_that_is_away_is_no_fault_of_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    away: dict[str, Any] = {
        "oidc_issuer": f"http://127.0.0.1:{port}",
        "oidc_client_id": "a",
        "oidc_role_mapping": "a=viewer",
    }
    with running_server(tmp_path, **away) as server:
        answer = server.stranger.get(LOGIN)
        assert code_of(answer) == (503, "outgoing_failed")
        assert answer.headers["retry-after"]


# --------------------------------------------------------------------------------------------- the audit log


def test_logins_and_what_they_change_are_in_the_audit_log(
    server: RunningServer, provider: OpenIdProvider
) -> None:
    provider.know(**someone("audited", "finance"))
    to_page = Browser(server.url).log_in("audited", f"{LOGIN}?next=/docs")
    user = to_page.json()["user"]["id"]
    provider.know(**someone("audited"))
    assert Browser(server.url).log_in("audited").status_code == 403
    entries = server.client.get("/api/v1/audit", params={"tenant_id": "acme", "limit": 200}).json()["items"]
    theirs = [one for one in entries if user in {one["target"], one["actor"]["id"]}]
    acts = {(one["act"], one["outcome"], one["actor"]["id"]) for one in theirs}
    assert acts == {
        ("user.create", "begun", "oidc"),
        ("user.create", "done", "oidc"),
        ("user.follow_groups", "begun", "oidc"),
        ("user.follow_groups", "done", "oidc"),
        ("login", "done", user),
    }
    (login,) = [one for one in theirs if one["act"] == "login"]
    assert (login["actor"]["kind"], login["address"]) == ("user", "127.0.0.1")
    moved = [
        one["asked"] for one in theirs if one["act"] == "user.follow_groups" and one["outcome"] == "done"
    ]
    assert {"given": [], "taken": ["analyst"]} in moved
    assert {"given": ["analyst"], "taken": []} in moved

    def is_told() -> bool:
        told = server.client.get("/api/v1/audit", params={"limit": 200}).json()["items"]
        return any(one["act"] == "login" and one["reason"] == "sign_on_refused" for one in told)

    # A refusal is answered before its entry is written.
    wait_until(is_told, "the refusal is in the audit log")
