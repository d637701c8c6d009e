"""Sums of events whose cost is known, by all that a FOCUS row tells apart.

A day is one piece, whatever the grain of its rows. Within it most events are summed up by their dimensions
and their rate card. Where a card's amounts for a sum aren't the sum of its amounts (rounding, graduated
rules), its events are asked for again, those with the very same units together, and so are events
with shares of several models. These come a few at a time, for there may be as many as there are events.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bursar.clock import from_micros, to_micros
from bursar.money import EXACT
from bursar.storage.duckdb.binding import Bound, aware
from bursar.storage.duckdb.export_sql import WITH_BEARERS, AsOf, later_ratings, selected_rows, shown_along
from bursar.units import UNITS
from bursar.usage.export_selection import (
    ExportSelection,
    FocusGrain,
    UsageKey,
    UsageSum,
    UsageSums,
)
from bursar.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    import duckdb

EVENTS_PER_PIECE = 2_000
"""Of a piece at the grain of events: some thousands of rows, made in a tenth of a second."""
_DAY = timedelta(days=1)
_DIMENSIONS = (
    "provider",
    "model",
    "service_type",
    "project_id",
    "region",
    "service_tier",
    "batch",
    "speed",
    "currency",
    "cost_status",
    "rate_card",
    "cost_centre",
    "owner",
)
_OF_EVENTS = ("event_id", "user_id", "operation")
_COST = "CAST(cost AS DECIMAL(38,12))"
_PRICED = "cost IS NOT NULL"
_HAS_PARTS = "parts IS NOT NULL"
_ROWS_AT_ONCE = 1_000


def past_of(cursor: duckdb.DuckDBPyConnection, selection: ExportSelection) -> AsOf:
    """A selection with what has happened since."""
    later = later_ratings(selection)
    return AsOf(selection, bool(cursor.execute(later.text, later.values).fetchall()))


def sum_period(
    cursor: duckdb.DuckDBPyConnection, selection: ExportSelection, grain: FocusGrain, place: int
) -> UsageSums:
    """The sums of the first UTC day from `place` (microseconds) on that has events, and what comes next.

    Events of several models are left out: `sum_alike` has them.
    """
    first = _first_time(cursor, selection, place)
    if first is None:
        return UsageSums((), None)
    day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    following = _first_time(cursor, selection, to_micros(day + _DAY))
    bound = Bound()
    sums = ", ".join(
        f"coalesce(sum({unit}), 0) AS {unit}, count(*) FILTER ({unit} > 0) AS n_{unit}" for unit in UNITS
    )
    past = past_of(cursor, _within(selection, day))
    rows = selected_rows(past, bound, columns=WITH_BEARERS, also=[_PRICED, f"NOT ({_HAS_PARTS})"])
    keys = ", ".join(_DIMENSIONS)
    found = cursor.execute(
        f"SELECT {_period(grain)} AS period, {keys}, count(*), sum({_COST}), {sums} FROM {rows}"
        f" GROUP BY period, {keys} ORDER BY {_positions(len(_DIMENSIONS) + 1)}",
        bound.values,
    ).fetchall()
    own = _sum_own_units(cursor, past, grain)
    sums_found = tuple(_read_sum(row, own) for row in found)
    return UsageSums(sums_found, None if following is None else to_micros(following))


def _sum_own_units(
    cursor: duckdb.DuckDBPyConnection, past: AsOf, grain: FocusGrain
) -> dict[tuple[Any, ...], dict[str, tuple[int, int]]]:
    """Sums of units without a column, and in how many events they are; by period and dimensions."""
    bound = Bound()
    conditions = [_PRICED, f"NOT ({_HAS_PARTS})", "cardinality(custom_units) > 0"]
    rows = selected_rows(past, bound, columns=WITH_BEARERS, also=conditions)
    keys = ", ".join(_DIMENSIONS)
    found = cursor.execute(
        f"SELECT period, {keys}, own.key, sum(own.value), count(*) FROM (SELECT {_period(grain)} AS period,"
        f" {keys}, unnest(map_entries(custom_units)) AS own FROM {rows}) WHERE own.value > 0"
        f" GROUP BY period, {keys}, own.key ORDER BY own.key",
        bound.values,
    ).fetchall()
    sums: dict[tuple[Any, ...], dict[str, tuple[int, int]]] = {}
    for *key, unit, steps, events in found:
        sums.setdefault(tuple(key), {})[unit] = (int(steps), events)
    return sums


def sum_alike(
    cursor: duckdb.DuckDBPyConnection,
    selection: ExportSelection,
    grain: FocusGrain,
    place: int,
    cards: Collection[str],
) -> Iterator[UsageSum]:
    """Sums of events with the very same units: those of these cards, and all that `sum_period` leaves out.

    They are read as they are asked for: nothing else may be asked on the cursor meanwhile.

    Args:
        cursor: where to ask.
        selection: which events.
        grain: hours or days.
        place: as given to `sum_period`; the same day is meant.
        cards: ids of rate cards.
    """
    first = _first_time(cursor, selection, place)
    if first is None:
        return
    day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    bound = Bound()
    wanted = [_HAS_PARTS, *(f"rate_card = {bound.add(card)}" for card in sorted(cards))]
    conditions = [_PRICED, f"({' OR '.join(wanted)})"]
    past = past_of(cursor, _within(selection, day))
    rows = selected_rows(past, bound, columns=WITH_BEARERS, also=conditions)
    units = ", ".join(f"coalesce({unit}, 0) AS {unit}" for unit in UNITS)
    alike = ", ".join([*_DIMENSIONS, *UNITS, "custom", "parts"])
    answer = cursor.execute(
        f"SELECT period, {alike}, count(*), sum({_COST}) FROM (SELECT {_period(grain)} AS period,"
        f" {', '.join(_DIMENSIONS)}, cost, {units},"
        f" custom_units AS custom, CAST(parts AS VARCHAR) AS parts FROM {rows})"
        f" GROUP BY period, {alike} ORDER BY {_positions(len(_DIMENSIONS) + 1)}",
        bound.values,
    )
    while found := answer.fetchmany(_ROWS_AT_ONCE):
        yield from map(_read_alike, found)


def read_events(cursor: duckdb.DuckDBPyConnection, selection: ExportSelection, after: int) -> UsageSums:
    """Some events behind a position, each as a sum of its own, in the journal's order."""
    span = 4 * EVENTS_PER_PIECE
    while after < selection.as_of:
        until = min(after + span, selection.as_of)
        bound = Bound()
        among = f"seq > {bound.add(after)} AND seq <= {bound.add(until)}"
        rows = selected_rows(past_of(cursor, selection), bound, columns=WITH_BEARERS, also=[_PRICED, among])
        tags = shown_along(selection.scope, bound)("CAST(to_json(tags) AS VARCHAR)")
        found = cursor.execute(
            f"SELECT time, {', '.join(_DIMENSIONS)}, {', '.join(UNITS)}, custom_units,"
            f" CAST(parts AS VARCHAR), cost, {', '.join(_OF_EVENTS)}, {tags}, seq"
            f" FROM {rows} ORDER BY seq LIMIT {EVENTS_PER_PIECE}",
            bound.values,
        ).fetchall()
        seen = until if len(found) < EVENTS_PER_PIECE else int(found[-1][-1])
        if found:
            return UsageSums(tuple(map(_read_event, found)), seen if seen < selection.as_of else None)
        after, span = seen, span * 2
    return UsageSums((), None)


