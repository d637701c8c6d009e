"""Erasures: a person leaves events that stay in every total.

Rows, their history and quarantined records lose the fields of `usage/erasing.py` and the tags that
the record names. Usage by user and day moves to no user, for raw rows and for kept sums alike. The
positions are noted in `erased` until the journal is rewritten (`rewriting.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.kept import columns_of
from bursar.storage.duckdb.rollup import ROLLUPS, measures_of, rollup_select
from bursar.usage.erasing import PERSON_FIELDS, erased_line
from bursar.usage.figures import figures_of

if TYPE_CHECKING:
    import duckdb

    from bursar.storage.duckdb.change_reader import Erasure

_BY_USER = "usage_by_user_day"
_NULLED = ", ".join(f"NULL AS {name}" for name in PERSON_FIELDS)
_KEPT_TAGS = "map_from_entries(list_filter(map_entries(e.tags), lambda t: NOT list_contains(n.tags, t.key)))"
VERSION = "coalesce(revised_seq, e.seq)"
"""The position of the record that a row's version came with."""
UNREADABLE = "unreadable_record"


def name_kept(connection: duckdb.DuckDBPyConnection, change: Erasure) -> None:
    """Make the temporary table `named_kept` of the kept sums that an erasure names."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE named_kept AS SELECT DISTINCT"
        " unnest(?::UBIGINT[]) AS by_seq, unnest(?::UBIGINT[]) AS place",
        [[one.by_seq for one in change.kept], [one.place for one in change.kept]],
    )


def erased_select(table: str, named: str) -> str:
    """SQL of a table's versions without the person, for those whose records `named` (seq, tags) names.

    `usage` is as it was: `erase_usage` sees to it.
    """
    return (
        f"SELECT e.* REPLACE ({_NULLED}, {_KEPT_TAGS} AS tags)"
        f" FROM {table} e JOIN {named} n ON n.seq = {VERSION} WHERE e.tenant_id = $tenant"
    )


def name_events(connection: duckdb.DuckDBPyConnection, change: Erasure) -> None:
    """Make the temporary table `named` of the events that an erasure names."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE named AS SELECT * FROM"
        " (SELECT unnest(?::UBIGINT[]) AS seq, unnest(?::VARCHAR[][]) AS tags)"
        " QUALIFY row_number() OVER (PARTITION BY seq) = 1",
        [[one.seq for one in change.events], [one.tags for one in change.events]],
    )


