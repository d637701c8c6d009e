"""Commands that show, rename or remove one thing: keys, projects, tenants, roles, tokens, users, oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar import ids
from tests.cli.command_line import bursar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def test_a_key_is_shown_without_its_secret_and_listed_with_its_networks(data: Path) -> None:
    bound = ("--network", "10.1.0.0/16")
    made = bursar("keys", "create", "--data", data, "--label", "ci", "--scope", "read", *bound, "--json").json
    shown = bursar("keys", "show", made["id"], "--data", data)
    assert "10.1.0.0/16" in shown.out
    assert made["key"] not in shown.out
    found = bursar("keys", "show", made["id"], "--data", data, "--json").json
    assert {**found, **made} == {**found, "key": made["key"]}
    assert "10.1.0.0/16" in bursar("keys", "list", "--data", data).out
    unknown = bursar("keys", "show", "key_unknown", "--data", data)
    assert (unknown.code, unknown.out) == (1, "")


def test_what_a_key_has_sent_is_its_own_alone(server: RunningServer, data: Path) -> None:
    keys = [
        bursar("keys", "create", "--data", data, "--label", "a", "--scope", "ingest", "--json").json
        for _ in range(2)
    ]
    event = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1000, "output_tokens": 10}
    for key, count in zip(keys, (2, 1), strict=True):
        for _ in range(count):
            sent = server.stranger.post(
                "/api/v1/events",
                json={**event, "event_id": ids.make_id("evt")},
                params={"wait": "applied"},
                headers={"X-API-Key": key["key"]},
            )
            assert sent.is_success, sent.text
    asked = ("--data", data, "--measures", "events,input_tokens", "--by", "model", "--format", "csv")
    said = [bursar("keys", "usage", key["id"], *asked).out for key in keys]
    assert said[0].splitlines()[1:] == ["gpt-4o-mini,2,2000"]
    assert said[1].splitlines()[1:] == ["gpt-4o-mini,1,1000"]
    assert "events" in bursar("keys", "usage", keys[0]["id"], "--data", data).out
    assert bursar("keys", "usage", "key_unknown", "--data", data).code == 1


def test_a_project_is_shown_renamed_and_deleted(data: Path) -> None:
    bursar("projects", "create", "--data", data, "--id", "support", "--name", "Support")
    renamed = bursar("projects", "rename", "support", "Support and chat", "--data", data)
    assert renamed.out == "support is called Support and chat now.\n"
    assert "Support and chat" in bursar("projects", "show", "support", "--data", data).out
    deleted = bursar("projects", "delete", "support", "--reason", "over", "--yes", "--data", data)
    assert "Deleted project support" in deleted.err
    gone = bursar("projects", "show", "support", "--data", data)
    assert (gone.code, gone.out) == (1, "")


def test_a_tenant_and_a_role_are_shown(data: Path) -> None:
    bursar("tenants", "create", "--data", data, "--id", "acme", "--zone", "Europe/Berlin")
    assert "Europe/Berlin" in bursar("tenants", "show", "acme", "--data", data).out
    assert bursar("tenants", "show", "acme", "--data", data, "--json").json["state"] == "active"
    assert "usage:export" in bursar("roles", "show", "analyst", "--data", data).out
    assert bursar("roles", "show", "analyst", "--data", data, "--json").json["is_built_in"] is True


def test_a_token_gets_another_label(data: Path) -> None:
    made = bursar("tokens", "create", "--data", data, "--label", "old", "--json").json
    said = bursar("tokens", "relabel", made["id"], "new", "--data", data)
    assert said.out == f"{made['id']} is labelled new now.\n"
    found = bursar("tokens", "show", made["id"], "--data", data, "--json").json
    assert (found["label"], found["token"]) == ("new", made["token"])


def test_a_user_gets_another_address(data: Path) -> None:
    made = bursar("users", "create", "ada@example.com", "--data", data, "--json").json
    said = bursar("users", "readdress", "ada@example.com", "Eve@example.com", "--data", data)
    assert said.out == f"{made['id']} logs in as eve@example.com now.\n"
    assert bursar("users", "show", "eve@example.com", "--data", data, "--json").json["id"] == made["id"]
    assert bursar("users", "readdress", "eve@example.com", "nobody", "--data", data).code == 1


def test_whoami_tells_the_operator_and_a_key_what_they_may(server: RunningServer, data: Path) -> None:
    operator = bursar("whoami", "--data", data)
    assert operator.out.startswith("socket (operator) of tenant default\n")
    assert "tenants:write" in operator.out
    key = bursar("keys", "create", "--data", data, "--label", "a", "--scope", "ingest", "--json").json
    named = bursar("whoami", "--url", server.url, "--key", key["key"])
    assert named.out.startswith(f"{key['id']} (key) of tenant default\n")
    assert "usage:ingest" in named.out
    assert "keys:write" not in named.out
    assert bursar("whoami", "--data", data, "--json").json["is_operator"] is True
