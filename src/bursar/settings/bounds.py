"""How much is taken in, waited for, computed and held in memory: the bounds of one process.

How often somebody may ask is `rates.py`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, ByteSize, Field

from bursar.settings.forms import check_memory
from bursar.settings.spelling import KIB, MIB, Group, Seconds, Spelling, clash

if TYPE_CHECKING:
    from bursar.errors import Reason

_duckdb_size = Field(pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$")
DuckdbSize = Annotated[str, _duckdb_size, Spelling("a size with its unit, such as 512MB or 4GiB")]
DuckdbMemory = Annotated[
    str,
    _duckdb_size,
    AfterValidator(check_memory),
    Spelling("a size of 256MB at least with its unit, such as 512MB or 4GiB"),
]


class Bounds(Group):
    """Bodies, events' times, the journal, questions, DuckDB."""

    max_body_bytes: ByteSize = Field(default=ByteSize(16 * MIB), ge=KIB)
    """Largest request body as sent, compressed or not."""
    max_inflated_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=KIB)
    """Largest request body after decompression."""
    max_batch_events: int = Field(default=10_000, ge=1, le=1_000_000)
    """Most events in one body."""
    tracking_token_length: Annotated[int, Spelling(aliases=("TRACKING_TOKEN_LENGTH",))] = Field(
        default=22, ge=16, le=40
    )
    """Characters of the tracking tokens that are made from now on."""
    max_past_days: int = Field(default=35, ge=0, le=3650)
    """How old an event may be at the native doors. Imports take any past time."""
    max_future_seconds: int = Field(default=300, ge=0, le=86_400)
    """How far ahead of this clock an event's time may be."""
    pending_bytes_limit: ByteSize = Field(default=ByteSize(256 * MIB), ge=MIB)
    """Memory for bodies in flight and records not yet durable. Beyond it requests get 503."""
    min_free_disk_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=0)
    """With less free space than this in the data folder, ingest answers 503 until there is more."""
    segment_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=64 * KIB)
    """A journal segment is closed and a new one begun at about this size."""
    wait_timeout_seconds: Seconds = 10.0
    """Longest wait of `?wait=applied`. Then the answer is 202 with `applied: false`."""
    query_timeout_seconds: Seconds = 30.0
    """A query that runs longer is interrupted and answered with 503."""
    query_threads: int = Field(default=0, ge=0, le=256)
    """Queries that run at the same time; more get 503. 0 means twice the number of cores."""
    duckdb_memory_limit: DuckdbMemory = "1GB"
    """Memory that DuckDB may use before it spills to disk."""
    duckdb_threads: int = Field(default=1, ge=1, le=256)
    """Threads that DuckDB may use for one query or batch; several queries run beside each other anyway."""
    duckdb_temp_limit: DuckdbSize = "20GB"
    """Disk space that DuckDB may use for spilling, in `tmp/` of the data folder."""

    @property
    def query_thread_count(self) -> int:
        """How many queries run at the same time, with 0 resolved to twice the cores."""
        return self.query_threads or 2 * (os.cpu_count() or 1)


def impossible_bounds(settings: Bounds) -> list[Reason]:
    """Bounds of which one makes another one void."""
    reasons: list[Reason] = []
    if settings.max_inflated_bytes < settings.max_body_bytes:
        reasons.append(clash("max_inflated_bytes", "must not be below BURSAR_MAX_BODY_BYTES"))
    if settings.pending_bytes_limit < settings.max_inflated_bytes:
        reasons.append(clash("pending_bytes_limit", "must not be below BURSAR_MAX_INFLATED_BYTES"))
    return reasons
