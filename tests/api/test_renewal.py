"""What has expired leaves the usage store's file as well: at once where asked for, else within days."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.renewing import is_due
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Generator

WORD = "gone-with-the-contract"
OPERATOR = "key_of_a_test"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A server with one old event of a word of its own, and a young one."""
    with running_server(tmp_path_factory.mktemp("data")) as running:
        events = [
            {"event_id": name, "model": "gpt-4o-mini", "time": clock.rfc3339(clock.now() - age), **fields}
            for name, age, fields in (
                ("old", timedelta(days=60), {"metadata": {"said": WORD}}),
                ("young", timedelta(days=1), {"metadata": {"said": "still here"}}),
            )
        ]
        running.client.post("/api/v1/events/import?wait=applied", json=events).raise_for_status()
        running.client.put("/api/v1/retention", json={"events_days": 40}).raise_for_status()
        yield running


def expire(server: RunningServer, asked_by: str | None) -> dict[str, Any]:
    """The result of a retention run, asked for by somebody or by the schedule."""
    runner = server.platform.runner
    run = runner.enqueue("retention", asked_by=asked_by)
    wait_until(lambda: runner.run(run.id).finished_at is not None, "the run ends")
    result = runner.run(run.id).result
    assert result is not None, runner.run(run.id)
    return dict(result)


def files_holding(server: RunningServer, word: str) -> list[str]:
    """The store's files in which a word stands, once everything is written there."""
    with server.platform.stores.cursor() as cursor:
        cursor.execute("FORCE CHECKPOINT usage")
    files = server.platform.folder.path.glob("usage*.duckdb*")
    return [path.name for path in files if word.encode() in path.read_bytes()]


def notes(server: RunningServer) -> list[str]:
    return [path.name for path in server.platform.folder.path.glob("usage*.deleted")]


def test_what_somebody_lets_expire_is_gone_from_the_file_at_once(server: RunningServer) -> None:
    assert files_holding(server, WORD)
    result = expire(server, OPERATOR)
    assert (len(result["expired"]), result["renewed"]) == (1, True)
    assert (files_holding(server, WORD), notes(server)) == ([], [])
    assert server.client.get("/api/v1/events/young").json()["metadata"] == {"said": "still here"}
    recount = server.platform.stores.recount(lambda _step, _records: None)
    assert recount.is_clean, recount.differences
    again = expire(server, OPERATOR)
    assert (again["expired"], again["renewed"], again["renewal_by"]) == ([], False, None)


def test_what_expires_by_itself_is_gone_from_the_file_within_days(server: RunningServer) -> None:
    result = expire(server, None)
    assert (len(result["expired"]), result["renewed"], notes(server)) == (1, False, ["usage.deleted"])
    assert result["renewal_by"] > clock.rfc3339(clock.now() + timedelta(days=6))
    assert expire(server, None)["renewed"] is False
    eight_days_ago = clock.rfc3339(clock.now() - timedelta(days=8))
    (server.platform.folder.path / "usage.deleted").write_text(eight_days_ago)
    assert expire(server, None)["renewed"] is True
    assert (files_holding(server, WORD), notes(server)) == ([], [])


def test_a_note_of_deleted_rows_outlives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data")
    with running_server(folder) as running:
        (running.platform.folder.path / "usage.deleted").write_text("2026-01-01T00:00:00Z")
    with running_server(folder) as running:
        assert notes(running) == ["usage.deleted"]
        running.platform.rebuilder.run(lambda _step, _records: None)
        assert notes(running) == []


@pytest.mark.parametrize(
    ("days_ago", "days", "is_asked_for", "due"),
    [(0, 7, True, True), (6, 7, False, False), (7, 7, False, True), (0, 0, False, True)],
)
def test_a_renewal_is_due_after_its_days_or_when_asked_for(
    days_ago: int, days: int, *, is_asked_for: bool, due: bool
) -> None:
    now = clock.now()
    assert is_due(now - timedelta(days=days_ago), now, days, is_asked_for=is_asked_for) is due
