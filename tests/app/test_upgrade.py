"""FORMAT: what an older, newer, damaged or unnamed folder gets, and what a crash leaves to the next start."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bursar.app import upgrade
from bursar.app.build import build_platform
from bursar.errors import ConfigurationError, NewerFormat
from bursar.settings import load_settings
from bursar.storage import folder_format
from bursar.storage.backup_folder import load_backup
from bursar.storage.folder import DataFolder, claim_folder
from bursar.storage.folder_format import CURRENT
from tests.cli.command_line import bursar
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = [
    {"event_id": f"e{n}", "provider": "openai", "model": "gpt-4.1-mini", "input_tokens": n + 1}
    for n in range(20)
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of this version with twenty events."""
    with running_server(tmp_path / "data") as server:
        server.client.post("/api/v1/events?wait=applied", json=EVENTS).raise_for_status()
    return tmp_path / "data"


@pytest.fixture
def later_store(monkeypatch: pytest.MonkeyPatch) -> int:
    """This Bursar's tables have a later version than the folder's."""
    version = CURRENT.store + 1
    later = msgspec.structs.replace(CURRENT, store=version)
    monkeypatch.setattr(folder_format, "CURRENT", later)
    monkeypatch.setattr(upgrade, "CURRENT", later)
    return version


def start(data: Path) -> None:
    """Open the folder as a server does when it starts."""
    build_platform(load_settings({}, data_dir=data)).close()


def format_of(data: Path) -> dict[str, int]:
    return json.loads((data / "FORMAT").read_text())


def write_format(data: Path, **versions: Any) -> bytes:  # noqa: ANN401 - wrong ones too
    content = json.dumps({**format_of(data), **versions}).encode()
    (data / "FORMAT").write_bytes(content)
    return content


def events_in(data: Path) -> int:
    with running_server(data) as server:
        answer = server.operator.post("/control/verify").raise_for_status()
    recount = json.loads(answer.text.splitlines()[-1])["result"]
    assert recount["is_clean"], recount["differences"]
    return recount["events"]


def test_a_start_upgrades_an_older_folder_and_notes_it(data: Path, later_store: int) -> None:
    assert events_in(data) == 20
    assert format_of(data)["store"] == later_store


def backups_beside(data: Path) -> list[Path]:
    return sorted(data.parent.glob("*-before-upgrade-*"))


def test_a_start_backs_an_older_folder_up_before_it_upgrades_it(
    data: Path, later_store: int, tmp_path: Path
) -> None:
    start(data)
    [backup] = backups_beside(data)
    found = load_backup(backup)
    assert (found.versions.store, found.last_seq) == (later_store - 1, 20)
    start(data)
    assert backups_beside(data) == [backup], "nothing is older any more"
    restored = tmp_path / "restored"
    assert bursar("restore", backup, "--data", restored).code == 0
    assert events_in(restored) == 20


