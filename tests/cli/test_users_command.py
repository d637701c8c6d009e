"""`bursar users` beside a running server and on a folder alone: the same users as over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from bursar.cli.main import app
from tests.cli.command_line import bursar
from tests.support.people import PASSWORD
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def test_a_user_is_made_invited_followed_and_removed(server: RunningServer, data: Path) -> None:
    made = bursar("users", "create", "ada@users.example", "--name", "Ada", "--role", "viewer", "--data", data)
    assert made.code == 0
    (link,) = made.out.splitlines()
    assert "/welcome#bur_link_" in link
    assert "Made the user usr_" in made.err
    again = bursar("users", "invite", "ada@users.example", "--data", data).out.strip()
    body = {"token": again.partition("#")[2], "password": PASSWORD}
    assert server.stranger.post("/api/v1/auth/accept", json=body).status_code == 200
    shown = bursar("users", "show", "ada@users.example", "--data", data).out.splitlines()
    assert {"name: Ada", "has_password: True", "roles: viewer"} <= set(shown)
    assert "/welcome#" in bursar("users", "reset", "ADA@users.example", "--data", data).out
    assert bursar("users", "logout", "ada@users.example", "--data", data).out == (
        "Ended 1 sessions of ada@users.example.\n"
    )
    assert bursar("users", "rename", "ada@users.example", "Ada King", "--data", data).code == 0
    assert bursar("users", "suspend", "ada@users.example", "--data", data).code == 0
    assert bursar("users", "resume", "ada@users.example", "--data", data).code == 0
    assert "Ada King" in bursar("users", "list", "--data", data).out
    assert bursar("users", "remove", "ada@users.example", "--data", data).code == 0
    assert bursar("users", "show", "ada@users.example", "--data", data).code == 1


def test_roles_may_be_given_in_projects_and_a_password_on_standard_input(
    server: RunningServer, data: Path
) -> None:
    project = server.client.post("/api/v1/projects", json={"name": "Search"}).json()["id"]
    arguments = (
        "users", "create", "bob@users.example", "--role", "viewer", "--role", f"member@{project}",
        "--password-stdin", "--data", str(data), "--json",
    )  # fmt: skip
    made = CliRunner().invoke(app, arguments, input=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    held = bursar("users", "show", "bob@users.example", "--data", data, "--json").json
    assert sorted((one["role"], one["project_id"]) for one in held["roles"]) == [
        ("member", project),
        ("viewer", None),
    ]
    typed = {"email": "bob@users.example", "password": PASSWORD}
    assert server.stranger.post("/api/v1/auth/login", json=typed).status_code == 200
    assert CliRunner().invoke(app, arguments, input="\n").exit_code == 2


def test_what_is_wrong_is_said(data: Path) -> None:
    unknown = bursar("users", "suspend", "nobody@users.example", "--data", data)
    assert (unknown.code, "no user with the address" in unknown.err) == (1, True)
    unfit = bursar("users", "create", "nobody", "--data", data)
    assert (unfit.code, "email" in unfit.err) == (1, True)
    mailed = bursar("users", "create", "eve@users.example", "--mail", "--data", data)
    assert (mailed.code, "BURSAR_SMTP_HOST" in mailed.err) == (1, True)


def test_a_folder_without_a_server_is_enough(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data):
        pass
    assert "/welcome#" in bursar("users", "create", "ada@example.com", "--role", "owner", "--data", data).out
    listed = bursar("users", "list", "--data", data, "--json").json
    assert [(one["email"], one["roles"][0]["role"]) for one in listed] == [("ada@example.com", "owner")]
