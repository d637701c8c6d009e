"""Rewritings of the archive come in the order of their records, also when a run died before its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bursar import clock
from bursar.storage.duckdb.ages import seqs_to_rewrite
from bursar.storage.journal.batches import batches_up_to
from bursar.usage.changes import ERASE, EXPIRE, RESET, ErasedEvent, EraseRecord, ExpireRecord, ResetRecord
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

EVENTS = "/api/v1/events"
WHY = "a test asks"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path) as running:
        yield running


def send(server: RunningServer, name: str, *, days_ago: int = 0, **fields: Any) -> None:  # noqa: ANN401 - an event's
    time = clock.rfc3339(clock.now() - timedelta(days=days_ago))
    event = {"event_id": name, "model": "gpt-4o-mini", "input_tokens": 1000, "time": time, **fields}
    path = f"{EVENTS}/import?wait=applied"
    assert server.client.post(path, json=[event]).raise_for_status().json()["accepted"] == 1


def head(kind: str, tenant_id: str = "default") -> dict[str, Any]:
    words = {"key_id": "key_1", "door": "native", "reason": WHY}
    return {"v": 1, "kind": kind, "received": clock.to_micros(clock.now()), "tenant_id": tenant_id, **words}


def journal_change(server: RunningServer, record: object) -> int:
    """A change as a run that was killed right after it left it: applied, and not rewritten."""
    seq = server.platform.changes.append([msgspec.json.encode(record)])
    assert server.platform.changes.wait_applied(seq, 30)
    return seq


def expiry(days: int) -> ExpireRecord:
    before = (clock.now() - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    return ExpireRecord(**head(EXPIRE), what="events", before=clock.to_micros(before))


def finished(server: RunningServer, url: str) -> dict[str, Any]:
    wait_until(lambda: server.client.get(url).json()["finished_at"] is not None, "the run ends")
    run = server.client.get(url).json()
    assert run["state"] == "succeeded", run
    return run["result"]


def erase(server: RunningServer, person: str) -> dict[str, Any]:
    answer = server.client.post("/api/v1/erasures", json={"user_id": person, "reason": WHY})
    return finished(server, answer.raise_for_status().json()["run"]["url"])


def retain(server: RunningServer) -> dict[str, Any]:
    run = server.client.post("/api/v1/scheduler/jobs/retention/trigger", json={}).raise_for_status().json()
    return finished(server, f"/api/v1/scheduler/runs/{run['id']}")


def lines(server: RunningServer) -> list[bytes]:
    journal = server.platform.folder.journal
    batches = batches_up_to(journal, server.platform.changes.durable_seq)
    return [line for batch in batches for line in batch.payload.splitlines()]


def waiting(server: RunningServer) -> list[int]:
    return seqs_to_rewrite(server.platform.stores.cursor())


def verify(server: RunningServer) -> None:
    recount = server.platform.stores.recount(lambda _step, _records: None)
    assert recount.is_clean, recount.differences


def test_an_erasure_first_rewrites_the_expiry_that_died_before_its_rewriting(server: RunningServer) -> None:
    send(server, "old-one", days_ago=100, user_id="ada")
    send(server, "new-one", user_id="ada")
    seq = journal_change(server, expiry(50))
    assert waiting(server) == [seq]
    assert erase(server, "ada")["left"] == 0
    left = lines(server)
    assert waiting(server) == []
    assert not any(b"old-one" in line or b'"ada"' in line for line in left)
    assert b'"kept"' in left[seq - 1]
    verify(server)
    assert retain(server)["tombstones"] == 0


def test_what_an_expiry_between_two_erasures_of_one_run_noted_is_not_forgotten(server: RunningServer) -> None:
    send(server, "old-one", days_ago=100)
    send(server, "new-one", user_id="ada")
    first = EraseRecord(**head(ERASE), events=[ErasedEvent(2, [])])
    journal_change(server, first)
    seq = journal_change(server, expiry(50))
    assert erase(server, "ada")["left"] == 0
    assert waiting(server) == []
    assert b"old-one" not in b"".join(lines(server))
    assert b'"kept"' in lines(server)[seq - 1]
    verify(server)


def test_an_expiry_rewrites_what_an_erasure_and_a_reset_left_that_nobody_goes_on_with(
    server: RunningServer,
) -> None:
    other = server.client.post("/api/v1/tenants", json={"id": "gone"}).raise_for_status().json()["id"]
    event = {"event_id": "of-gone", "model": "gpt-4o-mini", "input_tokens": 5}
    server.client.post(EVENTS, params={"tenant_id": other}, json=event).raise_for_status()
    send(server, "named", user_id="ada", tags={"owner": "ada"})
    send(server, "old-one", days_ago=100)
    named = next(i for i, line in enumerate(lines(server), 1) if b'"named"' in line)
    seqs = [
        journal_change(server, EraseRecord(**head(ERASE), events=[ErasedEvent(named, ["owner"])])),
        journal_change(server, ResetRecord(**head(RESET, other))),
        journal_change(server, expiry(50)),
    ]
    assert waiting(server) == seqs
    assert retain(server)["tombstones"] >= 1
    assert waiting(server) == []
    left = b"".join(lines(server))
    assert b'"ada"' not in left
    assert b"old-one" not in left
    assert b"of-gone" not in left
    verify(server)


def test_a_reset_whose_record_a_crash_left_with_notes_of_gone_expiries_is_done_again(
    server: RunningServer,
) -> None:
    send(server, "old-one", days_ago=100)
    journal_change(server, expiry(50))
    journal_change(server, ResetRecord(**head(RESET)))
    assert retain(server)["tombstones"] >= 2
    assert waiting(server) == []
    # What was expired before the reset isn't known any more, not even by its key.
    assert not any(b'"key":' in line for line in lines(server))
    verify(server)
