"""Corrections and voids: an event is replaced or taken out, its rollups follow, its trail stays.

The old row moves to the history and its rollup rows are undone by opposite ones; a correction then
adds the new row at the old position, so that the key index needs no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.storage.duckdb.rollup import add_to_rollups
from bursar.storage.duckdb.schema import EVENT_COLUMNS
from bursar.storage.duckdb.staging import STAGED
from bursar.usage.applying import event_key
from bursar.usage.changes import CORRECTION, VOID
from bursar.usage.record import RECORD_VERSION

if TYPE_CHECKING:
    import duckdb

    from bursar.storage.duckdb.staging import Staging
    from bursar.usage.applying import KeyIndex

_COLUMNS = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)


class Change(msgspec.Struct):
    """What every amending record says."""

    seq: int
    v: int
    kind: str
    tenant_id: str
    event_id: str
    usage: msgspec.Raw = msgspec.Raw(b"null")
    """A correction's whole event; a void has none."""

    def replacement(self, seq: int) -> bytes:
        """A correction's event as the line of a usage record at this position."""
        return b'{"seq":%d,%b\n' % (seq, bytes(self.usage)[1:])


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change that can be made: its own position, its kind, and the event it changes."""

    seq: int
    kind: str
    tenant_id: str
    target_seq: int


@dataclass(frozen=True, slots=True)
class AmendRefusal:
    """Why a record could not be applied."""

    reason: str
    detail: str


def read_change(line: bytes) -> Change | AmendRefusal:
    """The change that a journal line asks for, or why it isn't one that this version can make."""
    try:
        change = msgspec.json.decode(line, type=Change)
    except msgspec.DecodeError as error:
        return AmendRefusal("unreadable_record", str(error))
    if change.kind not in {CORRECTION, VOID} or change.v > RECORD_VERSION:
        text = f"Kind {change.kind!r} version {change.v} is not known to this Bursar."
        return AmendRefusal("unknown_kind", text)
    return change


def stage_replacement(staging: Staging, change: Change, seq: int) -> AmendRefusal | None:
    """Load a correction's event for this position, or say why it can't take the old one's place."""
    staging.fill([change.replacement(seq)])
    if staging.bad:
        return AmendRefusal("unreadable_record", staging.bad[0].detail)
    staged = staging.connection.execute(f"SELECT tenant_id, event_id FROM {STAGED}").fetchall()
    if staged != [(change.tenant_id, change.event_id)]:
        text = f"A correction of {change.event_id!r} must be the same event of the same tenant."
        return AmendRefusal("other_event", text)
    return None


class Amender:
    """Applies amending records, one transaction each."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, index: KeyIndex, staging: Staging) -> None:
        """Share the applier's connection, index and staging table."""
        self._connection = connection
        self._index = index
        self._staging = staging

    def stage(self, line: bytes) -> Amendment | AmendRefusal:
        """Read one record and load what it brings; call it outside a transaction."""
        change = read_change(line)
        if isinstance(change, AmendRefusal):
            return change
        seq = self._index.find(event_key(change.tenant_id, change.event_id))
        if seq is None or not self._is_current(change.tenant_id, seq):
            return AmendRefusal("no_such_event", f"There is no event {change.event_id!r} to change.")
        if change.kind == CORRECTION:
            refusal = stage_replacement(self._staging, change, seq)
            if refusal is not None:
                return refusal
        return Amendment(change.seq, change.kind, change.tenant_id, seq)

    def carry_out(self, amendment: Amendment) -> None:
        """Make a staged change, inside the applier's transaction."""
        self._end(amendment)
        if amendment.kind == CORRECTION:
            self._connection.execute(f"UPDATE {STAGED} SET revised_seq = ?", [amendment.seq])
            self._connection.execute(f"INSERT INTO usage_events SELECT * FROM {STAGED}")
            add_to_rollups(self._connection, STAGED)

    def _is_current(self, tenant_id: str, seq: int) -> bool:
        rows = self._connection.execute(
            "SELECT 1 FROM usage_events WHERE tenant_id = ? AND seq = ?", [tenant_id, seq]
        ).fetchall()
        return bool(rows)

    def _end(self, amendment: Amendment) -> None:
        """Move the current version to the history and undo what it added to the rollups."""
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE ended AS SELECT {_COLUMNS} FROM usage_events"
            " WHERE tenant_id = ? AND seq = ?",
            [amendment.tenant_id, amendment.target_seq],
        )
        add_to_rollups(self._connection, "ended", sign="-")
        self._connection.execute(
            "INSERT INTO usage_history SELECT *, ?::UBIGINT, ? FROM ended", [amendment.seq, amendment.kind]
        )
        self._connection.execute(
            "DELETE FROM usage_events WHERE tenant_id = ? AND seq = ?",
            [amendment.tenant_id, amendment.target_seq],
        )
