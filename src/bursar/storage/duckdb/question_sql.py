"""The SQL of a `UsageQuery`, by its plan: one statement for the rows of an answer.

    sums     key columns and summed parts, out of rollup and raw stretches
    latency  the same keys with the bucket in which each percentile lies
    users    the same keys with the count of different users

Each stretch, of whichever table, is restricted to the tenant. Key columns are called `k0`, `k1`, …
and parts `s0`, `s1`, … here; `questions.py` gives them their names back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.storage.duckdb.allocated import Allocated, query_names
from bursar.storage.duckdb.binding import Bound, Statement, naive
from bursar.storage.duckdb.expressions import column_of, conditions_of, period_label, raw_part, rollup_part
from bursar.storage.duckdb.planner import RAW_TABLE, Plan, Reading, Rollup
from bursar.storage.duckdb.schema import latency_bucket
from bursar.usage.allocations.claims import NO_CLAIMS
from bursar.usage.query_measures import (
    DistinctUsers,
    Measure,
    Money,
    Percentile,
    Ratio,
    Sum,
    find_measure,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bursar.usage.allocations.claims import Claims
    from bursar.usage.query import Order, UsageQuery
    from bursar.window import Window

PRICED = "priced"
ALWAYS = ("events", "unpriced", PRICED)
"""Parts that every answer needs, asked for or not."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A query on its way to SQL: what all parts of the statement share."""

    query: UsageQuery
    plan: Plan
    bound: Bound
    conditions: tuple[str, ...]
    """What every row must fulfil; the tenant first."""
    allocated: Allocated
    """Adds to a table who bears its rows, where that is asked."""

    @property
    def keys(self) -> list[str]:
        """The names of the key columns in the statement."""
        return [f"k{index}" for index in range(len(self.query.key_columns))]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one table within some stretch of time, added or taken off."""

    rollup: Rollup | None
    where: str
    time: str
    """The moment that decides which period a row belongs to."""
    sign: str = ""
    """`-` where the rows are in a rollup's bucket, but not in the window."""

    @property
    def table(self) -> str:
        """The table to read."""
        return self.rollup.table if self.rollup else RAW_TABLE

    @property
    def time_column(self) -> str:
        """The table's own time."""
        return self.rollup.time_column if self.rollup else "time"


def write_question(tenant_id: str, query: UsageQuery, plan: Plan, claims: Claims = NO_CLAIMS) -> Statement:
    """The statement whose rows are: key columns, parts (`parts_of`), percentiles, users."""
    bound = Bound()
    conditions = (f"tenant_id = {bound.add(tenant_id)}", *conditions_of(query.filters, bound))
    allocated = Allocated(claims, query_names(query), bound)
    asking = Asking(query, plan, bound, conditions, allocated)
    tables = [f"sums AS ({_sums(asking)})"]
    columns, joins = ["sums.*"], ""
    if plan.latency:
        tables += _latency(asking, plan.latency)
        columns += [f"latency.p{percent}" for percent in percents_of(query)]
        joins += f" LEFT JOIN latency ON {_same_keys(asking, 'latency')}"
    if plan.users:
        tables.append(f"users AS ({_users(asking, plan.users)})")
        columns.append("users.users")
        joins += f" LEFT JOIN users ON {_same_keys(asking, 'users')}"
    order = ", ".join(_order(asking, order) for order in query.sort_order)
    text = (
        f"WITH {', '.join(tables)} SELECT {', '.join(columns)} FROM sums{joins}"
        f"{f' ORDER BY {order}' if order else ''}"
        f" LIMIT {bound.add(query.limit + 1)} OFFSET {bound.add(query.offset)}"
    )
    return Statement(text, bound.values)


def parts_of(query: UsageQuery) -> tuple[str, ...]:
    """The parts that the statement sums, in the order of its columns."""
    parts = [*ALWAYS]
    for measure in query.asked_measures:
        if not isinstance(measure.figure, Percentile | DistinctUsers):
            parts += measure.parts
    return tuple(dict.fromkeys(parts))


def percents_of(query: UsageQuery) -> tuple[int, ...]:
    """The percentiles that the statement answers, in the order of its columns."""
    figures = [measure.figure for measure in query.asked_measures]
    return tuple(figure.percent for figure in figures if isinstance(figure, Percentile))


def _sums(asking: Asking) -> str:
    parts = parts_of(asking.query)

    def columns(stretch: Stretch) -> list[str]:
        expressions = {
            index: rollup_part(part) if stretch.rollup else raw_part(part, asking.bound)
            for index, part in enumerate(parts)
            if part != PRICED
        }
        return [f"{stretch.sign}{expression} AS s{index}" for index, expression in expressions.items()]

    sums = [f"coalesce(sum(s{index}), 0)" for index in range(len(parts))]
    # Only what has no price is counted in each row: that saves a fifth of the time over many rows.
    sums[parts.index(PRICED)] = f"{sums[parts.index('events')]} - {sums[parts.index('unpriced')]}"
    summed = [f"{expression} AS s{index}" for index, expression in enumerate(sums)]
    # Opposite rollup rows leave keys whose events were all taken out again.
    return (
        f"SELECT {', '.join([*asking.keys, *summed])} FROM ({_union(asking, asking.plan.sums, columns)})"
        " GROUP BY ALL HAVING sum(s0) <> 0"
    )


