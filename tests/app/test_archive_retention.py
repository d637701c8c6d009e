"""The archive's own retention over a running server: what may go, and what a replay then begins with."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.archive_retention import drop_old_segments
from bursar.app.build import build_platform
from bursar.errors import ConfigurationError
from bursar.settings import load_settings
from bursar.storage.folder import DataFolder
from bursar.storage.journal.dropping import DropReport, replay_start
from bursar.storage.journal.holding import change_archive
from bursar.storage.journal.replay import replay_up_to
from tests.app.test_rewritings import erase, finished, retain, send, verify
from tests.cli.command_line import bursar
from tests.support.archive import no_progress
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAYS = 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose first archived segment holds expired events, and nothing else but their expiry."""
    with running_server(tmp_path / "data", retention_events_days=DAYS) as running:
        running.client.put("/api/v1/retention", json={"events_days": 200}).raise_for_status()
        for name in ("old-one", "old-two"):
            send(running, name, days_ago=100, user_id="ada")
        running.client.put("/api/v1/retention", json={"events_days": 40}).raise_for_status()
        assert retain(running)["tombstones"] == 2
        send(running, "new-one", user_id="ada")
        yield running


def drop(server: RunningServer) -> DropReport:
    """Drop whatever may go, as if years had passed."""
    return drop_old_segments(server.platform, clock.now() + timedelta(days=1), no_progress)


def totals(server: RunningServer) -> dict[str, Any]:
    question = {"measures": ["events", "cost"], "window": "all"}
    return server.client.post("/api/v1/query", json=question).raise_for_status().json()["totals"]


def beginning(server: RunningServer) -> bytes:
    payload = replay_start(server.platform.folder.journal).payload
    assert payload is not None
    return payload.read_bytes()


def rebuild(server: RunningServer) -> None:
    said = server.operator.post("/control/rebuild", timeout=60).raise_for_status().text
    assert "result" in json.loads(said.splitlines()[-1])


def test_what_has_expired_is_dropped_and_every_replay_begins_with_its_sums(
    server: RunningServer, tmp_path: Path
) -> None:
    before, folder = totals(server), server.platform.folder
    assert (before["events"], drop(server).files) == (3, 1)
    assert replay_start(folder.journal).after_seq == 3
    assert totals(server) == before
    verify(server)
    rebuild(server)
    assert totals(server) == before
    verify(server)
    backup = tmp_path / "backup"
    assert bursar("backup", str(backup), "--data", folder.path).code == 0
    restored = bursar("restore", str(backup), "--data", str(tmp_path / "restored"), "--json")
    assert restored.code == 0, restored.err
    said = bursar("verify", "--data", str(tmp_path / "restored"), "--json").json
    assert (said["is_clean"], said["journal_from"]) == (True, 4)


def test_a_folder_whose_journal_begins_later_is_rebuilt_and_opened_without_its_store(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data, retention_events_days=DAYS) as server:
        send(server, "not-so-old", days_ago=39)
        server.client.put("/api/v1/retention", json={"events_days": 36}).raise_for_status()
        retain(server)
        send(server, "new-one")
        assert drop(server).records == 2
        before = totals(server)
    assert bursar("rebuild", "--data", data).code == 0
    said = bursar("verify", "--data", data, "--json").json
    assert (said["is_clean"], said["journal_from"], said["events"]) == (True, 3, 1)
    files = DataFolder(data).derived
    assert files.store.exists()
    files.remove()
    with running_server(data, retention_events_days=DAYS) as server:
        assert server.platform.changes.wait_applied(server.platform.changes.durable_seq, 30)
        assert totals(server) == before
        verify(server)


def test_an_archiving_waits_for_who_else_changes_the_archive(server: RunningServer) -> None:
    server.platform.changes.seal()
    with change_archive(server.platform.folder.journal):
        run = server.client.post("/api/v1/scheduler/jobs/archive/trigger", json={}).raise_for_status().json()
        url = f"/api/v1/scheduler/runs/{run['id']}"
        waits = "waiting for another change of the archive"
        wait_until(lambda: server.client.get(url).json()["step"] == waits, "the archiving waits")
    assert finished(server, url)["files"] == 1


def test_nothing_goes_that_a_live_row_or_a_waiting_rewriting_stems_from(server: RunningServer) -> None:
    assert drop(server).files == 1
    server.platform.changes.seal()
    run = server.client.post("/api/v1/scheduler/jobs/archive/trigger", json={}).raise_for_status().json()
    assert finished(server, f"/api/v1/scheduler/runs/{run['id']}")["files"] == 1
    assert drop(server) == DropReport()
    assert any(b"new-one" in line for line in left(server))


def left(server: RunningServer) -> list[bytes]:
    journal, last_seq = server.platform.folder.journal, server.platform.changes.durable_seq
    return [line for batch in replay_up_to(journal, last_seq) for line in batch.payload.splitlines()]


@pytest.mark.long
def test_an_erasure_and_a_reset_reach_what_is_kept_of_dropped_segments(server: RunningServer) -> None:
    drop(server)
    assert b'"ada"' in beginning(server)
    assert erase(server, "ada")["left"] == 0
    assert b'"ada"' not in beginning(server)
    assert b'"kept"' in beginning(server)
    assert totals(server)["events"] == 3
    verify(server)
    body = {"confirm": "default", "reason": "start anew"}
    run = server.client.request("DELETE", "/api/v1/usage", json=body).raise_for_status().json()["run"]
    finished(server, run["url"])
    assert b'"kept"' not in beginning(server)
    assert totals(server)["events"] == 0
    verify(server)


def test_the_journal_cannot_be_kept_for_less_than_any_tenants_events(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="BURSAR_RETENTION_EVENTS_DAYS must be 36 to 50 days"):
        build_platform(load_settings({}, data_dir=tmp_path / "a", retention_archive_days=50))
    with running_server(tmp_path / "b", retention_archive_days=50, retention_events_days=40) as server:
        answer = server.client.put("/api/v1/retention", json={"events_days": 51})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == "longer_than_archive"
        run = server.client.post("/api/v1/scheduler/jobs/archive/trigger", json={}).raise_for_status().json()
        done = finished(server, f"/api/v1/scheduler/runs/{run['id']}")
        assert done["dropped"] == {"files": 0, "records": 0, "stored_bytes": 0}
