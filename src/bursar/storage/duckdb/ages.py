"""How old a tenant's data is: what an expiry asks before it is journaled; implements `AgedData`.

Small direct questions on a cursor of their own; the expiry itself is in `expire.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bursar.storage.duckdb.expire import IN_PROJECT
from bursar.storage.duckdb.kept import KEPT_TABLES
from bursar.storage.duckdb.rollup import ROLLUPS
from bursar.usage.retention.policy import Kind
from bursar.usage.whose import Whose

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_OF_TENANT = "tenant_id = $tenant"
_QUARANTINED = (
    "(SELECT received_at FROM quarantine WHERE tenant_id = $tenant"
    " UNION ALL SELECT received_at FROM quarantine_drops WHERE tenant_id = $tenant)"
)


class DuckDBAges:
    """Answers from whichever cursor `connect` gives."""

    def __init__(self, connect: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        """`connect` makes a cursor on the store as it is then."""
        self._connect = connect

    def oldest(self, tenant_id: str, kind: Kind) -> datetime | None:
        """See `AgedData.oldest`."""
        moment = self._one(_OLDEST[kind], {"tenant": tenant_id})
        return None if moment is None else _aware(moment)

    def oldest_in(self, project: tuple[str, str], kind: Kind, since: datetime) -> datetime | None:
        """See `AgedData.oldest_in`."""
        tenant_id, project_id = project
        values = {"tenant": tenant_id, "project": project_id, "since": since.replace(tzinfo=None)}
        moment = self._one(_OLDEST_IN_PROJECT[kind], values)
        return None if moment is None else _aware(moment)

    def oldest_sum(self, tenant_id: str) -> datetime | None:
        """See `MonthAges.oldest_sum`."""
        return self.oldest(tenant_id, Kind.ROLLUPS)

    def rollups_from(self, tenant_id: str) -> datetime | None:
        """See `MonthAges.rollups_from`."""
        question = "SELECT max(before) FROM horizons WHERE what = 'rollups' AND tenant_id = $tenant"
        moment = self._one(question, {"tenant": tenant_id})
        return None if moment is None else _aware(moment)

    def quarantined_before(self, tenant_id: str, before: datetime) -> int:
        """See `AgedData.quarantined_before`."""
        values = {"tenant": tenant_id, "before": before.replace(tzinfo=None)}
        return int(self._one(f"SELECT count(*) FROM {_QUARANTINED} WHERE received_at < $before", values))

    def project_rollups_from(self, tenant_id: str) -> dict[str, datetime]:
        """See `MonthAges.project_rollups_from`."""
        question = (
            "SELECT project_id, max(before) FROM project_horizons WHERE what = 'rollups' AND tenant_id = ?"
            " GROUP BY project_id"
        )
        return {str(project_id): _aware(before) for project_id, before in self._all(question, [tenant_id])}

    def horizons(self) -> dict[Whose, datetime]:
        """The moment up to which each tenant's and project's events have expired; absent where none have."""
        rows = self._all(
            "SELECT tenant_id, NULL, max(before) FROM horizons WHERE what IN ('events', 'rollups')"
            " GROUP BY tenant_id UNION ALL"
            " SELECT tenant_id, project_id, max(before) FROM project_horizons GROUP BY tenant_id, project_id"
        )
        return {Whose(str(tenant_id), project_id): _aware(before) for tenant_id, project_id, before in rows}

    def _all(self, question: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        cursor = self._connect()
        try:
            return cursor.execute(question, values or []).fetchall()
        finally:
            cursor.close()

    def _one(self, question: str, values: dict[str, Any]) -> Any:  # noqa: ANN401 - a column's own type
        cursor = self._connect()
        try:
            row = cursor.execute(question, values).fetchone()
        finally:
            cursor.close()
        return None if row is None else row[0]


def seqs_to_rewrite(cursor: duckdb.DuckDBPyConnection) -> list[int]:
    """The records for which the journal is still to be rewritten, in order."""
    rows = cursor.execute(
        "SELECT by_seq FROM removed WHERE NOT is_tombstone UNION SELECT by_seq FROM erased ORDER BY by_seq"
    ).fetchall()
    return [int(seq) for (seq,) in rows]


def _oldest_event(whose: str, since: str = "") -> str:
    of_whom = f"{whose} AND time >= {since}" if since else whose
    return (
        f"SELECT min(time) FROM (SELECT time FROM usage_events WHERE {of_whom}"
        f" UNION ALL SELECT time FROM usage_history WHERE {of_whom} AND ended_kind = 'void')"
    )


def _oldest_sum(whose: str, since: str = "") -> str:
    tables = [
        f"SELECT min({period})::TIMESTAMP AS begins FROM {table} WHERE {whose}"
        + (f" AND {period} >= {since}" if since else "")
        for rollup, kept in KEPT_TABLES.items()
        for period in (next(iter(ROLLUPS[rollup])),)
        for table in (rollup, kept)
    ]
    return f"SELECT min(begins) FROM ({' UNION ALL '.join(tables)})"


_OLDEST = {
    Kind.EVENTS: _oldest_event(_OF_TENANT),
    Kind.ROLLUPS: _oldest_sum(_OF_TENANT),
    Kind.QUARANTINE: f"SELECT min(received_at) FROM {_QUARANTINED}",
}
_OLDEST_IN_PROJECT = {
    Kind.EVENTS: _oldest_event(IN_PROJECT, "$since"),
    Kind.ROLLUPS: _oldest_sum(IN_PROJECT, "$since"),
}


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
