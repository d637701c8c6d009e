"""What an event takes on the disk: in the DuckDB file, the key index and the compressed archive.

The events are richer than those of the other scenarios: several tags of high variety, nested metadata and
the provider's raw usage object, all unique, posted over HTTP. The folder's segments are then archived and
the files measured, as blocks on the disk.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import msgspec

from bench.events import make_events
from bench.fill import opened
from bench.ingest import wait_until_applied
from bench.options import Options, say
from bench.report import Line, Report, at_most
from bench.server import BenchServer
from bursar import clock
from bursar.storage.folder import DataFolder
from bursar.storage.journal.archiving import archive_sealed, archive_size
from bursar.storage.store_files import index_files

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = 500_000
PER_BODY = 1_000
STORE, INDEX, ARCHIVE = at_most(150), at_most(100), at_most(150)
BLOCK_BYTES = 512
"""Of `st_blocks`, by stat(2)."""


def run(options: Options, report: Report) -> None:
    """Rich events over HTTP; their bytes in each file."""
    events = options.count(EVENTS)
    folder = options.scratch / f"footprint-{events}-{clock.to_micros(clock.now())}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"footprint of {events:,} events with varied tags, metadata and raw usage")
    try:
        _post(folder, events)
        add_sizes(folder, report, "rich events")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _post(folder: Path, events: int) -> None:
    with BenchServer(folder) as server, server.client() as client:
        now = clock.now()
        for seed in range(events // PER_BODY):
            body = msgspec.json.encode(_rich_events(seed, make_events(PER_BODY, seed, now)))
            client.post("/api/v1/events?return=none", content=body, headers=_JSON).raise_for_status()
        wait_until_applied(server, events // PER_BODY * PER_BODY)


def add_sizes(folder: Path, report: Report, title: str) -> None:
    """Archive what is sealed and say how many bytes an event takes; for a folder that no server holds."""
    with opened(folder) as stores:
        stores.compact()
        archive_sealed(stores.folder.journal, stores.journal.last_seq, lambda _step, _done, _all: None)
        events = stores.index.count()
    data = DataFolder(folder)
    archive = archive_size(data.journal)
    raw = archive.raw_bytes / max(1, archive.records)
    for name, size, target in (
        ("DuckDB file", _bytes_of(data.store) / events, STORE),
        ("key index", sum(map(_bytes_of, index_files(data.index))) / events, INDEX),
    ):
        report.add(Line(f"{title}: {name}", [size], "bytes/event", target, note=f"{events:,} events"))
    if archive.records:
        size = archive.stored_bytes / archive.records
        note = f"{archive.records:,} events, {raw:,.0f} bytes each before"
        report.add(Line(f"{title}: archive", [size], "bytes/event", ARCHIVE, note=note))


_JSON = {"Content-Type": "application/json"}
_REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")


def _bytes_of(path: Path) -> int:
    return path.stat().st_blocks * BLOCK_BYTES


def _rich_events(seed: int, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    chance = random.Random(f"rich{seed}")
    for event in events:
        event["tags"] |= {
            "customer": f"customer-{chance.randrange(5_000)}",
            "release": f"2026.{chance.randrange(1, 13)}.{chance.randrange(30)}",
            "run": f"{chance.getrandbits(32):08x}",
        }
        event["metadata"] = {
            "ticket": chance.randrange(10**7),
            "locale": chance.choice(("en", "de", "fr", "ja")),
            "client": {"region": chance.choice(_REGIONS), "build": chance.randrange(400)},
        }
        if event["provider"] == "openai":
            event["usage"] = _openai_usage(event)
    return events


def _openai_usage(event: dict[str, Any]) -> dict[str, Any]:
    """The usage object of a chat completion, instead of flat totals."""
    total_in, total_out = event.pop("input_tokens"), event.pop("output_tokens")
    cached, reasoning = event.pop("cached_tokens", 0), event.pop("reasoning_tokens", 0)
    return {
        "prompt_tokens": total_in,
        "completion_tokens": total_out,
        "total_tokens": total_in + total_out,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
