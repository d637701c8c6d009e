"""The applying thread: it follows the journal, tells who waits, and tries again until it works."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from bursar.app import applier
from bursar.app.applier import Applier
from bursar.storage.duckdb import compaction
from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.recover import recover_journal
from bursar.storage.journal.segments import segment_paths
from bursar.storage.journal.writer import JournalWriter
from bursar.usage.applying import Applied, Delivery, RecordBatch, Repeat
from tests.support.journal import LIMITS
from tests.support.ledger import Ledger, a_usage, opened_ledger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from pathlib import Path

PATIENCE_SECONDS = 20


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with opened_ledger(tmp_path) as opened:
        yield opened


class Following:
    """A journal that is written and an applier that follows it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        folder = ledger.stores.folder.journal
        self.writer = JournalWriter(recover_journal(folder), LIMITS, on_durable=self._notify)
        self.delays: list[float] = []
        reader = JournalReader(folder, 0)
        self.applier = Applier(ledger.stores.applier, reader, lambda: self.writer.mark, self.delays.append)

    def _notify(self) -> None:
        self.applier.notify()

    async def send(self, *events: dict[str, Any]) -> dict[int, Repeat] | None:
        """Append usage and wait for its outcomes."""
        first_seq, durable = self.writer.append(
            [msgspec.json.encode(event) for event in events], usage_only=True
        )
        watch = self.applier.watches.begin(first_seq, len(events))
        await durable
        return await self.applier.watches.outcomes(watch, PATIENCE_SECONDS)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something about the applier."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():  # noqa: ASYNC110 - what is waited for happens in another thread
                await asyncio.sleep(0.01)


@asynccontextmanager
async def following(ledger: Ledger) -> AsyncGenerator[Following]:
    both = Following(ledger)
    both.applier.start()
    try:
        yield both
    finally:
        await both.writer.close()
        await both.applier.stop()


