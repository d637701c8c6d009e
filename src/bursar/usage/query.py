"""The one question: measures, by dimensions, of the events that filters and a window select.

Summaries, breakdowns, trends and top lists are all views of a `UsageQuery`; listings are an
`EventPage` over the same filters and windows. Both are plain values that are right once they
exist: what can't be asked is refused here with every reason. `query_reader.py` reads them from
requests, `store.py` says who answers them, `storage/` holds the SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason
from bursar.usage.query_dimensions import (
    DIMENSION_ALIASES,
    DIMENSIONS,
    PERIOD,
    Dimension,
    Kind,
    find_dimension,
)
from bursar.usage.query_measures import MEASURE_ALIASES, MEASURES, Measure, find_measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bursar.usage.periods import Grain
    from bursar.window import Window

MEASURES_LIMIT = 64
DIMENSIONS_LIMIT = 8
FILTERS_LIMIT = 32
VALUES_LIMIT = 1000
ROWS_DEFAULT = 1000
ROWS_LIMIT = 10_000
OFFSET_LIMIT = 1_000_000
EVENTS_DEFAULT = 100
EVENTS_LIMIT = 10_000

TEXT_LIMIT = 1024
"""No text of an event that can be filtered by is longer."""

FilterValue = str | bool | int | float | None


class FilterOp(StrEnum):
    """How a filter compares; `None` among the values stands for events without the dimension."""

    IN = "in"
    NOT = "not"
    """None of the values; events without the dimension stay unless `None` is among them."""
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps events whose dimension is (not) one of the values, or begins with one of them."""

    dimension: str
    op: FilterOp
    values: tuple[FilterValue, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a column of the answer."""

    by: str
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class EventCursor:
    """The place of one event in a listing; the next page begins behind it."""

    time: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What to compute, over which events, in which rows and order.

    Raises:
        Invalid: an unknown name, a value that doesn't fit, or a limit exceeded; all reasons at once.
    """

    window: Window
    measures: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    grain: Grain | None = None
    """Adds a column `period`: the hour, day, week or month of `zone`."""
    zone: tzinfo = UTC
    order: tuple[Order, ...] = ()
    """Ties, and everything if empty, are ordered as `sort_order` says."""
    limit: int = ROWS_DEFAULT
    offset: int = 0

    def __post_init__(self) -> None:
        reasons = [*_measure_faults(self), *_dimension_faults(self), *filter_faults(self.filters)]
        reasons += _order_faults(self) if not reasons else []
        reasons += page_faults(self.limit, ROWS_LIMIT, self.offset)
        if reasons:
            raise Invalid(" ".join(reason.message for reason in reasons), reasons=tuple(reasons))

    @property
    def asked_measures(self) -> tuple[Measure, ...]:
        """The measures, looked up."""
        return tuple(measure for name in self.measures if (measure := find_measure(name)))

    @property
    def asked_dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions, looked up; money brings `currency` along, since currencies never mix."""
        names = [*self.dimensions]
        if self.asks_money and "currency" not in names:
            names.append("currency")
        return tuple(dimension for name in names if (dimension := find_dimension(name)))

    @property
    def asks_money(self) -> bool:
        """Whether any measure is an amount in a currency."""
        return any(measure.is_money for measure in self.asked_measures)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that tell rows apart: the period first, then dimensions."""
        names = tuple(dimension.name for dimension in self.asked_dimensions)
        return (PERIOD, *names) if self.grain else names

    @property
    def sort_order(self) -> tuple[Order, ...]:
        """A total order: as asked (else by period, else by the first measure from the top), then by key."""
        asked = self.order or (() if self.grain else (Order(self.measures[0], is_descending=True),))
        named = {order.by for order in asked}
        return (*asked, *(Order(name) for name in self.key_columns if name not in named))


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of single events, newest first by time and position in the journal.

    Raises:
        Invalid: as for `UsageQuery`, and for an offset together with a cursor.
    """

    window: Window
    filters: tuple[Filter, ...] = ()
    cursor: EventCursor | None = None
    limit: int = EVENTS_DEFAULT
    offset: int = 0
    is_counted: bool = False
    """Whether the answer says how many events there are in all."""

    def __post_init__(self) -> None:
        reasons = [*filter_faults(self.filters), *page_faults(self.limit, EVENTS_LIMIT, self.offset)]
        if self.cursor and self.offset:
            message = "Page by cursor or by offset, not by both."
            reasons.append(Reason("offset", "conflicting_parameters", message))
        if reasons:
            raise Invalid(" ".join(reason.message for reason in reasons), reasons=tuple(reasons))


def filter_faults(filters: tuple[Filter, ...]) -> Iterator[Reason]:
    """Every reason why filters can't be used."""
    if len(filters) > FILTERS_LIMIT:
        yield Reason("filters", "too_many", f"At most {FILTERS_LIMIT} filters.")
    for one in filters:
        dimension = find_dimension(one.dimension)
        if dimension is None or dimension.name != one.dimension:
            yield _unknown("filters", one.dimension, "dimension")
        else:
            yield from _value_faults(one, dimension)


def page_faults(limit: int, limit_most: int, offset: int) -> Iterator[Reason]:
    """Every reason why a limit and an offset can't be used."""
    if not 1 <= limit <= limit_most:
        yield Reason("limit", "out_of_range", f"limit is a whole number from 1 to {limit_most}.")
    if not 0 <= offset <= OFFSET_LIMIT:
        yield Reason("offset", "out_of_range", f"offset is a whole number from 0 to {OFFSET_LIMIT}.")


def _value_faults(one: Filter, dimension: Dimension) -> Iterator[Reason]:
    place = f"filters.{one.dimension}"
    if not 1 <= len(one.values) <= VALUES_LIMIT:
        yield Reason(place, "out_of_range", f"A filter has 1 to {VALUES_LIMIT} values.")
    if one.op is FilterOp.PREFIX:
        if dimension.kind is not Kind.TEXT:
            yield Reason(place, "wrong_type", f"{dimension.name} is no text and has no prefix.")
        elif not all(isinstance(value, str) and value for value in one.values):
            yield Reason(
                place, "wrong_type", f"A prefix of {dimension.name} is a text of at least one letter."
            )
        return
    for value in one.values:
        if value is not None and not _fits(value, dimension.kind):
            message = f"{dimension.name} is compared with a {dimension.kind} or null, not with {value!r:.80}."
            yield Reason(place, "wrong_type", message)


def _fits(value: FilterValue, kind: Kind) -> bool:
    if isinstance(value, bool) or kind is Kind.FLAG:
        return isinstance(value, bool) and kind is Kind.FLAG
    if isinstance(value, str):
        return kind is Kind.TEXT and len(value) <= TEXT_LIMIT
    if isinstance(value, int):
        return kind in {Kind.WHOLE, Kind.NUMBER} and abs(value) < 2**63
    return kind is Kind.NUMBER and value is not None and isfinite(value)


def _measure_faults(query: UsageQuery) -> Iterator[Reason]:
    if not 1 <= len(query.measures) <= MEASURES_LIMIT:
        yield Reason("measures", "out_of_range", f"Ask for 1 to {MEASURES_LIMIT} measures.")
    for name in query.measures:
        measure = find_measure(name)
        if measure is None or measure.name != name:
            yield _unknown("measures", name, "measure")
    yield from _repeated("measures", query.measures)


def _dimension_faults(query: UsageQuery) -> Iterator[Reason]:
    if len(query.dimensions) > DIMENSIONS_LIMIT:
        yield Reason("dimensions", "out_of_range", f"At most {DIMENSIONS_LIMIT} dimensions.")
    for name in query.dimensions:
        dimension = find_dimension(name)
        if dimension is None or dimension.name != name:
            yield _unknown("dimensions", name, "dimension")
    yield from _repeated("dimensions", query.dimensions)


def _order_faults(query: UsageQuery) -> Iterator[Reason]:
    columns = {*query.key_columns, *query.measures}
    for order in query.order:
        if order.by not in columns:
            message = f"Order by what is asked for ({', '.join(sorted(columns))}), not by {order.by!r}."
            yield Reason("order", "not_asked", message)
    yield from _repeated("order", tuple(order.by for order in query.order))


def _unknown(field_name: str, name: str, thing: str) -> Reason:
    known = [*MEASURES, *MEASURE_ALIASES] if thing == "measure" else [*DIMENSIONS, *DIMENSION_ALIASES]
    near = get_close_matches(name, known, 1)
    advice = f" Did you mean {near[0]!r}?" if near else ""
    return Reason(field_name, f"unknown_{thing}", f"{name!r} is no {thing} of usage.{advice}")


def _repeated(field_name: str, names: tuple[str, ...]) -> Iterator[Reason]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Reason(field_name, "repeated", f"{name!r} is named more than once.")
