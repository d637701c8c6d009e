"""Retention over HTTP and as a job: chosen by a tenant, enforced at the doors, removed by an expiry."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.storage.journal.batches import batches_up_to
from tests.cli.command_line import bursar
from tests.support.access import ask, keys_of
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

PATH = "/api/v1/retention"
TRIGGER = "/api/v1/scheduler/jobs/retention/trigger"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


WAITING = ("catching up", "expiring events of late")


def an_event(days_ago: int) -> dict[str, Any]:
    return {
        "event_id": f"{days_ago}-days-ago",
        "provider": "openai",
        "model": "gpt-4o",
        "time": clock.rfc3339(clock.now() - timedelta(days=days_ago)),
        "input_tokens": 1_000_000,
    }


def import_events(server: RunningServer, key: str, *days_ago: int) -> dict[str, Any]:
    events = [an_event(days) for days in days_ago]
    answer = ask(server, key, "POST", "/api/v1/events/import?wait=applied", json=events)
    assert answer.status_code in {200, 422}, answer.text
    return answer.json()


def run_expiry(server: RunningServer, key: str, **parameters: Any) -> Any:  # noqa: ANN401 - JSON
    run = ask(server, key, "POST", TRIGGER, json={"parameters": parameters}).raise_for_status().json()
    path = f"/api/v1/scheduler/runs/{run['id']}"
    wait_until(lambda: ask(server, key, "GET", path).json()["finished_at"] is not None, "the run has ended")
    ended = ask(server, key, "GET", path).json()
    assert ended["state"] == "succeeded", ended
    return ended["result"]


def events_counted(server: RunningServer, key: str) -> int:
    body = {"measures": ["events"], "window": "all"}
    answer = ask(server, key, "POST", "/api/v1/query", json=body).raise_for_status().json()
    return int(answer["totals"]["events"])


def journal_lines(server: RunningServer) -> list[bytes]:
    journal = server.platform.folder.journal
    batches = batches_up_to(journal, server.platform.changes.durable_seq)
    return [line for batch in batches for line in batch.payload.splitlines()]


def test_by_default_everything_is_kept(server: RunningServer) -> None:
    keys = keys_of(server, "keeper")
    shown = ask(server, keys["read"], "GET", PATH).json()
    nothing = {"events_days": 0, "rollups_days": 0, "quarantine_days": 0}
    assert shown == {
        **nothing,
        "tenant_id": "keeper",
        "chosen": dict.fromkeys(nothing),
        "defaults": nothing,
        "events_from": None,
    }
    import_events(server, keys["admin"], 5000)
    nothing_gone: dict[str, Any] = {
        "dry_run": False,
        "expired": [],
        "tombstones": 0,
        "renewed": False,
        "renewal_by": None,
    }
    assert run_expiry(server, keys["admin"]) == nothing_gone


def test_a_choice_needs_the_admin_scope_and_is_the_tenants_own(server: RunningServer) -> None:
    mine, other = keys_of(server, "mine"), keys_of(server, "other")
    for scope, code in (("read", 403), ("ingest", 403), ("admin", 200)):
        assert ask(server, mine[scope], "PUT", PATH, json={"events_days": 40}).status_code == code
    assert ask(server, mine["ingest"], "GET", PATH).status_code == 403
    assert ask(server, mine["admin"], "PUT", PATH, json={}, params={"tenant_id": "other"}).status_code == 403
    assert ask(server, other["read"], "GET", PATH).json()["events_days"] == 0
    by_operator = server.client.get(PATH, params={"tenant_id": "mine"}).json()
    assert (by_operator["events_days"], by_operator["chosen"]["events_days"]) == (40, 40)
    assert server.stranger.get(PATH).status_code == 401


def test_what_cannot_be_is_refused_with_every_reason(server: RunningServer) -> None:
    key = keys_of(server, "strict")["admin"]
    answer = ask(server, key, "PUT", PATH, json={"events_days": 10, "rollups_days": 5})
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == ["too_short", "shorter_than_events"]
    wrong: list[object] = [
        {"events_days": -1},
        {"events_days": "40d"},
        {"event_days": 40},
        [],
        {"events_days": 36_501},
    ]
    for bad in wrong:
        assert ask(server, key, "PUT", PATH, json=bad).status_code == 422, bad
    assert ask(server, key, "GET", PATH).json()["events_days"] == 0
    refused = ask(server, key, "POST", TRIGGER, json={"parameters": {"dry_run": "yes", "deep": 1}})
    assert [error["code"] for error in refused.json()["errors"]] == ["unknown_parameter", "wrong_type"]


def test_an_expiry_removes_events_keeps_their_sums_and_lets_none_of_them_back(server: RunningServer) -> None:
    keys, other = keys_of(server, "acme"), keys_of(server, "rival")
    assert import_events(server, keys["admin"], 100, 41, 39, 1)["accepted"] == 4
    import_events(server, other["admin"], 100)
    chosen = ask(server, keys["admin"], "PUT", PATH, json={"events_days": 40}).json()
    before = chosen["events_from"]

    # Refused from the choice on, also at the door that takes any past time.
    refusal = import_events(server, keys["admin"], 41)
    assert [error["code"] for error in refusal["rejected"][0]["errors"]] == ["beyond_retention"]

    plan = {"tenant_id": "acme", "what": "events", "before": before, "events": 2, "unpriced": 0}
    plan["cost"] = [{"currency": "USD", "amount": "5"}]
    assert run_expiry(server, keys["admin"], dry_run=True) == {"dry_run": True, "expired": [plan]}
    assert ask(server, keys["read"], "GET", "/api/v1/events/41-days-ago").status_code == 200

    result = run_expiry(server, keys["admin"])
    (done,) = result["expired"]
    assert done == plan
    # The journal has lost them too, and nothing of them is left in any file of it.
    assert result["tombstones"] == 2
    lines = journal_lines(server)
    assert [b"41-days-ago" in line for line in lines].count(True) == 0
    assert [b"39-days-ago" in line for line in lines].count(True) == 1
    for days, code in ((100, 404), (41, 404), (39, 200), (1, 200)):
        found = ask(server, keys["read"], "GET", f"/api/v1/events/{days}-days-ago")
        assert found.status_code == code, days
    assert ask(server, other["read"], "GET", "/api/v1/events/100-days-ago").status_code == 200
    costs = ask(server, keys["read"], "GET", "/api/v1/cost/summary?days=365").json()
    assert (costs["total_cost"], costs["total_transactions"]) == ("10", 4)
    assert run_expiry(server, keys["admin"])["expired"] == []

    # A wider retention doesn't open the door again: what has expired would count twice.
    ask(server, keys["admin"], "PUT", PATH, json={"events_days": 0}).raise_for_status()
    refusal = import_events(server, keys["admin"], 41)
    assert [error["code"] for error in refusal["rejected"][0]["errors"]] == ["beyond_retention"]


def test_what_was_taken_before_a_run_began_is_in_its_count_however_late_it_is_applied(
    server: RunningServer,
) -> None:
    key = keys_of(server, "late")["admin"]
    import_events(server, key, 300)
    gate = threading.Event()
    held = server.platform.applier.between_batches(lambda: gate.wait(60))
    try:
        events = [an_event(days) for days in (100, 90, 80)]
        ask(server, key, "POST", "/api/v1/events/import", json=events).raise_for_status()
        ask(server, key, "PUT", PATH, json={"events_days": 40}).raise_for_status()
        run = ask(server, key, "POST", TRIGGER, json={}).raise_for_status().json()
        path = f"/api/v1/scheduler/runs/{run['id']}"

        def has_waited_or_ended() -> bool:
            found = ask(server, key, "GET", path).json()
            return bool(found["finished_at"]) or found["step"] in WAITING

        wait_until(has_waited_or_ended, "the run waits for what was journaled, or for its own record")
    finally:
        gate.set()
    assert held.result(60)
    wait_until(lambda: ask(server, key, "GET", path).json()["finished_at"] is not None, "the run has ended")
    (expired,) = ask(server, key, "GET", path).json()["result"]["expired"]
    assert (expired["events"], expired["cost"][0]["amount"]) == (4, "10")


def test_sums_expire_too_each_kind_at_its_own_horizon(server: RunningServer) -> None:
    key = keys_of(server, "sums")["admin"]
    import_events(server, key, 100, 50, 3)
    ask(server, key, "PUT", PATH, json={"events_days": 40, "rollups_days": 60}).raise_for_status()

    counted = run_expiry(server, key, dry_run=True)
    assert [one["what"] for one in counted["expired"]] == ["events", "rollups"]

    run_expiry(server, key)
    assert events_counted(server, key) == 2
    assert run_expiry(server, key, dry_run=True)["expired"] == []


def test_a_restart_keeps_choice_and_horizon(tmp_path: Path) -> None:
    with running_server(tmp_path) as first:
        keys = keys_of(first, "acme")
        import_events(first, keys["admin"], 50)
        ask(first, keys["admin"], "PUT", PATH, json={"events_days": 40}).raise_for_status()
        assert run_expiry(first, keys["admin"])["tombstones"] == 1
        ask(first, keys["admin"], "PUT", PATH, json={"events_days": 400}).raise_for_status()
        before = ask(first, keys["admin"], "GET", PATH).json()
    with running_server(tmp_path) as second:
        after = ask(second, keys["admin"], "GET", PATH).json()
        assert after == before
        assert after["events_days"] == 400
        recount = second.operator.post("/control/verify", timeout=60).text.splitlines()[-1]
        assert json.loads(recount)["result"]["is_clean"], recount
        refusal = import_events(second, keys["admin"], 50)
        assert refusal["rejected"][0]["errors"][0]["code"] == "beyond_retention"


def test_the_operator_expires_for_all_tenants_by_command(server: RunningServer) -> None:
    keys = keys_of(server, "by-command")
    data = ("--data", server.platform.folder.path)
    import_events(server, keys["admin"], 60, 50)
    said = bursar("retention", "set", "--events", "45d", "--tenant", "by-command", *data)
    assert (said.code, "45 days" in said.out, "are refused" in said.out) == (0, True, True)
    assert bursar("retention", "set", "--events", "soon", *data).code == 2
    assert "36 days or more" in bursar("retention", "set", "--events", "5", *data).err
    dry = bursar("expire", "--dry-run", *data)
    assert (dry.code, "dry run" in dry.out, "by-command" in dry.out) == (0, True, True)
    done = bursar("expire", *data, "--json")
    assert [(one["tenant_id"], one["events"]) for one in done.json["expired"]] == [("by-command", 2)]
    assert "Nothing has expired" in bursar("expire", *data).out
    shown = bursar("retention", "show", "--tenant", "by-command", *data, "--json")
    assert shown.json["chosen"] == {"events_days": 45, "rollups_days": None, "quarantine_days": None}


def test_a_tenant_that_is_made_again_has_no_retention_and_no_horizon(server: RunningServer) -> None:
    key = keys_of(server, "phoenix")["admin"]
    import_events(server, key, 60)
    ask(server, key, "PUT", PATH, json={"events_days": 40}).raise_for_status()
    assert run_expiry(server, key)["tombstones"] == 1
    body = {"confirm": "phoenix", "reason": "starts anew"}
    deleted = server.client.request("DELETE", "/api/v1/tenants/phoenix", json=body).raise_for_status().json()
    url = deleted["run"]["url"]
    wait_until(lambda: server.client.get(url).json()["state"] == "succeeded", "the tenant is deleted")

    key = keys_of(server, "phoenix")["admin"]
    shown = ask(server, key, "GET", PATH).json()
    assert (shown["events_days"], shown["events_from"]) == (0, None)
    assert import_events(server, key, 60)["accepted"] == 1
    assert ask(server, key, "GET", "/api/v1/events/60-days-ago").status_code == 200
