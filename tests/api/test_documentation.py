"""The pages about the API: they come from the server itself, so that they work without the internet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bursar.app.documentation import ASSETS_PATH

if TYPE_CHECKING:
    from tests.support.serving import RunningServer


def test_the_address_alone_leads_to_the_documentation(server: RunningServer) -> None:
    answer = server.stranger.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_a_page_needs_nothing_from_elsewhere(server: RunningServer, page: str) -> None:
    text = server.stranger.get(page).raise_for_status().text
    assert "/openapi.json" in text
    assert re.findall(r"https?://[^\s\"']+", text) == []
    files = re.findall(rf"{ASSETS_PATH}/[\w.-]+", text)
    assert len(files) >= 2
    for file in files:
        answer = server.stranger.get(file).raise_for_status()
        assert len(answer.content) > 1_000
        assert not answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("name", ["none.js", "..%2F__init__.py", "__init__.py"])
def test_only_the_pages_own_files_are_given_out(server: RunningServer, name: str) -> None:
    assert server.stranger.get(f"{ASSETS_PATH}/{name}").status_code == 404


def test_a_wrong_method_is_documented_as_it_is_answered(server: RunningServer) -> None:
    answer = server.client.put("/api/v1/query", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_wrong_field_is_told_in_plain_words(server: RunningServer) -> None:
    body = {"label": "x", "scopes": ["writ"], "expires_at": "tomorrow", "owner": "me"}
    errors = server.client.post("/api/v1/keys", json=body).json()["errors"]
    told = {one["field"]: one["message"] for one in errors}
    assert told == {
        "scopes.0": (
            "scopes.0 (body): it must be 'ingest', 'read', 'admin' or one permission, such as 'usage:read'."
        ),
        "expires_at": "expires_at (body): it must be an RFC 3339 time, such as 2026-10-01T00:00:00Z.",
        "owner": "owner (body): there is no such field.",
    }
