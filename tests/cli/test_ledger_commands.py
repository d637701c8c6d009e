"""`bursar verify`, `rebuild` and `db`: proof, repair, migrations, and exit codes that a script can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.cli.command_line import bursar, bursar_process
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = [
    {"event_id": f"e{n}", "provider": "openai", "model": "gpt-4.1-mini", "input_tokens": n + 1}
    for n in range(50)
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with fifty events that no server holds."""
    folder = tmp_path / "data"
    with running_server(folder) as server:
        answer = server.client.post("/api/v1/events?wait=applied", json=EVENTS)
        assert answer.json()["applied"]
    return folder


def test_a_sound_folder_ties_out_beside_its_server(data: Path) -> None:
    with running_server(data):
        said = bursar("verify", "--data", data)
    assert said.code == 0
    assert "Everything ties out" in said.out
    kinds = [line.strip().rstrip("0123456789").strip() for line in said.out.splitlines()]
    of_events = kinds.index("events in the store")
    assert kinds[of_events + 1] == "of them without a known price"


def test_a_sound_folder_ties_out_without_a_server(data: Path) -> None:
    said = bursar_process("verify", "--data", data, "--json")
    assert said.code == 0
    assert said.err == ""
    assert said.json["is_clean"]
    assert said.json["events"] == said.json["journal_events"] == 50


def test_a_difference_is_named_and_a_rebuild_removes_it(data: Path) -> None:
    with duckdb.connect(str(data / "usage.duckdb")) as store:
        store.execute("UPDATE usage_by_hour SET events = events + 1")
    found = bursar_process("verify", "--data", data)
    assert found.code == 3
    assert "usage_by_hour" in found.out
    assert "bursar rebuild" in found.out
    rebuilt = bursar("rebuild", "--data", data)
    assert rebuilt.out == f"Rebuilt {data} from 50 journal records. `bursar verify` recounts it.\n"
    assert bursar_process("verify", "--data", data).code == 0


def test_a_lost_store_is_derived_from_the_journal(data: Path) -> None:
    (data / "usage.duckdb").unlink()
    assert bursar("rebuild", "--data", data, "--json").json["records"] == 50
    assert bursar_process("verify", "--data", data, "--json").json["events"] == 50


def test_a_rebuild_beside_a_server_is_done_by_the_server(data: Path) -> None:
    with running_server(data) as server:
        server.platform.stores.database.execute("DELETE FROM usage_by_hour")
        assert bursar("verify", "--data", data).code == 3
        rebuilt = bursar("rebuild", "--data", data, "--json")
        assert rebuilt.json == {"data_dir": str(data), "records": 50, "beside_server": True}
        assert bursar("verify", "--data", data).code == 0


def test_a_second_rebuild_beside_the_first_is_refused(data: Path) -> None:
    with running_server(data) as server, server.platform.rebuilder._at_work:
        said = bursar("rebuild", "--data", data)
    assert said.code == 1
    assert said.err == "bursar: A rebuild is running already.\n"


def test_a_missing_folder_is_refused_by_each_of_them(tmp_path: Path) -> None:
    for command in (["verify"], ["rebuild"], ["db", "status"], ["db", "upgrade"]):
        said = bursar(*command, "--data", tmp_path / "none")
        assert said.code == 1
        assert "There is no data folder" in said.err
    assert not (tmp_path / "none").exists()


def test_the_state_store_says_where_its_migrations_are(data: Path) -> None:
    said = bursar("db", "status", "--data", data)
    assert said.code == 0
    assert "SQLite state store" in said.out
    assert "an upgrade" not in said.out
    (data / "state.db").unlink()
    pending = bursar("db", "status", "--data", data, "--json").json
    assert pending["current"] is None
    assert pending["pending"][-1] == pending["head"]
    done = bursar("db", "upgrade", "--no-backup", "--data", data, "--json").json
    assert done == {**pending, "current": pending["head"], "pending": [], "backup": None}
