"""`bursar keys rotate`, and keys that are bound to a project or to networks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from bursar import clock
from tests.cli.command_line import bursar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def test_a_rotated_key_s_secret_stands_alone_and_both_count(server: RunningServer, data: Path) -> None:
    old = bursar("keys", "create", "--data", data, "--label", "ci", "--scope", "read", "--json").json
    rotated = bursar("keys", "rotate", old["id"], "--data", data, "--overlap", "2h")
    assert rotated.code == 0
    assert f"{old['id']} counts until " in rotated.err
    for secret in (old["key"], rotated.out.strip()):
        answer = httpx.get(f"{server.url}/api/v1/projects", headers={"X-API-Key": secret})
        assert answer.status_code == 200
    again = bursar("keys", "rotate", old["id"], "--data", data, "--overlap", "0", "--expires", "7d", "--json")
    assert again.json["replaces"] == old["id"]
    left = datetime.fromisoformat(again.json["expires_at"]) - clock.now()
    assert timedelta(days=6) < left <= timedelta(days=7)
    refused = httpx.get(f"{server.url}/api/v1/projects", headers={"X-API-Key": old["key"]})
    assert refused.status_code == 401


@pytest.mark.parametrize("overlap", ["soon", "5", "-1h", "1w"])
def test_an_overlap_that_is_none_is_a_wrong_command_line(data: Path, overlap: str) -> None:
    answer = bursar("keys", "rotate", "key_x", "--data", data, "--overlap", overlap)
    assert answer.code == 2
    assert "--overlap" in answer.err


def test_a_key_is_bound_to_a_project_and_to_networks(data: Path) -> None:
    bound = ("--project", "search", "--network", "10.1.0.0/16", "--network", "::1")
    made = bursar("keys", "create", "--data", data, "--label", "b", "--scope", "ingest", *bound, "--json")
    assert (made.json["project_id"], made.json["networks"]) == ("search", ["10.1.0.0/16", "::1/128"])
    assert "search" in bursar("keys", "list", "--data", data).out
    wrong = ("--network", "example.com")
    refused = bursar("keys", "create", "--data", data, "--label", "b", "--scope", "ingest", *wrong)
    assert refused.code == 1
    assert "networks.0" in refused.err
