"""`GET /api/v1/analytics/top`: the users, models, projects or anything else with the most of something."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bursar.described import DESCRIBED
from bursar.usage.asked import must
from bursar.usage.csv_table import Cell, Text, write_csv
from bursar.usage.partial import Partial  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.query import Filter, FilterOp, Order, UsageQuery
from bursar.usage.query_answer import (
    Amount,
    Row,
    Unpriced,
    UsageAnswer,
    WindowShown,
    WireValue,
    render_decimal,
    render_totals,
    render_value,
    show_window,
)
from bursar.usage.query_measures import Money, Sum, find_measure
from bursar.usage.query_reader import Asker, canonical_measure, read_group_by, read_scene
from bursar.usage.shares import share_of
from bursar.usage.views.currencies import choose_currency
from bursar.usage.views.shown import Shown

if TYPE_CHECKING:
    from bursar.usage.asked import Asked
    from bursar.usage.store import UsageQuestions

DEFAULT_DIMENSION = "user_id"
DEFAULT_METRIC = "cost"
DEFAULT_LIMIT = 10


@dataclass(frozen=True, slots=True)
class TopItem:
    """One of the largest."""

    __pydantic_config__: ClassVar = DESCRIBED

    rank: int
    name: WireValue
    """The user, model, … ; null stands for events without one."""
    value: WireValue
    share: str | None
    """Of the total, from 0 to 1; null where the measure doesn't add up to one."""
    events: int


@dataclass(frozen=True, slots=True)
class Top:
    """The largest by one measure."""

    __pydantic_config__: ClassVar = DESCRIBED

    dimension: str
    metric: str
    currency: str | None
    """The currency of the values, where they are money."""
    items: list[TopItem]
    totals: dict[str, WireValue | list[Amount]]
    window: WindowShown
    unpriced: Unpriced
    has_more: bool
    partial: Partial | None = None
    """Null where the answer covers the whole window."""


@dataclass(frozen=True, slots=True)
class TopView:
    """Ranks one dimension by one measure."""

    tenant_id: str
    query: UsageQuery

    def answer(self, store: UsageQuestions) -> Shown:
        """The largest, with their shares of the whole; amounts are ranked within one currency."""
        answer = store.answer(self.tenant_id, self.query)
        currency = None
        if self.query.asks_money:
            amounts = answer.totals.amounts[self.query.measures[0]]
            currency = choose_currency(amounts)
            if {*amounts} - {currency}:
                only = Filter("currency", FilterOp.IN, (currency,))
                ranked = replace(self.query, filters=(*self.query.filters, only))
                answer = replace(store.answer(self.tenant_id, ranked), totals=answer.totals)
        top = _show(answer, currency)
        return Shown(top, lambda: _as_csv(top))


def read_top_view(asked: Asked, asker: Asker) -> TopView:
    """The ranking that parameters ask for: ten users by cost over 30 days unless they say otherwise.

    Raises:
        Invalid: with every reason.
    """
    metric = asked.text("metric") or (DEFAULT_METRIC if asker.sight.sees_costs else "events")
    if find_measure(metric) is None:
        asked.refuse("metric", "unknown_measure", f"{metric!r:.80} is no measure of usage.")
        metric = DEFAULT_METRIC
    measure = canonical_measure(metric)
    grain, dimensions = read_group_by(asked)
    if grain or len(dimensions) > 1:
        asked.refuse("group_by", "out_of_range", "Rank one dimension, such as user_id, model or tag:team.")
    limit, offset = asked.number("limit", DEFAULT_LIMIT), asked.number("offset", 0)
    scene, seen = read_scene(asked, asker), asker.sight
    query = asked.collect(
        lambda: UsageQuery(
            window=scene.window,
            measures=(measure, *(name for name in ("events", "unpriced_events") if name != measure)),
            dimensions=dimensions[:1] or (DEFAULT_DIMENSION,),
            filters=(*scene.filters, *seen.for_measures((measure,)), *seen.for_dimensions(dimensions)),
            zone=scene.zone,
            order=(Order(measure, is_descending=True),),
            limit=limit,
            offset=offset,
        )
    )
    asked.finish()
    return TopView(asker.tenant_id, must(query))


def _show(answer: UsageAnswer, currency: str | None) -> Top:
    query, totals = answer.query, answer.totals
    return Top(
        dimension=query.dimensions[0],
        metric=query.measures[0],
        currency=currency,
        items=[_item(answer, row, rank) for rank, row in enumerate(answer.rows, query.offset + 1)],
        totals=render_totals(query, totals),
        window=show_window(query.window, query.zone),
        unpriced=Unpriced(totals.unpriced_events),
        has_more=answer.has_more,
        partial=answer.partial,
    )


def _item(answer: UsageAnswer, row: Row, rank: int) -> TopItem:
    query, totals = answer.query, answer.totals
    measure = query.asked_measures[0]
    if measure.is_money:
        whole = totals.amounts[measure.name].get(str(row["currency"]))
    else:
        whole = totals.figures[measure.name]
    adds_up = isinstance(measure.figure, Sum | Money)
    events = row["events"]
    return TopItem(
        rank=rank,
        name=render_value(row[query.dimensions[0]]),
        value=render_value(row[measure.name]),
        share=render_decimal(share_of(row[measure.name], whole)) if adds_up else None,
        events=events if isinstance(events, int) else 0,
    )


def _as_csv(top: Top) -> str:
    rows = (
        [item.rank, _name_cell(item.name), item.value, item.share, item.events, top.currency]
        for item in top.items
    )
    return write_csv(("rank", "name", "value", "share", "events", "currency"), rows)


def _name_cell(name: WireValue) -> Cell:
    return Text(name) if isinstance(name, str) else name
