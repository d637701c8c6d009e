"""A rebuild beside a running server: what it heals, who notices it, what is left of one that ends early."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bursar.app import rebuilding
from bursar.app.rebuilding import Rebuilder
from bursar.errors import Conflict, DiskFull
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

EVENTS = 400
TAMPERING = {
    "an event is gone": "DELETE FROM usage_events WHERE event_id = 'e5'",
    "an event counts twice": "INSERT INTO usage_events SELECT * FROM usage_events WHERE event_id = 'e5'",
    "a cost is other": "UPDATE usage_events SET cost = cost + 1 WHERE event_id = 'e5'",
    "a rollup is other": "UPDATE usage_by_hour SET events = events + 1",
    "a rollup is empty": "DELETE FROM latency_by_hour",
    "the quarantine is empty": "DELETE FROM quarantine",
}


def an_event(number: int) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input_tokens": 100 + number,
        "latency_ms": 10,
    }


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four hundred events in as many commits, one of them twice, and one in conflict."""
    folder = tmp_path_factory.mktemp("used") / "data"
    with running_server(folder) as running:
        with ThreadPoolExecutor(4) as threads:
            for answer in threads.map(_post, [running] * EVENTS, map(an_event, range(EVENTS))):
                assert answer["accepted"] == 1
        _post(running, an_event(5))
        _post(running, an_event(6) | {"model": "gpt-4o"})
        _post(running, {"event_id": "last", "model": "gpt-4o-mini", "input_tokens": 1}, "?wait=applied")
    return folder


@pytest.fixture
def server(used: Path, tmp_path: Path) -> Iterator[RunningServer]:
    """A server on a copy of that folder."""
    with running_server(Path(shutil.copytree(used, tmp_path / "data"))) as running:
        yield running


def _post(server: RunningServer, event: dict[str, Any], query: str = "") -> dict[str, Any]:
    return server.client.post(f"/api/v1/events{query}", json=event).raise_for_status().json()


def asked(server: RunningServer, work: str) -> dict[str, Any]:
    """The result of a rebuild or recount over HTTP."""
    answer = server.operator.post(f"/control/{work}", timeout=60).raise_for_status()
    last = json.loads(answer.text.splitlines()[-1])
    assert "result" in last, last
    return last["result"]


def derived_files(folder: Path) -> list[str]:
    """Names of the files that hold derived data, without write-ahead logs, which come and go."""
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.name.startswith(("usage", "keys", "CURRENT")) and not path.name.endswith(".wal")
    )


@contextmanager
def held_rebuild(server: RunningServer) -> Generator[threading.Event]:
    """A rebuild that waits in its middle until the event is set, or the block is left."""
    is_under_way, go_on = threading.Event(), threading.Event()

    def wait(_step: str, _records: int) -> None:
        is_under_way.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(server.platform.rebuilder.run, wait)
        try:
            assert is_under_way.wait(60)
            yield go_on
        finally:
            go_on.set()
        running.result(60)


@pytest.mark.parametrize("what", TAMPERING)
def test_whatever_was_wrong_is_right_again_while_the_server_runs(server: RunningServer, what: str) -> None:
    before = server.platform.stores.cursor().execute("FROM quarantine ORDER BY seq").fetchall()
    server.platform.stores.database.execute(TAMPERING[what])
    done = asked(server, "rebuild")
    assert done["records"] == EVENTS + 3
    found = asked(server, "verify")
    assert found["is_clean"], found["differences"]
    assert (found["events"], found["quarantined"]) == (EVENTS + 1, 1)
    assert server.platform.stores.cursor().execute("FROM quarantine ORDER BY seq").fetchall() == before


def test_after_a_rebuild_ids_are_known_as_before_and_the_next_one_works_too(server: RunningServer) -> None:
    for number in (2, 3):
        asked(server, "rebuild")
        assert derived_files(server.platform.folder.path) == [
            "CURRENT",
            f"keys-{number}.index",
            f"keys-{number}.state",
            f"usage-{number}.duckdb",
        ]
        answer = _post(server, an_event(7), "?wait=applied")
        assert answer["events"][0]["outcome"] == "duplicate"
    assert asked(server, "verify")["is_clean"]


