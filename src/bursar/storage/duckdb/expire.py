"""Expiries, resets and tombstones: what a tenant's retention, or its end, takes out of the store.

An expiry of events takes raw rows, their history and their keys, and keeps their sums (`kept.py`);
one of rollups takes the sums too. Either is of a tenant, or of what is in one project of it: events
whose last version is, and sums of the project. So is a reset, which takes everything. What the journal
must lose is noted in `removed` until it is rewritten (`rewriting.py`). A tombstone of a rewritten journal
brings its key back until the record comes that removed it, so that repeats in between are told.

Keys leave the index before the transaction commits. Everything before the record is committed by
then, so a crash in between repeats only the record itself, which finds the same rows and no keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bursar.storage.duckdb.change_reader import PROJECT, PROJECT_EXPIRY, QUARANTINE, ROLLUPS
from bursar.storage.duckdb.connection import fetch_columns
from bursar.storage.duckdb.kept import KEPT_TABLES, add_kept, keep_sums
from bursar.storage.duckdb.keys import BATCH_ROWS, KEY_COLUMNS, as_unsigned, keys_of, sorted_by_key
from bursar.storage.duckdb.rollup import ROLLUPS as ROLLUP_TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from bursar.storage.duckdb.change_reader import Expiry, ProjectReset, Reset
    from bursar.usage.applying import KeyIndex

LEAVING = "leaving"
"""The temporary table of first deliveries that go: key, seq and fingerprint."""
_OLD = "tenant_id = $tenant AND time < $before"
IN_PROJECT = "tenant_id = $tenant AND project_id = $project"
_OLD_IN_PROJECT = f"{_OLD} AND project_id = $project"


def last_versions(condition: str) -> str:
    """SQL of the positions of events of whose last version this is so: an event goes whole, or not at all."""
    return (
        f"SELECT seq FROM usage_events WHERE {condition}"
        f" UNION ALL SELECT seq FROM usage_history WHERE {condition} AND ended_kind = 'void'"
    )


_EVERYTHING = (
    "SELECT seq FROM usage_events WHERE tenant_id = $tenant"
    " UNION ALL SELECT seq FROM usage_history WHERE tenant_id = $tenant"
)
RATED_AGAIN = ("earlier_ratings", "staged_ratings")
"""What goes with its event."""
_OF_TENANT = (
    "usage_events",
    "usage_history",
    *RATED_AGAIN,
    "erased_events",
    "rating_runs",
    *ROLLUP_TABLES,
    *KEPT_TABLES.values(),
    "quarantine",
    "quarantine_drops",
    "horizons",
    "project_horizons",
)
_TOMBSTONE_COLUMNS = "{'seq': 'UBIGINT', 'by': 'UBIGINT', 'key': 'VARCHAR', 'fingerprint': 'UBIGINT'}"


class Remover:
    """Takes data out of the store on the applier's connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, index: KeyIndex) -> None:
        """Share the applier's connection and index."""
        self._connection = connection
        self._index = index

    def expire(self, change: Expiry) -> None:
        """Remove what lies before the expiry's moment."""
        if change.what == QUARANTINE:
            self._expire_quarantine(change)
        else:
            self._expire_events(change)
        if change.what == ROLLUPS:
            self._expire_rollups(change)
        self._note_expiry(change)

    def reset(self, change: Reset) -> None:
        """Remove everything of a tenant."""
        self._find_leaving(_EVERYTHING, {"tenant": change.tenant_id})
        # The tombstones of earlier expiries bear keys of this tenant, but not its name. Its own seq notes
        # that the journal is to be rewritten for it, should its run not come to that.
        self._connection.execute(
            "INSERT INTO removed SELECT seq, $by::UBIGINT, NULL, NULL, NULL, false FROM horizons"
            " WHERE tenant_id = $tenant UNION ALL SELECT $by::UBIGINT, $by, NULL, NULL, NULL, false",
            {"by": change.seq, "tenant": change.tenant_id},
        )
        self._forget_keys(f"SELECT upper, lower, seq FROM {LEAVING}")
        for table in _OF_TENANT:
            self._connection.execute(f"DELETE FROM {table} WHERE tenant_id = ?", [change.tenant_id])

    def reset_project(self, change: ProjectReset) -> None:
        """Remove the events that are in a project, and all its sums."""
        values: dict[str, object] = {"tenant": change.tenant_id, "project": change.project_id}
        self._remove_events(last_versions(IN_PROJECT), values, change)
        for table in (*ROLLUP_TABLES, *KEPT_TABLES.values(), "project_horizons"):
            self._connection.execute(f"DELETE FROM {table} WHERE {IN_PROJECT}", values)
        # The journal is rewritten for it also where no event was left.
        self._connection.execute(
            "INSERT INTO removed VALUES ($by, $by, NULL, NULL, NULL, false)", {"by": change.seq}
        )
        self._note_horizon(change, PROJECT)

    def lay_tombstones(self, payloads: Sequence[bytes], scratch: Path) -> None:
        """Take up the keys of tombstones, inside the applier's transaction."""
        scratch.write_bytes(b"".join(payloads))
        self._connection.execute(
            'CREATE OR REPLACE TEMP TABLE tombstones AS SELECT seq, "by" AS by_seq,'
            " ('0x' || key[1:16])::UBIGINT AS upper, ('0x' || key[17:32])::UBIGINT AS lower, fingerprint"
            f" FROM read_json(?, format = 'newline_delimited', columns = {_TOMBSTONE_COLUMNS})"
            " WHERE key IS NOT NULL",
            [str(scratch)],
        )
        rows = sorted_by_key(
            fetch_columns(self._connection, "SELECT upper, lower, seq, fingerprint FROM tombstones")
        )
        if len(rows["seq"]):
            self._index.record(keys_of(rows), as_unsigned(rows["seq"]), as_unsigned(rows["fingerprint"]))
        self._connection.execute(
            "INSERT INTO removed SELECT seq, by_seq, upper, lower, fingerprint, true FROM tombstones"
        )

    def _expire_events(self, change: Expiry) -> None:
        old, values = _OLD if change.project_id is None else _OLD_IN_PROJECT, _values_of(change)
        keep_sums(self._connection, f"usage_events WHERE {old}", change.seq, values)
        self._remove_events(last_versions(old), values, change)
        if change.kept:
            add_kept(self._connection, change.seq, change.kept)

    def _remove_events(self, events: str, values: dict[str, object], change: Expiry | ProjectReset) -> None:
        """Remove events with all their versions and their keys; their positions are noted."""
        self._find_leaving(events, values)
        self._connection.execute(
            f"INSERT INTO removed SELECT seq, ?, upper, lower, fingerprint, false FROM {LEAVING}",
            [change.seq],
        )
        self._connection.execute(
            "INSERT INTO removed SELECT DISTINCT revised_seq, ?::UBIGINT, NULL::UBIGINT, NULL::UBIGINT,"
            " NULL::UBIGINT, false FROM (SELECT seq, revised_seq FROM usage_events WHERE tenant_id = ?"
            " UNION ALL SELECT seq, revised_seq FROM usage_history WHERE tenant_id = ?)"
            f" WHERE revised_seq IS NOT NULL AND seq IN (SELECT seq FROM {LEAVING})",
            [change.seq, change.tenant_id, change.tenant_id],
        )
        self._forget_keys(
            f"SELECT upper, lower, seq FROM removed WHERE by_seq = {int(change.seq)} AND upper IS NOT NULL"
        )
        for table in ("usage_events", "usage_history", "erased_events", *RATED_AGAIN):
            self._connection.execute(
                f"DELETE FROM {table} WHERE tenant_id = ? AND seq IN (SELECT seq FROM {LEAVING})",
                [change.tenant_id],
            )
        self._connection.execute("DELETE FROM removed WHERE by_seq = ? AND is_tombstone", [change.seq])

    def _note_horizon(self, change: Expiry | ProjectReset, what: str) -> None:
        self._connection.execute(
            "INSERT INTO horizons VALUES (?, ?, ?, ?)", [change.tenant_id, what, change.moment(), change.seq]
        )

    def _note_expiry(self, change: Expiry) -> None:
        if change.project_id is None:
            self._note_horizon(change, change.what)
            return
        self._note_horizon(change, PROJECT_EXPIRY)
        self._connection.execute(
            "INSERT INTO project_horizons VALUES (?, ?, ?, ?, ?)",
            [change.tenant_id, change.project_id, change.what, change.moment(), change.seq],
        )

    def _expire_rollups(self, change: Expiry) -> None:
        whose = "tenant_id = $tenant" if change.project_id is None else IN_PROJECT
        for rollup, kept in KEPT_TABLES.items():
            period = next(iter(ROLLUP_TABLES[rollup]))
            for table in (rollup, kept):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {whose} AND {period} < $before", _values_of(change)
                )

    def _expire_quarantine(self, change: Expiry) -> None:
        where, values = "tenant_id = ? AND received_at < ?", [change.tenant_id, change.moment()]
        for table in ("quarantine", "quarantine_drops"):
            self._connection.execute(
                "INSERT INTO removed SELECT seq, ?::UBIGINT, NULL, NULL, NULL, false"
                f" FROM {table} WHERE {where}",
                [change.seq, *values],
            )
            self._connection.execute(f"DELETE FROM {table} WHERE {where}", values)

    def _find_leaving(self, events: str, values: dict[str, object]) -> None:
        versions = f"SELECT {KEY_COLUMNS}, coalesce(revised_seq, 0) AS version FROM"
        of_those = f"WHERE tenant_id = $tenant AND seq IN ({events})"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {LEAVING} AS"
            " SELECT upper, lower, seq, arg_min(fingerprint, version) AS fingerprint"
            f" FROM ({versions} usage_events {of_those} UNION ALL {versions} usage_history {of_those})"
            " GROUP BY upper, lower, seq",
            values,
        )

    def _forget_keys(self, query: str) -> None:
        """Take the keys of these rows out of the index, in sorted pieces."""
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE forgotten AS SELECT *, row_number() OVER (ORDER BY upper, lower)"
            f" AS place FROM ({query})"
        )
        total = int(self._connection.execute("SELECT count(*) FROM forgotten").fetchall()[0][0])
        page = "SELECT upper, lower, seq FROM forgotten WHERE place > ? AND place <= ? ORDER BY place"
        for start in range(0, total, BATCH_ROWS):
            rows = fetch_columns(self._connection, page, [start, start + BATCH_ROWS])
            self._index.remove(keys_of(rows), np.asarray(rows["seq"], dtype=np.uint64))
        self._connection.execute("DROP TABLE forgotten")


def _values_of(change: Expiry) -> dict[str, object]:
    """What an expiry's conditions name."""
    values: dict[str, object] = {"tenant": change.tenant_id, "before": change.moment()}
    return values if change.project_id is None else {**values, "project": change.project_id}
