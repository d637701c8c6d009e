"""The moments that kills are aimed at: between one durable step and the next, wherever two must agree."""

from __future__ import annotations

from datetime import timedelta

from tests.support.aim import Aim

_WRITER = "bursar.storage.journal.writer:JournalWriter"
_APPLIER = "bursar.storage.duckdb.apply:DuckDBApplier"
_OFTEN = {
    "bursar.app.applier:COMPACT_EVERY_SECONDS": 0.2,
    "bursar.storage.duckdb.rollup:WORTH_COMPACTING_ROWS": 1,
    "bursar.app.derived_stores:COMPACT_OLDER_THAN": timedelta(hours=-2),
}

AIMS: tuple[Aim, ...] = (
    Aim("a group is not yet written", f"{_WRITER}._write", "before", up_to_call=40),
    Aim(
        "a group is written, not yet synced",
        "bursar.storage.journal.writer:write_all",
        "after",
        up_to_call=40,
    ),
    Aim("a group is synced, nobody told", f"{_WRITER}._write", "after", up_to_call=40),
    Aim(
        "a segment is begun, its first group not written", f"{_WRITER}._start_segment", "after", up_to_call=3
    ),
    Aim(
        "keys are in the index, rows not in the store",
        "bursar.storage.keyindex.index:LmdbKeyIndex.record",
        "after",
    ),
    Aim("rows are in the transaction, not committed", f"{_APPLIER}._move_position", "after"),
    Aim("rows are committed, the next run not begun", f"{_APPLIER}._apply_usage", "after"),
    Aim(
        "rollups are being compacted",
        "bursar.storage.duckdb.rollup:RollupCompactor._count",
        "before",
        _OFTEN,
        9,
    ),
    Aim("rollups are compacted", "bursar.storage.duckdb.rollup:RollupCompactor._replace", "after", _OFTEN, 3),
    Aim(
        "the index is opened, its note not written",
        "bursar.storage.keyindex.trust:_note",
        "before",
        up_to_call=1,
    ),
    Aim("stores are open, nothing is caught up", "bursar.app.build:_follow", "before", up_to_call=1),
)
