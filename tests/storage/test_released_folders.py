"""Folders of every released version, opened with today's code: nothing is lost, nothing counts twice.

A folder is upgraded on the way, whatever that takes; what counts is that the figures stay the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command_line import bursar
from tests.support.released import RELEASED_FOLDERS, ReleasedFolder, found_in, sorted_totals
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

released = pytest.mark.parametrize("folder", RELEASED_FOLDERS, ids=str)


@released
def test_a_released_folder_opens_with_the_same_totals_and_ties_out(
    folder: ReleasedFolder, tmp_path: Path
) -> None:
    data = folder.unpack(tmp_path / "data")
    for _ in ("as it came", "a second time"):
        with running_server(data) as server:
            assert sorted_totals(found_in(server, folder)) == sorted_totals(folder.expected)


@released
def test_a_released_journal_gives_the_same_store_again(folder: ReleasedFolder, tmp_path: Path) -> None:
    data = folder.unpack(tmp_path / "data")
    assert bursar("rebuild", "--data", data).code == 0
    with running_server(data) as server:
        assert sorted_totals(found_in(server, folder)) == sorted_totals(folder.expected)


@released
def test_a_journal_alone_is_enough(folder: ReleasedFolder, tmp_path: Path) -> None:
    data = folder.unpack(tmp_path / "data")
    for name in ("usage.duckdb", "usage.duckdb.wal"):
        (data / name).unlink(missing_ok=True)
    with running_server(data) as server:
        assert bursar("verify", "--data", data).code == 0
        assert sorted_totals(found_in(server, folder)) == sorted_totals(folder.expected)


@released
def test_a_released_folder_takes_new_events_and_knows_the_old_ones(
    folder: ReleasedFolder, tmp_path: Path
) -> None:
    data = folder.unpack(tmp_path / "data")
    known = {"event_id": "first-acme-7", "provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1}
    fresh = {**known, "event_id": "today"}
    before = folder.expected["recount"]
    with running_server(data) as server:
        headers = {"X-API-Key": folder.tenant_keys["acme"]}
        answer = server.stranger.post("/api/v1/events?wait=applied", json=[known, fresh], headers=headers)
        outcomes = [event["outcome"] for event in answer.raise_for_status().json()["events"]]
        assert outcomes == ["conflict", "new"]
        explained = server.stranger.get("/api/v1/events/first-acme-7/explain", headers=headers)
        assert explained.raise_for_status().json()["adds_up"]
        status = server.operator.get("/control/status").json()
        assert status["durable_seq"] > before["position"]
    with running_server(data) as server:
        counts = server.operator.post("/control/verify").text.splitlines()[-1]
    assert f'"events": {before["events"] + 1}' in counts
    assert '"is_clean": true' in counts
