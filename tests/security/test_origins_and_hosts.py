"""Which web pages may call the API, and under which names the server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar.errors import ConfigurationError
from bursar.settings import load_settings
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "https://app.example.com"
EVENT = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Open to one page, under two names."""
    folder = tmp_path_factory.mktemp("origins") / "data"
    with running_server(
        folder, cors_origins=f"{PAGE}, http://localhost:3000", allowed_hosts="127.0.0.1, *.example.com"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """As nothing is set."""
    with running_server(tmp_path_factory.mktemp("closed") / "data") as running:
        yield running


def preflight(server: RunningServer, origin: str) -> dict[str, str]:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key, content-type, idempotency-key",
    }
    return dict(server.stranger.options("/api/v1/query", headers=asked).headers)


def test_a_page_of_a_set_origin_may_call_with_a_key_and_read_the_answer(server: RunningServer) -> None:
    headers = preflight(server, PAGE)
    assert headers["access-control-allow-origin"] == PAGE
    assert "X-API-Key" in headers["access-control-allow-headers"]
    answer = server.client.get("/api/v1/keys", headers={"Origin": PAGE}).raise_for_status()
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]
    # Cookies of whoever looks at the page are never taken along.
    assert "access-control-allow-credentials" not in answer.headers


def test_events_on_the_short_way_can_be_posted_by_a_page_too(server: RunningServer) -> None:
    for _ in range(2):
        answer = server.client.post("/api/v1/events", json=EVENT, headers={"Origin": PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, PAGE)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com", ""],
)
def test_a_page_of_another_origin_may_not(server: RunningServer, origin: str) -> None:
    assert "access-control-allow-origin" not in preflight(server, origin)
    answer = server.client.get("/api/v1/keys", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


def test_no_page_may_unless_it_is_set(closed: RunningServer) -> None:
    assert "access-control-allow-origin" not in preflight(closed, PAGE)
    answer = closed.client.get("/api/v1/keys", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "example.com", "127.0.0.1.evil.example", ""])
def test_a_request_for_another_host_is_refused(server: RunningServer, host: str) -> None:
    for method, path, body in (("GET", "/api/v1/keys", None), ("POST", "/api/v1/events", EVENT)):
        answer = server.client.request(method, path, json=body, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (400, "wrong_host")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "a.example.com:443", "A.Example.COM"])
def test_a_request_for_an_allowed_host_is_answered(server: RunningServer, host: str) -> None:
    assert server.client.get("/api/v1/keys", headers={"Host": host}).status_code == 200
    assert server.client.post("/api/v1/events", json=EVENT, headers={"Host": host}).status_code == 202


def test_probes_and_the_operator_need_no_name(server: RunningServer) -> None:
    assert server.stranger.get("/ready", headers={"Host": "10.0.0.1:8000"}).status_code == 200
    assert server.operator.get("/api/v1/keys").status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ORIGINS", "app.example.com"),
        ("ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("BURSAR_CORS_ORIGINS", "https://*.example.com, https://a@b"),
        ("ALLOWED_HOSTS", "https://app.example.com"),
        ("BURSAR_ALLOWED_HOSTS", "a b/c"),
        ("BURSAR_TRUSTED_PROXIES", "10.0.0.7/8"),
        ("BURSAR_TRUSTED_PROXIES", "10.0.0.0/8, proxy.internal"),
    ],
)
def test_what_is_no_origin_host_or_network_is_refused_at_the_start(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings({name: value})
    assert "separated by commas" in str(caught.value)


def test_lists_are_written_with_commas_or_spaces_and_shown_alike() -> None:
    settings = load_settings({"BURSAR_TRUSTED_PROXIES": "10.0.0.7 fd00::/8", "CORS_ORIGINS": "*"})
    assert settings.shown()["trusted_proxies"] == "10.0.0.7/32, fd00::/8"
    assert settings.cors_origins == ("*",)
    assert load_settings({}).shown()["trusted_proxies"] == ""
