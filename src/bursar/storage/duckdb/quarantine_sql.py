"""Reads of the quarantine: pages of what was kept aside, the latest first, always of one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.storage.duckdb.binding import Bound, aware, naive
from bursar.usage.quarantined import Quarantined, QuarantineList

if TYPE_CHECKING:
    import duckdb

    from bursar.usage.quarantined import QuarantinePage


def list_quarantined(
    cursor: duckdb.DuckDBPyConnection, tenant_id: str, page: QuarantinePage
) -> QuarantineList:
    """One page of a tenant's quarantined records; an empty tenant means those that name none."""
    bound = Bound()
    conditions = _conditions(tenant_id, page, bound)
    where = " AND ".join(conditions)
    counted = cursor.execute(f"SELECT count(*) FROM quarantine WHERE {where}", dict(bound.values)).fetchall()
    if page.before_seq is not None:
        where += f" AND seq < {bound.add(page.before_seq)}"
    rows = cursor.execute(
        "SELECT seq, event_id, received_at, reason, detail, record FROM quarantine"
        f" WHERE {where} ORDER BY seq DESC LIMIT {bound.add(page.limit + 1)}",
        bound.values,
    ).fetchall()
    items = tuple(_read(row) for row in rows[: page.limit])
    return QuarantineList(items, int(counted[0][0]), has_more=len(rows) > page.limit)


def _conditions(tenant_id: str, page: QuarantinePage, bound: Bound) -> list[str]:
    conditions = [f"coalesce(tenant_id, '') = {bound.add(tenant_id)}"]
    if page.window is not None:
        start, end = bound.add(naive(page.window.start)), bound.add(naive(page.window.end))
        conditions.append(f"received_at >= {start} AND received_at < {end}")
    if page.reason is not None:
        conditions.append(f"reason = {bound.add(page.reason)}")
    if page.event_id is not None:
        conditions.append(f"event_id = {bound.add(page.event_id)}")
    if page.seqs is not None:
        conditions.append(f"seq IN (SELECT unnest({bound.add(list(page.seqs))}::UBIGINT[]))")
    return conditions


def _read(row: tuple[Any, ...]) -> Quarantined:
    seq, event_id, received_at, reason, detail, record = row
    return Quarantined(int(seq), event_id, aware(received_at), reason, detail, (record or "").encode())
