"""SQL of exports: which rows they are made of, and rows of the plain export written as text.

DuckDB writes the text itself, a piece at a time and without the GIL: making tuples of sixty columns in
Python would keep the event loop waiting, and take ten times as long. Rows are those of one position in
the journal: current versions from before it, and versions that were ended after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bursar.storage.duckdb.allocated import Allocated, filtered_names
from bursar.storage.duckdb.binding import Bound, Statement, naive
from bursar.storage.duckdb.expressions import conditions_of, in_projects
from bursar.storage.duckdb.schema import EVENT_COLUMNS, RATING_COLUMNS
from bursar.units import TOKEN_TOTALS, UNITS
from bursar.usage.export_selection import TextForm
from bursar.usage.exports.columns import EVENT_EXPORT, ExportColumn, Shape
from bursar.usage.query_dimensions import ALLOCATED
from bursar.usage.sight import SENT_ALONG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bursar.usage.export_selection import ExportScope, ExportSelection

_ALL = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
WITH_BEARERS = ", ".join([_ALL, *sorted(ALLOCATED)])
"""Every column of a row, and who bears it."""
_FORMULA = r"'^[=+\-@\t\r\n]'"
"""What a spreadsheet takes for the beginning of a formula."""
_APOSTROPHE = r"'''\0'"  # in front of what was found


@dataclass(frozen=True, slots=True)
class AsOf:
    """A selection, and what has to be undone to see it."""

    selection: ExportSelection
    is_rerated: bool
    """Whether a rating run has come into force since: then earlier ratings count."""


def selected_rows(past: AsOf, bound: Bound, *, columns: str = _ALL, also: Sequence[str] = ()) -> str:
    """A subquery of the rows that a selection names.

    Args:
        past: the rows.
        bound: takes the values.
        columns: what is read of each row.
        also: further conditions, over columns of a row.
    """
    scope = past.selection.scope
    as_of = bound.add(past.selection.as_of)
    start, end = bound.add(naive(scope.window.start)), bound.add(naive(scope.window.end))
    conditions = " AND ".join(
        [
            f"tenant_id = {bound.add(scope.tenant_id)}",
            f"time >= {start} AND time < {end}",
            # The first comparison alone lets DuckDB skip row groups.
            f"seq <= {as_of} AND coalesce(revised_seq, seq) <= {as_of}",
            *conditions_of(scope.filters, bound),
            *also,
        ]
    )
    current, ended = "usage_events", "usage_history"
    if past.is_rerated:
        tenant = bound.add(scope.tenant_id)
        current, ended = (_rated_then(table, tenant, as_of) for table in (current, ended))
    named = filtered_names(scope.filters) | ALLOCATED.intersection(columns.split(", "))
    allocated = Allocated(scope.claims, named, bound)
    current, ended = (allocated.table(table, "time") for table in (current, ended))
    return (
        f"(SELECT {columns} FROM {current} WHERE {conditions}"
        f" UNION ALL SELECT {columns} FROM {ended} WHERE {conditions} AND ended_seq > {as_of})"
    )


def later_ratings(selection: ExportSelection) -> Statement:
    """One row if a rating run has come into force for the tenant behind the selection's position."""
    bound = Bound()
    text = (
        f"SELECT 1 FROM earlier_ratings WHERE tenant_id = {bound.add(selection.scope.tenant_id)}"
        f" AND ended_seq > {bound.add(selection.as_of)} LIMIT 1"
    )
    return Statement(text, bound.values)


def _rated_then(table: str, tenant: str, as_of: str) -> str:
    """The rows of a table with the ratings that they had: of those replaced later, the first."""
    first = ", ".join(f"arg_min_null({name}, ended_seq) AS {name}" for name in RATING_COLUMNS)
    then = ", ".join(f"if(r.seq IS NULL, e.{name}, r.{name}) AS {name}" for name in RATING_COLUMNS)
    return (
        f"(SELECT e.* REPLACE ({then}) FROM {table} e LEFT JOIN (SELECT seq, version, {first}"
        f" FROM earlier_ratings WHERE tenant_id = {tenant} AND ended_seq > {as_of} GROUP BY seq, version) r"
        " ON r.seq = e.seq AND r.version = coalesce(e.revised_seq, e.seq))"
    )


def bound_rows(past: AsOf, after: int, until: int, limit: int) -> Statement:
    """How many rows there are between two positions, at most `limit`, and the last one's position."""
    bound = Bound()
    rows = selected_rows(past, bound, columns="seq", also=[_among(bound, after, until)])
    text = f"SELECT count(*), max(seq) FROM (SELECT seq FROM {rows} ORDER BY seq LIMIT {bound.add(limit)})"
    return Statement(text, bound.values)


