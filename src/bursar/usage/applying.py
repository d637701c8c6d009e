"""What happens behind the journal: records become rows, each event id counted once.

Only words and protocols: the journal hands over `RecordBatch`es in order, a `KeyIndex` says which
deliveries are the first of their id, a `UsageApplier` turns the rest into rows and rollups in one
transaction. `storage/` implements both, `app/applier.py` drives them.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Keys = Sequence[bytes] | NDArray[np.void]
    """Event keys of 16 bytes (`event_key`): a few, or an array of their big-endian halves."""

_HALVES = struct.Struct("<QQ")
_KEY = struct.Struct(">QQ")


class Delivery(IntEnum):
    """What a delivery of an event turned out to be."""

    NEW = 0
    DUPLICATE = 1
    """Same id, same content: counted before."""
    CONFLICT = 2
    """Same id, other content: the first one stays, this one goes to quarantine."""
    QUARANTINED = 3
    """The record can't be applied; it is kept aside and counts nowhere."""


class BatchKind(StrEnum):
    """What a batch holds, which decides how it is applied; the journal's frames use the same letters."""

    USAGE = "u"
    """Only records of kind `usage`: loaded in bulk."""
    OTHER = "x"
    """Records that change earlier ones: applied one by one."""
    TOMBSTONE = "t"
    """Only tombstones of a rewritten archive: loaded in bulk."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of the journal: lines of JSON, one record each."""

    first_seq: int
    last_seq: int
    kind: BatchKind
    payload: bytes

    def between(self, after_seq: int, last_seq: int) -> RecordBatch:
        """The records behind `after_seq` and up to `last_seq`, of which there must be some."""
        first, last = max(self.first_seq, after_seq + 1), min(self.last_seq, last_seq)
        if (first, last) == (self.first_seq, self.last_seq):
            return self
        lines = self.payload.splitlines(keepends=True)
        kept = lines[first - self.first_seq : last - self.first_seq + 1]
        return RecordBatch(first, last, self.kind, b"".join(kept))


@dataclass(frozen=True, slots=True)
class Seen:
    """What the key index says about a batch of deliveries, in the order they were given."""

    outcomes: NDArray[np.uint8]
    """A `Delivery` for each."""
    first_seqs: NDArray[np.uint64]
    """The seq of the first delivery of the same key; a new one's own."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A delivery that was not the first of its id."""

    outcome: Delivery
    first_seq: int


@dataclass(slots=True)
class Applied:
    """What applying a run of records did."""

    last_seq: int = 0
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    quarantine_dropped: int = 0
    amended: int = 0
    """Corrections, voids, expiries, erasures and resets that were carried out."""
    passed_over: int = 0
    """Events named by a void or an erasure that weren't there any more."""
    tombstones: int = 0
    repeats: dict[int, Repeat] = field(default_factory=dict[int, Repeat])
    """By seq, for those who wait for an outcome."""

    def add(self, other: Applied) -> None:
        """Count a later run in."""
        self.last_seq = other.last_seq
        self.new += other.new
        self.duplicates += other.duplicates
        self.conflicts += other.conflicts
        self.quarantined += other.quarantined
        self.quarantine_dropped += other.quarantine_dropped
        self.amended += other.amended
        self.passed_over += other.passed_over
        self.tombstones += other.tombstones
        self.repeats.update(other.repeats)


class KeyIndex(Protocol):
    """Which event ids were counted, and at which position."""

    def record(self, keys: Keys, seqs: NDArray[np.uint64], prints: NDArray[np.uint64]) -> Seen:
        """Note deliveries (sorted by key, then seq) and say which are first; idempotent."""
        ...

    def find(self, key: bytes) -> int | None:
        """The seq of a key's first delivery, if it was seen."""
        ...

    def find_all(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """The seq of each key's first delivery, for those that were seen."""
        ...

    def differences(self, keys: Keys, seqs: NDArray[np.uint64]) -> dict[int, int | None]:
        """What the index says about keys whose first delivery isn't at the given seq, by their place."""
        ...

    def remove(self, keys: Keys, seqs: NDArray[np.uint64]) -> None:
        """Forget keys whose first delivery is at the given seq; idempotent. Keys sorted is fastest."""
        ...

    def count_up_to(self, seq: int) -> int:
        """How many keys have their first delivery at or before `seq`."""
        ...

    def advance(self, seq: int) -> None:
        """Note that everything up to `seq` has been looked at."""
        ...


class UsageApplier(Protocol):
    """The writing side of a usage store."""

    def position(self) -> tuple[str, int] | None:
        """Journal id and seq up to which records were applied; None in a new store."""
        ...

    def apply(self, batches: Sequence[RecordBatch]) -> Applied:
        """Apply records in order. Idempotent: applying a batch again changes nothing."""
        ...


def whole_groups(
    batches: Sequence[RecordBatch], group_rows: int
) -> tuple[list[RecordBatch], list[RecordBatch]]:
    """Usage records that make whole groups of rows, and those behind them, which may wait.

    All of them where there is no whole group, or where other records are among them.
    """
    last_seq = batches[-1].last_seq if batches else 0
    left = (last_seq - batches[0].first_seq + 1) % group_rows if batches else 0
    end = last_seq - left
    if left == 0 or end < batches[0].first_seq or any(one.kind is not BatchKind.USAGE for one in batches):
        return list(batches), []
    now = [one.between(0, end) for one in batches if one.first_seq <= end]
    return now, [one.between(end, last_seq) for one in batches if one.last_seq > end]


def event_key(tenant_id: str, event_id: str) -> bytes:
    """The 16-byte key of an event: MD5 of tenant, NUL and id, as two big-endian halves.

    MD5 because DuckDB computes it in bulk. A tenant would need a second preimage to shadow an event
    of another; a collision inside one tenant harms only whoever built it.
    """
    digest = hashlib.md5(f"{tenant_id}\0{event_id}".encode(), usedforsecurity=False).digest()
    return _KEY.pack(*_HALVES.unpack(digest))
