"""Carries out one record that changes earlier ones: reads it, loads what it brings, applies it.

What each kind does is in a module of its own (`amend.py`, `expire.py`, `erase.py`); decision 7 says
why. Called by the applier, which gives each record a transaction and moves the position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bursar.storage.duckdb.amend import Amender
from bursar.storage.duckdb.change_reader import (
    Change,
    Correction,
    Erasure,
    Expiry,
    Refusal,
    Release,
    Reset,
    Void,
    read_change,
)
from bursar.storage.duckdb.erase import Eraser
from bursar.storage.duckdb.expire import Remover
from bursar.storage.duckdb.quarantine import release
from bursar.usage.changes import Tombstone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from bursar.storage.duckdb.staging import Staging
    from bursar.usage.applying import Applied, KeyIndex


class Changer:
    """Carries out changes on the applier's connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, index: KeyIndex, staging: Staging) -> None:
        """Share the applier's connection, index and staging table."""
        self._connection = connection
        self._staging = staging
        self._amender = Amender(connection, index, staging)
        self._remover = Remover(connection, index)
        self._eraser = Eraser(connection)

    def stage(self, line: bytes) -> Change | Refusal:
        """Read one record and load what it brings; call it outside a transaction."""
        change = read_change(line)
        if isinstance(change, Correction):
            return self._amender.stage(change) or change
        return change

    def carry_out(self, change: Change, line: bytes, applied: Applied) -> None:
        """Make a staged change, inside the applier's transaction, and count it."""
        match change:
            case Correction():
                self._amender.correct(change)
            case Void():
                applied.passed_over += self._amender.void(change)
            case Expiry():
                self._remover.expire(change)
            case Erasure():
                applied.passed_over += self._eraser.erase(change)
            case Reset():
                self._remover.reset(change)
            case Release():
                applied.passed_over += release(self._connection, change)
            case Tombstone():
                self._remover.lay_tombstones([line], self._staging.path)
                applied.tombstones += 1
                return
            case _:
                assert_never(change)
        applied.amended += 1

    def lay_tombstones(self, payloads: Sequence[bytes]) -> None:
        """Take up whole batches of tombstones, inside the applier's transaction."""
        self._remover.lay_tombstones(payloads, self._staging.path)

    def forget_removed(self, by_seq: int) -> None:
        """Forget the positions that the journal had to lose: it is rewritten up to this record."""
        for table, also in (("removed", " AND NOT is_tombstone"), ("erased", "")):
            self._connection.execute(f"DELETE FROM {table} WHERE by_seq <= ?{also}", [by_seq])
