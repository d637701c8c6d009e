"""Exports leave room for others: few at a time, nothing done for who has left, no file stays behind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from bursar.app import export_stream
from bursar.app.export_slots import EXPORTS_LIMIT, ExportSlots
from bursar.errors import Overloaded
from bursar.storage.duckdb import parquet_file
from bursar.storage.duckdb.connection import DuckDBLimits
from bursar.usage.exports.columns import EVENT_EXPORT
from bursar.usage.exports.pieces import ROWS_PER_PIECE
from tests.support.patience import wait_until
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

ROWS = 30_000
"""Some 40 MB as JSON: more than sockets hold, so that a reader that reads nothing stops the stream."""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with many events of its own."""
    with running_server(tmp_path_factory.mktemp("full")) as server:
        for start in range(0, ROWS, 10_000):
            events: list[dict[str, Any]] = [
                {"event_id": f"e-{n}", "model": "gpt-4o-mini", "input_tokens": 1 + n}
                for n in range(start, start + 10_000)
            ]
            answer = server.client.post("/api/v1/events", json=events, params={"wait": "applied"})
            assert answer.json()["applied"], answer.text[:500]
        yield server


def begin(server: RunningServer, form: str) -> socket.socket:
    """Ask for an export and read nothing of it."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET /api/v1/export?format={form} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {ADMIN_KEY}\r\n\r\n"
    connection.sendall(request.encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def under_way(server: RunningServer) -> int:
    return len(server.platform.questions._under_way)


@pytest.mark.long
def test_slow_readers_hold_no_query_thread_and_no_more_than_their_places(full: RunningServer) -> None:
    readers = [begin(full, "ndjson") for _ in range(EXPORTS_LIMIT)]
    try:
        wait_until(lambda: under_way(full) == 0, "nothing is asked while nobody reads")
        refused = full.client.get("/api/v1/export", params={"limit": 1})
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) > 0
        assert full.client.get("/api/v1/cost/summary").status_code == 200
    finally:
        for reader in readers:
            reader.close()
    wait_until(
        lambda: full.client.get("/api/v1/export", params={"limit": 1}).status_code == 200,
        "the places of readers that left are free again",
    )


def test_readers_that_read_nothing_lose_their_places_to_others(
    full: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.app.exports.STALL_SECONDS", 0.5)
    readers = [begin(full, "ndjson") for _ in range(EXPORTS_LIMIT)]
    try:
        wait_until(
            lambda: full.client.get("/api/v1/export", params={"limit": 1}).status_code == 200,
            "there is a place again",
        )
    finally:
        for reader in readers:
            reader.close()


def test_a_reader_that_leaves_in_the_middle_of_a_parquet_file_leaves_nothing(full: RunningServer) -> None:
    host, port = full.url.removeprefix("http://").split(":")
    scratch: Path = full.platform.folder.scratch
    with socket.create_connection((host, int(port))) as connection:
        request = f"GET /api/v1/export?format=parquet HTTP/1.1\r\nHost: x\r\nX-API-Key: {ADMIN_KEY}\r\n\r\n"
        connection.sendall(request.encode())
        wait_until(lambda: bool(list(scratch.glob("export-*"))), "the file is being made")
    wait_until(lambda: not list(scratch.glob("export-*")), "the file is gone")
    wait_until(lambda: under_way(full) == 0, "nothing is asked any more")
    assert full.client.get("/api/v1/export", params={"limit": 1}).status_code == 200


def test_an_answer_that_has_taken_long_ends_early_and_names_the_next(
    full: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = full.client.get("/api/v1/export", params={"format": "csv"})
    monkeypatch.setattr(export_stream, "PAGE_SECONDS", 0.0)
    asked: dict[str, Any] = {"format": "csv", "limit": ROWS}
    answer = full.client.get("/api/v1/export", params=asked)
    pages = [answer.content]
    while cursor := answer.headers.get("bursar-next-cursor"):
        answer = full.client.get("/api/v1/export", params={**asked, "cursor": cursor, "header": False})
        pages.append(answer.content)
    assert b"".join(pages) == whole.content
    assert len(pages) == ROWS // ROWS_PER_PIECE
    monkeypatch.undo()
    assert "bursar-next-cursor" not in full.client.get("/api/v1/export", params=asked).headers


def test_a_file_made_of_many_parts_has_every_row_once_and_in_order(
    full: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_file, "PART_BYTES", 1)
    path = tmp_path / "export.parquet"
    path.write_bytes(full.client.get("/api/v1/export", params={"format": "parquet"}).content)
    found = duckdb.execute(f"SELECT event_id, input_text FROM '{path}'").fetchall()
    assert found == [(f"e-{n}", 1 + n) for n in range(ROWS)]
    scratch = full.platform.folder.scratch
    wait_until(lambda: not list(scratch.glob("export-*")), "none of its parts stays behind")


@pytest.mark.slow
def test_a_file_of_many_rows_takes_no_more_memory_than_its_share(full: RunningServer, tmp_path: Path) -> None:
    lines = full.client.get("/api/v1/export", params={"format": "csv", "header": False}).content
    file = parquet_file.ParquetFile(tmp_path / "many.parquet", EVENT_EXPORT, DuckDBLimits("128MB", 1, "1GB"))
    try:
        for _ in range(60):
            file.add(lines)
        assert file.finish() == file.path.stat().st_size
        assert duckdb.execute(f"SELECT count(*) FROM '{file.path}'").fetchone() == (60 * ROWS,)
    finally:
        file.discard()


def test_a_full_disk_is_said_before_a_file_is_made(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        settings = server.platform.settings
        server.platform.settings = settings.model_copy(update={"min_free_disk_bytes": 2**62})
        answer = server.client.get("/api/v1/export", params={"format": "parquet"})
        assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
        assert not list(server.platform.folder.scratch.glob("export-*"))


def test_a_place_is_free_when_nobody_holds_it_any_more() -> None:
    slots = ExportSlots(limit=1)
    slot = slots.enter()
    with pytest.raises(Overloaded):
        slots.enter()
    slot.leave()
    slot.leave()
    slots.enter()  # and let go of at once
    slots.enter()


def exports_told(server: RunningServer) -> list[dict[str, Any]]:
    asked = {"act": "export.download", "limit": 2}
    return server.client.get("/api/v1/audit", params=asked).raise_for_status().json()["items"]


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_the_audit_log_says_how_much_an_export_was_and_that_it_ended_whole(
    full: RunningServer, form: str
) -> None:
    answer = full.client.get("/api/v1/export", params={"format": form}).raise_for_status()
    done, begun = exports_told(full)[:2]
    assert (begun["outcome"], done["outcome"], done["begun"]) == ("begun", "done", begun["number"])
    assert done["after"] == {"rows": ROWS, "bytes": len(answer.content)}


def test_the_audit_log_says_of_an_export_that_was_broken_off_how_far_it_came(full: RunningServer) -> None:
    connection = begin(full, "json")
    assert exports_told(full)[0]["outcome"] == "begun"
    connection.close()
    wait_until(lambda: exports_told(full)[0]["outcome"] != "begun", "the export is concluded")
    failed = exports_told(full)[0]
    assert (failed["outcome"], failed["reason"]) == ("failed", "broken_off")
    assert 0 < failed["after"]["rows"] <= ROWS
    assert 0 < failed["after"]["bytes"] < 40_000_000
