"""Forged headers against a real server: where a request comes from is never what its sender claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.support.server import server_process
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Real-IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;proto=https",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
}


def test_a_forged_x_forwarded_for_changes_nothing(tmp_path: Path) -> None:
    with server_process(tmp_path / "data") as server:
        server.start()
        with server.client() as client:
            answer = client.get("/api/v1/keys", headers=FORGED).raise_for_status()
        server.stop()
        lines = [line for line in server.log if line.get("path") == "/api/v1/keys"]
    assert [line["address"] for line in lines] == ["127.0.0.1"]
    assert "strict-transport-security" not in answer.headers


def test_a_trusted_proxy_tells_whom_it_speaks_for_and_not_what_its_client_claims(tmp_path: Path) -> None:
    with server_process(tmp_path / "data", trusted_proxies="127.0.0.0/8, ::1") as server:
        server.start()
        forged = {**FORGED, "X-Forwarded-For": "192.0.2.1, 203.0.113.9"}
        with server.client() as client:
            answer = client.get("/api/v1/keys", headers=forged).raise_for_status()
        server.stop()
        lines = [line for line in server.log if line.get("path") == "/api/v1/keys"]
    assert [line["address"] for line in lines] == ["203.0.113.9"]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_no_header_makes_a_caller_local(tmp_path: Path) -> None:
    """Callers on this machine may come without a key where that is set; a proxy's clients may not."""
    with running_server(tmp_path / "data", anonymous_loopback=True, trusted_proxies="127.0.0.1") as server:
        assert server.stranger.get("/api/v1/projects").status_code == 200
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            answer = server.stranger.get("/api/v1/projects", headers={name: "127.0.0.1"})
            assert answer.status_code == 401, name


def test_no_header_makes_a_request_the_operators(tmp_path: Path) -> None:
    marks = {"bursar.operator": "true", "Host": "bursar.socket", "X-Forwarded-For": ""}
    with running_server(tmp_path / "data") as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/api/v1/tenants", headers=marks).status_code == 401
