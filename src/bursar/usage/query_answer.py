"""What the store answers: rows of exact values, totals over all of them, and what had no price.

Values are Python's own (`Decimal` for exact fractions, aware times for periods, None for absent);
`render_answer` gives them their form on the wire: decimal strings, RFC 3339, null.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Literal

from bursar.clock import rfc3339
from bursar.described import DESCRIBED
from bursar.money import format_decimal
from bursar.usage.partial import Partial  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.query_dimensions import PERIOD
from bursar.usage.query_measures import DistinctUsers, Measure, Percentile, Ratio, Sum
from bursar.usage.reporting import ConvertedCost  # noqa: TC001 - FastAPI reads the annotations
from bursar.window import Window, zone_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from bursar.usage.query import UsageQuery

Value = str | bool | int | float | Decimal | datetime | None
WireValue = str | bool | int | float | None
Row = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures over every event that the question selects, whatever the limit on rows."""

    events: int
    unpriced_events: int
    figures: Mapping[str, Value]
    """Every measure asked for that is no money."""
    amounts: Mapping[str, Mapping[str, Value]]
    """Every measure that is money: its name, then currency to amount."""


@dataclass(frozen=True, slots=True)
class UsageRows:
    """The rows of an answer alone."""

    rows: tuple[Row, ...]
    has_more: bool
    """Whether the limit cut rows off."""
    partial: Partial | None
    """Where figures had to be read from events that have expired."""


@dataclass(frozen=True, slots=True)
class UsageAnswer:
    """The answer to a `UsageQuery`."""

    query: UsageQuery
    rows: tuple[Row, ...]
    has_more: bool
    """Whether the limit cut rows off."""
    totals: Totals
    plan: tuple[str, ...]
    """Which tables answered for which stretch of time, for people."""
    partial: Partial | None = None
    """Where figures had to be read from events that have expired."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an answer."""

    __pydantic_config__: ClassVar = DESCRIBED

    name: str
    kind: Literal["period", "dimension", "measure"]
    type: Literal["string", "boolean", "integer", "number", "decimal", "time"]
    """`decimal` and `time` travel as strings."""
    meaning: str


@dataclass(frozen=True, slots=True)
class WindowShown:
    """The window that was asked about: from `start` up to, not including, `end`."""

    start: datetime
    end: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class Unpriced:
    """How many of the selected events have no known cost; they are in no amount."""

    events: int


@dataclass(frozen=True, slots=True)
class Amount:
    """Money in one currency; null where the cost of no event is known."""

    currency: str
    amount: str | None


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The answer to a query, as JSON."""

    __pydantic_config__: ClassVar = DESCRIBED

    columns: list[Column]
    rows: list[dict[str, WireValue]]
    totals: dict[str, WireValue | list[Amount]]
    """Every measure over all selected events; money as a list with one amount per currency."""
    window: WindowShown
    unpriced: Unpriced
    limit: int
    offset: int
    has_more: bool
    plan: list[str] | None = None
    """Which tables were read, where `explain` was asked for."""
    converted: ConvertedCost | None = None
    """The total cost in one currency, where one was named or the tenant chose one, and cost was asked for."""
    partial: Partial | None = None
    """Null where the answer covers the whole window."""


def render_answer(answer: UsageAnswer, *, is_explained: bool = False) -> QueryAnswer:
    """The JSON form of an answer."""
    query = answer.query
    return QueryAnswer(
        columns=describe_columns(query),
        rows=[render_row(query, row) for row in answer.rows],
        totals=render_totals(query, answer.totals),
        window=show_window(query.window, query.zone),
        unpriced=Unpriced(answer.totals.unpriced_events),
        limit=query.limit,
        offset=query.offset,
        has_more=answer.has_more,
        plan=list(answer.plan) if is_explained else None,
        partial=answer.partial,
    )


def render_row(query: UsageQuery, row: Row) -> dict[str, WireValue]:
    """A row in JSON; its period as the reporting zone's clocks show it."""
    rendered = {name: render_value(value) for name, value in row.items()}
    period = row.get(PERIOD)
    if isinstance(period, datetime):
        rendered[PERIOD] = show_moment(period, query.zone)
    return rendered


def render_totals(query: UsageQuery, totals: Totals) -> dict[str, WireValue | list[Amount]]:
    """Every measure over all selected events, in the order asked for."""
    rendered: dict[str, WireValue | list[Amount]] = {}
    for name in query.measures:
        if name in totals.amounts:
            rendered[name] = render_amounts(totals.amounts[name])
        else:
            rendered[name] = render_value(totals.figures[name])
    return rendered


def render_amounts(amounts: Mapping[str, Value]) -> list[Amount]:
    """One amount per currency, by currency code."""
    return [Amount(currency, render_decimal(amounts[currency])) for currency in sorted(amounts)]


def render_decimal(value: Value) -> str | None:
    """A number as a plain decimal string."""
    return (
        None
        if value is None
        else format_decimal(Decimal(value))
        if isinstance(value, int | Decimal)
        else str(value)
    )


def render_value(value: Value) -> WireValue:
    """A value's form in JSON: exact fractions and times as strings, the rest as it is."""
    if isinstance(value, Decimal):
        return format_decimal(value)
    return rfc3339(value) if isinstance(value, datetime) else value


def show_moment(moment: datetime, zone: tzinfo) -> str:
    """RFC 3339 with the offset that the zone has then, `Z` where that is none."""
    local = moment.astimezone(zone)
    return local.isoformat() if local.utcoffset() else rfc3339(moment)


def show_window(window: Window, zone: tzinfo) -> WindowShown:
    """A window as answers show it."""
    return WindowShown(window.start, window.end, zone_name(zone))


def describe_columns(query: UsageQuery) -> list[Column]:
    """The columns of a query's rows, in order."""
    columns = [Column(PERIOD, "period", "time", f"where the {query.grain} begins")] if query.grain else []
    columns += [
        Column(dimension.name, "dimension", dimension.kind.value, dimension.meaning)
        for dimension in query.asked_dimensions
    ]
    columns += [
        Column(measure.name, "measure", _type_of(measure), measure.meaning)
        for measure in query.asked_measures
    ]
    return columns


def _type_of(measure: Measure) -> Literal["integer", "decimal"]:
    match measure.figure:
        case Sum(scale=0) | DistinctUsers():
            return "integer"
        case Sum() | Ratio() | Percentile():
            return "decimal"
        case _:
            return "decimal"
