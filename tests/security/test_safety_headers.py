"""The headers that keep a browser from doing more with an answer than was meant: on every answer there is."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-xss-protection": "1; mode=block",
    "referrer-policy": "no-referrer",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("headers") / "data") as running:
        yield running


def policy_of(headers: Mapping[str, str]) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in headers["content-security-policy"].split(";"))
    return {name: sources for name, _, sources in parts}


def check(headers: Mapping[str, str]) -> None:
    assert {name: headers.get(name) for name in ALWAYS} == ALWAYS
    assert "camera=()" in headers["permissions-policy"]
    policy = policy_of(headers)
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert "'unsafe-eval'" not in policy.get("script-src", "")
    assert "'unsafe-inline'" not in policy.get("script-src", "")
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/live", 200),
        ("GET", "/metrics", 200),
        ("GET", "/docs", 200),
        ("GET", "/redoc", 200),
        ("GET", "/welcome", 200),
        ("GET", "/docs/assets/redoc.standalone.js", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/api/v1/keys", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/api/v1/query", 405),
        ("POST", "/api/v1/query", 400),
        ("POST", "/api/v1/events", 400),
    ],
)
def test_every_kind_of_answer_has_them(server: RunningServer, method: str, path: str, status: int) -> None:
    answer = server.client.request(method, path)
    assert answer.status_code == status
    check(answer.headers)


def test_an_answer_without_a_credential_has_them(server: RunningServer) -> None:
    answer = server.stranger.get("/api/v1/keys")
    assert answer.status_code == 401
    check(answer.headers)


def test_an_event_on_the_short_way_has_them(server: RunningServer) -> None:
    event = {"event_id": "e1", "provider": "openai", "model": "gpt-4o", "input_tokens": 1}
    for number in range(2):
        answer = server.client.post("/api/v1/events", json={**event, "event_id": f"e{number}"})
        assert answer.status_code == 202
        check(answer.headers)


def test_what_is_not_http_is_refused_with_them(server: RunningServer) -> None:
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port or 0), timeout=10) as line:
        line.sendall(b"this is no HTTP\r\n\r\n")
        head = b"".join(iter(lambda: line.recv(4096), b"")).decode("ascii")
    assert head.startswith("HTTP/1.1 400 ")
    check({name.lower(): value for name, value in re.findall(r"(?m)^([\w-]+): (.*)\r$", head)})


@pytest.mark.parametrize("page", ["/docs", "/redoc", "/welcome"])
def test_a_page_may_run_its_own_scripts_and_no_other(server: RunningServer, page: str) -> None:
    answer = server.stranger.get(page).raise_for_status()
    policy = policy_of(answer.headers)
    assert policy["default-src"] == "'self'"
    inline = len(re.findall(r"<script>", answer.text))
    assert policy["script-src"].split()[0] == "'self'"
    assert len(re.findall(r"'sha256-[\w+/=]{44}'", policy["script-src"])) == inline
    assert len(policy["script-src"].split()) == 1 + inline
    # Handlers in attributes would need another permission than a script does.
    assert re.findall(r"<[^>]+\son\w+=", answer.text) == []


def test_answers_that_are_data_may_load_nothing(server: RunningServer) -> None:
    policy = policy_of(server.client.get("/api/v1/keys").headers)
    assert policy["default-src"] == "'none'"
