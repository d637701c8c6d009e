"""`bursar tokens` beside a running server and on a folder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cli.command_line import bursar
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

TOKENS = "tokens"


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def test_a_new_token_stands_alone_on_standard_output_and_is_taken(server: RunningServer, data: Path) -> None:
    made = bursar(TOKENS, "create", "--data", data, "--label", "Production app")
    assert made.code == 0
    token = made.out.strip()
    key = bursar("keys", "create", "--data", data, "--label", "k", "--scope", "ingest").out.strip()
    event = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1, "tracking_token": token}
    sent = httpx.post(f"{server.url}/api/v1/events", headers={"X-Ingest-Key": key}, json=event)
    assert sent.status_code == 202
    assert token not in bursar(TOKENS, "list", "--data", data).out


def test_a_token_is_switched_off_and_on_and_deleted(data: Path) -> None:
    chosen = "chosen-by-the-client"
    made = bursar(TOKENS, "create", "--data", data, "--label", "old", "--token", chosen, "--json").json
    assert made["token"] == chosen
    off = bursar(TOKENS, "deactivate", made["id"], "--data", data)
    assert off.out == f"{made['id']} (old) is inactive.\n"
    assert bursar(TOKENS, "show", made["id"], "--data", data, "--json").json["is_active"] is False
    on = bursar(TOKENS, "activate", made["id"], "--data", data, "--json")
    assert on.json["is_active"] is True
    assert chosen in bursar(TOKENS, "show", made["id"], "--data", data).out
    assert bursar(TOKENS, "delete", made["id"], "--data", data).out == f"Deleted {made['id']}.\n"
    gone = bursar(TOKENS, "show", made["id"], "--data", data)
    assert gone.code == 1
    assert "There is no tracking token" in gone.err


def test_a_folder_without_a_server_is_enough(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data):
        pass
    made = bursar(TOKENS, "create", "--data", data, "--label", "x", "--json").json
    listed = bursar(TOKENS, "list", "--data", data, "--json").json
    assert [one["id"] for one in listed] == [made["id"]]
