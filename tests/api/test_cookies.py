"""Logins of browsers: tokens in cookies that no script reads, no change that another site's page asks for."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bursar.errors import ForgedRequest
from bursar.identity.logins.access_token import SigningKeys
from bursar.identity.logins.cookies import csrf_token, read_cookie, refuse_forged
from tests.support.access import keys_of
from tests.support.people import PASSWORD, a_person
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.people import Person
    from tests.support.serving import RunningServer

LOGIN, REFRESH, LOGOUT, ME = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout", "me"))
PROJECTS = "/api/v1/projects"


@pytest.fixture
def ada(server: RunningServer) -> Person:
    return a_person(server, "browsers", "owner")


@pytest.fixture
def browser(server: RunningServer) -> Iterator[httpx.Client]:
    """Keeps cookies, as browsers do."""
    with httpx.Client(base_url=server.url) as client:
        yield client


def logged_in(browser: httpx.Client, person: Person, **headers: str) -> httpx.Response:
    answer = browser.post(LOGIN, json={**person.credentials(), "cookies": True}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def cookies_of(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in answer.headers.get_list("set-cookie"):
        found |= SimpleCookie(line)
    return found


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_tokens_are_in_cookies_that_no_script_reads_and_not_in_the_answer(
    browser: httpx.Client, ada: Person
) -> None:
    answer = logged_in(browser, ada)
    found = cookies_of(answer)
    assert set(answer.json()) == {"csrf_token", "expires_in", "session_expires_at", "user"}
    flags = {
        name: (one["httponly"], one["samesite"], one["path"], one["secure"]) for name, one in found.items()
    }
    assert flags == {
        "bursar_session": (True, "Lax", "/", ""),
        "bursar_refresh": (True, "Strict", "/api/v1/auth", ""),
        "bursar_csrf": ("", "Strict", "/", ""),
    }
    assert found["bursar_csrf"].value == answer.json()["csrf_token"]
    assert found["bursar_session"]["max-age"] == "900"
    assert answer.headers["cache-control"] == "no-store"
    assert browser.get(ME).json()["user"]["id"] == ada.user.id


def test_over_tls_cookies_are_bound_to_this_host_and_to_tls(tmp_path: Path) -> None:
    forwarded = {"x-forwarded-proto": "https"}
    with running_server(tmp_path / "data", trusted_proxies="127.0.0.1") as server:
        ada = a_person(server, "acme")
        with httpx.Client(base_url=server.url) as browser:
            found = cookies_of(logged_in(browser, ada, **forwarded))
        assert {name: bool(one["secure"]) for name, one in found.items()} == {
            "__Host-bursar_session": True,
            "__Secure-bursar_refresh": True,
            "__Host-bursar_csrf": True,
        }
        token = found["__Host-bursar_session"].value
        for name, headers, status in (
            ("__Host-bursar_session", forwarded, 200),
            ("bursar_session", forwarded, 401),
            ("__Host-bursar_session", {}, 401),
        ):
            cookie = {"cookie": f"{name}={token}", **headers}
            assert server.stranger.get(ME, headers=cookie).status_code == status, (name, headers)


def test_a_change_needs_the_token_of_the_very_session(
    server: RunningServer, browser: httpx.Client, ada: Person
) -> None:
    token = logged_in(browser, ada).json()["csrf_token"]
    body = {"name": "Search"}
    with httpx.Client(base_url=server.url) as other:
        foreign = logged_in(other, ada).json()["csrf_token"]
    for headers in ({}, {"x-csrf-token": ""}, {"x-csrf-token": "0" * 64}, {"x-csrf-token": foreign}):
        refused = browser.post(PROJECTS, json=body, headers=headers)
        assert code_of(refused) == (403, "forged_request"), headers
    assert browser.get(PROJECTS).json()["items"] == []
    assert browser.post(PROJECTS, json=body, headers={"x-csrf-token": token}).status_code == 201


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_way_of_changing_anything_goes_without_the_token(
    browser: httpx.Client, ada: Person, method: str
) -> None:
    logged_in(browser, ada)
    paths = {"PUT": "/api/v1/retention", "POST": "/api/v1/events"}
    path = paths.get(method, f"/api/v1/users/{ada.user.id}")
    content = None if method == "DELETE" else b"{}"
    refused = browser.request(method, path, content=content, headers={"content-type": "application/json"})
    assert code_of(refused) == (403, "forged_request")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
def test_a_forged_post_of_another_sites_page_is_refused_even_with_the_token(
    browser: httpx.Client, ada: Person, site: str
) -> None:
    token = logged_in(browser, ada).json()["csrf_token"]
    forged = {"x-csrf-token": token, "sec-fetch-site": site}
    assert code_of(browser.post(PROJECTS, json={"name": "x"}, headers=forged)) == (403, "forged_request")
    own = {"x-csrf-token": token, "sec-fetch-site": "same-origin"}
    assert browser.post(PROJECTS, json={"name": "x"}, headers=own).status_code == 201


def test_another_sites_page_logs_nobody_in(server: RunningServer, ada: Person) -> None:
    body = {**ada.credentials(), "cookies": True}
    refused = server.stranger.post(LOGIN, json=body, headers={"sec-fetch-site": "cross-site"})
    assert (code_of(refused), refused.headers.get("set-cookie")) == ((403, "forged_request"), None)


def test_keys_and_tokens_in_headers_need_no_token_even_beside_a_cookie(
    server: RunningServer, browser: httpx.Client, ada: Person
) -> None:
    logged_in(browser, ada)
    key = keys_of(server, "browsers-keys")["admin"]
    bearer = f"Bearer {ada.log_in()['access_token']}"
    for headers in ({"x-api-key": key}, {"authorization": bearer}):
        made = browser.post(PROJECTS, json={"name": "x"}, headers={**headers, "sec-fetch-site": "cross-site"})
        assert made.status_code == 201


def test_a_session_goes_on_by_its_cookie_once_and_with_the_token(
    server: RunningServer, browser: httpx.Client, ada: Person
) -> None:
    token = logged_in(browser, ada).json()["csrf_token"]
    before = {cookie.name: cookie.value for cookie in browser.cookies.jar}
    assert code_of(browser.post(REFRESH)) == (403, "forged_request")
    assert code_of(browser.post(REFRESH, headers={"x-csrf-token": "0" * 64})) == (403, "forged_request")
    answer = browser.post(REFRESH, headers={"x-csrf-token": token})
    assert (answer.status_code, answer.json()["csrf_token"]) == (200, token)
    assert browser.get(ME).status_code == 200
    stolen = {"cookie": "; ".join(f"{name}={value}" for name, value in before.items()), "x-csrf-token": token}
    assert code_of(server.stranger.post(REFRESH, headers=stolen)) == (401, "session_ended")
    assert code_of(browser.get(ME)) == (401, "session_ended")
    assert code_of(server.stranger.post(REFRESH)) == (422, "invalid")


def test_logging_out_forgets_the_cookies_and_needs_the_token(browser: httpx.Client, ada: Person) -> None:
    token = logged_in(browser, ada).json()["csrf_token"]
    assert code_of(browser.post(LOGOUT)) == (403, "forged_request")
    assert browser.post(LOGOUT, headers={"x-csrf-token": token}).status_code == 204
    assert not list(browser.cookies.jar)
    assert code_of(browser.get(ME)) == (401, "missing_key")


def test_a_cookie_that_counts_no_longer_opens_nothing(server: RunningServer, ada: Person) -> None:
    for value in ("x", "eyJ.eyJ.x", ada.log_in()["refresh_token"]):
        answer = server.stranger.get(ME, headers={"cookie": f"bursar_session={value}"})
        assert code_of(answer) == (401, "bad_token")
    token = ada.log_in()["access_token"]
    twice = {"cookie": f"bursar_session={token}; bursar_session=other"}
    assert code_of(server.stranger.get(ME, headers=twice)) == (401, "missing_key")


def test_a_link_is_followed_into_cookies(server: RunningServer, browser: httpx.Client) -> None:
    body = {"email": "cookie@browsers.example", "roles": [{"role": "viewer"}]}
    made = server.client.post("/api/v1/users", json=body).json()
    secret = made["invitation"]["link"].partition("#")[2]
    follow = {"token": secret, "password": PASSWORD, "cookies": True}
    assert "access_token" not in browser.post("/api/v1/auth/accept", json=follow).json()
    assert browser.get(ME).json()["user"]["id"] == made["id"]


def test_a_token_of_the_secret_before_counts_while_that_one_does() -> None:
    before, after = SigningKeys.of("a" * 32), SigningKeys.of("b" * 32, "a" * 32)
    assert csrf_token(before, "ses_1") != csrf_token(after, "ses_1")
    presented = [(b"x-csrf-token", csrf_token(before, "ses_1").encode())]
    refuse_forged(after, "ses_1", presented)
    for keys, session_id in ((after, "ses_2"), (SigningKeys.of("b" * 32), "ses_1")):
        with pytest.raises(ForgedRequest):
            refuse_forged(keys, session_id, presented)


def test_cookies_are_read_by_their_whole_name() -> None:
    headers = [(b"cookie", b"xbursar_session=1; bursar_sessionx=2;bursar_session=3 ; a"), (b"x", b"bursar=4")]
    assert read_cookie(headers, "bursar_session") == "3"
    assert read_cookie(headers, "bursar") is None
