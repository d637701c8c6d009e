"""Re-pricing killed between any two of its steps: the old ratings or the new ones, never a mix.

Each aim kills the server at one moment of a run; the next start takes the run up again. Whatever anybody
asks meanwhile, totals are those from before or those from after, and in the end the books tie out.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.aim import Aim, replace, take_aim
from tests.support.patience import wait_until
from tests.support.sampled import kills
from tests.support.server import server_process

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

EVENTS = 24
MINI, NEW = "gpt-4o-mini", "house-model"
SINCE = "2020-01-01T00:00:00Z"
AGREED = (
    {"kind": "multiplier", "model": MINI, "factor": "3", "valid_from": SINCE},
    {
        "kind": "contract",
        "provider": "openai",
        "model": NEW,
        "prices": {"input_tokens": "2.50"},
        "valid_from": SINCE,
    },
)
SMALL = {"bursar.usage.revising.repricing:RATINGS_PER_RECORD": 8}
"""Three records of ratings and a commit."""
_APPEND = "bursar.app.changes:JournaledChanges.append"
_REPLACE = "bursar.storage.duckdb.rerate:Rerater._replace"
_COMMIT = "bursar.usage.revising.repricing:_Writer.commit"
_END = "bursar.storage.relational.runs:RelationalRuns.end"
AIMS = (
    (Aim("nothing is journaled", _APPEND, "before", SMALL), 1),
    (Aim("some ratings are durable", _APPEND, "after", SMALL), 2),
    (Aim("all ratings are durable, no commit", _COMMIT, "before", SMALL), 1),
    (Aim("the commit is durable", _APPEND, "after", SMALL), 4),
    (Aim("the commit is being applied", _REPLACE, "before", SMALL), 1),
    (Aim("it is applied, the transaction open", _REPLACE, "after", SMALL), 1),
    (Aim("it is done, its run still open", _END, "before", SMALL), 1),
)
"""Each with the call at which to kill."""
ALWAYS = ("the commit is being applied",)
"""Behind what decides; on the side before it stands a run that was cancelled."""


def send(client: httpx.Client) -> None:
    events = [
        {
            "event_id": f"e-{i}",
            "provider": "openai",
            "model": (MINI, NEW)[i % 2],
            "input_tokens": 1000,
            "user_id": f"u-{i % 3}",
        }
        for i in range(EVENTS)
    ]
    client.post("/api/v1/events", json=events, params={"wait": "applied"}).raise_for_status()


def totals(client: httpx.Client) -> list[tuple[Any, ...]]:
    """Cost and unpriced events by rollups of either kind, and from raw rows."""
    found: list[tuple[Any, ...]] = []
    for dimension in ("model", "user_id", "environment"):
        question = {"measures": ["cost", "unpriced_events"], "dimensions": [dimension], "window": "all"}
        answer = client.post("/api/v1/query", json=question).raise_for_status().json()["totals"]
        found.append((answer["cost"][0]["amount"], answer["unpriced_events"]))
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("aim", "call"), kills({one[0].name: one for one in AIMS}, always=ALWAYS))
def test_totals_are_the_old_ones_or_the_new_ones(tmp_path: Path, aim: Aim, call: int) -> None:
    with server_process(tmp_path / "data", scheduler=False) as server:
        server.start(partial(take_aim, aim, call))
        with server.client() as client:
            send(client)
            old = totals(client)
            for agreed in AGREED:
                client.post("/api/v1/prices", json=agreed).raise_for_status()
            body = {"window": "all", "reason": "prices were wrong", "dry_run": False}
            url = client.post("/api/v1/reprice", json=body).raise_for_status().json()["run"]["url"]
        wait_until(lambda: server.was_killed, aim.name)
        server.kill()
        server.start()
        seen: list[list[tuple[Any, ...]]] = []
        with server.client() as client:
            while client.get(url).raise_for_status().json()["finished_at"] is None:
                seen.append(totals(client))
            run, new = client.get(url).json(), totals(client)
            explained = client.get("/api/v1/events/e-0/explain").json()
        recount = server.verify()
        server.stop()
    # 12 x 1000 tokens at 0.15 per million, then three times as dear and 12 x 1000 more at 2.50.
    assert (old, new) == ([("0.0018", 12)] * 3, [("0.0354", 0)] * 3)
    assert (run["state"], run["result"]["changed"], run["result"]["applied"]) == ("succeeded", 24, 24)
    assert [one["total"] for one in explained["earlier_ratings"]] == ["0.00015"]
    assert recount["is_clean"], recount["differences"]
    for one in seen:
        assert set(one) <= {old[0], new[0]}


def wait_for_ever(*_: object) -> None:
    threading.Event().wait()


def hold_what_is_committed() -> None:
    """From now on ratings of this process never come into force: whatever would apply them waits."""
    replace(_REPLACE, wait_for_ever)


def hold_the_commit() -> None:
    """From now on no run of this process comes to its commit."""
    replace(_COMMIT, wait_for_ever)


def ask_to_reprice(client: httpx.Client) -> str:
    """Agree on prices and let them come into force; the run's address."""
    for agreed in AGREED:
        client.post("/api/v1/prices", json=agreed).raise_for_status()
    body = {"window": "all", "reason": "prices were wrong", "dry_run": False}
    return client.post("/api/v1/reprice", json=body).raise_for_status().json()["run"]["url"]


def is_coming_into_force(client: httpx.Client, url: str) -> bool:
    return client.get(url).json()["step"] == "coming into force"


@pytest.mark.kills
@pytest.mark.timeout(120)
def test_cancelled_behind_its_commit_and_killed_it_says_that_it_succeeded(tmp_path: Path) -> None:
    with server_process(tmp_path / "data", scheduler=False) as server:
        server.start(hold_what_is_committed)
        with server.client() as client:
            send(client)
            url = ask_to_reprice(client)
            wait_until(lambda: is_coming_into_force(client, url), "the commit is durable")
            assert client.post(f"{url}/cancel").raise_for_status().json()["is_stop_asked"]
        server.kill()
        server.start()
        with server.client() as client:
            wait_until(lambda: client.get(url).json()["finished_at"] is not None, "the run has ended")
            run, new = client.get(url).json(), totals(client)
        server.stop()
    assert new == [("0.0354", 0)] * 3
    assert (run["state"], run["error"]) == ("succeeded", None)
    assert (run["result"]["changed"], run["result"]["applied"]) == (24, 24)


@pytest.mark.timeout(120)
def test_cancelled_before_its_commit_and_killed_it_says_that_it_was_cancelled(tmp_path: Path) -> None:
    with server_process(tmp_path / "data", scheduler=False) as server:
        server.start(hold_the_commit)
        with server.client() as client:
            send(client)
            old = totals(client)
            url = ask_to_reprice(client)
            wait_until(lambda: client.get(url).json()["step"] is not None, "the run rates")
            assert client.post(f"{url}/cancel").raise_for_status().json()["is_stop_asked"]
        server.kill()
        server.start()
        with server.client() as client:
            wait_until(lambda: client.get(url).json()["finished_at"] is not None, "the run has ended")
            run, new = client.get(url).json(), totals(client)
        server.stop()
    assert (run["state"], new) == ("cancelled", old)