def test_a_restart_goes_on_with_the_new_store(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_server(folder) as server:
        _post(server, an_event(1), "?wait=applied")
        asked(server, "rebuild")
        _post(server, an_event(2), "?wait=applied")
    with running_server(folder) as server:
        assert server.platform.applier.state.applied_seq == 2
        assert asked(server, "verify")["events"] == 2


def test_a_question_that_had_begun_ends_on_the_old_store_and_then_that_is_gone(server: RunningServer) -> None:
    has_begun, go_on = threading.Event(), threading.Event()
    platform = server.platform

    def slow(questions: Any) -> tuple[Any, Any]:  # noqa: ANN401 - the store's questions
        first = questions.find_event("default", "e5")
        has_begun.set()
        assert go_on.wait(60)
        return first, questions.find_event("default", "e399")

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(platform.questions.ask_now, slow)
        assert has_begun.wait(60)
        asked(server, "rebuild")
        _post(server, an_event(1000), "?wait=applied")
        assert _open_files(platform.folder.path / "usage.duckdb")
        assert platform.questions.ask_now(lambda q: q.find_event("default", "e1000")) is not None
        go_on.set()
        first, second = asking.result(60)
    assert (first.event_id, second.event_id) == ("e5", "e399")
    for old in ("usage.duckdb", "keys.index"):
        wait_until(lambda old=old: not _open_files(platform.folder.path / old), f"{old} is let go of")
    assert not (platform.folder.path / "usage.duckdb").exists()


def _open_files(path: Path) -> list[str]:
    """This process's open files whose path begins like this, deleted or not."""
    found: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return [one for one in found if one.startswith(str(path))]


def test_meanwhile_it_is_said_that_one_runs_and_another_is_refused(server: RunningServer) -> None:
    assert server.stranger.get("/ready").json()["rebuilding"] is False
    with held_rebuild(server):
        assert server.stranger.get("/ready").json()["rebuilding"] is True
        assert server.operator.get("/control/status").json()["rebuilding"] is True
        assert "bursar_rebuild_running 1.0" in server.client.get("/metrics").text
        refused = server.operator.post("/control/rebuild")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        with pytest.raises(Conflict):
            server.platform.rebuilder.run(lambda _step, _records: None)
        # The old store serves as ever, and can be recounted.
        assert _post(server, an_event(2000), "?wait=applied")["applied"]
        assert asked(server, "verify")["is_clean"]
    metrics = server.client.get("/metrics").text
    assert "bursar_rebuild_running 0.0" in metrics
    assert "bursar_rebuilds_total 1.0" in metrics
    assert asked(server, "verify")["events"] == EVENTS + 2


def test_a_rebuild_heals_a_store_that_nothing_can_be_applied_to(server: RunningServer) -> None:
    server.platform.stores.database.execute("DROP TABLE usage_by_user_day")
    _post(server, an_event(3000))
    wait_until(lambda: server.platform.applier.state.failing is not None, "applying fails")
    asked(server, "rebuild")
    wait_until(lambda: server.platform.applier.state.failing is None, "applying works again")
    assert asked(server, "verify")["events"] == EVENTS + 2


def test_without_room_for_a_second_store_it_is_refused_and_says_how_much_it_takes(
    server: RunningServer,
) -> None:
    platform = server.platform
    hungry = Rebuilder(platform.stores, platform.applier, reserve_bytes=2**60)
    with pytest.raises(DiskFull, match=r"needs about 1,099,511,627,\d+ MiB of free disk space"):
        hungry.run(lambda _step, _records: None)
    assert derived_files(platform.folder.path) == ["keys.index", "keys.state", "usage.duckdb"]


def test_who_leaves_ends_a_rebuild_and_nothing_is_left_of_it(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A transaction for each of the four hundred commits takes seconds.
    monkeypatch.setattr(rebuilding, "BITE_BYTES", 1)
    with server.operator.stream("POST", "/control/rebuild") as answer:
        assert "step" in json.loads(next(answer.iter_lines()))
    wait_until(lambda: not server.platform.rebuilder.is_at_work, "the rebuild has ended")
    assert server.platform.rebuilder.completed == 0
    assert derived_files(server.platform.folder.path) == ["keys.index", "keys.state", "usage.duckdb"]
    assert asked(server, "verify")["is_clean"]


def test_a_stop_ends_a_rebuild_and_the_next_start_finds_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "BITE_BYTES", 1)
    folder = tmp_path / "data"
    with running_server(folder) as server:
        for number in range(100):
            _post(server, an_event(number))
        _post(server, an_event(100), "?wait=applied")
        lines = server.operator.stream("POST", "/control/rebuild")
        answer = lines.__enter__()
        next(answer.iter_lines())
    lines.__exit__(None, None, None)
    with running_server(folder) as server:
        assert derived_files(folder) == ["keys.index", "keys.state", "usage.duckdb"]
        assert asked(server, "verify")["events"] == 101
