"""Corrections and voids: an event is replaced or taken out, its rollups follow, its trail stays.

The old row moves to the history and its rollup rows are undone by opposite ones; a correction then
adds the new row at the old position, so that the key index needs no change. A void names many
events and is one transaction of a few statements, however many those are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.clock import from_micros
from bursar.storage.duckdb.change_reader import Refusal
from bursar.storage.duckdb.rollup import add_to_rollups
from bursar.storage.duckdb.schema import EVENT_COLUMNS
from bursar.storage.duckdb.staging import STAGED
from bursar.usage.applying import event_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from bursar.storage.duckdb.change_reader import Correction, Void
    from bursar.storage.duckdb.staging import Staging
    from bursar.usage.applying import KeyIndex

_COLUMNS = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
ENDING = "ending"
"""The temporary table of versions that a change ends."""


def stage_replacement(staging: Staging, change: Correction, seq: int) -> Refusal | None:
    """Load a correction's event for this position, or say why it can't take the old one's place."""
    staging.fill([change.replacement(seq)])
    if staging.bad:
        return Refusal("unreadable_record", staging.bad[0].detail)
    staged = staging.connection.execute(f"SELECT tenant_id, event_id FROM {STAGED}").fetchall()
    if staged != [(change.tenant_id, change.event_id)]:
        text = f"A correction of {change.event_id!r} must be the same event of the same tenant."
        return Refusal("other_event", text)
    return None


def ended_values(change: Correction | Void) -> list[object]:
    """The values of `ENDED_COLUMNS` for versions that this change ends."""
    at = from_micros(change.received).replace(tzinfo=None)
    return [change.seq, change.kind, at, change.key_id, change.reason, change.run_id]


class Amender:
    """Applies corrections and voids on the applier's connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, index: KeyIndex, staging: Staging) -> None:
        """Share the applier's connection, index and staging table."""
        self._connection = connection
        self._index = index
        self._staging = staging

    def stage(self, change: Correction) -> Refusal | None:
        """Load what a correction brings, or say why it can't be made; call it outside a transaction."""
        seq = self._index.find(event_key(change.tenant_id, change.event_id))
        if seq is None or not self._is_current(change.tenant_id, seq):
            return Refusal("no_such_event", f"There is no event {change.event_id!r} to change.")
        return stage_replacement(self._staging, change, seq)

    def correct(self, change: Correction) -> None:
        """Put a staged correction in the old version's place."""
        rows = self._connection.execute(f"SELECT seq FROM {STAGED}").fetchall()
        self._end(change, [int(rows[0][0])])
        self._connection.execute(f"UPDATE {STAGED} SET revised_seq = ?", [change.seq])
        self._connection.execute(f"INSERT INTO usage_events SELECT * FROM {STAGED}")
        add_to_rollups(self._connection, STAGED)

    def void(self, change: Void) -> int:
        """Take events out; returns how many of those named weren't current."""
        keys = sorted({event_key(change.tenant_id, event_id) for event_id in change.event_ids})
        seqs = sorted(self._index.find_all(keys).values())
        return len(keys) - self._end(change, seqs)

    def _is_current(self, tenant_id: str, seq: int) -> bool:
        rows = self._connection.execute(
            "SELECT 1 FROM usage_events WHERE tenant_id = ? AND seq = ?", [tenant_id, seq]
        ).fetchall()
        return bool(rows)

    def _end(self, change: Correction | Void, seqs: Sequence[int]) -> int:
        """Move current versions to the history and undo what they added to the rollups; returns how many."""
        if not seqs:
            return 0
        # The bounds let DuckDB skip every row group that can't hold them.
        where = "tenant_id = ? AND seq BETWEEN ? AND ? AND seq IN (SELECT unnest(?::UBIGINT[]))"
        values: list[object] = [change.tenant_id, min(seqs), max(seqs), list(seqs)]
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {ENDING} AS SELECT {_COLUMNS} FROM usage_events WHERE {where}",
            values,
        )
        rows = self._connection.execute(f"SELECT count(*) FROM {ENDING}").fetchall()
        add_to_rollups(self._connection, ENDING, sign="-")
        self._connection.execute(
            f"INSERT INTO usage_history SELECT *, ?::UBIGINT, ?, ?, ?, ?, ? FROM {ENDING}",
            ended_values(change),
        )
        self._connection.execute(f"DELETE FROM usage_events WHERE {where}", values)
        return int(rows[0][0])
