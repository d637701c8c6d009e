"""Bodies that are taken in slices: the same answers and the same records as in one go, all or nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from bursar.app.bodies import MemoryBudget
from bursar.app.build import build_platform
from bursar.app.http import make_app
from bursar.settings import load_settings
from bursar.storage.journal.writer import JournalLimits
from bursar.usage.ingest import WHOLE_ITEMS
from bursar.usage.record import UnnumberedLines, UsageRecord, encode_records
from tests.support.journal import read_records

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from bursar.app.platform import Platform

KEY = "bur_operator-of-these-tests"
COUNT = 2_500
STRANGE = '100 % %d %s\n{"seq":1,"v":1}\n%(x)d \u2028'
"""What would be taken for a line's beginning, or for a place to put a number into."""


def _event(i: int, name: str = "e") -> dict[str, Any]:
    event = {
        "event_id": f"{name}-{i}",
        "provider": "openai",
        "model": "gpt-5",
        "input_tokens": i,
        "output_tokens": 1,
    }
    if i % 7 == 0:
        event |= {"metadata": {"text": STRANGE}, "user_id": STRANGE}
    if i % 100 == 50:
        event["input_tokens"] = -1
    return event


@asynccontextmanager
async def _served(data: Path) -> AsyncGenerator[tuple[Platform, httpx.AsyncClient]]:
    platform = build_platform(load_settings({}, data_dir=data, admin_key=KEY, scheduler=False))
    platform.applier.start()
    transport = httpx.ASGITransport(make_app(platform))
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    client = httpx.AsyncClient(transport=transport, base_url="http://bursar", headers=headers)
    try:
        async with client:
            yield platform, client
    finally:
        await platform.stop()


async def _post(client: httpx.AsyncClient, events: list[dict[str, Any]], query: str = "") -> httpx.Response:
    return await client.post(f"/api/v1/events{query}", content=json.dumps(events))


def test_a_sliced_body_beside_posts_is_answered_in_order_and_its_records_follow_each_other(
    tmp_path: Path,
) -> None:
    """Every event is accepted or refused at its place; no other record has a seq between two of a body."""
    events = [_event(i) for i in range(COUNT)]

    async def run() -> tuple[dict[str, Any], dict[str, Any]]:
        async with _served(tmp_path) as (_, client):
            bodies = [_post(client, events), _post(client, [_event(i, "f") for i in range(COUNT)])]
            posts = [_post(client, [_event(i, "single")]) for i in range(1, 40)]
            first, second, *others = await asyncio.gather(*bodies, *posts)
            assert {one.status_code for one in others} == {202}
            return first.json(), second.json()

    first, second = asyncio.run(run())
    good = [event for event in events if event["input_tokens"] >= 0]
    for answer in (first, second):
        assert answer["accepted"] == len(good)
        assert [one["index"] for one in answer["rejected"]] == list(range(50, COUNT, 100))
    assert [one["event_id"] for one in first["events"]] == [event["event_id"] for event in good]
    records = read_records(tmp_path / "journal")
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    seqs = [record["seq"] for record in records if record["event"]["event_id"].startswith("e-")]
    assert seqs == list(range(seqs[0], seqs[0] + len(good)))
    texts = [record["event"].get("user_id") for record in records[seqs[0] - 1 :][: len(good)]]
    assert texts == [event.get("user_id") for event in good]


def test_repeats_inside_and_between_sliced_bodies_count_once(tmp_path: Path) -> None:
    """Two requests with the same ids at the same time: each id is new in one place, a duplicate elsewhere."""
    body = [_event(i) for i in range(1, 40)] * 30

    async def run() -> list[dict[str, Any]]:
        async with _served(tmp_path) as (_, client):
            answers = await asyncio.gather(*(_post(client, body, "?wait=applied") for _ in range(2)))
            return [one.json() for one in answers]

    assert len(body) > WHOLE_ITEMS
    answers = asyncio.run(run())
    outcomes = [(one["event_id"], one["outcome"]) for answer in answers for one in answer["events"]]
    assert len(outcomes) == 2 * len(body)
    assert sorted(event_id for event_id, outcome in outcomes if outcome == "new") == sorted(
        f"e-{i}" for i in range(1, 40)
    )
    assert {outcome for _, outcome in outcomes} == {"new", "duplicate"}


def test_nothing_is_kept_of_a_sliced_body_that_finds_no_room_at_its_end(tmp_path: Path) -> None:
    """There was room when it began: it is refused as a whole, and none of its slices is in the journal."""

    async def run() -> httpx.Response:
        async with _served(tmp_path) as (platform, client):
            assert (await _post(client, [_event(1, "before")])).status_code == 202
            body = asyncio.create_task(_post(client, [_event(i) for i in range(COUNT)]))
            # Until its first slice is done.
            while not platform.ingestor.turns._line.locked():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
            platform.journal._limits = JournalLimits(pending_bytes=0)
            return await body

    assert asyncio.run(run()).status_code == 503
    kept = read_records(tmp_path / "journal")
    assert [record["event"]["event_id"] for record in kept] == ["before-1"]


def test_a_sliced_body_that_is_given_up_is_kept_whole_or_not_at_all_and_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever its request ends: no seq is used up, no memory stays taken, and others get on."""
    budgets: list[MemoryBudget] = []
    take = MemoryBudget.reserve

    def noting(budget: MemoryBudget, tenant_id: str, size: int, *, own: int = 0) -> None:
        budgets.append(budget)
        take(budget, tenant_id, size, own=own)

    monkeypatch.setattr(MemoryBudget, "reserve", noting)
    size = WHOLE_ITEMS + 200

    async def give_up(client: httpx.AsyncClient, name: str, turns: int) -> None:
        body = asyncio.create_task(_post(client, [_event(i, name) for i in range(size)]))
        for _ in range(turns):
            await asyncio.sleep(0)
        body.cancel()
        await asyncio.gather(body, return_exceptions=True)

    async def run() -> int:
        async with _served(tmp_path) as (_, client):
            # The key is known and the prices are kept: nothing else is waited for.
            await _post(client, [_event(i, "before") for i in range(size)])
            await asyncio.gather(
                *(give_up(client, f"x{turns}", turns) for turns in (1, 5, 17, 33, 70, 130, 5_000))
            )
            answer = await _post(client, [_event(i, "whole") for i in range(size)])
            return int(answer.json()["accepted"])

    accepted = asyncio.run(run())
    kept = read_records(tmp_path / "journal")
    names = [record["event"]["event_id"].partition("-")[0] for record in kept]
    assert {names.count(name) for name in names} == {accepted}
    assert names[-accepted:] == ["whole"] * accepted
    assert [record["seq"] for record in kept] == list(range(1, len(kept) + 1))
    assert {budget.taken for budget in budgets} == {0}


@pytest.mark.parametrize("count", [1, 3])
def test_lines_are_numbered_as_if_encoded_with_their_seqs(count: int) -> None:
    """Whatever they hold, also what looks like a line's beginning or a place for a number."""
    event = msgspec.Raw(msgspec.json.encode({"user_id": STRANGE}))
    records = [
        UsageRecord(
            v=1,
            kind="usage",
            received=i,
            tenant_id=STRANGE,
            key_id="k",
            door="native",
            fingerprint=i,
            time=i,
            currency="USD",
            cost_status="unpriced",
            event=event,
        )
        for i in range(count)
    ]
    lines = UnnumberedLines.of(records).numbered(998)
    for seq, record in enumerate(records, 998):
        record.seq = seq
    assert lines == encode_records(records)
