"""`GET /api/v1/cost/summary`: what was spent in a window, in all and by whom and what.

A superset of ReskPoints' summary, whose names it keeps. Figures are decimal strings, counts whole
numbers. A cost that nobody knows is null, never 0; beside each cost, each currency's and each name's, stands
how many events are in it with no price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from bursar.described import DESCRIBED
from bursar.usage.csv_table import Cell, text_cell, write_csv
from bursar.usage.partial import Partial, worst_of
from bursar.usage.query import ROWS_LIMIT, Filter, FilterOp, Order, UsageQuery
from bursar.usage.query_answer import (
    Amount,
    Row,
    Totals,
    Unpriced,
    UsageAnswer,
    UsageRows,
    Value,
    WindowShown,
    render_amounts,
    render_decimal,
    show_window,
)
from bursar.usage.query_measures import EXACT
from bursar.usage.query_reader import Asker, Scene, read_scene
from bursar.usage.reporting import ConvertedCost  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.trend import percent
from bursar.usage.views.converted import ConversionAsk, read_conversion
from bursar.usage.views.currencies import choose_currency
from bursar.usage.views.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.usage.asked import Asked
    from bursar.usage.store import UsageQuestions

ENTRIES_LIMIT = 1000
"""The largest of each breakdown; `/cost/breakdown` pages through all of them."""
PARTS = {
    "provider": "provider",
    "model": "model",
    "user": "user_id",
    "project": "project_id",
    "status": "cost_status",
}
"""What cost is broken down by, and the dimension of each."""
CELLS = ("provider", "model", "project_id", "cost_status")
"""Asked for at once: a tenant has few of them, and every breakdown but that by user is a sum of theirs."""
ABSENT_KEY = ""
"""Stands for events without a provider, model, user or project; no name is empty."""
_MEASURES = (
    "cost",
    "events",
    "unpriced_events",
    "errors",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "latency_avg_ms",
)


@dataclass(frozen=True, slots=True)
class CurrencyTotal(Amount):
    """The cost of all events in one currency."""

    __pydantic_config__: ClassVar = DESCRIBED

    unpriced_events: int
    """Events in this currency whose cost isn't known; those that name no currency are in USD."""


@dataclass(frozen=True, slots=True)
class CostSummary:
    """What was spent in a window."""

    __pydantic_config__: ClassVar = DESCRIBED

    period_start: datetime
    period_end: datetime
    window: WindowShown
    currency: str
    """The currency of every cost here but `costs`."""
    total_cost: str | None
    """Null where the cost of no event is known."""
    costs: list[CurrencyTotal]
    """The total of each currency."""
    unpriced: Unpriced
    total_transactions: int
    cost_by_provider: dict[str, str | None]
    """By name; the empty name stands for events without one. The largest 1000."""
    cost_by_model: dict[str, str | None]
    cost_by_user: dict[str, str | None]
    cost_by_project: dict[str, str | None]
    cost_by_status: dict[str, str | None]
    """By how it is known: `priced`, `estimated`, …; null for `unpriced`."""
    unpriced_by_provider: dict[str, int]
    """How many events of each name have no known cost, in any currency; names without one are left out."""
    unpriced_by_model: dict[str, int]
    unpriced_by_user: dict[str, int]
    unpriced_by_project: dict[str, int]
    truncated: list[str]
    """Breakdowns that have more than 1000 entries; `/cost/breakdown` has them all."""
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int
    avg_duration_ms: str | None
    success_rate: str | None
    """Percentage of events without an error, to 2 places; null where there were no events."""
    converted: ConvertedCost | None = None
    """The total of all currencies in one, where one was named or the tenant chose one."""
    partial: Partial | None = None
    """Null where the answer covers the whole window."""