def _first_time(cursor: duckdb.DuckDBPyConnection, selection: ExportSelection, place: int) -> datetime | None:
    """When the first event from a moment on was, aware."""
    scope = selection.scope
    start = max(scope.window.start, from_micros(place))
    if start >= scope.window.end:
        return None
    bound = Bound()
    later = ExportSelection(replace(scope, window=Window(start, scope.window.end)), selection.as_of)
    rows = selected_rows(past_of(cursor, later), bound, columns="time", also=[_PRICED])
    found = cursor.execute(f"SELECT min(time) FROM {rows}", bound.values).fetchall()[0][0]
    return None if found is None else aware(found)


def _within(selection: ExportSelection, day: datetime) -> ExportSelection:
    scope = selection.scope
    window = Window(max(scope.window.start, day), min(scope.window.end, day + _DAY))
    return ExportSelection(replace(scope, window=window), selection.as_of)


def _period(grain: FocusGrain) -> str:
    return f"date_trunc('{'hour' if grain is FocusGrain.HOUR else 'day'}', time)"


def _positions(count: int) -> str:
    """The first columns, to sort by: two texts that differ are never taken for equal."""
    return ", ".join(f"{index + 1} NULLS FIRST" for index in range(count))


def _key(row: tuple[Any, ...], **more: Any) -> UsageKey:  # noqa: ANN401 - the fields of an event
    dimensions = dict(zip(_DIMENSIONS, row[1:], strict=False))
    return UsageKey(period=aware(row[0]), **dimensions, **more)


def _picos(amount: Decimal) -> int:
    return int(amount.scaleb(12, EXACT))


def _read_sum(
    row: tuple[Any, ...], own_units: Mapping[tuple[Any, ...], Mapping[str, tuple[int, int]]]
) -> UsageSum:
    at = len(_DIMENSIONS) + 1
    figures = row[at + 2 :]
    units = {unit: int(figures[2 * index]) for index, unit in enumerate(UNITS)}
    counts = {unit: int(figures[2 * index + 1]) for index, unit in enumerate(UNITS)}
    used = {unit: steps for unit, steps in units.items() if steps}
    own = own_units.get(row[:at], {})
    used_by = {unit: counts[unit] for unit in used} | {unit: events for unit, (_, events) in own.items()}
    used |= {unit: steps for unit, (steps, _) in own.items()}
    return UsageSum(_key(row), row[at], _picos(row[at + 1]), used, used_by)


def _read_alike(row: tuple[Any, ...]) -> UsageSum:
    at = len(_DIMENSIONS) + 1
    after = at + len(UNITS)
    units = _units(row[at:after], row[after])
    events = int(row[after + 2])
    return UsageSum(
        _key(row),
        events,
        _picos(row[after + 3]),
        units,
        dict.fromkeys(units, events),
        parts=row[after + 1],
    )


def _read_event(row: tuple[Any, ...]) -> UsageSum:
    at = len(_DIMENSIONS) + 1
    after = at + len(UNITS)
    units = _units(row[at:after], row[after])
    event_id, user_id, operation, tags = row[after + 3 : after + 7]
    key = _key(row, event_id=event_id, user_id=user_id, operation=operation, tags=tags)
    cost = _picos(row[after + 2])
    return UsageSum(key, 1, cost, units, dict.fromkeys(units, 1), parts=row[after + 1])


def _units(built_in: tuple[Any, ...], custom: dict[str, int] | None) -> dict[str, int]:
    units = {unit: int(steps) for unit, steps in zip(UNITS, built_in, strict=True) if steps}
    return {**units, **(custom or {})}
