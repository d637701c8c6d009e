"""A server inside a command: it starts or fails before the command goes on, and never stops unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar.app.build import build_platform
from bursar.app.server import Serving
from bursar.cli import connection
from bursar.cli.connection import HURRIED, client_of_socket, is_served, socket_of
from bursar.cli.local_server import LocalServer
from bursar.errors import BursarError, FolderInUse
from bursar.settings import load_settings
from tests.cli.command_line import bursar
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failure_to_start_is_raised_where_the_server_was_wanted(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=tmp_path)
    # Nothing can be bound where a folder lies.
    (tmp_path / "bursar.sock").mkdir(parents=True)
    server = LocalServer(Serving(build_platform(settings), None))
    with pytest.raises(OSError, match="directory"):
        server.start()
    assert not server.is_running


def test_a_server_stopped_by_the_operator_is_seen_to_have_stopped(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=tmp_path)
    server = LocalServer(Serving(build_platform(settings), None))
    server.start()
    assert server.is_running
    assert server.url is None
    with client_of_socket(socket_of(settings), HURRIED) as client:
        client.request("POST", "/control/stop")
    server.stop()
    assert not server.is_running
    assert not is_served(socket_of(settings))


def test_a_fault_of_the_running_server_is_raised_when_it_is_stopped(tmp_path: Path) -> None:
    server = LocalServer(Serving(build_platform(load_settings({}, data_dir=tmp_path)), None))
    server.start()
    # The socket's file can't be taken away any more: something else lies in its place.
    (tmp_path / "bursar.sock").unlink()
    (tmp_path / "bursar.sock").mkdir()
    with pytest.raises(BursarError, match="The server stopped on its own"):
        server.stop()


def test_a_command_waits_in_vain_for_a_server_that_never_answers_and_says_who_holds_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "START_SECONDS", 1.0)
    with running_server(tmp_path):
        (tmp_path / "bursar.sock").unlink()
        with pytest.raises(FolderInUse):
            build_platform(load_settings({}, data_dir=tmp_path))
        said = bursar("keys", "list", "--data", tmp_path)
    assert said.code == 1
    assert "waiting for it to answer" in said.err
    assert "in use by process" in said.err
