"""`bursar roles` beside a running server and on a folder alone: the same roles as over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def roles(data: Path) -> list[str]:
    return [role["name"] for role in bursar("roles", "list", "--data", data, "--json").json]


def test_a_role_is_made_changed_given_taken_and_removed(data: Path) -> None:
    made = bursar("roles", "create", "money", "--permission", "cost:read", "--data", data)
    assert made.out == "Made the role money.\n"
    changed = bursar(
        "roles", "change", "money", "--permission", "cost:read", "--permission", "usage:read", "--data", data,
        "--json",
    )  # fmt: skip
    assert changed.json["permissions"] == ["cost:read", "usage:read"]
    ada = bursar("users", "create", "ada@roles.example", "--data", data, "--json").json["id"]
    assert bursar("roles", "give", ada, "money", "--data", data).out == f"{ada} has the role money now.\n"
    held = bursar("roles", "holders", "--user", ada, "--data", data, "--json").json
    assert [(one["role"], one["project_id"]) for one in held] == [("money", None)]
    refused = bursar("roles", "remove", "money", "--data", data)
    assert (refused.code, "take it from them first" in refused.err) == (1, True)
    assert bursar("roles", "take", ada, "money", "--data", data).code == 0
    assert bursar("roles", "remove", "money", "--data", data).out == "Removed the role money.\n"
    assert "money" not in roles(data)


def test_what_is_wrong_is_said(data: Path) -> None:
    unknown = bursar("roles", "give", "usr_7", "nothing", "--data", data)
    assert (unknown.code, "There is no role 'nothing'" in unknown.err) == (1, True)
    built_in = bursar("roles", "remove", "viewer", "--data", data)
    assert (built_in.code, "built in" in built_in.err) == (1, True)


def test_a_folder_without_a_server_is_enough(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data):
        pass
    assert roles(data) == ["viewer", "analyst", "member", "admin", "owner"]
    assert "analyst" in bursar("roles", "list", "--data", data).out
