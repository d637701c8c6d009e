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

_QUESTION = """
SELECT applied.seq, used.* FROM applied LEFT JOIN (
  SELECT tenant_id, NULL::VARCHAR AS project_id, date_trunc('month', hour) AS month, currency, cost_status,
    sum(events) AS events, sum(cost) AS cost
  FROM usage_by_hour
  WHERE tenant_id IN (SELECT unnest($tenants::VARCHAR[]))
    AND hour >= make_timestamp($start) AND hour < make_timestamp($end)
  GROUP BY ALL
  UNION ALL
  SELECT tenant_id, project_id, date_trunc('month', hour) AS month, currency, cost_status,
    sum(events) AS events, sum(cost) AS cost
  FROM usage_by_hour
  JOIN (SELECT unnest($owners::VARCHAR[]) AS tenant_id, unnest($projects::VARCHAR[]) AS project_id) AS asked
    USING (tenant_id, project_id)
  WHERE hour >= make_timestamp($start) AND hour < make_timestamp($end)
  GROUP BY ALL
) AS used ON true
"""
"""Of tenants, then of single projects, each with its owner."""


def months_used(
    cursor: duckdb.DuckDBPyConnection, whose: Collection[Whose], months: Collection[Month]
) -> tuple[int, dict[tuple[Whose, Month], MonthUse]]:
    """The journal's position that is counted up to, and what was used in each month by each of these.

    Raises:
        Unavailable: the store doesn't answer.
    """
    projects = [(one.tenant_id, one.project_id) for one in whose if one.project_id is not None]
    values = {
        "tenants": [one.tenant_id for one in whose if one.project_id is None],
        "owners": [tenant_id for tenant_id, _ in projects],
        "projects": [project_id for _, project_id in projects],
        "start": min(one.start for one in months),
        "end": max(one.end for one in months),
    }
    try:
        rows: list[Row] = cursor.execute(_QUESTION, values).fetchall()
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
