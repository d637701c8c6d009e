"""`bursar doctor`: what it finds, that it masks secrets, and that each fault comes with advice."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.cli.diagnosis import show_bytes, size_of
from tests.cli.command_line import bursar
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

Found = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a server has used."""
    folder = tmp_path_factory.mktemp("used")
    with running_server(folder):
        return folder


@pytest.fixture(autouse=True)
def _a_port_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0 stands for any free port: whether 8000 is taken on this machine is no matter of a test's.
    monkeypatch.setenv("BURSAR_PORT", "0")


def examined(data: Path, code: int = 0, **environ: str) -> Found:
    said = bursar("doctor", "--data", data, "--json", **environ)
    assert said.code == code, said.out
    assert said.json["is_healthy"] is (code == 0)
    return {(one["area"], one["name"]): one for one in said.json["findings"]}


def test_a_sound_installation_has_nothing_wrong(used: Path) -> None:
    said = bursar("doctor", "--data", used)
    assert said.code == 0
    assert said.out.endswith("Nothing is wrong.\n")
    for words in ("python", "duckdb", "FORMAT", "free", "clock", "open files", "at migration"):
        assert words in said.out


def test_a_running_server_is_found_with_its_process(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        found = examined(server.platform.folder.path)
    assert found["server", "running"]["value"].startswith(f"process {os.getpid()}, version ")
    assert found["folder", "lock"]["value"] == f"held by process {os.getpid()}"


def test_a_folder_not_there_yet_is_a_note_and_stays_away(tmp_path: Path) -> None:
    found = examined(tmp_path / "new")
    assert found["folder", "path"]["state"] == "note"
    assert "bursar serve" in found["folder", "path"]["advice"]
    assert not (tmp_path / "new").exists()


def test_settings_are_shown_with_their_source_and_secrets_are_masked(used: Path) -> None:
    found = examined(
        used,
        BURSAR_ADMIN_KEY="bur_never-to-be-shown",
        BURSAR_LOG_LEVEL="debug",
        BURSAR_SEGMENT_BYTES="1MiB",
    )
    assert found["settings", "admin_key"]["value"] == "*** (BURSAR_ADMIN_KEY)"
    assert found["settings", "log_level"]["value"] == "debug (BURSAR_LOG_LEVEL)"
    assert found["settings", "data_dir"]["value"] == f"{used} (command line)"
    assert ("settings", "query_threads") not in found


def test_every_wrong_setting_is_listed(used: Path) -> None:
    said = bursar("doctor", "--data", used, BURSAR_PORT="ninety", BURSAR_LOG_LEVEL="loud")
    assert said.code == 1
    assert "BURSAR_PORT=ninety is wrong" in said.out
    assert "BURSAR_LOG_LEVEL=loud is wrong" in said.out
    assert "2 things are wrong." in said.out


def test_a_folder_of_a_newer_bursar_is_wrong(tmp_path: Path, used: Path) -> None:
    versions = json.loads((used / "FORMAT").read_text())
    (tmp_path / "FORMAT").write_text(json.dumps(versions | {"store": 99}))
    found = examined(tmp_path, code=1)
    assert found["folder", "FORMAT"]["state"] == "wrong"
    assert "Upgrade Bursar" in found["folder", "FORMAT"]["advice"]


def test_a_port_taken_by_another_program_is_wrong(used: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = examined(used, code=1, BURSAR_PORT=str(port))
    assert found["server", "address"]["value"] == f"127.0.0.1:{port} is taken by another program"
    assert "--port" in found["server", "address"]["advice"]


class HangingUp(socketserver.BaseRequestHandler):
    """Takes a connection and says nothing."""


def test_a_server_that_does_not_answer_is_wrong(tmp_path: Path, used: Path) -> None:
    (tmp_path / "FORMAT").write_text((used / "FORMAT").read_text())
    with socketserver.UnixStreamServer(str(tmp_path / "bursar.sock"), HangingUp) as silent:
        thread = threading.Thread(target=silent.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found = examined(tmp_path, code=1)
        silent.shutdown()
        thread.join()
    assert "Look at its log" in found["server", "running"]["advice"]
    # What a crash leaves behind is no server.
    assert examined(tmp_path)["server", "running"]["value"] == "no"


def test_too_little_room_on_the_disk_is_wrong(used: Path) -> None:
    found = examined(used, code=1, BURSAR_MIN_FREE_DISK_BYTES="8000TiB")
    assert "503" in found["disk", "free"]["advice"]


def test_a_database_that_does_not_answer_is_wrong(used: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    found = examined(used, code=1, BURSAR_DATABASE_URL=f"postgresql://u:secret@127.0.0.1:{port}/bursar")
    assert found["state store", "PostgreSQL"]["state"] == "wrong"
    assert "secret" not in str(found)


def test_a_clock_behind_the_journal_is_wrong(tmp_path: Path) -> None:
    segment = tmp_path / "journal" / "segment"
    segment.parent.mkdir()
    segment.touch()
    ahead = (clock.now() + timedelta(hours=3)).timestamp()
    os.utime(segment, (ahead, ahead))
    found = examined(tmp_path, code=1)
    assert "NTP" in found["machine", "clock"]["advice"]


def test_pending_migrations_are_a_note(tmp_path: Path, used: Path) -> None:
    (tmp_path / "FORMAT").write_text((used / "FORMAT").read_text())
    (tmp_path / "state.db").touch()
    found = examined(tmp_path)
    assert found["state store", "pending"]["state"] == "note"


def test_sizes_are_what_the_disk_holds(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * 10_000)
    with (tmp_path / "folder" / "sparse").open("wb") as sparse:
        sparse.truncate(10**9)
    assert 10_000 <= size_of(tmp_path / "folder") < 10**6
    assert [show_bytes(size) for size in (0, 1023, 1024, 1_572_864)] == ["0 B", "1023 B", "1 KiB", "1.5 MiB"]
