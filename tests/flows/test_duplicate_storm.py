"""A thousand ids, sent a hundred times each from sixteen sides at once, some with another content.

Exactly a thousand count. Everything else is told apart as repeat or conflict, to the last delivery, and
kept aside within its bound. Another tenant's equal ids are nobody's duplicates.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from tests.support.server import ServerProcess, server_process
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

IDS, TIMES, THREADS = 1000, 100, 16
BATCH = 250
SHARED_IDS = 200
"""So many of the ids are used by another tenant too."""
QUARANTINE_LIMIT = 500
SEED = 20_261_120


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path / "data", quarantine_limit_per_tenant=QUARANTINE_LIMIT) as process:
        process.start()
        yield process


def variants_of(number: int, sent_at: datetime) -> list[dict[str, Any]]:
    """The event as it is sent most of the time, and two others of the same id."""
    event = {
        "event_id": f"storm-{number}",
        "time": clock.rfc3339(sent_at),
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input_tokens": 1_000_000 + number,
    }
    later = clock.rfc3339(sent_at + timedelta(seconds=1))
    return [event, {**event, "input_tokens": 5_000_000 + number}, {**event, "time": later}]


def a_storm(sent_at: datetime) -> list[list[dict[str, Any]]]:
    """Every delivery, shuffled and cut into bodies; one in ten has another content than most."""
    chance = random.Random(SEED)
    events = [variants_of(number, sent_at) for number in range(IDS)]
    deliveries = [chance.choices(events[i % IDS], (90, 6, 4))[0] for i in range(IDS * TIMES)]
    chance.shuffle(deliveries)
    return [deliveries[start : start + BATCH] for start in range(0, len(deliveries), BATCH)]


def second_tenants_key(server: ServerProcess) -> str:
    with server.client() as operator:
        operator.post("/api/v1/tenants", json={"id": "umbrella"}).raise_for_status()
        terms = {"label": "storm", "scopes": ["ingest", "read"], "tenant_id": "umbrella"}
        return operator.post("/api/v1/keys", json=terms).raise_for_status().json()["key"]


def send_all(server: ServerProcess, bodies: list[tuple[str, list[dict[str, Any]]]]) -> int:
    """Send bodies, each with its key, from all threads at once; returns how many events were accepted."""

    def send(share: int) -> int:
        accepted = 0
        with server.client() as client:
            for key, events in bodies[share::THREADS]:
                headers = {"X-API-Key": key}
                answer = client.post(
                    "/api/v1/events", json=events, headers=headers, params={"return": "none"}
                )
                accepted += answer.raise_for_status().json()["accepted"]
        return accepted

    with ThreadPoolExecutor(THREADS) as threads:
        return sum(threads.map(send, range(THREADS)))


def stored(server: ServerProcess, key: str) -> dict[str, dict[str, Any]]:
    """A tenant's events by id, none of them twice."""
    with server.client(key) as client:
        page = (
            client.get("/api/v1/usage", params={"window": "all", "limit": 10_000}).raise_for_status().json()
        )
    found = {event["event_id"]: event for event in page["events"]}
    assert len(found) == len(page["events"]) == page["total_count"]
    return found


def test_a_thousand_ids_sent_a_hundred_times_count_a_thousand_times(
    server: ServerProcess, figures: Callable[[str], None]
) -> None:
    sent_at = clock.now().replace(microsecond=0)
    other_key = second_tenants_key(server)
    storm = a_storm(sent_at)
    bodies = [(ADMIN_KEY, events) for events in storm]
    # The other tenant's share arrives in the middle of it all.
    bodies[100:100] = [(other_key, [variants_of(number, sent_at)[0] for number in range(SHARED_IDS)])] * 2
    assert send_all(server, bodies) == IDS * TIMES + 2 * SHARED_IDS
    server.wait_until_applied()

    ours, theirs = stored(server, ADMIN_KEY), stored(server, other_key)
    assert ours.keys() == {f"storm-{number}" for number in range(IDS)}
    assert theirs.keys() == {f"storm-{number}" for number in range(SHARED_IDS)}
    for number in range(IDS):
        event = ours[f"storm-{number}"]
        variants = variants_of(number, sent_at)
        assert (event["units"]["input_text"], event["time"]) in [
            (one["input_tokens"], one["time"]) for one in variants
        ]
    duplicates, conflicts = (
        int(server.counter(f"bursar_ingest_events_{word}_total")) for word in ("duplicate", "conflict")
    )
    assert duplicates + conflicts == IDS * (TIMES - 1) + SHARED_IDS
    # Whichever of an id's contents came first, deliveries of the two others are conflicts.
    assert conflicts >= IDS * TIMES // 20
    assert server.counter("bursar_quarantine_records") == QUARANTINE_LIMIT
    assert server.counter("bursar_quarantine_dropped_total") == conflicts - QUARANTINE_LIMIT
    recount = server.verify()
    assert recount["is_clean"], recount["differences"]
    assert recount["events"] == IDS + SHARED_IDS
    figures(
        f"{IDS * TIMES} deliveries: {IDS} counted,"
        f" {duplicates - SHARED_IDS} duplicates, {conflicts} conflicts"
    )


def test_of_equal_ids_sent_at_once_everybody_is_told_the_stored_cost(server: ServerProcess) -> None:
    sent_at = clock.now().replace(microsecond=0)

    def send(content: int) -> list[dict[str, Any]]:
        events = [variants_of(number, sent_at)[content % 3] for number in range(20)]
        with server.client() as client:
            answer = client.post("/api/v1/events", json=events, params={"wait": "applied"}).raise_for_status()
        return answer.json()["events"]

    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(send, range(THREADS)))
    events = stored(server, ADMIN_KEY)
    for number in range(20):
        told = [answer[number] for answer in answers]
        assert sorted(one["outcome"] for one in told).count("new") == 1
        assert {one["cost"]["total"] for one in told} == {events[f"storm-{number}"]["cost"]["total"]}
