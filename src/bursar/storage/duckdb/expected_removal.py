"""What expiries, resets and erasures leave, in the scratch database of a recount.

The counterpart of `expire.py` and `erase.py` by a shorter path: no key index, no rollups, no notes
for rewriting. Both share only what *defines* a figure: how sums are kept and which fields lead to a
person. `expected.py` calls it in the order of the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.change_reader import (
    PROJECT,
    PROJECT_EXPIRY,
    QUARANTINE,
    ROLLUPS,
    Erasure,
    Expiry,
    ProjectReset,
    Release,
    Reset,
)
from bursar.storage.duckdb.erase import UNREADABLE, name_events, name_kept, null_kept_users, replace_erased
from bursar.storage.duckdb.expire import RATED_AGAIN
from bursar.storage.duckdb.kept import KEPT_TABLES, insert_kept, kept_select
from bursar.storage.duckdb.rollup import ROLLUPS as ROLLUP_TABLES

if TYPE_CHECKING:
    import duckdb

SCRATCH = "recount"
"""The name under which the scratch database is attached."""
_OF_TENANT = (
    "usage_events",
    "usage_history",
    *RATED_AGAIN,
    "rating_runs",
    *KEPT_TABLES.values(),
    "quarantine",
    "horizons",
    "project_horizons",
)


def remove_expected(
    scratch: duckdb.DuckDBPyConnection, change: Expiry | Reset | ProjectReset | Release
) -> None:
    """Take out of the scratch tables what an expiry, a reset or a release takes."""
    if isinstance(change, Release):
        scratch.execute(
            f"DELETE FROM {SCRATCH}.quarantine WHERE tenant_id = ? AND seq IN (SELECT unnest(?::UBIGINT[]))",
            [change.tenant_id, change.positions],
        )
        return
    if isinstance(change, Reset):
        _free_keys(scratch, "tenant_id = ?", "tenant_id = ?", [change.tenant_id])
        for table in _OF_TENANT:
            scratch.execute(f"DELETE FROM {SCRATCH}.{table} WHERE tenant_id = ?", [change.tenant_id])
        return
    if isinstance(change, ProjectReset):
        _reset_project(scratch, change)
        return
    _expire(scratch, change)


def _expire(scratch: duckdb.DuckDBPyConnection, change: Expiry) -> None:
    if change.what == QUARANTINE:
        scratch.execute(
            f"DELETE FROM {SCRATCH}.quarantine WHERE tenant_id = ? AND received_at < ?",
            [change.tenant_id, change.moment()],
        )
    else:
        _expire_events(scratch, change)
    if change.what == ROLLUPS:
        whose, of_whom = _whose(change)
        for rollup, kept in KEPT_TABLES.items():
            period = next(iter(ROLLUP_TABLES[rollup]))
            scratch.execute(
                f"DELETE FROM {SCRATCH}.{kept} WHERE {whose} AND {period} < ?", [*of_whom, change.moment()]
            )
    if change.project_id is None:
        _note_horizon(scratch, change, change.what)
        return
    _note_horizon(scratch, change, PROJECT_EXPIRY)
    scratch.execute(
        f"INSERT INTO {SCRATCH}.project_horizons VALUES (?, ?, ?, ?, ?)",
        [change.tenant_id, change.project_id, change.what, change.moment(), change.seq],
    )


def erase_expected(scratch: duckdb.DuckDBPyConnection, change: Erasure) -> None:
    """Take a person out of the scratch tables."""
    name_events(scratch, change)
    for table in ("usage_events", "usage_history"):
        replace_erased(scratch, f"{SCRATCH}.{table}", change.tenant_id)
    scratch.execute(
        f"DELETE FROM {SCRATCH}.quarantine WHERE tenant_id = ? AND reason = '{UNREADABLE}'"
        " AND seq IN (SELECT seq FROM named)",
        [change.tenant_id],
    )
    if change.kept:
        name_kept(scratch, change)
        null_kept_users(scratch, f"{SCRATCH}.kept_by_user_day", change.tenant_id)


def _expire_events(scratch: duckdb.DuckDBPyConnection, change: Expiry) -> None:
    old, values = "tenant_id = $tenant AND time < $before", {"tenant": change.tenant_id}
    if change.project_id is not None:
        old, values = f"{old} AND project_id = $project", {**values, "project": change.project_id}
    for rollup, kept in KEPT_TABLES.items():
        scratch.execute(
            kept_select(rollup, f"{SCRATCH}.usage_events WHERE {old}", f"{SCRATCH}.{kept}"),
            {**values, "before": change.moment(), "by_seq": change.seq},
        )
        rows = (change.kept or {}).get(rollup)
        if rows is not None and rows.rows:
            insert_kept(scratch, f"{SCRATCH}.{kept}", change.seq, rows)
    whose, of_whom = _whose(change)
    _remove_events(scratch, f"{whose} AND time < ?", [*of_whom, change.moment()], change)


def _whose(change: Expiry | ProjectReset) -> tuple[str, list[object]]:
    """The condition on rows of whom it is about, and its values."""
    if change.project_id is None:
        return "tenant_id = ?", [change.tenant_id]
    return "tenant_id = ? AND project_id = ?", [change.tenant_id, change.project_id]


def _reset_project(scratch: duckdb.DuckDBPyConnection, change: ProjectReset) -> None:
    is_in, values = _whose(change)
    _remove_events(scratch, is_in, values, change)
    for table in (*KEPT_TABLES.values(), "project_horizons"):
        scratch.execute(f"DELETE FROM {SCRATCH}.{table} WHERE {is_in}", values)
    _note_horizon(scratch, change, PROJECT)


def _note_horizon(scratch: duckdb.DuckDBPyConnection, change: Expiry | ProjectReset, what: str) -> None:
    scratch.execute(
        f"INSERT INTO {SCRATCH}.horizons VALUES (?, ?, ?, ?)",
        [change.tenant_id, what, change.moment(), change.seq],
    )


def _remove_events(
    scratch: duckdb.DuckDBPyConnection, condition: str, values: list[object], change: Expiry | ProjectReset
) -> None:
    """Remove events by their last version, and keys that tombstones of theirs bear."""
    _free_keys(scratch, condition, f"{condition} AND ended_kind = 'void'", values)
    scratch.execute(
        f"DELETE FROM {SCRATCH}.keys WHERE seq IN (SELECT seq FROM {SCRATCH}.tombstones WHERE by_seq = ?)",
        [change.seq],
    )
    for table in ("usage_events", "usage_history", *RATED_AGAIN):
        scratch.execute(
            f"DELETE FROM {SCRATCH}.{table} WHERE tenant_id = ? AND seq IN (SELECT seq FROM freed)",
            [change.tenant_id],
        )


def _free_keys(scratch: duckdb.DuckDBPyConnection, current: str, ended: str, values: list[object]) -> None:
    """Forget the keys of events by their current version, or by the one that ended; they are in `freed`."""
    scratch.execute(
        f"CREATE OR REPLACE TEMP TABLE freed AS SELECT seq FROM {SCRATCH}.usage_events WHERE {current}"
        f" UNION SELECT seq FROM {SCRATCH}.usage_history WHERE {ended}",
        [*values, *values],
    )
    scratch.execute(f"DELETE FROM {SCRATCH}.keys WHERE seq IN (SELECT seq FROM freed)")
