"""What is recorded of a tenant's months, for quotas: counted from the rollups, with the position it is as of.

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

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime
    from decimal import Decimal

    from bursar.usage.quotas.quota import Month

    Row = tuple[int, str | None, datetime, str, str, int, Decimal]

_QUESTION = """
SELECT applied.seq, used.* FROM applied LEFT JOIN (
  SELECT tenant_id, date_trunc('month', hour) AS month, currency, cost_status,
    sum(events) AS events, sum(cost) AS cost
  FROM usage_by_hour
  WHERE tenant_id IN (SELECT unnest(?)) AND hour >= make_timestamp(?) AND hour < make_timestamp(?)
  GROUP BY ALL
) AS used ON true
"""


def months_used(
    cursor: duckdb.DuckDBPyConnection, tenants: Collection[str], months: Sequence[Month]
) -> tuple[int, dict[tuple[str, Month], MonthUse]]:
    """The journal's position that is counted up to, and what was used in each of the months by each tenant.

    Raises:
        Unavailable: the store doesn't answer.
    """
    bounds = [min(one.start for one in months), max(one.end for one in months)]
    try:
        rows: list[Row] = cursor.execute(_QUESTION, [list(tenants), *bounds]).fetchall()
    except duckdb.Error as error:
        message = "What was recorded of the month can't be counted now."
        raise Unavailable(message) from error
    uses = {(tenant_id, month): MonthUse() for tenant_id in tenants for month in months}
    for _, tenant_id, moment, currency, status, events, cost in rows:
        if tenant_id is None:
            continue
        use = uses.get((tenant_id, month_of(clock.to_micros(moment.replace(tzinfo=clock.EPOCH.tzinfo)))))
        if use is None:
            continue
        use.events += int(events)
        if status == CostStatus.UNPRICED:
            use.unpriced_events += int(events)
        else:
            use.picos[currency] = use.picos.get(currency, 0) + parse_picos(cost)
    return (int(rows[0][0]) if rows else 0), uses
