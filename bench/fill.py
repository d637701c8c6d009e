"""Fills a data folder with as many events as wanted, past the door: journal, store and key index.

For measuring what depends on how much is stored. Some thousand real records, made by the real ingest
from `bench.events`, are the patterns; each event is one of them with an id, a session, a fingerprint and
a time of its own, in order over the last thirty days. The journal goes through the real writer and
applier; with `--archive` its sealed segments are archived as they are applied, so that a hundred
million events need no more disk than a ledger of that size has. Run `python -m bench.fill --help`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.events import DAYS, make_body
from bursar import clock
from bursar.app.usage_stores import open_stores
from bursar.identity.caller import Caller
from bursar.pricing.genai_source import load_book
from bursar.storage.duckdb.connection import DuckDBLimits
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
    from collections.abc import Callable, Sequence

    from bursar.app.usage_stores import UsageStores
    from bursar.usage.record import UsageLine

PATTERNS = 20_000
BATCH_EVENTS = 50_000
REPORT_EVENTS = 500_000
DAY_MICROS = 86_400 * 10**6
QUARANTINE_LIMIT = 10_000
_VARIED = (
    (rb'"fingerprint":\d+', b'"fingerprint":%d'),
    (rb'"time":\d+', b'"time":%d'),
    (rb'"event_id":"[0-9a-f-]{36}"', b'"event_id":"%016x%016x"'),
    (rb'"session_id":"session-[0-9a-f]{10}"', b'"session_id":"session-%010x"'),
)
"""What differs from event to event, in the order in which records have it."""


@dataclass(slots=True)
class _Patterns:
    """Takes the records that ingest makes, instead of a journal, and forgets the rate cards."""

    records: list[bytes] = field(default_factory=list[bytes])

    def check_room(self) -> None:
        """There is always room."""

    def append_usage(self, records: Sequence[UsageLine]) -> tuple[int, asyncio.Future[None]]:
        """Keep records as patterns."""
        lines: list[bytes] = encode_records(records).splitlines()
        self.records += [_pattern_of(line) for line in lines]
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
    ingestor = Ingestor(kept, load_book(), kept)
    now = clock.now()
    rules = TimeRules(None, timedelta(days=1))
    caller = Caller(tenant_id, "key_bench", frozenset())
    receipt = Receipt.of(caller, "native", now, rules, lambda _: True)
    for seed in range(count // 1000):
        items = read_items(make_body(1000, seed, now), Shape.JSON, {}, 1000)
        await ingestor.accept(items, receipt, AcceptOptions(wants_answers=False))
    return kept.records


class Filler:
    """One folder on its way to so many events."""

    def __init__(
        self, stores: UsageStores, events: int, *, archives: bool, say: Callable[[str], None]
    ) -> None:
        self._stores = stores
        self._events = events
        self._archives = archives
        self._say = say
        self._chance = random.Random(stores.journal.last_seq)
        self._now = clock.to_micros(clock.now())
        self._reader = JournalReader(stores.folder.journal, stores.journal.last_seq)

    async def run(self, patterns: Sequence[bytes]) -> None:
        """Journal and apply events until there are enough, saying what each half million cost."""
        limits = JournalLimits(segment_bytes=64 * 2**20)
        writer = JournalWriter(self._stores.journal, limits, on_durable=lambda: None)
        done, applied_cpu, reported = writer.mark.last_seq, 0.0, 0
        while done < self._events:
            count = min(BATCH_EVENTS, self._events - done)
            _, durable = writer.append(self._records(patterns, done, count), usage_only=True)
            await durable
            started = time.process_time()
            batches = [batch_of(frame) for frame in self._reader.read(writer.mark, 2**40)]
            self._stores.applier.apply(batches)
            applied_cpu += time.process_time() - started
            done += count
            reported += count
            if reported >= REPORT_EVENTS or done >= self._events:
                self._report(done, applied_cpu / reported)
                applied_cpu, reported = 0.0, 0
                self._tidy(done)
        await writer.close()

    def _records(self, patterns: Sequence[bytes], start: int, count: int) -> list[bytes]:
        chance, bits = self._chance, self._chance.getrandbits
        first = self._now - DAYS * DAY_MICROS
        step = DAYS * DAY_MICROS / self._events
        return [
            pattern % (bits(64), first + int((start + i) * step), bits(64), bits(64), bits(40))
            for i, pattern in enumerate(chance.choices(patterns, k=count))
        ]

    def _report(self, done: int, seconds: float) -> None:
        folder = self._stores.folder
        store_bytes = folder.store.stat().st_size / done
        index_bytes = sum(path.stat().st_blocks * 512 for path in folder.index.iterdir()) / done
        self._say(
            f"{done:>12,} events: {seconds * 1e6:5.1f} µs CPU each to apply,"
            f" store {store_bytes:5.0f} and key index {index_bytes:4.0f} bytes each"
        )

    def _tidy(self, done: int) -> None:
        self._stores.compact()
        if self._archives:
            archive_sealed(self._stores.folder.journal, done, lambda _step, _done, _all: None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the folder up to so many events, and say what it took."""
    parser = argparse.ArgumentParser(prog="bench.fill", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000, help="events in all (default: 10,000,000)")
    parser.add_argument("--tenant", default="default", help="id of the tenant whose they are")
    parser.add_argument("--archive", action="store_true", help="archive sealed segments as they are applied")
    asked = parser.parse_args(arguments)
    folder = DataFolder(asked.folder)
    lock = claim_folder(folder)
    stores = open_stores(folder, DuckDBLimits(), QUARANTINE_LIMIT)
    try:
        patterns = asyncio.run(make_patterns(asked.tenant))
        filler = Filler(stores, asked.events, archives=asked.archive, say=_say)
        asyncio.run(filler.run(patterns))
    finally:
        stores.close()
        lock.release()
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