@dataclass(frozen=True, slots=True)
class _Breakdown:
    costs: dict[str, str | None]
    unpriced: dict[str, int]
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class CostSummaryView:
    """A summary of the costs that filters and a window select."""

    tenant_id: str
    scene: Scene
    conversion: ConversionAsk | None = None

    def answer(self, store: UsageQuestions) -> Shown:
        """The summary; all of it speaks of the same moment."""
        cells = store.answer(self.tenant_id, self._query(_MEASURES, CELLS, ROWS_LIMIT))
        parts = {name: self._part(store, cells, dimension) for name, dimension in PARTS.items()}
        by_currency = self._part(store, cells, "currency")
        currency = choose_currency(cells.totals.amounts["cost"])
        breakdowns = {name: _break_down(part, PARTS[name], currency) for name, part in parts.items()}
        unpriced = {str(row["currency"]): _whole(row["unpriced_events"]) for row in by_currency.rows}
        partial = worst_of([cells.partial, *(part.partial for part in parts.values())])
        summary = _summarise(self.scene, cells.totals, unpriced, breakdowns, partial)
        if self.conversion is not None:
            amounts = cells.totals.amounts["cost"]
            converted = self.conversion.convert(store, self.scene.window, self.scene.filters, amounts)
            summary = replace(summary, converted=converted)
        return Shown(summary, lambda: _as_csv(summary))

    def _part(self, store: UsageQuestions, cells: UsageAnswer, dimension: str) -> UsageRows:
        """Cost by one dimension, the largest first: summed up from the cells if they say it."""
        if not cells.has_more and dimension in (*CELLS, "currency"):
            return UsageRows(_group(cells.rows, dimension), has_more=False, partial=cells.partial)
        query = self._query(("cost", "unpriced_events"), (dimension,), ENTRIES_LIMIT)
        found, amounts = store.rows(self.tenant_id, query), cells.totals.amounts["cost"]
        if not found.has_more or len(amounts) == 1:
            return found
        return self._largest(store, dimension, choose_currency(amounts))

    def _largest(self, store: UsageQuestions, dimension: str, currency: str) -> UsageRows:
        """The largest of one currency, each with all of its events of unknown cost in any currency."""
        query = self._query(("cost",), (dimension,), ENTRIES_LIMIT)
        only = Filter("currency", FilterOp.IN, (currency,))
        found = store.rows(self.tenant_id, replace(query, filters=(*query.filters, only)))
        names = tuple(None if row[dimension] is None else str(row[dimension]) for row in found.rows)
        if not names:
            return UsageRows((), has_more=True, partial=found.partial)
        named = (*query.filters, Filter(dimension, FilterOp.IN, names))
        counted = store.rows(
            self.tenant_id, replace(query, measures=("unpriced_events",), filters=named, order=())
        )
        unpriced = {row[dimension]: row["unpriced_events"] for row in counted.rows}
        rows = tuple({**row, "unpriced_events": unpriced.get(row[dimension])} for row in found.rows)
        return UsageRows(rows, has_more=True, partial=worst_of([found.partial, counted.partial]))

    def _query(self, measures: tuple[str, ...], dimensions: tuple[str, ...], limit: int) -> UsageQuery:
        return UsageQuery(
            window=self.scene.window,
            measures=measures,
            dimensions=dimensions,
            filters=self.scene.filters,
            zone=self.scene.zone,
            order=(Order("cost", is_descending=True),),
            limit=limit,
        )


def _group(cells: Sequence[Row], dimension: str) -> tuple[Row, ...]:
    """Cells summed up by one dimension and currency, in the order in which a store answers."""
    groups: dict[tuple[Value, Value], list[Row]] = {}
    for cell in cells:
        groups.setdefault((cell[dimension], cell["currency"]), []).append(cell)
    rows: list[Row] = [
        {
            dimension: name,
            "currency": currency,
            "cost": _sum_costs(group),
            "unpriced_events": sum(_whole(cell["unpriced_events"]) for cell in group),
        }
        for (name, currency), group in groups.items()
    ]
    rows.sort(key=lambda row: str(row["currency"]))
    rows.sort(key=lambda row: (row[dimension] is None, str(row[dimension])))
    rows.sort(key=lambda row: (row["cost"] is not None, row["cost"] or 0), reverse=True)
    return tuple(rows)


def _sum_costs(cells: Sequence[Row]) -> Decimal | None:
    costs = [cell["cost"] for cell in cells if isinstance(cell["cost"], Decimal)]
    with localcontext(EXACT):
        return sum(costs, Decimal(0)) if costs else None


