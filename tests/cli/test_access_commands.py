"""`bursar keys`, `tenants` and `projects` beside a running server, and how a refusal reads."""

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


def test_a_new_key_stands_alone_on_standard_output_and_works(server: RunningServer, data: Path) -> None:
    made = bursar("keys", "create", "--data", data, "--label", "ci", "--scope", "read")
    assert made.code == 0
    secret = made.out.strip()
    assert secret.startswith("bur_")
    assert "can't be shown again" in made.err
    answer = httpx.get(f"{server.url}/api/v1/projects", headers={"X-API-Key": secret})
    assert answer.status_code == 200
    refused = httpx.post(f"{server.url}/api/v1/events", headers={"X-API-Key": secret}, json={})
    assert refused.status_code == 403


def test_keys_are_listed_without_their_secrets(data: Path) -> None:
    made = bursar("keys", "create", "--data", data, "--label", "listed", "--scope", "ingest", "--json").json
    listed = bursar("keys", "list", "--data", data)
    assert made["id"] in listed.out
    assert made["key"] not in listed.out
    (found,) = [
        one for one in bursar("keys", "list", "--data", data, "--json").json if one["label"] == "listed"
    ]
    assert found["scopes"] == ["ingest"]
    assert "key" not in found


def test_what_goes_into_a_pipe_is_never_folded(data: Path) -> None:
    label, networks = "a label as long as labels may be " * 6, ("10.1.0.0/16", "2001:db8:1234:5678::/64")
    named = [part for network in networks for part in ("--network", network)]
    asked = ("keys", "create", "--data", data, "--label", label.strip(), "--scope", "admin", *named, "--json")
    made = bursar(*asked).json
    (row,) = [line for line in bursar("keys", "list", "--data", data).out.splitlines() if made["id"] in line]
    assert all(word in row for word in (label.strip(), *networks))


def test_a_revoked_key_is_refused_at_once(server: RunningServer, data: Path) -> None:
    made = bursar("keys", "create", "--data", data, "--label", "gone", "--scope", "admin", "--json").json
    assert bursar("keys", "list", "--url", server.url, "--key", made["key"]).code == 0
    revoked = bursar("keys", "revoke", made["id"], "--data", data)
    assert revoked.out == f"Revoked {made['id']} (gone).\n"
    refused = bursar("keys", "list", "--url", server.url, "--key", made["key"])
    assert refused.code == 1
    assert refused.err.startswith("bursar: This API key has been revoked")
    assert "--key" in refused.err


def test_an_expiry_may_be_a_number_of_days(data: Path) -> None:
    arguments = ("keys", "create", "--data", data, "--label", "x", "--scope", "read", "--json")
    made = bursar(*arguments, "--expires", "90d").json
    left = datetime.fromisoformat(made["expires_at"]) - clock.now()
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    wrong = bursar(*arguments, "--expires", "soon")
    assert wrong.code == 1
    assert "expires_at" in wrong.err


def test_a_tenant_has_its_own_projects_and_keys(data: Path) -> None:
    made = bursar("tenants", "create", "--data", data, "--id", "acme", "--zone", "Europe/Berlin")
    assert made.out == "Made tenant acme (acme, Europe/Berlin).\n"
    assert "acme" in {one["id"] for one in bursar("tenants", "list", "--data", data, "--json").json}
    project = ("projects", "create", "--data", data, "--tenant", "acme", "--id", "support")
    assert bursar(*project, "--name", "Support chat").out.startswith("Made project support (Support chat)")
    assert "Support chat" in bursar("projects", "list", "--data", data, "--tenant", "acme").out
    assert bursar("projects", "list", "--data", data, "--json").json == []


def test_a_project_is_suspended_and_resumed(data: Path) -> None:
    of_one = ("--data", data, "--tenant", "pausing")
    bursar("tenants", "create", "--data", data, "--id", "pausing")
    bursar("projects", "create", *of_one, "--id", "support", "--name", "Support chat")
    suspended = bursar("projects", "suspend", "support", *of_one)
    assert (suspended.code, suspended.err) == (0, "Project support of tenant pausing is suspended.\n")
    assert [one["state"] for one in bursar("projects", "list", *of_one, "--json").json] == ["suspended"]
    assert "is active" in bursar("projects", "resume", "support", *of_one).err
    assert [one["state"] for one in bursar("projects", "list", *of_one, "--json").json] == ["active"]
    unknown = bursar("projects", "suspend", "none", *of_one)
    assert (unknown.code, "no project 'none'" in unknown.err) == (1, True)


def test_a_list_longer_than_a_page_is_shown_whole(server: RunningServer, data: Path) -> None:
    assert server.operator.post("/api/v1/tenants", json={"id": "many"}).status_code == 201
    for number in range(501):
        body = {"id": f"p{number}", "name": "P", "tenant_id": "many"}
        assert server.operator.post("/api/v1/projects", json=body).status_code == 201
    assert len(bursar("projects", "list", "--data", data, "--tenant", "many", "--json").json) == 501


def test_a_refusal_is_one_line_with_its_reasons(data: Path) -> None:
    again = ("tenants", "create", "--data", data, "--id", "twice")
    assert bursar(*again).code == 0
    conflict = bursar(*again)
    assert conflict.code == 1
    assert conflict.out == ""
    assert conflict.err.startswith("bursar: ")
    assert "Traceback" not in conflict.err
    zone = bursar("tenants", "create", "--data", data, "--zone", "Mars/Olympus")
    assert "Europe/Berlin" in zone.err


def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    gone = bursar("keys", "list", "--url", "http://127.0.0.1:9", "--key", "x")
    assert gone.code == 1
    assert "127.0.0.1" in gone.err
    assert "bursar serve" in gone.err


def test_a_folder_that_is_not_there_is_not_made_by_a_typo(tmp_path: Path) -> None:
    missing = bursar("keys", "list", "--data", tmp_path / "typo")
    assert missing.code == 1
    assert "bursar serve --data" in missing.err
    assert not (tmp_path / "typo").exists()


def test_an_environment_variable_names_the_server(server: RunningServer) -> None:
    listed = bursar(
        "tenants", "list", "--json", BURSAR_URL=server.url, BURSAR_API_KEY="bur_operator-of-these-tests"
    )
    assert "default" in {one["id"] for one in listed.json}