def write_rows(past: AsOf, form: TextForm, after: int, until: int) -> Statement:
    """The lines of the rows between two positions, in the journal's order."""
    bound = Bound()
    rows = selected_rows(past, bound, columns=WITH_BEARERS, also=[_among(bound, after, until)])
    shown = shown_along(past.selection.scope, bound)
    values = ", ".join(
        f"{shown(_value(column)) if column.name in SENT_ALONG else _value(column)} AS c{index}"
        for index, column in enumerate(EVENT_EXPORT)
    )
    line = _json_line() if form is TextForm.NDJSON else _csv_line(is_raw=form is TextForm.RAW_CSV)
    text = (
        f"SELECT line FROM (SELECT seq, {line} AS line FROM (SELECT seq, {values} FROM {rows})) ORDER BY seq"
    )
    return Statement(text, bound.values)


def shown_along(scope: ExportScope, bound: Bound) -> Callable[[str], str]:
    """What makes a text NULL in rows whose words of the caller's own aren't shown."""
    projects = scope.shown_along
    if projects is None:
        return lambda text: text
    shown = in_projects(bound, projects)
    return lambda text: f"CASE WHEN {shown} THEN {text} END"


def _among(bound: Bound, after: int, until: int) -> str:
    return f"seq > {bound.add(after)} AND seq <= {bound.add(until)}"


def decimal_text(expression: str) -> str:
    """A decimal as text, without zeros at its end."""
    text = f"CAST({expression} AS VARCHAR)"
    return f"CASE WHEN contains({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"


def _value(column: ExportColumn) -> str:
    """The value of a column as text; its place in a line is `_cell`'s and `_member`'s business."""
    name = column.name
    if name in TOKEN_TOTALS:
        parts = " + ".join(f"coalesce({unit}, 0)" for unit in TOKEN_TOTALS[name])
        return f"CAST({parts} AS VARCHAR)"
    if name in UNITS:
        steps = f"coalesce({name}, 0)"
        return decimal_text(_whole_units(steps)) if UNITS[name].scale else f"CAST({steps} AS VARCHAR)"
    return _OWN[name]() if name in _OWN else _by_shape(column)


def _by_shape(column: ExportColumn) -> str:
    stored = f'"{column.name}"'
    match column.shape:
        case Shape.DECIMAL:
            return decimal_text(stored)
        case Shape.TIME:
            return f"strftime({stored}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        case Shape.JSON:
            # What was sent may be laid out over lines; a line break inside a text is escaped anyway.
            return f"replace(replace(CAST({stored} AS VARCHAR), chr(10), ' '), chr(13), ' ')"
        case Shape.TEXT | Shape.WHOLE | Shape.NUMBER | Shape.FLAG:
            return f"CAST({stored} AS VARCHAR)"


def _whole_units(steps: str) -> str:
    """A quantity of millionths in whole units, exact."""
    return f"CAST({steps} AS DECIMAL(20,0)) * CAST(0.000001 AS DECIMAL(7,6))"


def _custom_units() -> str:
    entry = f"struct_pack(k := e.key, v := {decimal_text(_whole_units('e.value'))})"
    entries = f"list_transform(map_entries(custom_units), lambda e: {entry})"
    return (
        "CASE WHEN cardinality(custom_units) > 0"
        f" THEN CAST(to_json(map_from_entries({entries})) AS VARCHAR) END"
    )


_OWN: dict[str, Callable[[], str]] = {
    "is_corrected": lambda: "CAST(revised_seq IS NOT NULL AS VARCHAR)",
    "custom_units": _custom_units,
    "tags": lambda: "CASE WHEN cardinality(tags) > 0 THEN CAST(to_json(tags) AS VARCHAR) END",
}
"""Columns that aren't columns of the table, or are nested there."""


def _csv_line(*, is_raw: bool) -> str:
    cells = [_cell(f"c{index}", column, is_raw=is_raw) for index, column in enumerate(EVENT_EXPORT)]
    return " || ',' || ".join(cells) + " || chr(13) || chr(10)"


def _cell(value: str, column: ExportColumn, *, is_raw: bool) -> str:
    """A cell; every text is quoted, for asking which must be takes five times as long."""
    if column.shape not in {Shape.TEXT, Shape.JSON}:
        return f"coalesce({value}, '')"
    text = value
    if column.shape is Shape.TEXT and not is_raw:
        text = f"regexp_replace({value}, {_FORMULA}, {_APOSTROPHE})"
    return f"coalesce('\"' || replace({text}, '\"', '\"\"') || '\"', '')"


def _json_line() -> str:
    members: list[str] = []
    for is_text, run in groupby(enumerate(EVENT_EXPORT), lambda one: one[1].shape is Shape.TEXT):
        if is_text:
            # Together, for each call takes memory of its own; the braces are those of the outer object.
            texts = ", ".join(f'"{column.name}" := c{index}' for index, column in run)
            members.append(f"trim(CAST(to_json(struct_pack({texts})) AS VARCHAR), '{{}}')")
        else:
            members += [f"'\"{column.name}\":' || {_member(f'c{index}', column)}" for index, column in run]
    return "'{' || " + " || ',' || ".join(members) + " || '}' || chr(10)"


def _member(value: str, column: ExportColumn) -> str:
    if column.shape in {Shape.DECIMAL, Shape.TIME}:
        return f"coalesce('\"' || {value} || '\"', 'null')"
    return f"coalesce({value}, 'null')"
