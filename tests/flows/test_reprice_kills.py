"""Re-pricing killed between any two of its steps: the old ratings or the new ones, never a mix.

Each aim kills the server at one moment of a run; the next start takes the run up again. Whatever anybody
asks meanwhile, totals are those from before or those from after, and in the end the books tie out.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.aim import Aim, take_aim
from tests.support.patience import wait_until
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
@pytest.mark.parametrize(("aim", "call"), AIMS, ids=[aim.name for aim, _ in AIMS])
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
