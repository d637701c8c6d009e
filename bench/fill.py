"""Makes folders with as many events as wanted, past the door: journal, store and key index.

For measuring what depends on how much is stored. Some thousand real records, made by the real ingest
from `bench.events`, are the patterns; each event is one of them with an id, a user, a session, a
fingerprint and a time of its own, in order over the last thirty days. Records go through the real writer
and applier, and sealed segments are archived as they are applied, so that a hundred million events need
no more disk than a ledger of that size has. It can be stopped at any moment and goes on where it was.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from bench.events import DAYS, make_body
from bursar import clock
from bursar.app.usage_stores import open_stores
from bursar.identity.caller import Caller
from bursar.identity.tenant import DEFAULT_TENANT_ID
from bursar.pricing.books import PriceBooks
from bursar.pricing.genai_source import load_book
from bursar.storage.duckdb.connection import ROW_GROUP_ROWS, DuckDBLimits
from bursar.storage.folder import DataFolder, claim_folder
from bursar.storage.journal.archiving import archive_sealed
from bursar.storage.journal.batches import batch_of
from bursar.storage.journal.reader import JournalReader
from bursar.storage.journal.writer import JournalLimits, JournalWriter
from bursar.usage.bodies import Shape, read_items
from bursar.usage.checks import Receipt, TimeRules
from bursar.usage.ingest import AcceptOptions, Ingestor
from bursar.usage.record import encode_records

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from bursar.app.usage_stores import UsageStores
    from bursar.errors import BursarError
    from bursar.usage.record import UnnumberedLines, UsageLine

PATTERNS = 20_000
BATCH_EVENTS = 3 * ROW_GROUP_ROWS
"""Whole row groups, as a server takes them under load."""
TIDY_EVENTS = 500_000
"""Rollups are compacted and sealed segments archived as often as this: a server does both in minutes."""
STEPS = 10
DAY_MICROS = 86_400 * 10**6
QUARANTINE_LIMIT = 10_000
_VARIED = (
    (rb'"fingerprint":\d+', b'"fingerprint":%d'),
    (rb'"time":\d+', b'"time":%d'),
    (rb'"event_id":"[0-9a-f-]{36}"', b'"event_id":"%016x%016x"'),
    (rb'"user_id":"user-\d+"', b'"user_id":"user-%d"'),
    (rb'"session_id":"session-[0-9a-f]{10}"', b'"session_id":"session-%010x"'),
)
"""What differs from event to event, in the order in which records have it."""


@dataclass(slots=True)
class _Patterns:
    """Takes the records that ingest makes, instead of a journal, and forgets the rate cards."""

    records: list[bytes] = field(default_factory=list[bytes])

    def check_room(self, owner: str = "") -> None:
        """There is always room."""

    def append_usage(self, records: Sequence[UsageLine], owner: str = "") -> tuple[int, asyncio.Future[None]]:
        """Keep records as patterns, whosever they are."""
        del owner
        return self._keep(encode_records(records))

    def append_lines(
        self, parts: Sequence[UnnumberedLines], owner: str = ""
    ) -> tuple[int, asyncio.Future[None]]:
        """Keep records that are encoded already."""
        del owner
        return self._keep(b"".join([part.numbered(1) for part in parts]))

    def append_one(self, record: UsageLine, when_durable: Callable[[BursarError | None], None]) -> None:
        """Keep a record as a pattern."""
        self.append_usage([record])
        when_durable(None)

    def _keep(self, lines: bytes) -> tuple[int, asyncio.Future[None]]:
        self.records += [_pattern_of(line) for line in lines.splitlines()]
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return 1, done

    def save(self, card_id: str, document: str) -> None:
        """Explanations aren't measured."""


def _pattern_of(record: bytes) -> bytes:
    pattern = re.sub(rb'^\{"seq":\d+,', b"{", record.replace(b"%", b"%%"))
    for found, varied in _VARIED:
        pattern, count = re.subn(found, lambda _, new=varied: new, pattern, count=1)
        assert count == 1, record
    return pattern