def replace_erased(connection: duckdb.DuckDBPyConnection, table: str, tenant_id: str) -> set[int]:
    """Take the person out of a table's versions in `named`; returns the positions of those found."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE without_person AS {erased_select(table, 'named')}",
        {"tenant": tenant_id},
    )
    found = connection.execute("SELECT coalesce(revised_seq, seq) FROM without_person").fetchall()
    if found:
        _erase_usage(connection)
        connection.execute(
            f"DELETE FROM {table}"
            " WHERE tenant_id = ? AND coalesce(revised_seq, seq) IN (SELECT seq FROM named)",
            [tenant_id],
        )
        connection.execute(f"INSERT INTO {table} SELECT * FROM without_person")
    return {int(row[0]) for row in found}


class Eraser:
    """Takes persons out of the store on the applier's connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Share the applier's connection."""
        self._connection = connection

    def erase(self, change: Erasure) -> int:
        """Take a person out; returns how many of the records named weren't there any more."""
        name_events(self._connection, change)
        self._add_by_user(change.tenant_id, "-")
        found = replace_erased(self._connection, "usage_events", change.tenant_id)
        self._connection.execute(
            "INSERT INTO erased_events SELECT seq, coalesce(revised_seq, seq), tenant_id FROM without_person"
        )
        self._add_by_user(change.tenant_id, "")
        found |= replace_erased(self._connection, "usage_history", change.tenant_id)
        found |= self._erase_quarantine(change)
        self._erase_kept(change)
        self._connection.execute("INSERT INTO erased SELECT seq, ?::UBIGINT, tags FROM named", [change.seq])
        total = self._connection.execute("SELECT count(*) FROM named").fetchall()
        return int(total[0][0]) - len(found)

    def _add_by_user(self, tenant_id: str, sign: str) -> None:
        source = (
            "usage_events WHERE tenant_id = $tenant AND coalesce(revised_seq, seq) IN (SELECT seq FROM named)"
        )
        self._connection.execute(
            f"INSERT INTO {_BY_USER} {rollup_select(_BY_USER, source, sign)}", {"tenant": tenant_id}
        )

    def _erase_quarantine(self, change: Erasure) -> set[int]:
        """Records that can't be read go, for nobody can say what is in them; others lose the person."""
        rows = self._connection.execute(
            "SELECT q.seq, q.reason, q.record, n.tags FROM quarantine q JOIN named n USING (seq)"
            " WHERE q.tenant_id = ?",
            [change.tenant_id],
        ).fetchall()
        others = [row for row in rows if row[1] != UNREADABLE and row[2] is not None]
        for table in ("quarantine", "quarantine_drops"):
            where = f"tenant_id = ? AND reason = '{UNREADABLE}' AND seq IN (SELECT seq FROM named)"
            self._connection.execute(
                f"INSERT INTO removed SELECT seq, ?, NULL, NULL, NULL, false FROM {table} WHERE {where}",
                [change.seq, change.tenant_id],
            )
            self._connection.execute(f"DELETE FROM {table} WHERE {where}", [change.tenant_id])
        self._connection.execute(
            "UPDATE quarantine SET record = new.record FROM"
            " (SELECT unnest(?::UBIGINT[]) AS seq, unnest(?::VARCHAR[]) AS record) new"
            " WHERE quarantine.seq = new.seq AND quarantine.tenant_id = ?",
            [
                [row[0] for row in others],
                [erased_line(row[2].encode(), row[3]).decode() for row in others],
                change.tenant_id,
            ],
        )
        return {int(row[0]) for row in rows}

    def _erase_kept(self, change: Erasure) -> None:
        if not change.kept:
            return
        name_kept(self._connection, change)
        self._add_kept(change.tenant_id, "-")
        null_kept_users(self._connection, "kept_by_user_day", change.tenant_id)
        self._add_kept(change.tenant_id, "")

    def _add_kept(self, tenant_id: str, sign: str) -> None:
        measures = ", ".join(f"{sign}{name}" for name in measures_of(_BY_USER))
        self._connection.execute(
            f"INSERT INTO {_BY_USER} ({columns_of(_BY_USER)})"
            f" SELECT {', '.join(ROLLUPS[_BY_USER])}, {measures} FROM kept_by_user_day"
            " SEMI JOIN named_kept USING (by_seq, place) WHERE tenant_id = ?",
            [tenant_id],
        )


def null_kept_users(connection: duckdb.DuckDBPyConnection, table: str, tenant_id: str) -> None:
    """Make the kept sums in `named_kept` sums of no user."""
    connection.execute(
        f"UPDATE {table} SET user_id = NULL"
        " WHERE tenant_id = ? AND (by_seq, place) IN (SELECT by_seq, place FROM named_kept)",
        [tenant_id],
    )


def _erase_usage(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave figures alone in the providers' own usage objects."""
    rows = connection.execute(
        "SELECT DISTINCT usage::VARCHAR FROM without_person WHERE usage IS NOT NULL"
    ).fetchall()
    if not rows:
        return
    old = [str(row[0]) for row in rows]
    connection.execute(
        "UPDATE without_person SET usage = new.after FROM"
        " (SELECT unnest(?::VARCHAR[]) AS before, unnest(?::VARCHAR[]) AS after) new"
        " WHERE without_person.usage::VARCHAR = new.before",
        [old, [figures_of(text.encode()).decode() for text in old]],
    )
