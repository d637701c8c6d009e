"""How commands find their server, and what they say where they can't: a start under way, a wrong address."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from typing import TYPE_CHECKING

from bursar.storage.folder import DataFolder, is_held
from tests.cli.command_line import SERVES, bursar, bursar_process, read_until, started
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_waits_for_a_process_that_has_just_taken_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_server(folder):
        pass
    descriptor = os.open(folder / "LOCK", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with started("tenants", "list", "--data", folder) as command:
        assert command.stderr is not None
        assert "waiting for it to answer" in command.stderr.readline()
        assert command.poll() is None
        os.close(descriptor)
        out, _ = command.communicate(timeout=60)
    assert command.returncode == 0
    assert "default" in out


def test_a_command_beside_a_start_gets_its_answer_from_that_server(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_server(folder):
        pass
    with started("serve", "--port", "0", "--data", folder):
        wait_until(lambda: is_held(DataFolder(folder)), "the server has taken the folder")
        said = bursar_process("tenants", "list", "--data", folder, "--json")
    assert said.code == 0, said.err
    assert said.json[0]["id"] == "default"


def test_ctrl_c_ends_a_server_with_a_last_word(tmp_path: Path) -> None:
    with started("serve", "--port", "0", "--data", tmp_path / "data") as server:
        read_until(server, SERVES)
        server.send_signal(signal.SIGINT)
        out, _ = server.communicate(timeout=30)
    assert out.splitlines()[-1] == "Stopped. Everything that was acknowledged is on disk."
    assert server.returncode == 0


def test_an_address_that_is_none_is_said_to_be_none() -> None:
    for url in ("notaurl", "localhost:8000", "http://", "ftp://there"):
        said = bursar("query", "--url", url)
        assert said.code == 1
        assert "is no address of a server. Write it with its scheme" in said.err


def test_a_key_for_no_server_is_refused_unless_the_environment_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_server(folder):
        refused = bursar("tenants", "list", "--data", folder, "--key", "bur_something")
        assert refused.code == 1
        assert "--key is for a server that --url names" in refused.err
        assert bursar("tenants", "list", "--data", folder, BURSAR_API_KEY="bur_something").code == 0


def test_a_key_exported_for_requests_changes_nothing_in_a_folder_without_a_server(tmp_path: Path) -> None:
    with running_server(tmp_path):
        made = bursar("keys", "create", "--label", "r", "--scope", "read", "--data", tmp_path)
        before = bursar("keys", "list", "--json", "--data", tmp_path).json
    for key in (made.out.strip(), "bur_of-another-server"):
        listed = bursar_process("keys", "list", "--json", "--data", tmp_path, BURSAR_API_KEY=key)
        assert listed.code == 0, listed.err
        assert [one["id"] for one in listed.json] == [one["id"] for one in before]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    said = bursar_process("serve", "--port", "0", "--data", tmp_path)
    assert said.code == 1
    assert "isn't a data folder of Bursar: it holds thesis.txt." in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_only_the_owner_can_read_the_state_store(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        for path in server.platform.folder.path.glob("state.db*"):
            if not path.name.endswith(".lock"):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_an_import_of_nothing_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "recorded"
    empty.mkdir()
    with running_server(tmp_path / "data"):
        said = bursar("import", "--provider-responses", empty, "--data", tmp_path / "data")
    assert said.code == 1
    assert "There was nothing to import" in said.err


def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://bursar:secret-word@127.0.0.1:1/bursar"
    said = bursar_process("serve", "--port", "0", "--data", tmp_path / "data", BURSAR_DATABASE_URL=url)
    assert said.code == 1
    assert "The state store does not answer" in said.err
    assert '"127.0.0.1", port 1 failed' in said.err
    assert "secret-word" not in said.err
