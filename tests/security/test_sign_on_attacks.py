"""Attacks on single sign-on, each at the door itself, with a certified OpenID provider behind it.

What a provider would never sign is signed here with its own key, and put into its answer. All rules of the ID
token, one by one, are in `identity/test_id_token.py`.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bursar import clock
from tests.support import openid_provider
from tests.support.openid_provider import (
    ADA,
    CALLBACK,
    CLIENT_ID,
    LOGIN,
    OTHER_CLIENT,
    Browser,
    OpenIdProvider,
    make_key,
)

if TYPE_CHECKING:
    from tests.support.serving import RunningServer


both, server, provider = openid_provider.both, openid_provider.server, openid_provider.provider


def assert_failed(answer: httpx.Response, why: str = "") -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "sign_on_failed"
    assert why in answer.json()["detail"]
    assert "access_token" not in answer.text


def claims_for(browser: Browser, provider: OpenIdProvider, **others: object) -> dict[str, Any]:
    """What the provider would sign for this browser's login, but for some claims."""
    seconds = clock.to_micros(clock.now()) // 1_000_000
    usual = {
        "iss": provider.issuer,
        "sub": "ada",
        "aud": CLIENT_ID,
        "iat": seconds,
        "exp": seconds + 300,
        "nonce": browser.asked["nonce"],
        **ADA,
    }
    return {**usual, **others}


def test_a_wrong_state_is_refused(server: RunningServer) -> None:
    browser = Browser(server.url)
    back = browser.way_back()
    state = browser.asked["state"]
    for other in ("", state[:-1], state + "A", state.swapcase(), "%00"):
        assert_failed(browser.http.get(back.replace(f"state={state}", f"state={other}")), "another login")
    assert_failed(browser.http.get(back.replace(f"state={state}", "x=y")), "another login")


def test_the_way_back_of_one_browser_is_worth_nothing_in_another(server: RunningServer) -> None:
    """Login CSRF, and a callback that was overheard: without a cookie, and with one's own."""
    back = Browser(server.url).way_back()
    other = Browser(server.url)
    assert_failed(other.http.get(back), "begun no login")
    other.begin()
    assert_failed(other.http.get(back), "another login")


def test_a_code_put_into_a_login_of_ones_own_is_refused(server: RunningServer) -> None:
    """Code injection: the state fits, but the code was given for another PKCE challenge."""
    stolen = parse_qs(urlsplit(Browser(server.url).way_back()).query)["code"][0]
    own = Browser(server.url)
    back = own.way_back()
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert_failed(own.http.get(back.replace(code, stolen)))


def test_a_replayed_code_is_refused(server: RunningServer) -> None:
    browser = Browser(server.url)
    back = browser.way_back()
    kept = {"bursar-sign-on": browser.http.cookies["bursar-sign-on"]}
    assert browser.http.get(back).status_code == 200
    assert_failed(browser.http.get(back), "begun no login")
    # With the cookie, kept from before, it is the provider that knows the code was used.
    assert_failed(httpx.get(back, cookies=kept), "was used")


def test_a_cookie_that_was_tampered_with_is_refused(server: RunningServer) -> None:
    browser = Browser(server.url)
    back = browser.way_back()
    content, _, signature = browser.http.cookies["bursar-sign-on"].partition(".")
    flow = json.loads(base64.urlsafe_b64decode(content + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**flow, "state": "known"}).encode()).decode().rstrip("=")
    for sealed in (f"{forged}.{signature}", f"{forged}.", content, f"{content}.{'0' * 64}"):
        answer = httpx.get(
            back.replace(flow["state"], "known"), headers={"cookie": f"bursar-sign-on={sealed}"}
        )
        assert_failed(answer, "begun no login")


def test_a_nonce_of_another_login_is_refused(server: RunningServer, provider: OpenIdProvider) -> None:
    browser = Browser(server.url)
    back = browser.way_back()
    provider.lie(id_token=provider.sign(claims_for(browser, provider, nonce="another")))
    assert_failed(browser.http.get(back), "nonce")


