"""`kill -9` under load: what was acknowledged is there once, at the cost that was answered.

Eight writers keep their own durable logs (`tests/support/oracle.py`); the server is killed at a random
moment, sometimes killed again while it starts, and then compared with the logs. A failing run can be
repeated with its seed, as far as threads can be.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oracle import Account, Writer
from tests.support.patience import wait_until
from tests.support.server import ServerProcess, server_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITERS = 8
STARTS_KILLED = 0.3
"""So often a start is killed too, at a moment within its usual length."""
START_SECONDS = 0.6
PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Cycle:
    """What was there after one kill, counted since the first."""

    cycle: int
    sent: int
    acknowledged: int
    stored: int
    unacknowledged_but_stored: int
    repeated: int
    """Deliveries in the journal that were not the first of their event."""
    starts_killed: int


@pytest.mark.timeout(300)
def test_no_acknowledged_event_is_lost_or_counted_twice_over_20_kills(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    kill_and_compare(tmp_path, 20, figures)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_acknowledged_event_is_lost_or_counted_twice_over_100_kills(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    kill_and_compare(tmp_path, 100, figures)


def kill_and_compare(folder: Path, cycles: int, figures: Callable[[str], None]) -> None:
    """Load, kill, start again and compare, many times over."""
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(2**32)))
    chance = random.Random(seed)
    diaries = folder / "diaries"
    diaries.mkdir()
    writers = [Writer(f"w{number}", diaries, seed) for number in range(WRITERS)]
    found: list[Cycle] = []
    # Small segments, so that kills also hit the moments when one follows another.
    with server_process(folder / "data", segment_bytes=256 * 1024) as server:
        server.start()
        for writer in writers:
            writer.start()
        try:
            for number in range(1, cycles + 1):
                load_and_kill(server, writers, number, chance)
                starts_killed = kill_a_start(server, chance)
                server.start()
                found.append(compare(server, Account.of(diaries), number, starts_killed))
        finally:
            figures(table(seed, found))
            server.kill()
            for writer in writers:
                writer.leave()


def load_and_kill(server: ServerProcess, writers: list[Writer], number: int, chance: random.Random) -> None:
    """Kill the server after a random number of answers, while other requests are on their way."""
    enough = sum(writer.acknowledged for writer in writers) + chance.randint(15, 80)
    for writer in writers:
        writer.resume(server.url, number)
    wait_until(lambda: sum(writer.acknowledged for writer in writers) >= enough, "the writers get answers")
    server.kill()
    for writer in writers:
        writer.wait_until_paused()


def kill_a_start(server: ServerProcess, chance: random.Random) -> int:
    """Now and then start the server and kill it at once: in its recovery, most often."""
    if chance.random() > STARTS_KILLED:
        return 0
    moment = time.monotonic() + chance.random() * START_SECONDS
    server.spawn()
    wait_until(lambda: time.monotonic() >= moment, "the moment has come")
    server.kill()
    return 1


def compare(server: ServerProcess, account: Account, number: int, starts_killed: int) -> Cycle:
    """Hold what the server has against what the writers know."""
    server.wait_until_applied()
    recount = server.verify()
    events, in_all = listed_events(server)
    times_stored = Counter(event["tags"]["mark"] for event in events)
    costs = {event["tags"]["mark"]: shown(event["cost"]) for event in events}
    lost = account.costs.keys() - times_stored.keys()
    twice = [mark for mark, times in times_stored.items() if times > 1]
    recosted = [mark for mark, cost in account.costs.items() if mark in costs and costs[mark] != shown(cost)]
    assert (lost, twice, recosted) == (set(), [], [])
    assert times_stored.keys() <= account.sent
    assert account.refused == 0
    assert recount["is_clean"], recount["differences"]
    assert recount["events"] == len(events) == in_all == events_in_rollups(server)
    return Cycle(
        cycle=number,
        sent=len(account.sent),
        acknowledged=len(account.costs),
        stored=len(events),
        unacknowledged_but_stored=len(times_stored.keys() - account.costs.keys()),
        repeated=recount["journal_events"] - recount["events"],
        starts_killed=starts_killed,
    )


def listed_events(server: ServerProcess) -> tuple[list[dict[str, Any]], int]:
    """Every event by its row, and how many there are as counted by the store."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    with server.client() as client:
        while True:
            page = client.get("/api/v1/usage", params={"window": "all", "limit": PAGE, **cursor})
            document = page.raise_for_status().json()
            found += document["events"]
            if not document["has_more"]:
                return found, document["total_count"]
            cursor = {"cursor": document["next_cursor"]}


def events_in_rollups(server: ServerProcess) -> int:
    """How many events there are by the rollups alone."""
    with server.client() as client:
        question = {"measures": ["events"], "window": "all", "explain": True}
        answer = client.post("/api/v1/query", json=question).raise_for_status().json()
    return int(answer["totals"]["events"])


def shown(cost: dict[str, Any]) -> tuple[str, str, str | None]:
    """What the two forms of a cost have in common."""
    return cost["status"], cost["currency"], cost.get("total")


def table(seed: int, found: list[Cycle]) -> str:
    """The cycles as lines of text."""
    names = [field.name for field in fields(Cycle)]
    rows = [names, *([str(value) for value in astuple(one)] for one in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(names))]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([f"KILL_SEED={seed}", *lines])
