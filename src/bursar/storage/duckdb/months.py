"""What is recorded of months of tenants and projects, for quotas: counted from the rollups, as of a position.

Both are read in one statement, so that they are of one moment: the applier writes rollups and position in one
transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from bursar import clock
from bursar.errors import Unavailable
from bursar.money import parse_picos
from bursar.pricing.rating import CostStatus
from bursar.usage.quotas.quota import MonthUse, month_of
from bursar.usage.whose import Whose

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from decimal import Decimal

    from bursar.usage.quotas.quota import Month

    Row = tuple[int, str | None, str | None, datetime, str, str, int, Decimal]

_PARTS = "date_trunc('month', hour) AS month, currency, cost_status, sum(events) AS events, sum(cost) AS cost"
_IN_TIME = "hour >= make_timestamp(?) AND hour < make_timestamp(?)"
_OF_TENANTS = f"""
  SELECT tenant_id, NULL::VARCHAR AS project_id, {_PARTS} FROM usage_by_hour
  WHERE tenant_id IN (SELECT unnest(?::VARCHAR[])) AND {_IN_TIME} GROUP BY ALL
"""
_OF_PROJECTS = f"""
  SELECT tenant_id, project_id, {_PARTS} FROM usage_by_hour
  JOIN (SELECT unnest(?::VARCHAR[]) AS tenant_id, unnest(?::VARCHAR[]) AS project_id) AS asked
  USING (tenant_id, project_id)
  WHERE {_IN_TIME} GROUP BY ALL
"""


def months_used(
    cursor: duckdb.DuckDBPyConnection, whose: Collection[Whose], months: Collection[Month]
) -> tuple[int, dict[tuple[Whose, Month], MonthUse]]:
    """The journal's position that is counted up to, and what was used in each month by each of these.

    Raises:
        Unavailable: the store doesn't answer.
    """
    question, values = _question(whose, months)
    try:
        rows: list[Row] = cursor.execute(question, values).fetchall()
    except duckdb.Error as error:
        message = "What was recorded of the month can't be counted now."
        raise Unavailable(message) from error
    uses = {(one, month): MonthUse() for one in whose for month in months}
    for _, tenant_id, project_id, moment, currency, status, events, cost in rows:
        if tenant_id is None:
            continue
        month = month_of(clock.to_micros(moment.replace(tzinfo=clock.EPOCH.tzinfo)))
        use = uses.get((Whose(tenant_id, project_id), month))
        if use is None:
            continue
        use.events += int(events)
        if status == CostStatus.UNPRICED:
            use.unpriced_events += int(events)
        else:
            use.picos[currency] = use.picos.get(currency, 0) + parse_picos(cost)
    return (int(rows[0][0]) if rows else 0), uses


def _question(whose: Collection[Whose], months: Collection[Month]) -> tuple[str, list[object]]:
    """One statement for tenants and projects together, and what it takes."""
    bounds: list[object] = [min(one.start for one in months), max(one.end for one in months)]
    tenants = [one.tenant_id for one in whose if one.project_id is None]
    projects = [(one.tenant_id, one.project_id) for one in whose if one.project_id is not None]
    parts, values = list[str](), list[object]()
    if tenants:
        parts.append(_OF_TENANTS)
        values += [tenants, *bounds]
    if projects:
        parts.append(_OF_PROJECTS)
        values += [[one for one, _ in projects], [one for _, one in projects], *bounds]
    used = " UNION ALL ".join(parts)
    return f"SELECT applied.seq, used.* FROM applied LEFT JOIN ({used}) AS used ON true", values
