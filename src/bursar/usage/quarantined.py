"""Records that were accepted and count nowhere, and which page of them is wanted. Values only.

Why a record gets there is in `storage/duckdb/apply.py`, how it can be let out in `revising/release.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.window import Window

CONFLICT = "conflict"
PAGE_DEFAULT = 100
PAGE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """Which quarantined records are wanted, the latest first."""

    window: Window | None = None
    reason: str | None = None
    event_id: str | None = None
    seqs: tuple[int, ...] | None = None
    before_seq: int | None = None
    limit: int = PAGE_DEFAULT


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that was accepted, and counts nowhere."""

    seq: int
    event_id: str | None
    received_at: datetime
    reason: str
    """`conflict`, `unreadable_record`, `unknown_kind`, `no_such_event` or `other_event`."""
    detail: str | None
    line: bytes
    """What was accepted, as the journal has it."""


@dataclass(frozen=True, slots=True)
class QuarantineList:
    """One page of quarantined records, the latest first."""

    items: tuple[Quarantined, ...]
    total: int
    """How many the filters select in all."""
    has_more: bool
