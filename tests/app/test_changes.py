"""Threads beside the event loop: they journal changes, wait for them, and run work between two batches."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from bursar.app.changes import JournaledChanges
from bursar.app.errands import Errands
from bursar.errors import DiskFull, Unavailable
from bursar.storage.journal.writer import JournalLimits
from tests.app.test_applier import Following, following
from tests.support.ledger import Ledger, a_usage, a_void, opened_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 20


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with opened_ledger(tmp_path) as opened:
        yield opened


def _changes_of(both: Following) -> JournaledChanges:
    changes = JournaledChanges(both.writer, both.applier)
    changes.start()
    return changes


def test_a_thread_journals_changes_and_waits_until_they_count(ledger: Ledger) -> None:
    def void(changes: JournaledChanges) -> int:
        last_seq = changes.append([msgspec.json.encode(a_void(event_id)) for event_id in ("a", "b")])
        assert changes.durable_seq >= last_seq
        assert changes.wait_applied(last_seq, PATIENCE_SECONDS)
        assert changes.applied_seq >= last_seq
        assert not changes.wait_applied(last_seq + 1, 0.01)
        return last_seq

    async def play() -> None:
        async with following(ledger) as both:
            await both.send(a_usage("a"), a_usage("b"), a_usage("c"))
            assert await asyncio.to_thread(void, _changes_of(both)) == 5

    asyncio.run(play())
    assert ledger.ask("SELECT event_id FROM usage_events") == [("c",)]
    assert ledger.recount().is_clean


def test_many_threads_get_seqs_of_their_own(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            changes = _changes_of(both)
            record = msgspec.json.encode(a_void("nobody"))
            lasts = await asyncio.gather(
                *(asyncio.to_thread(changes.append, [record] * count) for count in (1, 2, 3, 4))
            )
            assert changes.durable_seq == 10
            taken = [
                seq
                for last, count in zip(lasts, (1, 2, 3, 4), strict=True)
                for seq in range(last - count, last)
            ]
            assert sorted(taken) == list(range(10))

    asyncio.run(play())


def test_a_full_disk_refuses_changes_as_it_refuses_usage(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            both.writer._limits = JournalLimits(min_free_disk_bytes=2**62)
            with pytest.raises(DiskFull):
                await asyncio.to_thread(_changes_of(both).append, [msgspec.json.encode(a_void("a"))])

    asyncio.run(play())


def test_before_the_start_and_after_the_stop_changes_are_refused_not_left_hanging(ledger: Ledger) -> None:
    record = msgspec.json.encode(a_void("a"))
    kept: list[JournaledChanges] = []

    async def play() -> None:
        async with following(ledger) as both:
            with pytest.raises(Unavailable):
                await asyncio.to_thread(JournaledChanges(both.writer, both.applier).append, [record])
            changes = _changes_of(both)
            kept.append(changes)
            waiting = asyncio.create_task(asyncio.to_thread(changes.wait_applied, 1_000, PATIENCE_SECONDS))
            with pytest.raises(RuntimeError):
                changes.append([record])
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await asyncio.to_thread(changes.append, [record])

    asyncio.run(play())
    with pytest.raises(Unavailable):
        kept[0].append([record])


def test_work_between_batches_runs_on_the_appliers_thread_while_records_come_in(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            sending = [asyncio.create_task(both.send(a_usage(f"e{i}"))) for i in range(20)]
            ran_on = await asyncio.wrap_future(both.applier.between_batches(threading.current_thread))
            assert ran_on.name == "applier"
            await asyncio.gather(*sending)

    asyncio.run(play())
    assert ledger.recount().is_clean


def test_work_that_fails_tells_its_caller_and_disturbs_nobody_else(ledger: Ledger) -> None:
    def fail() -> None:
        message = "on purpose"
        raise ArithmeticError(message)

    async def play() -> None:
        async with following(ledger) as both:
            with pytest.raises(ArithmeticError, match="on purpose"):
                await asyncio.wrap_future(both.applier.between_batches(fail))
            assert await both.send(a_usage("a")) == {}
            assert both.applier.state.errors == 0

    asyncio.run(play())


def test_after_its_end_the_applier_takes_no_work(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            pass
        with pytest.raises(Unavailable):
            both.applier.between_batches(lambda: None)

    asyncio.run(play())


def test_errands_that_wait_when_nobody_runs_them_any_more_are_refused() -> None:
    errands = Errands()
    waiting, given_up = errands.hand_over(lambda: 1), errands.hand_over(lambda: 2)
    given_up.cancel()
    errands.close()
    with pytest.raises(Unavailable):
        waiting.result(0)
    assert given_up.cancelled()