def _latency(asking: Asking, reading: Reading) -> Iterator[str]:
    def columns(stretch: Stretch) -> list[str]:
        if stretch.rollup:
            return ["bucket", "sum(events) AS events"]
        return [f"{latency_bucket('latency_ms')} AS bucket", f"{stretch.sign}count(latency_ms) AS events"]

    keys = asking.keys
    by_keys = f"PARTITION BY {', '.join(keys)} " if keys else ""
    listed = "".join(f"{key}, " for key in keys)
    rows = _union(asking, reading, columns)
    yield (
        f"buckets AS (SELECT {listed}bucket, sum(events) AS events FROM ({rows})"
        " WHERE bucket IS NOT NULL GROUP BY ALL HAVING sum(events) <> 0)"
    )
    yield (
        f"ranked AS (SELECT {listed}bucket, sum(events) OVER ({by_keys}ORDER BY bucket) AS reached,"
        f" sum(events) OVER ({by_keys.strip()}) AS timed FROM buckets)"
    )
    # Nearest rank, in whole numbers: the first bucket that reaches the percentage.
    percentiles = ", ".join(
        f"min(bucket) FILTER (reached * 100 >= timed * {percent}) AS p{percent}"
        for percent in percents_of(asking.query)
    )
    yield f"latency AS (SELECT {listed}{percentiles} FROM ranked GROUP BY ALL)"


def _users(asking: Asking, reading: Reading) -> str:
    def columns(stretch: Stretch) -> list[str]:
        events = "sum(events)" if stretch.rollup else f"{stretch.sign}count(*)"
        return ["user_id", f"{events} AS events"]

    keys = "".join(f"{key}, " for key in asking.keys)
    rows = _union(asking, reading, columns)
    return (
        f"SELECT {keys}count(user_id) AS users FROM (SELECT {keys}user_id FROM ({rows})"
        " GROUP BY ALL HAVING sum(events) <> 0) GROUP BY ALL"
    )


def _union(asking: Asking, reading: Reading, columns: Callable[[Stretch], list[str]]) -> str:
    """Key columns and others, grouped by the former, out of every stretch of a reading."""
    labels: dict[str, list[str]] = {}
    selects: list[str] = []
    for stretch in _stretches(asking, reading):
        if stretch.time not in labels:
            labels[stretch.time] = _key_expressions(asking, stretch.time)
        listed = ", ".join([*labels[stretch.time], *columns(stretch)])
        where = " AND ".join([*asking.conditions, stretch.where])
        table = asking.allocated.table(stretch.table, stretch.time_column)
        selects.append(f"SELECT {listed} FROM {table} WHERE {where} GROUP BY ALL")
    return " UNION ALL ".join(selects)


def _stretches(asking: Asking, reading: Reading) -> Iterator[Stretch]:
    add = asking.bound.add

    def within(column: str, window: Window) -> str:
        return f"{column} >= {add(naive(window.start))} AND {column} < {add(naive(window.end))}"

    if reading.rollup and reading.bulk:
        time = reading.rollup.time_column
        bucket = f"date_trunc('{time}', time)"
        where = within(time, reading.bulk)
        if reading.split:
            split = f"(SELECT unnest({add([naive(moment) for moment in reading.split])}))"
            yield Stretch(None, f"{within('time', reading.bulk)} AND {bucket} IN {split}", "time")
            where += f" AND {time} NOT IN {split}"
        if asking.query.grain and reading.bulk.start < asking.query.window.start:
            # The first bucket begins before its events in the window do, maybe in an earlier period.
            start = add(naive(asking.query.window.start))
            time, bucket = f"greatest({time}, {start})", f"greatest({bucket}, {start})"
        yield Stretch(reading.rollup, where, time)
        for window in reading.less:
            yield Stretch(None, within("time", window), bucket, "-")
    for window in reading.raw:
        yield Stretch(None, within("time", window), "time")


def _key_expressions(asking: Asking, time: str) -> list[str]:
    query, bound = asking.query, asking.bound
    expressions = [column_of(dimension, bound) for dimension in query.asked_dimensions]
    if query.grain:
        expressions.insert(0, period_label(time, query.grain, query.zone, query.window, bound))
    return [f"{expression} AS {key}" for expression, key in zip(expressions, asking.keys, strict=True)]


def _same_keys(asking: Asking, table: str) -> str:
    pairs = [f"sums.{key} IS NOT DISTINCT FROM {table}.{key}" for key in asking.keys]
    return " AND ".join(pairs) or "true"


def _order(asking: Asking, order: Order) -> str:
    names = asking.query.key_columns
    measure = find_measure(order.by)
    if order.by in names:
        expression = f"sums.k{names.index(order.by)}"
    else:
        expression = _sortable(measure, parts_of(asking.query)) if measure else "NULL"
    return f"{expression} {'DESC' if order.is_descending else 'ASC'} NULLS LAST"


def _sortable(measure: Measure, parts: tuple[str, ...]) -> str:
    """What a measure's rows are sorted by: exact sums, and ratios in double precision."""
    columns = [f"s{parts.index(part)}" for part in measure.parts if part in parts]
    match measure.figure:
        case Sum():
            return " + ".join(columns)
        case Money():
            return f"CASE WHEN {columns[1]} <> 0 THEN {columns[0]} END"
        case Ratio():
            return f"CAST({columns[0]} AS DOUBLE) / nullif({columns[1]}, 0)"
        case Percentile(percent=percent):
            return f"latency.p{percent}"
        case DistinctUsers():
            return "coalesce(users.users, 0)"