def test_who_waits_is_told_what_became_of_each_record(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            assert await both.send(a_usage("a"), a_usage("b")) == {}
            repeats = await both.send(a_usage("b"), a_usage("a", event={"model": "gpt-4o"}), a_usage("c"))
            assert repeats == {3: Repeat(Delivery.DUPLICATE, 2), 4: Repeat(Delivery.CONFLICT, 1)}
            assert both.applier.state.totals.new == 3

    asyncio.run(play())
    assert ledger.recount().is_clean


def test_nobody_waits_longer_than_they_want(ledger: Ledger) -> None:
    async def play() -> None:
        both = Following(ledger)
        watch = both.applier.watches.begin(1, 1)
        assert await both.applier.watches.outcomes(watch, 0.01) is None
        await both.writer.close()

    asyncio.run(play())


def test_what_failed_is_tried_again_until_it_works_and_counts_once(ledger: Ledger) -> None:
    def rename(old: str, new: str) -> None:
        ledger.stores.database.execute(f"ALTER TABLE {old} RENAME TO {new}")

    async def play() -> None:
        async with following(ledger) as both:
            await both.send(a_usage("a"))
            rename("usage_by_hour", "hidden")
            waiting = asyncio.create_task(both.send(a_usage("a"), a_usage("b")))
            with structlog.testing.capture_logs() as lines:
                await both.until(lambda: len(lines) > 1)
            assert {(line["event"], line["log_level"]) for line in lines} == {
                ("applying failed; it will be retried", "error")
            }
            assert all("usage_by_hour" in line["error"] for line in lines)
            assert "usage_by_hour" in (both.applier.state.failing or "")
            rename("hidden", "usage_by_hour")
            # Outcomes may have been lost with the failure, and nobody is told a wrong one.
            assert await waiting is None
            await both.until(lambda: both.applier.state.failing is None)
            assert await both.send(a_usage("b")) == {4: Repeat(Delivery.DUPLICATE, 3)}

    asyncio.run(play())
    assert ledger.ask("SELECT event_id FROM usage_events ORDER BY seq") == [("a",), ("b",)]
    assert ledger.recount().is_clean


def test_it_is_well_again_with_the_first_batch_that_works_though_more_is_waiting(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = ledger.stores.applier.apply
    states: list[str | None] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        async with following(ledger) as both:

            async def append(event_id: str) -> None:
                await both.writer.append([msgspec.json.encode(a_usage(event_id))], usage_only=True)[1]

            def apply_and_have_more(batches: Sequence[RecordBatch]) -> Applied:
                states.append(both.applier.state.failing)
                if len(states) == 1:
                    message = "the disk is full"
                    raise OSError(message)
                if len(states) < 4:
                    asyncio.run_coroutine_threadsafe(append(f"more {len(states)}"), loop).result()
                return apply(batches)

            monkeypatch.setattr(ledger.stores.applier, "apply", apply_and_have_more)
            await append("first")
            await both.until(lambda: both.applier.state.applied_seq == 3)

    asyncio.run(play())
    assert states == [None, "OSError: the disk is full", None, None]


def test_a_store_that_cant_be_used_yet_is_logged_and_tried_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        message = "the disk is full"
        raise OSError(message)

    async def play() -> None:
        async with following(ledger) as both:
            with monkeypatch.context() as failing, structlog.testing.capture_logs() as lines:
                failing.setattr(ledger.stores.applier, "apply", broken)
                failing.setattr(ledger.stores.applier, "recover", broken)
                waiting = asyncio.create_task(both.send(a_usage("a")))
                await both.until(lambda: len(lines) > 2)
            assert [line["event"] for line in lines[:3]] == [
                "applying failed; it will be retried",
                "the usage store can't be used yet; it will be retried",
                "applying failed; it will be retried",
            ]
            assert [bool(line.get("exc_info")) for line in lines[:3]] == [True, False, False]
            assert await waiting is None
            await both.until(lambda: both.applier.state.failing is None)

    asyncio.run(play())
    assert ledger.ask("SELECT event_id FROM usage_events") == [("a",)]


def test_what_comes_after_a_pause_is_applied_at_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applier, "GATHER_SECONDS", 10 * PATIENCE_SECONDS)

    async def play() -> None:
        async with following(ledger) as both:
            assert await both.send(a_usage("a"), a_usage("b")) == {}

    asyncio.run(play())


def test_each_batch_tells_how_long_its_oldest_record_took(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            await both.send(a_usage("a"))
            await both.send(a_usage("b"))
            await both.until(lambda: len(both.delays) == both.applier.state.batches == 2)
            assert all(0 < seconds < PATIENCE_SECONDS for seconds in both.delays)

    asyncio.run(play())


def test_rollups_are_compacted_between_batches(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "WORTH_COMPACTING_ROWS", 4)

    async def play() -> None:
        async with following(ledger) as both:
            for i in range(8):
                await both.send(a_usage(f"e{i}"))
            await both.until(lambda: rollup_rows() < 8)
            assert both.applier.state.errors == 0

    def rollup_rows() -> int:
        return len(ledger.ask("SELECT * FROM usage_by_hour"))

    asyncio.run(play())
    assert ledger.ask("SELECT sum(events) FROM usage_by_hour") == [(8,)]
    assert ledger.recount().is_clean


def test_compaction_that_fails_stops_no_batch_and_is_tried_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "WORTH_COMPACTING_ROWS", 1)
    monkeypatch.setattr(applier, "TIDY_AGAIN_SECONDS", 0.01)

    async def play() -> None:
        async with following(ledger) as both:
            ledger.stores.database.execute("ALTER TABLE compacted RENAME TO hidden")
            with structlog.testing.capture_logs() as lines:
                for i in range(4):
                    assert await both.send(a_usage(f"e{i}")) == {}
                await both.until(lambda: len(lines) > 0)
            assert {line["event"] for line in lines} == {"compaction failed; it will be retried"}
            assert all("compacted" in line["error"] for line in lines)
            assert both.applier.state.errors == 0
            ledger.stores.database.execute("ALTER TABLE hidden RENAME TO compacted")
            await both.send(a_usage("last"))
            await both.until(lambda: len(ledger.ask("SELECT * FROM compacted")) > 0)

    asyncio.run(play())
    assert ledger.recount().is_clean


def test_records_that_the_journal_has_lost_are_missed_not_skipped(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            await both.send(a_usage("a"))
            path = segment_paths(ledger.stores.folder.journal)[0]
            both.applier.state.applied_seq, kept = 0, path.read_bytes()
            path.write_bytes(kept[: kept.index(b"~F1 ")])
            both.applier._reader.rewind(0)
            both.applier.notify()
            await both.until(lambda: both.applier.state.failing is not None)
            path.write_bytes(kept)
            await both.until(lambda: both.applier.state.failing is None)
            assert both.applier.state.applied_seq == 1

    asyncio.run(play())


def test_a_stop_applies_what_is_durable(ledger: Ledger) -> None:
    async def play() -> None:
        async with following(ledger) as both:
            records = [msgspec.json.encode(a_usage(f"e{i}")) for i in range(500)]
            await both.writer.append(records, usage_only=True)[1]

    asyncio.run(play())
    assert ledger.ask("SELECT count(*) FROM usage_events") == [(500,)]
