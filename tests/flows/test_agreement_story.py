"""A discount over three dates: it counts at once, after a kill too, and within five seconds elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar import clock
from tests.cli.command_line import bursar
from tests.support.patience import wait_until
from tests.support.server import server_process
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.relational import PostgresServer
    from tests.support.serving import RunningServer

STEPS = (("2026-08-01", "12"), ("2026-09-01", "15"), ("2026-10-01", "0"))
"""First day and percent: each takes the place of the one before."""
# A million input tokens of gpt-4o: 2.50 USD by the list, 12 % less, 15 % less, and the list again.
COSTS = {
    "2026-07-31T23:59:59Z": "2.5",
    "2026-08-01T00:00:00Z": "2.2",
    "2026-08-31T23:59:59Z": "2.2",
    "2026-09-01T00:00:00Z": "2.125",
    "2026-09-30T23:59:59Z": "2.125",
    "2026-10-01T00:00:00Z": "2.5",
}
WITHIN_SECONDS = 5.0


def send(client: httpx.Client, name: str) -> None:
    events = [
        {
            "event_id": f"{name}-{number}",
            "provider": "openai",
            "model": "gpt-4o",
            "time": time,
            "input_tokens": 1_000_000,
        }
        for number, time in enumerate(COSTS)
    ]
    client.post("/api/v1/events/import?wait=applied", json=events).raise_for_status()


def costs(client: httpx.Client, name: str) -> dict[str, str]:
    return {
        time: client.get(f"/api/v1/events/{name}-{number}").raise_for_status().json()["cost"]["total"]
        for number, time in enumerate(COSTS)
    }


def test_a_discount_over_three_dates_counts_at_once_and_survives_a_kill(tmp_path: Path) -> None:
    with server_process(tmp_path / "data") as server:
        server.start()
        with server.client() as client:
            send(client, "before")
        for day, percent in STEPS:
            add = ("prices", "override", "add", "discount", percent, "--provider", "openai", "--from", day)
            assert bursar(*add, "--data", tmp_path / "data").code == 0
        # Nothing between the last answer and the kill.
        server.kill()
        server.start()
        with server.client() as client:
            listed: list[dict[str, Any]] = client.get("/api/v1/prices/overrides").json()["items"]
            assert [(one["valid_from"][:10], one["percent"]) for one in listed] == list(STEPS)
            send(client, "after")
            assert costs(client, "after") == COSTS
            # What was recorded keeps its price, whatever was agreed on since.
            assert set(costs(client, "before").values()) == {"2.5"}
        server.kill()
        server.start()
        with server.client() as client:
            assert costs(client, "after") == COSTS
        recount = server.verify()
        assert recount["is_clean"], recount["differences"]


def cost_now(server: RunningServer) -> str:
    event = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1_000_000}
    answer = server.client.post("/api/v1/prices/check", json=event).raise_for_status().json()
    return str(answer["items"][0]["explanation"]["total"])


def test_what_is_agreed_on_counts_on_another_server_within_five_seconds(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with (
        running_server(tmp_path / "a", database_url=url) as first,
        running_server(tmp_path / "b", database_url=url) as second,
    ):
        body = {
            "kind": "discount",
            "percent": "12",
            "provider": "openai",
            "valid_from": "2026-01-01T00:00:00Z",
        }
        made = first.client.post("/api/v1/prices", json=body).raise_for_status().json()
        assert cost_now(first) == "2.2"
        since = clock.monotonic()
        wait_until(lambda: cost_now(second) == "2.2", "the other server knows of the discount")
        assert clock.monotonic() - since < WITHIN_SECONDS

        gone = {"reason": "ended"}
        second.client.delete(f"/api/v1/prices/overrides/{made['id']}", params=gone).raise_for_status()
        assert cost_now(second) == "2.5"
        since = clock.monotonic()
        wait_until(lambda: cost_now(first) == "2.5", "the first server knows that it ended")
        assert clock.monotonic() - since < WITHIN_SECONDS
