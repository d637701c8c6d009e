"""Backup and restore: beside a working server and without one, again and again, interrupted and damaged."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bursar.storage.keyindex.index import RunKeyIndex
from bursar.usage.applying import event_key
from tests.cli.command_line import Ran, bursar
from tests.support.patience import wait_until
from tests.support.released import totals_of
from tests.support.serving import ADMIN_KEY, RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEGMENT_BYTES = 64 * 1024


def some_events(name: str, count: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"{name}-{number}",
            "provider": "openai",
            "model": "gpt-4o-mini" if number % 3 else "unheard-of",
            "input_tokens": 100 + number,
            "user_id": f"user-{number % 4}",
            "metadata": {"note": "x" * 1000},
        }
        for number in range(count)
    ]


def send(server: RunningServer, name: str, batches: int = 4) -> None:
    """Events in as many commits; a few segments full of them."""
    for batch in range(batches):
        answer = server.client.post("/api/v1/events?wait=applied", json=some_events(f"{name}-{batch}"))
        assert answer.raise_for_status().json()["applied"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "data", segment_bytes=SEGMENT_BYTES) as running:
        running.client.post("/api/v1/tenants", json={"id": "acme", "name": "Acme"}).raise_for_status()
        send(running, "first")
        yield running


def backup(server: RunningServer, target: Path, *options: str) -> dict[str, Any]:
    """Let the server back itself up; what the command reports."""
    said = bursar("backup", target, "--data", server.platform.folder.path, "--json", *options)
    assert said.code == 0, said.err
    return said.json


def restore(target: Path, data: Path, **environ: str) -> Ran:
    return bursar("restore", target, "--data", data, "--json", **environ)


def recount_of(server: RunningServer) -> dict[str, Any]:
    answer = server.operator.post("/control/verify").raise_for_status()
    return json.loads(answer.text.splitlines()[-1])["result"]


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("options", [(), ("--without-store",)], ids=["whole", "without store"])
def test_a_restored_backup_has_the_same_totals_ties_out_and_goes_on(
    server: RunningServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    report = backup(server, tmp_path / "backup", *options)
    before, totals = recount_of(server), totals_of(server, "default")
    assert report["last_seq"] == before["position"]
    restored = restore(tmp_path / "backup", tmp_path / "restored")
    assert restored.code == 0, restored.err
    assert restored.json["is_clean"]
    original_id = server.platform.journal.journal_id
    with running_server(tmp_path / "restored") as other:
        assert other.platform.journal.journal_id != original_id
        after = recount_of(other)
        assert {**after, "position": before["position"]} == before
        assert totals_of(other, "default") == totals
        assert other.client.get("/api/v1/tenants/acme").json()["name"] == "Acme"
        known, fresh = some_events("first-0", 1)[0], some_events("second", 1)[0]
        answer = other.client.post("/api/v1/events?wait=applied", json=[known, fresh]).json()
        assert [event["outcome"] for event in answer["events"]] == ["duplicate", "new"]
        assert other.operator.get("/control/status").json()["durable_seq"] > before["position"] + 2**29
        assert recount_of(other)["is_clean"]


def test_a_second_run_copies_only_what_is_new_and_drops_what_is_gone(
    server: RunningServer, tmp_path: Path
) -> None:
    target = tmp_path / "backup"
    first = backup(server, target)
    send(server, "second", batches=2)
    second = backup(server, target)
    assert second["reused_bytes"] > SEGMENT_BYTES
    assert second["last_seq"] == first["last_seq"] + 80
    named = json.loads((target / "BACKUP.json").read_text())["files"]
    assert files_below(target) == sorted([*(target / one["place"] for one in named), target / "BACKUP.json"])
    assert restore(target, tmp_path / "restored").json["recount"]["events"] == 240


def test_keys_removed_between_the_copies_of_store_and_index_are_not_missing_after_a_restore(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_to, repeated = RunKeyIndex.copy_to, some_events("first-0")

    def copied_late(index: RunKeyIndex, folder: Path) -> None:
        # Behind the store's copy: repeats of events that it has, and then what an expiry does to their keys.
        server.client.post("/api/v1/events?wait=applied", json=repeated).raise_for_status()
        keys = sorted(event_key("default", str(one["event_id"])) for one in repeated)
        index.remove(keys, np.array([index.find(key) for key in keys], np.uint64))
        copy_to(index, folder)

    monkeypatch.setattr(RunKeyIndex, "copy_to", copied_late)
    totals = totals_of(server, "default")
    backup(server, tmp_path / "backup")
    restored = restore(tmp_path / "backup", tmp_path / "restored")
    assert restored.code == 0, restored.err
    with running_server(tmp_path / "restored") as other:
        assert totals_of(other, "default") == totals


def test_nothing_in_a_backup_is_readable_by_others_or_opens_the_ledger(
    server: RunningServer, tmp_path: Path
) -> None:
    key = server.client.post("/api/v1/keys", json={"label": "app", "scopes": ["ingest"]}).json()["key"]
    backup(server, tmp_path / "backup", "--without-store")
    secrets = [key.encode(), ADMIN_KEY.encode()]
    restore(tmp_path / "backup", tmp_path / "restored")
    assert stat.S_IMODE((tmp_path / "restored").stat().st_mode) == 0o700
    for path in (tmp_path / "backup", *(tmp_path / "backup").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700)
    for path in [*files_below(tmp_path / "backup"), *files_below(tmp_path / "restored")]:
        assert not [secret for secret in secrets if secret in path.read_bytes()]


def test_a_folder_without_a_server_is_backed_up_too(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", segment_bytes=SEGMENT_BYTES) as running:
        send(running, "first")
    said = bursar("backup", tmp_path / "backup", "--data", tmp_path / "data")
    assert said.code == 0
    assert "complete up to 160" in said.out
    assert restore(tmp_path / "backup", tmp_path / "restored").json["recount"]["events"] == 160


def test_damage_is_named_by_check_and_refused_by_restore(server: RunningServer, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    backup(server, target)
    assert "is whole" in bursar("backup", target, "--check").out
    segment, *_ = target.rglob("*.journal")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    next(target.rglob("state.jsonl.zst")).unlink()
    for said in (bursar("backup", target, "--check"), restore(target, tmp_path / "restored")):
        assert said.code == 1
        assert f"{segment} (journal/{segment.name}) is damaged" in said.err
        assert "(state.jsonl.zst) is missing" in said.err
    assert not (tmp_path / "restored").exists()
    assert not (tmp_path / "restored.restoring").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no complete backup"), (b"{", "can't be read"), (b'{"format":99}', "has format 99")],
    ids=["none", "damaged", "newer"],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes | None, says: str) -> None:
    target = tmp_path / "backup"
    target.mkdir()
    if content is not None:
        (target / "BACKUP.json").write_bytes(content)
    for said in (bursar("backup", target, "--check"), restore(target, tmp_path / "restored")):
        assert (said.code, says in said.err) == (1, True)
    assert not (tmp_path / "restored").exists()


def test_a_backup_of_a_newer_bursar_is_refused(server: RunningServer, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    backup(server, target)
    text = (target / "BACKUP.json").read_text()
    (target / "BACKUP.json").write_text(
        text.replace('"store": 1', '"store": 99').replace('"store": 2', '"store": 99')
    )
    said = restore(target, tmp_path / "restored")
    assert (said.code, "store 99" in said.err) == (1, True)


def test_a_restore_touches_no_folder_that_is_used(server: RunningServer, tmp_path: Path) -> None:
    backup(server, tmp_path / "backup")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").write_text("keep")
    said = restore(tmp_path / "backup", tmp_path / "used")
    assert (said.code, "isn't empty" in said.err) == (1, True)
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine"]


def test_a_backup_folder_belongs_to_one_ledger_and_lies_outside_of_it(
    server: RunningServer, tmp_path: Path
) -> None:
    backup(server, tmp_path / "backup")
    data = server.platform.folder.path
    with running_server(tmp_path / "other") as other:
        said = bursar("backup", tmp_path / "backup", "--data", other.platform.folder.path)
    assert (said.code, "another ledger" in said.err) == (1, True)
    for place in (data / "backup", data.parent, data):
        said = bursar("backup", place, "--data", data)
        assert (said.code, "neither may hold the other" in said.err) == (1, True)


def test_a_restored_ledger_carries_out_nothing_that_the_original_was_asked_for(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as running:
        send(running, "first", batches=1)
        # The server ends before the reset begins.
        running.platform.runner.stop()
        body = {"confirm": "default", "reason": "a mistake"}
        asked = running.client.request("DELETE", "/api/v1/usage", json=body)
        path = asked.raise_for_status().json()["run"]["url"]
    assert bursar("backup", tmp_path / "backup", "--data", tmp_path / "data").code == 0
    assert restore(tmp_path / "backup", tmp_path / "restored").code == 0
    with running_server(tmp_path / "restored") as other:
        run = other.client.get(path).json()
        assert (run["state"], "restored from a backup" in run["error"]) == ("interrupted", True)
        wait_until(lambda: other.platform.runner.state.holds_lease, "the runner carries out what waits")
        assert other.client.get("/api/v1/scheduler/status").json()["at_work"] == []
        assert sum(row["events"] for row in totals_of(other, "default")) == 40


def test_the_audit_log_says_where_a_backup_beside_a_server_went_and_what_came_of_it(
    server: RunningServer, tmp_path: Path
) -> None:
    report = backup(server, tmp_path / "backup", "--without-store")
    (tmp_path / "a file").touch()
    assert bursar("backup", tmp_path / "a file", "--data", server.platform.folder.path).code == 1
    asked = {"act": "ledger.backup"}
    found = server.client.get("/api/v1/audit", params=asked).raise_for_status().json()["items"]
    failed, _, done, begun = found
    directory, run = str(tmp_path / "backup"), begun["asked"].pop("run")
    assert begun["asked"] == {"directory": directory, "without_store": True}
    assert (begun["outcome"], begun["actor"]["kind"]) == ("begun", "system")
    assert (done["outcome"], done["begun"]) == ("done", begun["number"])
    assert done["after"] == {"run": report["run"], "last_seq": report["last_seq"]}
    assert (failed["outcome"], failed["reason"]) == ("failed", "configuration")
    (triggered,) = [
        one
        for one in server.client.get("/api/v1/audit", params={"act": "job.trigger"}).json()["items"]
        if one["outcome"] == "done" and one["after"]["id"] == run
    ]
    assert triggered["actor"]["kind"] == "socket"