async def make_patterns(tenant_id: str, count: int = PATTERNS) -> list[bytes]:
    """Records as ingest makes them, with places for what differs from event to event."""
    kept = _Patterns()
    ingestor = Ingestor(kept, PriceBooks(load_book()), kept)
    now = clock.now()
    rules = TimeRules(None, timedelta(days=1))
    caller = Caller(tenant_id, "key_bench", frozenset())
    receipt = Receipt.of(caller, "native", now, rules, lambda _: True)
    for seed in range(count // 1000):
        items = read_items(make_body(1000, seed, now), Shape.JSON, {}, 1000)
        await ingestor.accept(items, receipt, AcceptOptions(wants_answers=False))
    return kept.records


@dataclass(slots=True)
class Step:
    """A tenth of a filling, or what was left of it."""

    stored: int
    """Events in the folder at its end."""
    events: int = 0
    seconds: float = 0.0
    """Wall time, with the making of records, tidying and all."""
    applying_seconds: float = 0.0
    """Processor time of applying alone."""

    @property
    def applying_micros(self) -> float:
        """Processor time per event of applying."""
        return self.applying_seconds / self.events * 1e6


class Filler:
    """One folder on its way to so many events."""

    def __init__(self, stores: UsageStores, events: int) -> None:
        self._stores = stores
        self._events = events
        self._chance = random.Random(stores.journal.last_seq)
        self._users = [int(self._chance.paretovariate(1.1)) % 20_000 for _ in range(1_000_000)]
        self._now = clock.to_micros(clock.now())
        self._reader = JournalReader(stores.folder.journal, stores.journal.last_seq)
        self._untidied = 0

    async def run(self, patterns: Sequence[bytes], on_step: Callable[[Step], None]) -> None:
        """Journal and apply events until there are enough; a step is told ten times on the way."""
        limits = JournalLimits(segment_bytes=64 * 2**20)
        writer = JournalWriter(self._stores.journal, limits, on_durable=lambda: None)
        done = writer.mark.last_seq
        step, started = Step(done), clock.monotonic()
        while done < self._events:
            count = min(BATCH_EVENTS, self._events - done)
            _, durable = writer.append(self._records(patterns, done, count), usage_only=True)
            await durable
            step.applying_seconds += self._apply(writer)
            done += count
            self._tidy(done, count)
            step.events, step.stored, step.seconds = step.events + count, done, clock.monotonic() - started
            if step.events >= self._events / STEPS or done >= self._events:
                on_step(step)
                step, started = Step(done), clock.monotonic()
        await writer.close()

    def _apply(self, writer: JournalWriter) -> float:
        started = time.process_time()
        self._stores.applier.apply([batch_of(frame) for frame in self._reader.read(writer.mark, 2**40)])
        return time.process_time() - started

    def _records(self, patterns: Sequence[bytes], start: int, count: int) -> list[bytes]:
        chance, bits = self._chance, self._chance.getrandbits
        users = chance.choices(self._users, k=count)
        first = self._now - DAYS * DAY_MICROS
        step = DAYS * DAY_MICROS / self._events
        return [
            pattern % (bits(64), first + int((start + i) * step), bits(64), bits(64), users[i], bits(40))
            for i, pattern in enumerate(chance.choices(patterns, k=count))
        ]

    def _tidy(self, done: int, count: int) -> None:
        self._untidied += count
        if self._untidied >= TIDY_EVENTS or done >= self._events:
            self._untidied = 0
            self._stores.compact()
            archive_sealed(self._stores.folder.journal, done, lambda _step, _done, _all: None)


def fill_folder(path: Path, events: int, on_step: Callable[[Step], None]) -> None:
    """Bring a new or half-filled folder to so many events of the default tenant; no server may run on it."""
    with opened(path) as stores:
        stores.catch_up(lambda _step, _done: None)
        patterns = asyncio.run(make_patterns(DEFAULT_TENANT_ID))
        asyncio.run(Filler(stores, events).run(patterns, on_step))


@contextmanager
def opened(path: Path) -> Generator[UsageStores]:
    """The stores of a folder that no server holds."""
    folder = DataFolder(path)
    lock = claim_folder(folder)
    try:
        stores = open_stores(folder, DuckDBLimits(), QUARANTINE_LIMIT)
        try:
            yield stores
        finally:
            stores.close()
    finally:
        lock.release()
