"""How old a tenant's data is: what an expiry asks before it is journaled; implements `AgedData`.

Small direct questions on a cursor of their own; the expiry itself is in `expire.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bursar.storage.duckdb.kept import KEPT_TABLES
from bursar.storage.duckdb.rollup import ROLLUPS
from bursar.usage.retention.policy import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

_OLDEST_EVENT = (
    "SELECT min(time) FROM (SELECT time FROM usage_events WHERE tenant_id = $tenant"
    " UNION ALL SELECT time FROM usage_history WHERE tenant_id = $tenant AND ended_kind = 'void')"
)
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

    def horizons(self) -> dict[str, datetime]:
        """The moment up to which each tenant's events have expired; absent where none have."""
        cursor = self._connect()
        try:
            rows = cursor.execute(
                "SELECT tenant_id, max(before) FROM horizons WHERE what IN ('events', 'rollups')"
                " GROUP BY tenant_id"
            ).fetchall()
        finally:
            cursor.close()
        return {str(tenant_id): _aware(before) for tenant_id, before in rows}

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


def _oldest_sum() -> str:
    tables = [
        f"SELECT min({next(iter(ROLLUPS[rollup]))})::TIMESTAMP AS begins FROM {table}"
        " WHERE tenant_id = $tenant"
        for rollup, kept in KEPT_TABLES.items()
        for table in (rollup, kept)
    ]
    return f"SELECT min(begins) FROM ({' UNION ALL '.join(tables)})"


_OLDEST = {
    Kind.EVENTS: _OLDEST_EVENT,
    Kind.ROLLUPS: _oldest_sum(),
    Kind.QUARANTINE: f"SELECT min(received_at) FROM {_QUARANTINED}",
}


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
