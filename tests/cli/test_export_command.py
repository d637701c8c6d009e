"""`bursar export`: files that are whole or say that they aren't, and that go on where they were cut off."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from bursar.cli import export_file
from tests.cli.command_line import bursar, bursar_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

CALL = {"provider": "openai", "model": "gpt-4.1-mini", "input_tokens": 1_000_000, "output_tokens": 0}
"""40 cents: gpt-4.1-mini takes $0.40 per million input tokens."""
COUNT = 25


@pytest.fixture(scope="module")
def data(server: RunningServer) -> Path:
    events: list[dict[str, Any]] = [
        {**CALL, "event_id": f"e-{n}", "project_id": "search" if n % 2 else None, "batch": False}
        for n in range(COUNT)
    ]
    answer = server.client.post("/api/v1/events?wait=applied", json=events)
    assert answer.json()["applied"], answer.text
    return server.platform.folder.path


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few rows, so that a small export has several."""
    monkeypatch.setattr(export_file, "PAGE_ROWS", 4)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.usefixtures("small_pages")
def test_csv_in_a_file_and_on_standard_output_are_the_same(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    ran = bursar("export", "--data", data, "--out", path)
    assert ran.code == 0, ran.err
    assert f"{COUNT} events, 10 USD in all" in ran.err
    assert [row["event_id"] for row in rows_of(path.read_bytes().decode())] == [
        f"e-{n}" for n in range(COUNT)
    ]
    printed = bursar_process("export", "--data", data)
    assert [row["event_id"] for row in rows_of(printed.out)] == [f"e-{n}" for n in range(COUNT)]
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.usefixtures("small_pages")
def test_a_json_file_is_one_array_of_all_pages(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    ran = bursar("export", "--data", data, "--format", "json", "--out", path, "--json")
    assert [one["event_id"] for one in json.loads(path.read_text())] == [f"e-{n}" for n in range(COUNT)]
    assert (ran.json["events"], ran.json["unpriced_events"], ran.json["total"]) == (str(COUNT), "0", "10 USD")
    none = tmp_path / "none.json"
    bursar("export", "--data", data, "--format", "json", "--filter", "model=none", "--out", none)
    assert json.loads(none.read_text()) == []


def test_focus_and_parquet_come_to_the_same_total(data: Path, tmp_path: Path) -> None:
    path, parquet = tmp_path / "focus.csv", tmp_path / "focus.parquet"
    assert bursar("export", "--data", data, "--format", "focus", "--grain", "hour", "--out", path).code == 0
    assert bursar("export", "--data", data, "--format", "focus-parquet", "--out", parquet).code == 0
    rows = rows_of(path.read_bytes().decode())
    assert sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0)) == 10
    assert duckdb.execute(f"SELECT sum(BilledCost) FROM '{parquet}'").fetchall() == [(Decimal(10),)]


def test_filters_are_those_of_query(data: Path, tmp_path: Path) -> None:
    def found(*filters: str) -> int:
        arguments = [one for text in filters for one in ("--filter", text)]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        assert bursar("export", "--data", data, "--out", path, *arguments).code == 0
        return len(rows_of(path.read_bytes().decode()))

    assert found("project_id=search", "batch=false") == 12
    assert found("project_id=null") == 13
    assert found("project_id!=null") == 12
    assert found("model^=gpt-4.1", "model!=gpt-4.1-mini,gpt-4.1") == 0
    ran = bursar("export", "--data", data, "--filter", "project_id=search,null")
    assert ran.code == 2


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
def test_an_export_that_was_cut_off_goes_on_at_its_own_moment(
    data: Path, server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    whole, path = tmp_path / f"whole.{form}", tmp_path / f"out.{form}"
    arguments = ("--data", data, "--format", form, "--filter", "project_id=search", "--window", "all")
    bursar("export", *arguments, "--out", whole)
    remember, noted = export_file.ExportFile.remember, list[int]()

    def fall_over(self: export_file.ExportFile) -> None:
        remember(self)
        noted.append(self.size)
        if len(noted) == 2:
            # Half of a page that no note speaks of.
            with self.part.open("ab") as part:
                part.write(b'"half a p')
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(export_file.ExportFile, "remember", fall_over)
        cut = bursar("export", *arguments, "--out", path)
    assert cut.code != 0
    assert f"{noted[-1]:,} bytes are in {path}.part; the same command with --resume" in cut.err
    assert not path.exists()
    late = {**CALL, "event_id": f"late-{form}", "project_id": "search"}
    server.client.post("/api/v1/events?wait=applied", json=late)
    other = bursar("export", "--data", data, "--format", form, "--out", path, "--resume")
    assert "other options" in other.err
    assert bursar("export", *arguments, "--out", path, "--resume").code == 0
    assert path.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.part*"))
    server.client.post("/api/v1/events/void", json={"event_ids": [f"late-{form}"], "reason": "a test"})


def test_a_file_that_is_there_is_replaced_only_when_asked(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("dear to somebody")
    ran = bursar("export", "--data", data, "--out", path)
    assert (ran.code, path.read_text()) == (1, "dear to somebody")
    assert "--overwrite" in ran.err
    assert bursar("export", "--data", data, "--out", path, "--overwrite").code == 0
    assert len(rows_of(path.read_bytes().decode())) == COUNT


def test_a_file_that_cannot_be_written_is_said_in_one_line(data: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "no-such-folder" / "out.csv"
    ran = bursar("export", "--data", data, "--out", nowhere)
    assert (ran.code, ran.err) == (1, f"bursar: {nowhere} can't be written: No such file or directory.\n")
    (tmp_path / "out.csv.part").mkdir()
    assert (
        "can't be written: Is a directory."
        in bursar("export", "--data", data, "--out", tmp_path / "out.csv").err
    )


def test_what_makes_no_sense_is_refused(data: Path) -> None:
    assert bursar("export", "--data", data, "--resume").code == 2
    assert bursar("export", "--data", data, "--format", "parquet").code == 2
    ran = bursar("export", "--data", data, "--window", "soon")
    assert (ran.code, "is no window" in ran.err) == (1, True)


def test_without_a_server_the_command_serves_itself(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    backup = tmp_path / "backup"
    assert bursar("backup", backup, "--data", data).code == 0
    assert bursar_process("restore", backup, "--data", folder).code == 0
    ran = bursar_process(
        "export", "--data", folder, "--format", "focus", "--window", "all", "--filter", "model=gpt-4.1-mini"
    )
    assert ran.code == 0, ran.err
    assert sum((Decimal(row["BilledCost"]) for row in rows_of(ran.out)), Decimal(0)) == 10
