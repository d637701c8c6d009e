"""Carries out records that change earlier ones: reads them, loads what they bring, applies them.

What each kind does is in a module of its own (`amend.py`, `expire.py`, `erase.py`); decision 7 says
why. Called by the applier, which gives each run a transaction and moves the position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bursar.storage.duckdb.amend import Amender
from bursar.storage.duckdb.change_reader import (
    Change,
    Correction,
    Erasure,
    Expiry,
    ProjectReset,
    RatingRun,
    Refusal,
    Release,
    Reset,
    Void,
)
from bursar.storage.duckdb.erase import Eraser
from bursar.storage.duckdb.expire import Remover
from bursar.storage.duckdb.quarantine import release
from bursar.storage.duckdb.rerate import Rerater
from bursar.usage.changes import Tombstone

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from bursar.storage.duckdb.change_reader import Step
    from bursar.storage.duckdb.staging import Staging
    from bursar.usage.applying import Applied, KeyIndex


_Amending = Void | Expiry | Erasure | Reset | ProjectReset | Release | RatingRun
_Single = _Amending | Tombstone


class Changer:
    """Carries out changes on the applier's connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, index: KeyIndex, staging: Staging) -> None:
        """Share the applier's connection, index and staging table."""
        self._connection = connection
        self._staging = staging
        self._amender = Amender(connection, index, staging)
        self._remover = Remover(connection, index)
        self._eraser = Eraser(connection)
        self._rerater = Rerater(connection)

    def stage(self, run: Sequence[Step]) -> list[Change | Refusal]:
        """Load what a run of records brings, or say why some can't be made (see `Amender.stage`)."""
        corrections = [step.change for step in run if isinstance(step.change, Correction)]
        refusals = self._amender.stage(corrections) if corrections else {}
        return [
            refusals.get(step.change.seq, step.change) if isinstance(step.change, Correction) else step.change
            for step in run
        ]

    def carry_out(self, run: Sequence[Step], staged: Sequence[Change | Refusal], applied: Applied) -> None:
        """Make the staged changes of a run, inside the applier's transaction, and count them."""
        corrections = sum(isinstance(change, Correction) for change in staged)
        if corrections:
            self._amender.correct()
            applied.amended += corrections
            return
        for step, change in zip(run, staged, strict=True):
            if not isinstance(change, Refusal | Correction):
                self._make(change, step.line, applied)

    def _make(self, change: _Single, line: bytes, applied: Applied) -> None:
        if isinstance(change, Tombstone):
            self._remover.lay_tombstones([line], self._staging.path)
            applied.tombstones += 1
            return
        applied.passed_over += self._change(change, line)
        applied.amended += 1

    def _change(self, change: _Amending, line: bytes) -> int:
        """Make a change; returns how much of what it names wasn't there any more."""
        match change:
            case Void():
                return self._amender.void(change)
            case Expiry():
                self._remover.expire(change)
            case Erasure():
                return self._eraser.erase(change)
            case Reset():
                self._remover.reset(change)
            case ProjectReset():
                self._remover.reset_project(change)
            case Release():
                return release(self._connection, change)
            case RatingRun():
                return int(not self._rerater.take(change, line, self._staging.path))
            case _:
                assert_never(change)
        return 0

    def lay_tombstones(self, payloads: Sequence[bytes]) -> None:
        """Take up whole batches of tombstones, inside the applier's transaction."""
        self._remover.lay_tombstones(payloads, self._staging.path)

    def forget_removed(self, by_seq: int) -> None:
        """Forget the positions that the journal had to lose: it is rewritten up to this record."""
        for table, also in (("removed", " AND NOT is_tombstone"), ("erased", "")):
            self._connection.execute(f"DELETE FROM {table} WHERE by_seq <= ?{also}", [by_seq])
