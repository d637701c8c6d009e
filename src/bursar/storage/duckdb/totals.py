"""Totals over everything that a question selects, whatever its limit on rows.

Where all rows are there and every figure is made of sums, the totals are the sums of the rows: no
statement more. Otherwise they are asked for: one question by currency, for amounts of different
currencies are never added, and one without money where figures don't add up (percentiles, users).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from bursar.storage.duckdb.question_sql import parts_of
from bursar.usage.query import ROWS_LIMIT
from bursar.usage.query_answer import Totals
from bursar.usage.query_measures import EXACT, DistinctUsers, Number, Percentile, find_measure, read_figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bursar.usage.query import UsageQuery

_ALWAYS = ("events", "unpriced_events")
_WITHOUT_ROWS: dict[str, Any] = {
    "dimensions": (),
    "grain": None,
    "order": (),
    "limit": ROWS_LIMIT,
    "offset": 0,
}


def adds_up(query: UsageQuery) -> bool:
    """Whether the totals of a query are sums over its rows."""
    figures = (measure.figure for measure in query.asked_measures)
    return not any(isinstance(figure, Percentile | DistinctUsers) for figure in figures)


def totals_queries(query: UsageQuery) -> tuple[UsageQuery, ...]:
    """What must be asked for the totals of a query: everything by currency, unless that doesn't add up."""
    if adds_up(query):
        return (replace(query, **_WITHOUT_ROWS),)
    money = tuple(measure.name for measure in query.asked_measures if measure.is_money)
    plain = tuple(name for name in query.measures if name not in money)
    asked = (plain, money) if money else (plain,)
    return tuple(replace(query, measures=measures, **_WITHOUT_ROWS) for measures in asked)


def sum_up(query: UsageQuery, rows: Sequence[tuple[Any, ...]]) -> Totals:
    """The totals that rows of `write_question`'s statement come to: all rows of a query that `adds_up`."""
    whole = _sums(query, rows)
    amounts: dict[str, dict[str, Number | None]] = {}
    money = [measure for measure in query.asked_measures if measure.is_money]
    if money:
        place = query.key_columns.index("currency")
        currencies = dict.fromkeys(row[place] for row in rows)
        by_currency = {name: _sums(query, (row for row in rows if row[place] == name)) for name in currencies}
        for measure in money:
            amounts[measure.name] = {name: read_figure(measure, by_currency[name]) for name in currencies}
    shown = dict.fromkeys((*_ALWAYS, *query.measures))
    plain = [measure for name in shown if (measure := find_measure(name)) and not measure.is_money]
    figures = {measure.name: read_figure(measure, whole) for measure in plain}
    return Totals(int(whole["events"]), int(whole["unpriced"]), figures, amounts)


def _sums(query: UsageQuery, rows: Iterable[tuple[Any, ...]]) -> dict[str, Number]:
    first, parts = len(query.key_columns), parts_of(query)
    columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True))[first:]
    with localcontext(EXACT):
        sums = [sum(column, Decimal(0) if isinstance(column[0], Decimal) else 0) for column in columns]
    return dict(zip(parts, sums, strict=False)) if sums else dict.fromkeys(parts, 0)
