"""`GET /api/v1/cost/breakdown`: cost by any dimensions, the largest first, each with its share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bursar.described import DESCRIBED
from bursar.usage.asked import must
from bursar.usage.csv_table import rows_as_csv
from bursar.usage.partial import Partial  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.query import ROWS_DEFAULT, Order, UsageQuery
from bursar.usage.query_answer import (
    Amount,
    Column,
    Row,
    Unpriced,
    UsageAnswer,
    WindowShown,
    WireValue,
    describe_columns,
    render_decimal,
    render_row,
    render_totals,
    show_window,
)
from bursar.usage.query_reader import Asker, read_group_by, read_scene
from bursar.usage.reporting import ConvertedCost  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.shares import share_of
from bursar.usage.views.converted import ConversionAsk, read_conversion
from bursar.usage.views.shown import Shown

if TYPE_CHECKING:
    from bursar.usage.asked import Asked
    from bursar.usage.store import UsageQuestions

DEFAULT_GROUP = ("provider", "model")
_MEASURES = ("cost", "events", "unpriced_events", "input_tokens", "output_tokens", "total_tokens")
_SHARE = Column("share", "measure", "decimal", "of the total cost in the row's currency, from 0 to 1")


@dataclass(frozen=True, slots=True)
class CostBreakdown:
    """Cost by dimensions; a row per currency where there are several."""

    __pydantic_config__: ClassVar = DESCRIBED

    group_by: list[str]
    columns: list[Column]
    rows: list[dict[str, WireValue]]
    totals: dict[str, WireValue | list[Amount]]
    window: WindowShown
    unpriced: Unpriced
    limit: int
    offset: int
    has_more: bool
    converted: ConvertedCost | None = None
    """The total of all currencies in one, where one was named or the tenant chose one."""
    partial: Partial | None = None
    """Null where the answer covers the whole window."""


@dataclass(frozen=True, slots=True)
class CostBreakdownView:
    """A breakdown of the costs that filters and a window select."""

    tenant_id: str
    query: UsageQuery
    conversion: ConversionAsk | None = None

    def answer(self, store: UsageQuestions) -> Shown:
        """The rows with their shares, and the totals they are shares of."""
        answer = store.answer(self.tenant_id, self.query)
        breakdown = _show(answer)
        if self.conversion is not None:
            amounts, query = answer.totals.amounts["cost"], self.query
            converted = self.conversion.convert(store, query.window, query.filters, amounts)
            breakdown = replace(breakdown, converted=converted)
        return Shown(breakdown, lambda: rows_as_csv(breakdown.columns, breakdown.rows))


def read_cost_breakdown_view(asked: Asked, asker: Asker) -> CostBreakdownView:
    """The breakdown that parameters ask for; by provider and model unless `group_by` says otherwise.

    Raises:
        Invalid: with every reason.
    """
    grain, dimensions = read_group_by(asked)
    limit, offset = asked.number("limit", ROWS_DEFAULT), asked.number("offset", 0)
    conversion = read_conversion(asked, asker)
    scene = read_scene(asked, asker)
    query = asked.collect(
        lambda: UsageQuery(
            window=scene.window,
            measures=_MEASURES,
            dimensions=dimensions if dimensions or grain else DEFAULT_GROUP,
            filters=(*scene.filters, *asker.sight.for_dimensions(dimensions)),
            grain=grain,
            zone=scene.zone,
            order=() if grain else (Order("cost", is_descending=True),),
            limit=limit,
            offset=offset,
        )
    )
    asked.finish()
    return CostBreakdownView(asker.tenant_id, must(query), conversion)


def _show(answer: UsageAnswer) -> CostBreakdown:
    query, totals = answer.query, answer.totals
    return CostBreakdown(
        group_by=[*([str(query.grain)] if query.grain else []), *query.dimensions],
        columns=[*describe_columns(query), _SHARE],
        rows=[_show_row(answer, row) for row in answer.rows],
        totals=render_totals(query, totals),
        window=show_window(query.window, query.zone),
        unpriced=Unpriced(totals.unpriced_events),
        limit=query.limit,
        offset=query.offset,
        has_more=answer.has_more,
        partial=answer.partial,
    )


def _show_row(answer: UsageAnswer, row: Row) -> dict[str, WireValue]:
    total = answer.totals.amounts["cost"].get(str(row["currency"]))
    share = share_of(row["cost"], total)
    return {**render_row(answer.query, row), "share": render_decimal(share)}