def _break_down(part: UsageRows, dimension: str, currency: str) -> _Breakdown:
    """Cost by the names of a dimension; names that cost only in other currencies are left out.

    Names are cut off, never a part of what one has: events of unknown cost are counted in any currency.
    """
    costs: dict[str, str | None] = {}
    unpriced: dict[str, int] = {}
    for row in part.rows:
        key = ABSENT_KEY if row[dimension] is None else str(row[dimension])
        if row["currency"] == currency:
            costs[key] = render_decimal(row["cost"])
        elif row["cost"] is None:
            costs.setdefault(key, None)
        if count := _whole(row["unpriced_events"]):
            unpriced[key] = unpriced.get(key, 0) + count
    names = [*costs, *(name for name in unpriced if name not in costs)]
    shown = names[:ENTRIES_LIMIT]
    return _Breakdown(
        {name: costs[name] for name in shown if name in costs},
        {name: unpriced[name] for name in shown if name in unpriced},
        is_truncated=part.has_more or len(names) > ENTRIES_LIMIT,
    )


def read_cost_summary_view(asked: Asked, asker: Asker) -> CostSummaryView:
    """The summary that parameters ask for; the last 30 days unless a window is named.

    Raises:
        Invalid: with every reason.
    """
    conversion = read_conversion(asked, asker)
    scene = read_scene(asked, asker)
    asked.collect(lambda: UsageQuery(scene.window, _MEASURES, filters=scene.filters))
    asked.finish()
    return CostSummaryView(asker.tenant_id, scene, conversion)


def _summarise(
    scene: Scene,
    totals: Totals,
    unpriced: dict[str, int],
    breakdowns: dict[str, _Breakdown],
    partial: Partial | None,
) -> CostSummary:
    figures, amounts = totals.figures, totals.amounts["cost"]
    currency = choose_currency(amounts)
    return CostSummary(
        period_start=scene.window.start,
        period_end=scene.window.end,
        window=show_window(scene.window, scene.zone),
        currency=currency,
        total_cost=_total_cost(totals, currency),
        costs=[
            CurrencyTotal(one.currency, one.amount, unpriced.get(one.currency, 0))
            for one in render_amounts(amounts)
        ],
        unpriced=Unpriced(totals.unpriced_events),
        total_transactions=totals.events,
        cost_by_provider=breakdowns["provider"].costs,
        cost_by_model=breakdowns["model"].costs,
        cost_by_user=breakdowns["user"].costs,
        cost_by_project=breakdowns["project"].costs,
        cost_by_status=breakdowns["status"].costs,
        unpriced_by_provider=breakdowns["provider"].unpriced,
        unpriced_by_model=breakdowns["model"].unpriced,
        unpriced_by_user=breakdowns["user"].unpriced,
        unpriced_by_project=breakdowns["project"].unpriced,
        truncated=[name for name, breakdown in breakdowns.items() if breakdown.is_truncated],
        total_input_tokens=_whole(figures["input_tokens"]),
        total_output_tokens=_whole(figures["output_tokens"]),
        total_tokens=_whole(figures["total_tokens"]),
        avg_duration_ms=render_decimal(figures["latency_avg_ms"]),
        success_rate=_success_rate(totals.events, _whole(figures["errors"])),
        partial=partial,
    )


def _total_cost(totals: Totals, currency: str) -> str | None:
    """Nothing happened costs nothing; something of unknown cost costs null."""
    if not totals.events:
        return "0"
    return render_decimal(totals.amounts["cost"].get(currency))


def _success_rate(events: int, errors: int) -> str | None:
    return render_decimal(percent(Fraction(100 * (events - errors), events))) if events else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _as_csv(summary: CostSummary) -> str:
    others = [total for total in summary.costs if total.currency != summary.currency]
    unpriced_here = summary.unpriced.events - sum(total.unpriced_events for total in others)
    rows: list[list[Cell]] = [
        ["total", None, summary.total_cost, summary.currency, unpriced_here],
        *(["total", None, one.amount, one.currency, one.unpriced_events] for one in others),
    ]
    if summary.converted is not None:
        converted = summary.converted
        rows.append(["converted", None, converted.amount, converted.currency, summary.unpriced.events])
    for name in PARTS:
        costs: dict[str, str | None] = getattr(summary, f"cost_by_{name}")
        unpriced: dict[str, int] = getattr(summary, f"unpriced_by_{name}", {})
        rows += [
            [name, text_cell(key), cost, summary.currency, unpriced.get(key, 0)]
            for key, cost in costs.items()
        ]
    return write_csv(("breakdown", "name", "cost", "currency", "unpriced_events"), rows)
