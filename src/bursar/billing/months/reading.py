"""Reads what months come to now, from the usage store: bills by month, and money by day.

Both are plain usage questions over the rollups, page after page where a tenant has very many lines.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from bursar.billing.months.bill import Bill, LineKey, Sums
from bursar.billing.months.month import Month
from bursar.money import parse_picos
from bursar.usage.periods import Grain
from bursar.usage.query import ROWS_LIMIT, UsageQuery
from bursar.usage.query_dimensions import PERIOD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from bursar.usage.query_answer import Row
    from bursar.usage.store import UsageQuestions
    from bursar.window import Window

_LINES = ("service_type", "provider", "model", "project_id", "cost_status")
"""Money brings `currency` along by itself."""


def read_bills(store: UsageQuestions, tenant_id: str, window: Window) -> dict[Month, Bill]:
    """What each month of a window comes to now; months without usage aren't there."""
    query = UsageQuery(window, ("events", "cost"), _LINES, grain=Grain.MONTH, limit=ROWS_LIMIT)
    bills: dict[Month, Bill] = defaultdict(dict)
    for row in _all_rows(store, tenant_id, query):
        service_type, provider, model, project_id, status = (_text(row[name]) for name in _LINES)
        key = LineKey(service_type, provider, model, project_id, str(row["currency"]), str(status))
        bills[Month.of(_moment(row))][key] = Sums(_whole(row["events"]), _picos(row))
    return dict(bills)


class SpentDays(NamedTuple):
    """What UTC days have cost."""

    known: Mapping[str, Mapping[date, int]]
    """Picos by currency and day; a day whose events are all without a known cost isn't there."""
    unpriced: Mapping[date, int]
    """How many events without a known cost each day has, where it has any."""


def read_days(store: UsageQuestions, tenant_id: str, window: Window) -> SpentDays:
    """What each day of a window has cost."""
    measures = ("events", "cost", "unpriced_events")
    query = UsageQuery(window, measures, grain=Grain.DAY, limit=ROWS_LIMIT)
    known: dict[str, dict[date, int]] = defaultdict(dict)
    unpriced: dict[date, int] = defaultdict(int)
    for row in _all_rows(store, tenant_id, query):
        day, events, unknown = _moment(row).date(), _whole(row["events"]), _whole(row["unpriced_events"])
        if unknown:
            unpriced[day] += unknown
        if unknown < events:
            known[str(row["currency"])][day] = _picos(row)
    return SpentDays(dict(known), dict(unpriced))


def _all_rows(store: UsageQuestions, tenant_id: str, query: UsageQuery) -> Iterator[Row]:
    offset, has_more = 0, True
    while has_more:
        page = UsageQuery(
            query.window,
            query.measures,
            query.dimensions,
            grain=query.grain,
            limit=query.limit,
            offset=offset,
        )
        found = store.rows(tenant_id, page)
        yield from found.rows
        offset, has_more = offset + query.limit, found.has_more


def _moment(row: Row) -> datetime:
    period = row[PERIOD]
    assert isinstance(period, datetime)  # noqa: S101 - a query by grain has one in every row
    return period.astimezone(UTC)


def _picos(row: Row) -> int:
    cost = row["cost"]
    return parse_picos(cost) if isinstance(cost, int | Decimal) else 0


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str | None:
    return None if value is None else str(value)