def test_a_token_of_another_client_is_refused(server: RunningServer, provider: OpenIdProvider) -> None:
    for claims in ({"aud": OTHER_CLIENT}, {"aud": [CLIENT_ID, OTHER_CLIENT], "azp": OTHER_CLIENT}):
        browser = Browser(server.url)
        back = browser.way_back()
        provider.lie(id_token=provider.sign(claims_for(browser, provider, **claims)))
        assert_failed(browser.http.get(back), "ID token")


def test_an_alg_none_token_is_refused(server: RunningServer, provider: OpenIdProvider) -> None:
    browser = Browser(server.url)
    back = browser.way_back()
    parts = (json.dumps({"alg": "none"}), json.dumps(claims_for(browser, provider, groups=["platform"])))
    token = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts) + "."
    provider.lie(id_token=token)
    assert_failed(browser.http.get(back), "ID token")


def test_an_expired_token_is_refused(server: RunningServer, provider: OpenIdProvider) -> None:
    browser = Browser(server.url)
    back = browser.way_back()
    seconds = clock.to_micros(clock.now()) // 1_000_000
    provider.lie(id_token=provider.sign(claims_for(browser, provider, exp=seconds - 61)))
    assert_failed(browser.http.get(back), "expired")


def test_a_token_by_a_key_that_the_provider_does_not_publish_is_refused(
    server: RunningServer, provider: OpenIdProvider
) -> None:
    for key in (make_key("own"), make_key("first")):
        browser = Browser(server.url)
        back = browser.way_back()
        provider.lie(id_token=provider.sign(claims_for(browser, provider), key))
        assert_failed(browser.http.get(back), "ID token")


def test_an_answer_of_another_provider_is_refused(server: RunningServer, provider: OpenIdProvider) -> None:
    """Mix-up (RFC 9207): the callback names another issuer, or leaves its own out."""
    browser = Browser(server.url)
    back = httpx.URL(browser.way_back())
    for other in (
        back.copy_set_param("iss", "https://evil.example.com"),
        back.copy_remove_param("iss"),
        back.copy_set_param("iss", provider.issuer + "/"),
    ):
        assert_failed(browser.http.get(other), "another provider")
    assert browser.http.get(back).status_code == 200


def test_an_open_redirect_is_refused(server: RunningServer) -> None:
    for path in (
        "//evil.com",
        "https://evil.com",
        "/\\evil.com",
        "/\t/evil.com",
        "javascript:alert(1)",
        "%0d%0aa:b",
    ):
        answer = server.stranger.get(LOGIN, params={"next": path})
        assert answer.status_code == 422, path
        assert "location" not in answer.headers
        assert "set-cookie" not in answer.headers


def test_a_refusal_by_the_provider_lets_nobody_in_and_shows_nothing_of_its_words(
    server: RunningServer,
) -> None:
    browser = Browser(server.url)
    browser.begin()
    state = browser.asked["state"]
    iss = {"iss": server.platform.settings.oidc_issuer or ""}
    for error in ("access_denied", "<script>alert(1)</script>", "a" * 4000):
        asked = {"error": error, "error_description": "<b>no</b>", "state": state, **iss}
        answer = browser.http.get(server.url + CALLBACK, params=asked)
        assert_failed(answer, "let nobody in")
        assert "<" not in answer.text


@pytest.mark.parametrize(
    "query", ["", "code=a", "state=a", "code=&state=", "code=a&code=b&state=c", "x=%ff&state=%00"]
)
def test_a_callback_out_of_nowhere_lets_nobody_in(server: RunningServer, query: str) -> None:
    answer = server.stranger.get(f"{CALLBACK}?{query}")
    assert answer.status_code in {401, 422}


def test_no_secret_of_a_login_is_in_an_answer_or_the_log(
    server: RunningServer, provider: OpenIdProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    browser = Browser(server.url)
    back = browser.way_back()
    provider.lie(id_token=provider.sign(claims_for(browser, provider, aud="x")))
    answer = browser.http.get(back)
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert_failed(answer)
    out = capfd.readouterr()
    for secret in (code, browser.asked["nonce"], "secret:of+these"):
        assert secret not in answer.text + out.out + out.err
