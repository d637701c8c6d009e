"""Usage events put straight into a DuckDB store, rollups included, as the applier would leave them.

For tests of questions: they choose exactly which rows there are, without a journal in between.
`Ledger` also takes events out again, so that rollups hold opposite rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb

from bursar.storage.duckdb.rollup import add_to_rollups
from bursar.storage.duckdb.schema import EVENT_COLUMNS, create_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
_SHAPE = "SELECT * FROM usage_events LIMIT 0"


def an_event(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - a column may hold anything
    """A raw row: a priced call of acme's, unless the values say otherwise."""
    return {
        "tenant_id": "acme",
        "time": NOON,
        "door": "events",
        "key_id": "key_1",
        "service_type": "llm_service",
        "status": "ok",
        "currency": "USD",
        "cost_status": "unpriced" if values.get("cost") is None else "priced",
        **values,
    }


@dataclass
class Ledger:
    """A store of one's own, in memory."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    positions: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    _last_seq: int = 0

    def __post_init__(self) -> None:
        self.connection.execute("SET TimeZone = 'UTC'")
        create_tables(self.connection)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A new cursor."""
        return self.connection.cursor()

    def position_of(self, tenant_id: str, event_id: str) -> int | None:
        """What the key index would say."""
        return self.positions.get((tenant_id, event_id))

    def add(self, *events: Mapping[str, Any]) -> Ledger:
        """Store these events and add them to the rollups."""
        rows = [self._row(event) for event in events]
        if rows:
            columns, values = _columns(rows)
            select = f"SELECT {', '.join(columns)} FROM (SELECT unnest(range({len(rows)})) AS i)"
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE fresh AS {_SHAPE}")
            self.connection.execute(f"INSERT INTO fresh {select}", values)
            self.connection.execute("INSERT INTO usage_events SELECT * FROM fresh")
            add_to_rollups(self.connection, "fresh")
        return self

    def take_out(self, event_ids: Iterable[str]) -> None:
        """Void events: their rows go, and opposite rows join the rollups."""
        ids = ", ".join(f"'{event_id}'" for event_id in event_ids)
        add_to_rollups(self.connection, f"usage_events WHERE event_id IN ({ids})", "-")
        self.connection.execute(f"DELETE FROM usage_events WHERE event_id IN ({ids})")

    def clear(self) -> None:
        """Forget everything."""
        for table in ("usage_events", "usage_by_hour", "usage_by_user_day", "latency_by_hour"):
            self.connection.execute(f"DELETE FROM {table}")
        self.positions.clear()
        self._last_seq = 0

    def _row(self, event: Mapping[str, Any]) -> dict[str, Any]:
        self._last_seq += 1
        seq = self._last_seq
        values = {
            "seq": seq,
            "fingerprint": 0,
            "event_id": f"evt-{seq}",
            "received_at": event["time"],
            **event,
        }
        self.positions[str(values["tenant_id"]), str(values["event_id"])] = seq
        return values


def _columns(rows: list[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Each column as an expression over whole lists, for row by row would be a hundred times slower."""
    expressions: list[str] = []
    values: dict[str, Any] = {}
    for name, kind in EVENT_COLUMNS.items():
        given = [row.get(name) for row in rows]
        if all(value is None for value in given):
            expressions.append("NULL")
        elif kind.startswith("MAP"):
            values[f"{name}_keys"] = [None if value is None else list(value) for value in given]
            values[f"{name}_values"] = [None if value is None else list(value.values()) for value in given]
            expressions.append(f"map(${name}_keys[i + 1], ${name}_values[i + 1])")
        else:
            values[name] = [_stored(value) for value in given]
            expressions.append(f"CAST(${name}[i + 1] AS {kind.removesuffix(' NOT NULL')})")
    return expressions, values


def _stored(value: object) -> object:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
