"""A story: test data was sent to production, it is voided, and the month's total is what it was.

The server is a process of its own and is killed in the middle of the job; the job goes on by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command_line import bursar
from tests.support.patience import wait_until
from tests.support.server import ServerProcess, server_process
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

TESTED = 60_000
PER_BODY = 5_000
WHY = "a load test wrote to production"
SELECTED = {"filters": {"environment": "loadtest"}, "window": "7d"}


@pytest.mark.long
@pytest.mark.timeout(300)
def test_test_data_sent_to_production_is_voided_and_the_months_total_goes_back(tmp_path: Path) -> None:
    with server_process(tmp_path / "data") as server:
        server.start()
        with server.client() as client:
            send_real_usage(client)
            before = total(client)
            send_test_usage(client)
            server.wait_until_applied()
            assert total(client)["events"] == before["events"] + TESTED
            seen = look_by_command(server)
            assert seen["expect_events"] == TESTED
            assert seen["totals"]["cost"] == [{"currency": "USD", "amount": "9"}]
            run_url = begin(client, seen)
            wait_until(lambda: (client.get(run_url).json()["done"] or 0) > 0, "the job is under way")
        server.kill()
        server.start()
        with server.client() as client:
            wait_until(lambda: client.get(run_url).json()["finished_at"] is not None, "the job ends")
            run = client.get(run_url).json()
            assert (run["state"], run["attempts"]) == ("succeeded", 2), run
            assert run["result"]["events"] == TESTED
            assert total(client) == before
            trail = client.get("/api/v1/events/test-0/history").json()
            assert trail["is_current"] is False
            ended = trail["items"][0]["ended"]
            assert (ended["kind"], ended["reason"], ended["run_id"]) == ("void", WHY, run["id"])
        recount = server.verify()
        assert recount["is_clean"], recount["differences"]


def send_real_usage(client: httpx.Client) -> None:
    events = [
        {"event_id": f"real-{n}", "model": "gpt-4o", "input_tokens": 1000 + n, "environment": "production"}
        for n in range(200)
    ]
    client.post("/api/v1/events", json=events, params={"wait": "applied"}).raise_for_status()


def send_test_usage(client: httpx.Client) -> None:
    for start in range(0, TESTED, PER_BODY):
        events = [
            {
                "event_id": f"test-{n}",
                "model": "gpt-4o-mini",
                "input_tokens": 1000,
                "environment": "loadtest",
            }
            for n in range(start, start + PER_BODY)
        ]
        client.post("/api/v1/events", json=events, params={"return": "none"}).raise_for_status()


def total(client: httpx.Client) -> dict[str, Any]:
    """The month's total, as a dashboard would ask for it."""
    question = {"measures": ["events", "cost", "input_tokens"], "window": "30d"}
    return client.post("/api/v1/query", json=question).raise_for_status().json()["totals"]


def look_by_command(server: ServerProcess) -> dict[str, Any]:
    """What the command says that would go; it changes nothing."""
    selected = ("--filter", "environment=loadtest", "--window", "7d")
    ran = bursar("void", *selected, "--dry-run", "--json", "--url", server.url, "--key", ADMIN_KEY)
    assert ran.code == 0, ran.err
    return ran.json


def begin(client: httpx.Client, seen: dict[str, Any]) -> str:
    """Begin the job for exactly what was seen; where its run is."""
    bounds = {name: seen[name] for name in ("expect_events", "up_to_event")}
    body = {**SELECTED, **bounds, "reason": WHY, "dry_run": False}
    return client.post("/api/v1/events/void", json=body).raise_for_status().json()["run"]["url"]
