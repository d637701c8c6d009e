"""Records that could not be counted, kept with the reason, bounded per tenant.

Nothing that was accepted vanishes: a conflicting second delivery or a record that can't be applied
is listed here. Of a tenant's records beyond the bound only the position is noted; they are in the
journal all the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.clock import from_micros

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from bursar.storage.duckdb.change_reader import Release


class _Envelope(msgspec.Struct):
    """What can be read of any record, whatever its kind."""

    seq: int = 0
    tenant_id: str = ""
    event_id: str | None = None
    received: int = 0


class _EventPart(msgspec.Struct):
    event_id: str | None = None


class _UsageEnvelope(_Envelope):
    event: _EventPart | None = None


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """One record that was not counted, and why."""

    envelope: _UsageEnvelope
    reason: str
    detail: str
    line: bytes

    @classmethod
    def of_line(cls, line: bytes, reason: str, detail: str) -> QuarantinedRecord:
        """The record of a journal line, as far as the line can be read."""
        try:
            envelope = msgspec.json.decode(line, type=_UsageEnvelope)
        except msgspec.DecodeError:
            envelope = _UsageEnvelope()
        return cls(envelope, reason, detail, line)

    def row(self) -> list[object]:
        """The values of the quarantine table's columns."""
        envelope = self.envelope
        event_id = envelope.event_id or (envelope.event.event_id if envelope.event else None)
        received = from_micros(envelope.received).replace(tzinfo=None)
        text = self.line.decode("utf-8", "replace").rstrip("\n")
        return [envelope.seq, envelope.tenant_id, event_id, received, self.reason, self.detail, text]

    def drop(self) -> list[object]:
        """The values of the columns of `quarantine_drops`."""
        received = from_micros(self.envelope.received).replace(tzinfo=None)
        return [self.envelope.seq, self.envelope.tenant_id, received, self.reason]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """How much is kept, and a scratch path for the applier."""

    scratch_path: Path
    limit_per_tenant: int

    def keep(
        self, connection: duckdb.DuckDBPyConnection, records: Sequence[QuarantinedRecord]
    ) -> tuple[int, int]:
        """Keep records within their tenant's bound; returns (kept, dropped)."""
        if not records:
            return 0, 0
        counts = connection.execute("SELECT tenant_id, count(*) FROM quarantine GROUP BY 1").fetchall()
        kept_before: Counter[str] = Counter({str(tenant): int(count) for tenant, count in counts})
        rows: list[list[object]] = []
        dropped: list[list[object]] = []
        for record in records:
            tenant_id = record.envelope.tenant_id
            if kept_before[tenant_id] < self.limit_per_tenant:
                kept_before[tenant_id] += 1
                rows.append(record.row())
            else:
                dropped.append(record.drop())
        _insert(connection, "quarantine", _QUARANTINE_TYPES, rows)
        _insert(connection, "quarantine_drops", _DROP_TYPES, dropped)
        return len(rows), len(dropped)


def release(connection: duckdb.DuckDBPyConnection, change: Release) -> int:
    """Let records out; returns how many of those named weren't there."""
    gone = 0
    for table in ("quarantine", "quarantine_drops"):
        rows = connection.execute(
            f"DELETE FROM {table} WHERE tenant_id = ? AND seq IN (SELECT unnest(?::UBIGINT[])) RETURNING seq",
            [change.tenant_id, change.positions],
        ).fetchall()
        gone += len(rows)
    return len(set(change.positions)) - gone


_QUARANTINE_TYPES = ("UBIGINT", "VARCHAR", "VARCHAR", "TIMESTAMP", "VARCHAR", "VARCHAR", "VARCHAR")
_DROP_TYPES = ("UBIGINT", "VARCHAR", "TIMESTAMP", "VARCHAR")


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, types: Sequence[str], rows: list[list[object]]
) -> None:
    """Insert rows in one statement: a statement for each would cost a third of a millisecond."""
    if not rows:
        return
    columns = ", ".join(f"unnest(?::{kind}[])" for kind in types)
    connection.execute(
        f"INSERT INTO {table} SELECT {columns}", [list(column) for column in zip(*rows, strict=True)]
    )
