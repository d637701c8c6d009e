"""Backups when it matters: under load, killed half-way, without room, with an archive, of old folders."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.errors import DiskFull
from bursar.storage.backup_folder import backup_run, load_backup
from tests.chaos.kills import listed_events, shown
from tests.cli.command_line import bursar, bursar_process
from tests.support.aim import Aim, take_aim
from tests.support.archive import archive_everything
from tests.support.oracle import Account, Writer
from tests.support.patience import wait_until
from tests.support.released import RELEASED_FOLDERS, ReleasedFolder, found_in, sorted_totals
from tests.support.sampled import kills
from tests.support.server import ServerProcess, server_process
from tests.support.serving import running_server
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL_SEGMENTS = 64 * 1024
AIMS = (
    Aim("the first file is copied", "bursar.storage.backup_folder:BackupRun.note", "after"),
    Aim("the state store is copied", "bursar.app.backup:dump_state", "after"),
    Aim("all is copied, nothing says so", "bursar.storage.backup_folder:BackupRun.finish", "before"),
    Aim("it is said, nothing is removed", "bursar.storage.backup_folder:remove_unnamed", "before"),
)


def back_up(data: Path, target: Path) -> dict[str, Any]:
    said = bursar("backup", target, "--data", data, "--json")
    assert said.code == 0, said.err
    return said.json


def restore(target: Path, data: Path, **environ: str) -> dict[str, Any]:
    said = bursar("restore", target, "--data", data, "--json", **environ)
    assert said.code == 0, said.err
    return said.json


def events(name: str, count: int = 60) -> list[dict[str, Any]]:
    note = {"note": "x" * 1000}
    return [
        {"event_id": f"{name}-{i}", "model": "gpt-4o-mini", "input_tokens": i, "metadata": note}
        for i in range(count)
    ]


def post(server: ServerProcess, name: str) -> None:
    with server.client() as client:
        answer = client.post("/api/v1/events", json=events(name), params={"wait": "applied"})
        assert answer.raise_for_status().json()["applied"]


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[Writer]]:
    """Clients that keep diaries of what was acknowledged."""
    (tmp_path / "diaries").mkdir()
    found = [Writer(f"w{number}", tmp_path / "diaries", seed=7) for number in range(4)]
    for writer in found:
        writer.start()
    yield found
    for writer in found:
        writer.leave()


def test_every_event_acknowledged_before_a_backup_under_load_is_in_it_at_its_cost(
    tmp_path: Path, writers: list[Writer]
) -> None:
    data, target, diaries = tmp_path / "data", tmp_path / "backup", tmp_path / "diaries"
    with server_process(data, segment_bytes=SMALL_SEGMENTS) as server:
        server.start()
        for writer in writers:
            writer.resume(server.url, 0)
        for enough in (60, 160):
            wait_until(partial(_are_acknowledged, writers, enough), "the writers get answers")
            before = Account.of(diaries)
            report = back_up(data, target)
        server.kill()
        for writer in writers:
            writer.wait_until_paused()
    after = Account.of(diaries)
    assert report["reused_bytes"] > 0
    assert restore(target, tmp_path / "restored")["is_clean"]
    with server_process(tmp_path / "restored") as other:
        other.start()
        other.wait_until_applied()
        stored, _ = listed_events(other)
        recount = other.verify()
    costs = {event["tags"]["mark"]: shown(event["cost"]) for event in stored}
    assert recount["is_clean"], recount["differences"]
    assert len(costs) == len(stored)
    assert before.costs.keys() <= costs.keys() <= after.sent
    assert {mark: shown(cost) for mark, cost in before.costs.items()}.items() <= costs.items()


def _are_acknowledged(writers: list[Writer], enough: int) -> bool:
    return sum(writer.acknowledged for writer in writers) >= enough


@pytest.mark.parametrize(
    "aim", kills({aim.name: aim for aim in AIMS}, always=["all is copied, nothing says so"])
)
def test_a_kill_in_the_middle_leaves_a_whole_backup_and_nothing_behind_the_next(
    tmp_path: Path, aim: Aim
) -> None:
    data, target = tmp_path / "data", tmp_path / "backup"
    call = 2 if "removed" in aim.name else 1
    with server_process(data, segment_bytes=SMALL_SEGMENTS) as server:
        server.start()
        post(server, "first")
        post(server, "second")
        back_up(data, target)
        server.stop()
        server.start(partial(take_aim, aim, call))
        post(server, "third")
        # A process of its own: a client that finds nobody any more leaves a socket to the collector.
        assert bursar_process("backup", target, "--data", data).code == 1
        server.kill()
        assert bursar("backup", target, "--check").code == 0
        held = restore(target, tmp_path / "restored")["recount"]["events"]
        assert held == (180 if "said" in aim.name.split(",")[0] else 120)
        server.start()
        assert back_up(data, target)["reused_bytes"] > 0
    named = {target / one.place for one in load_backup(target).files}
    assert {path for path in target.rglob("*") if path.is_file()} == {*named, target / "BACKUP.json"}
    assert restore(target, tmp_path / "again")["recount"]["events"] == 180


def test_a_backup_without_room_is_refused_before_it_begins(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 64 * 1024) as disk,
        running_server(tmp_path / "data") as server,
    ):
        server.client.post("/api/v1/events?wait=applied", json=events("first")).raise_for_status()
        said = bursar("backup", disk.path / "backup", "--data", tmp_path / "data")
        assert said.code == 1
        assert "needs about" in said.err
        assert not list((disk.path / "backup").iterdir())


def test_a_disk_that_fills_up_in_the_middle_leaves_the_backup_before(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", segment_bytes=SMALL_SEGMENTS) as server:
        server.client.post("/api/v1/events?wait=applied", json=events("first")).raise_for_status()
    (tmp_path / "large").write_bytes(b"x" * 2**23)
    with small_disk(tmp_path / "disk", 2**23) as disk:
        target = disk.path / "backup"
        back_up(tmp_path / "data", target)
        with (
            pytest.raises(DiskFull, match="no room for the backup"),
            backup_run(target, clock.now(), lambda _step, _bytes: None) as run,
        ):
            run.copy(tmp_path / "large", "usage.duckdb")
        assert bursar("backup", target, "--check").code == 0
        assert restore(target, tmp_path / "restored")["recount"]["events"] == 60


def test_an_archive_is_in_the_backup_and_plain_segments_leave_it(tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "backup"
    with running_server(data, segment_bytes=SMALL_SEGMENTS) as server:
        for name in ("a", "b", "c", "d"):
            server.client.post("/api/v1/events?wait=applied", json=events(name)).raise_for_status()
        back_up(data, target)
        archive_everything(data / "journal")
        report = back_up(data, target)
        names = {one.target for one in load_backup(target).files}
        assert [name for name in names if name.endswith(".journal.zst")]
        assert len([name for name in names if name.endswith(".journal")]) == 1
        assert report["copied_bytes"] > 0
        again = back_up(data, target)
        assert again["reused_bytes"] > 0
    for options in ("whole", "journal alone"):
        folder = tmp_path / options.replace(" ", "-")
        restored = restore(target, folder)
        assert restored["recount"]["events"] == 240
        # Nothing may be missing for a replay from the beginning either.
        assert bursar("rebuild", "--data", folder).code == 0
        with running_server(folder) as other:
            answer = other.operator.post("/control/verify").raise_for_status()
            assert json.loads(answer.text.splitlines()[-1])["result"]["is_clean"]


@pytest.mark.parametrize("folder", RELEASED_FOLDERS, ids=str)
def test_an_upgrade_backs_an_older_folder_up_first_and_that_restores(
    tmp_path: Path, folder: ReleasedFolder
) -> None:
    data = folder.unpack(tmp_path / "data")
    before = (data / "FORMAT").read_bytes()
    done = bursar("db", "upgrade", "--data", data, "--json").json
    [backup] = [path for path in tmp_path.iterdir() if "before-upgrade" in path.name]
    assert done["backup"] == str(backup)
    assert all(part["found"] == part["newest"] for part in done["folder"].values())
    assert next(backup.rglob("FORMAT")).read_bytes() == before
    restore(backup, tmp_path / "restored")
    for path in (data, tmp_path / "restored"):
        with running_server(path) as server:
            found = sorted_totals(found_in(server, folder))
            expected = sorted_totals(folder.expected)
            # Counted from another beginning: a restored folder goes on far behind.
            assert found["totals"] == expected["totals"]
            assert found["recount"]["cost"] == expected["recount"]["cost"]
            assert found["key_states"] == expected["key_states"]