def test_a_start_whose_upgrade_failed_makes_no_second_backup_of_the_same(
    data: Path, later_store: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(upgrade, "write_format", None)
        for _ in range(2):
            with pytest.raises(TypeError):
                start(data)
    assert len(backups_beside(data)) == 1
    assert format_of(data)["store"] == later_store - 1


def test_a_start_doesnt_upgrade_what_it_couldnt_back_up(data: Path, later_store: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = load_settings({}, data_dir=data, backup_dir=tmp_path / "file/backups")
    with pytest.raises(ConfigurationError, match="BURSAR_UPGRADE_BACKUP=false"):
        build_platform(settings)
    assert format_of(data)["store"] == later_store - 1
    build_platform(load_settings({}, data_dir=data, upgrade_backup=False)).close()
    assert (format_of(data)["store"], backups_beside(data)) == (later_store, [])


def test_a_new_folder_needs_no_backup(tmp_path: Path) -> None:
    start(tmp_path / "data")
    assert backups_beside(tmp_path / "data") == []


def test_a_state_store_that_was_never_used_is_no_older_version_that_needs_a_backup(data: Path) -> None:
    for path in data.glob("state.db*"):
        path.unlink()
    start(data)
    assert backups_beside(data) == []
    assert events_in(data) == 20


def test_an_upgrade_that_fails_leaves_the_work_to_the_next_start(
    data: Path, later_store: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        message = "the disk is gone"
        raise OSError(message)

    with monkeypatch.context() as broken:
        broken.setattr(upgrade, "write_format", fail)
        with pytest.raises(ConfigurationError, match="the disk is gone"):
            start(data)
    assert format_of(data)["store"] == later_store - 1
    assert events_in(data) == 20
    assert format_of(data)["store"] == later_store


@pytest.mark.parametrize("part", ["folder", "journal", "store", "index"])
def test_a_newer_part_is_refused_by_name_before_anything_is_touched(data: Path, part: str) -> None:
    before = write_format(data, **{part: 99})
    state = (data / "state.db").read_bytes()
    with pytest.raises(NewerFormat, match=f"{part} 99"):
        start(data)
    for command in (["db", "status"], ["db", "upgrade"], ["rebuild"]):
        said = bursar(*command, "--data", data)
        assert said.code == 1
        assert f"{part} 99" in said.err
    assert ((data / "FORMAT").read_bytes(), (data / "state.db").read_bytes()) == (before, state)


def test_a_newer_journal_under_an_old_format_is_refused_before_anything_is_upgraded(
    data: Path, later_store: int
) -> None:
    identity = json.loads((data / "journal/IDENTITY").read_text())
    (data / "journal/IDENTITY").write_text(json.dumps({**identity, "format": 99}))
    with pytest.raises(NewerFormat, match="format 99"):
        start(data)
    assert format_of(data)["store"] == later_store - 1


def test_a_newer_state_store_is_refused_before_the_folder_is_upgraded(data: Path, later_store: int) -> None:
    with closing(sqlite3.connect(data / "state.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerFormat, match="9999"):
        start(data)
    assert bursar("db", "upgrade", "--data", data).code == 1
    assert format_of(data)["store"] == later_store - 1


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 40, b"[]", b'{"folder":1}', b'{"folder":1,"journal":"1","store":1,"index":1}'],
    ids=["empty", "zeros", "a list", "parts are missing", "a text"],
)
def test_a_damaged_format_is_named_and_nothing_is_touched(data: Path, content: bytes) -> None:
    (data / "FORMAT").write_bytes(content)
    with pytest.raises(ConfigurationError, match="FORMAT can't be read"):
        start(data)
    assert "FORMAT can't be read" in bursar("db", "status", "--data", data).err
    assert (data / "FORMAT").read_bytes() == content


def test_versions_below_one_are_no_versions(data: Path) -> None:
    write_format(data, store=0)
    with pytest.raises(ConfigurationError, match="versions begin at 1"):
        start(data)


def test_data_without_a_format_is_refused_and_left_alone(data: Path) -> None:
    (data / "FORMAT").unlink()
    with pytest.raises(ConfigurationError, match=r"holds journal, .* but no FORMAT"):
        start(data)
    assert "no FORMAT" in bursar("db", "status", "--data", data).err
    assert not (data / "FORMAT").exists()


def upgrades_of(data: Path) -> list[dict[str, Any]]:
    """What the audit log says of upgrades, the latest first."""
    return bursar("audit", "list", "--data", data, "--act", "ledger.upgrade", "--json").json


def test_a_first_start_that_was_interrupted_begins_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "tmp").mkdir(parents=True)
    (data / "LOCK").write_text("4711\n")
    (data / "FORMAT.tmp").write_text('{"fol')
    assert events_in(data) == 0
    assert format_of(data) == msgspec.to_builtins(CURRENT)


def test_status_says_what_an_upgrade_would_do_and_the_upgrade_what_it_did(
    data: Path, later_store: int
) -> None:
    found = bursar("db", "status", "--data", data, "--json").json
    assert found["folder"]["store"] == {"found": later_store - 1, "newest": later_store}
    assert "an upgrade" in bursar("db", "status", "--data", data).out
    assert format_of(data)["store"] == later_store - 1
    done = bursar("db", "upgrade", "--data", data, "--json").json
    assert done["folder"]["store"] == {"found": later_store, "newest": later_store}
    assert "an upgrade" not in bursar("db", "status", "--data", data).out
    assert events_in(data) == 20
    ended, begun = upgrades_of(data)
    assert (begun["asked"]["folder"], begun["actor"]["kind"]) == ({"store": later_store - 1}, "command")
    assert (ended["outcome"], ended["after"]["folder"]) == ("done", {"store": later_store})


def test_an_upgrade_at_a_start_is_in_the_audit_log_once(data: Path, later_store: int) -> None:
    for _ in range(2):
        assert events_in(data) == 20
    ended, begun = upgrades_of(data)
    assert (begun["actor"]["kind"], begun["asked"]["folder"]) == ("system", {"store": later_store - 1})
    assert ended["outcome"] == "done"


def test_a_rebuild_notes_what_it_derived(data: Path, later_store: int) -> None:
    assert bursar("rebuild", "--data", data).code == 0
    assert format_of(data)["store"] == later_store


def test_an_upgrade_needs_a_folder_that_no_server_holds(data: Path, later_store: int) -> None:
    lock = claim_folder(DataFolder(data))
    try:
        said = bursar("db", "upgrade", "--data", data, BURSAR_ADMIN_KEY=ADMIN_KEY)
    finally:
        lock.release()
    assert said.code == 1
    assert "in use by process" in said.err
    assert format_of(data)["store"] == later_store - 1
