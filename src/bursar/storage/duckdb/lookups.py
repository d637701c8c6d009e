"""Small direct look-ups by position: the row that a repeated delivery or an explanation needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.money import format_decimal
from bursar.usage.intake import CostAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import duckdb


def stored_costs(
    cursor: duckdb.DuckDBPyConnection, tenants: Collection[str], seqs: Sequence[int]
) -> dict[int, CostAnswer]:
    """The stored cost of each of these tenants' events at these positions; a voided one has none."""
    if not seqs:
        return {}
    # The bounds let DuckDB skip every row group that can't hold them.
    rows = cursor.execute(
        "SELECT seq, cost_status, currency, cost, cost_reason FROM usage_events"
        " WHERE tenant_id IN (SELECT unnest(?)) AND seq BETWEEN ? AND ?"
        " AND seq IN (SELECT unnest(?::UBIGINT[]))",
        [list(tenants), min(seqs), max(seqs), list(seqs)],
    ).fetchall()
    return {
        int(seq): CostAnswer(status, currency, None if cost is None else format_decimal(cost), reason)
        for seq, status, currency, cost, reason in rows
    }
