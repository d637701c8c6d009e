"""SQL expressions for the words of a query: dimensions, filters, periods of a zone, summed parts.

Column names come from the closed lists of `usage/query_dimensions.py` and `usage/query_measures.py`;
everything a caller wrote is bound. Raw rows and rollups call the same things by the same names, so
one expression serves both but for the time column and the parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.binding import naive
from bursar.storage.duckdb.schema import output_tokens
from bursar.units import TOKEN_TOTALS
from bursar.usage.periods import Grain, offset_spans
from bursar.usage.query import Filter, FilterOp, FilterValue
from bursar.usage.query_dimensions import ALLOCATED, UNALLOCATED, Dimension, find_dimension
from bursar.usage.query_measures import UNIT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import tzinfo

    from bursar.storage.duckdb.binding import Bound
    from bursar.window import Window

_UNPRICED = "cost_status = 'unpriced'"
_PRICED = "cost_status <> 'unpriced'"
_TOKENS = TOKEN_TOTALS["total_tokens"]


def column_of(dimension: Dimension, bound: Bound) -> str:
    """The value of a dimension in a row; NULL where the event doesn't have it."""
    if dimension.tag_key is not None:
        return f"tags[{bound.add(dimension.tag_key)}]"
    return f'"{dimension.name}"'


def conditions_of(filters: Sequence[Filter], bound: Bound) -> list[str]:
    """What a row must fulfil, one condition per filter."""
    return [_condition(one, bound) for one in filters]


def in_projects(bound: Bound, projects: Collection[str]) -> str:
    """That a row is of one of the projects; of none if there are none."""
    return f"project_id IN (SELECT unnest({bound.add(sorted(projects))}::VARCHAR[]))"


def period_label(column: str, grain: Grain, zone: tzinfo, window: Window, bound: Bound) -> str:
    """The period of the zone in which the time in `column` lies, as `period_from_label` reads it.

    The zone's offset is constant but for its changes within the window, so this needs no zone data
    in the store: one CASE branch per offset.
    """
    spans = offset_spans(window, zone)
    labels = [_label(column, grain, bound.add(span.offset)) for span in spans]
    if grain is Grain.HOUR:
        # A change in the middle of a clock hour begins a new period.
        starts = [bound.add(naive(span.start)) for span in spans[1:]]
        labels[1:] = [f"greatest({label}, {start})" for label, start in zip(labels[1:], starts, strict=True)]
    branches = [
        f"WHEN {column} < {bound.add(naive(following.start))} THEN {label}"
        for label, following in zip(labels[:-1], spans[1:], strict=True)
    ]
    return f"CASE {' '.join(branches)} ELSE {labels[-1]} END" if branches else labels[-1]


def raw_part(part: str, bound: Bound) -> str:
    """The sum of a part over raw rows."""
    if part.startswith(UNIT_PREFIX):
        return f"sum(custom_units[{bound.add(part.removeprefix(UNIT_PREFIX))}])"
    special = {
        "events": "count(*)",
        "errors": "count(*) FILTER (status = 'error')",
        "unpriced": f"count(*) FILTER ({_UNPRICED})",
        "timed_events": "count(latency_ms)",
        "timed_output_tokens": f"sum({output_tokens()}) FILTER (latency_ms IS NOT NULL)",
        "priced_tokens": f"sum({_all_tokens()}) FILTER ({_PRICED})",
    }
    return special.get(part, f'sum("{part}")')


def rollup_part(part: str) -> str:
    """The sum of a part over rollup rows."""
    special = {
        "unpriced": f"sum(events) FILTER ({_UNPRICED})",
        "priced_tokens": f"sum({_all_tokens()}) FILTER ({_PRICED})",
    }
    return special.get(part, f'sum("{part}")')


def _all_tokens() -> str:
    return " + ".join(f"coalesce({unit}, 0)" for unit in _TOKENS)


def _label(column: str, grain: Grain, offset: str) -> str:
    label = f"date_trunc('{grain}', {column} + {offset})"
    return f"{label} - {offset}" if grain is Grain.HOUR else label


def _condition(one: Filter, bound: Bound) -> str:
    dimension = find_dimension(one.dimension)
    column = column_of(dimension, bound) if dimension else "NULL"
    said = _said(one)
    values = [value for value in said if value is not None]
    has_absent = len(values) < len(said)
    match one.op:
        case FilterOp.PREFIX:
            return _any_of([f"starts_with({column}, {bound.add(value)})" for value in values])
        case FilterOp.IN:
            choices = [f"{column} IS NULL"] if has_absent else []
            return _any_of([*choices, *_equals(column, values, bound)])
        case FilterOp.NOT:
            if not values:
                return f"{column} IS NOT NULL"
            differs = f"{column} NOT IN ({_list(values, bound)})"
            return differs if has_absent else f"({column} IS NULL OR {differs})"


def _said(one: Filter) -> Sequence[FilterValue]:
    """The filter's values; who bears an event is never absent, but says that nobody does."""
    if one.dimension not in ALLOCATED:
        return one.values
    return tuple(UNALLOCATED if value is None else value for value in one.values)


def _equals(column: str, values: Sequence[FilterValue], bound: Bound) -> list[str]:
    if len(values) == 1:
        return [f"{column} = {bound.add(values[0])}"]
    return [f"{column} IN ({_list(values, bound)})"] if values else []


def _list(values: Sequence[FilterValue], bound: Bound) -> str:
    return ", ".join(bound.add(value) for value in values)


def _any_of(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"({' OR '.join(choices)})"
