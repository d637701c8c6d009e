"""`GET /api/v1/analytics/trends`: one measure over time, without gaps, and which way it is going."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, cast

from bursar.described import DESCRIBED
from bursar.errors import Invalid, Reason
from bursar.usage.asked import must
from bursar.usage.csv_table import write_csv
from bursar.usage.partial import Partial  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.periods import Grain, next_period, period_starts
from bursar.usage.query import ROWS_LIMIT, UsageQuery
from bursar.usage.query_answer import (
    Amount,
    Unpriced,
    UsageAnswer,
    Value,
    WindowShown,
    WireValue,
    render_amounts,
    render_decimal,
    render_value,
    show_moment,
    show_window,
)
from bursar.usage.query_dimensions import PERIOD
from bursar.usage.query_measures import DistinctUsers, Measure, Money, Sum, find_measure
from bursar.usage.query_reader import Asker, canonical_measure, read_scene
from bursar.usage.trend import Direction, judge_trend
from bursar.usage.views.currencies import choose_currency
from bursar.usage.views.shown import Shown
from bursar.window import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bursar.usage.asked import Asked
    from bursar.usage.store import UsageQuestions

DEFAULT_METRIC = "events"


@dataclass(frozen=True, slots=True)
class DataPoint:
    """The figure of one period."""

    __pydantic_config__: ClassVar = DESCRIBED

    period: str
    """When the period begins, with the zone's offset."""
    value: int | str | None
    """Counts as numbers, everything else as decimal strings; null where there is no figure."""
    is_complete: bool
    """False for the period that is still running; it takes no part in the trend."""


@dataclass(frozen=True, slots=True)
class Trends:
    """One measure over time."""

    __pydantic_config__: ClassVar = DESCRIBED

    metric: str
    period: str
    data_points: list[DataPoint]
    trend_direction: Direction
    """The mean of the later half of complete periods against the earlier half; within 5 % is stable."""
    percentage_change: str | None
    """To 2 places; null where the earlier half is 0 and the later isn't."""
    currency: str | None
    """The currency of the values, where they are money."""
    totals: list[Amount] | int | str | None
    """The measure over the whole window; money as one amount per currency."""
    window: WindowShown
    unpriced: Unpriced
    partial: Partial | None = None
    """Null where the answer covers the whole window."""


@dataclass(frozen=True, slots=True)
class TrendsView:
    """A measure over the periods of a window."""

    tenant_id: str
    query: UsageQuery
    now: datetime

    def answer(self, store: UsageQuestions) -> Shown:
        """Every period's figure and the trend."""
        trends = _show(store.answer(self.tenant_id, self.query), self.now)
        return Shown(trends, lambda: _as_csv(trends))


def read_trends_view(asked: Asked, asker: Asker) -> TrendsView:
    """The trend that parameters ask for: events by day over the last 30 days unless they say otherwise.

    Raises:
        Invalid: with every reason.
    """
    metric = asked.text("metric") or DEFAULT_METRIC
    if find_measure(metric) is None:
        asked.refuse("metric", "unknown_measure", f"{metric!r:.80} is no measure of usage.")
        metric = DEFAULT_METRIC
    grain, measure = asked.choice("grain", Grain) or Grain.DAY, canonical_measure(metric)
    scene = read_scene(asked, asker)
    query = asked.collect(
        lambda: UsageQuery(
            window=scene.window,
            measures=(measure,),
            filters=(*scene.filters, *asker.sight.for_measures((measure,))),
            grain=grain,
            zone=scene.zone,
            limit=ROWS_LIMIT,
        )
    )
    if scene.window != ALL:
        asked.collect(lambda: period_starts(scene.window, grain, scene.zone))
    asked.finish()
    return TrendsView(asker.tenant_id, must(query), asker.now)


def _show(answer: UsageAnswer, now: datetime) -> Trends:
    query, totals = answer.query, answer.totals
    measure = query.asked_measures[0]
    amounts = totals.amounts.get(measure.name)
    currency = None if amounts is None else choose_currency(amounts)
    points = list(_points(answer, currency, now))
    complete = [value for _, value, is_complete in points if is_complete]
    trend = judge_trend([value for value in complete if isinstance(value, int | Decimal)])
    return Trends(
        metric=measure.name,
        period=str(query.grain),
        data_points=[
            DataPoint(show_moment(at, query.zone), _shown(value), is_complete)
            for at, value, is_complete in points
        ],
        trend_direction=trend.direction,
        percentage_change=render_decimal(trend.percentage_change),
        currency=currency,
        totals=_shown(totals.figures[measure.name]) if amounts is None else render_amounts(amounts),
        window=show_window(query.window, query.zone),
        unpriced=Unpriced(totals.unpriced_events),
        partial=answer.partial,
    )


def _points(
    answer: UsageAnswer, currency: str | None, now: datetime
) -> Iterator[tuple[datetime, Value, bool]]:
    """Beginning, figure and completeness of every period that has begun."""
    query = answer.query
    grain = must(query.grain)
    figures = _figures(answer, currency)
    starts = period_starts(query.window, grain, query.zone)
    ends = (*starts[1:], next_period(starts[-1], grain, query.zone))
    end_of_complete = min(query.window.end, now)
    for start, end in zip(starts, ends, strict=True):
        if start <= now or start in figures:
            figure = figures.get(start, _figure_of_nothing(query.asked_measures[0]))
            yield start, figure, query.window.start <= start and end <= end_of_complete


def _figures(answer: UsageAnswer, currency: str | None) -> dict[datetime, Value]:
    """The figure of each period that has any; of money, that in the chosen currency."""
    if answer.has_more:
        message = "There are too many periods and currencies for one answer; ask for a shorter window."
        raise Invalid(message, reasons=(Reason("window", "too_many_periods", message),))
    figures: dict[datetime, Value] = {}
    name = answer.query.measures[0]
    for row in answer.rows:
        period = cast("datetime", row[PERIOD])
        if currency is None or row["currency"] == currency:
            figures[period] = row[name]
        elif row[name] is None:
            # Events of unknown cost, and none of known cost so far: not nothing.
            figures.setdefault(period, None)
    return figures


def _figure_of_nothing(measure: Measure) -> Value:
    """The figure of a period without events: 0 where things are counted or added up."""
    match measure.figure:
        case Sum(scale=0) | DistinctUsers():
            return 0
        case Sum() | Money():
            return Decimal(0)
        case _:
            return None


def _shown(value: Value) -> int | str | None:
    shown: WireValue = render_value(value)
    return shown if isinstance(shown, int | str) else None


def _as_csv(trends: Trends) -> str:
    rows = ((point.period, point.value, point.is_complete) for point in trends.data_points)
    return write_csv(("period", "value", "is_complete"), rows)
