"""Reads exports on a cursor: what a selection comes to, pieces of its rows, and sums of its events.

Each piece is bounded in rows and in the positions or days that it looks through, so that none takes long
and none takes much memory. `export_sql.py` and `export_sums.py` write the SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.binding import Bound, aware
from bursar.storage.duckdb.export_sql import AsOf, bound_rows, selected_rows, write_rows
from bursar.storage.duckdb.export_sums import past_of, read_events, sum_alike, sum_period
from bursar.storage.duckdb.horizons import horizons_of, listing_partial
from bursar.usage.export_selection import EventText, ExportSelection, ExportTotals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import duckdb

    from bursar.storage.duckdb.binding import Statement
    from bursar.usage.export_selection import ExportScope, FocusGrain, TextForm, UsageSum, UsageSums

SPAN_PER_ROW = 4
"""Positions that are looked through at first for each row wanted; ever more while few of them are."""
LINES_AT_ONCE = 1_000
"""Fetching keeps the GIL: for a millisecond or two."""
_LARGEST_SPAN = 2**40


class CursorExports:
    """Implements `ExportQuestions` on a cursor that is in a transaction; use from one thread."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Read through this cursor."""
        self._cursor = cursor

    def export_totals(self, scope: ExportScope) -> ExportTotals:
        """What a scope comes to at this moment, and which moment that is."""
        return total_export(self._cursor, scope)

    def export_text(self, selection: ExportSelection, form: TextForm, after: int, limit: int) -> EventText:
        """At most `limit` rows behind a position, written; none only where there are no more."""
        return read_text(self._cursor, selection, form, after, limit)

    def export_events(self, selection: ExportSelection, after: int) -> UsageSums:
        """Some events of known cost behind a position, each as a sum of its own."""
        return read_events(self._cursor, selection, after)

    def export_sums(self, selection: ExportSelection, grain: FocusGrain, place: int) -> UsageSums:
        """Sums of the first UTC day from `place` (microseconds) on, but for what only `export_alike` has."""
        return sum_period(self._cursor, selection, grain, place)

    def export_alike(
        self, selection: ExportSelection, grain: FocusGrain, place: int, cards: Collection[str]
    ) -> Iterator[UsageSum]:
        """Of the same day: events of these cards or of several models; alike together, read one by one."""
        return sum_alike(self._cursor, selection, grain, place, cards)


def total_export(cursor: duckdb.DuckDBPyConnection, scope: ExportScope) -> ExportTotals:
    """What a scope comes to now."""
    applied = cursor.execute("SELECT seq, applied_at FROM applied").fetchall()
    as_of, applied_at = (int(applied[0][0]), applied[0][1]) if applied else (_last_seq(cursor), None)
    bound = Bound()
    rows = selected_rows(
        AsOf(ExportSelection(scope, as_of), is_rerated=False),
        bound,
        columns="currency, cost_status, CAST(cost AS DECIMAL(38,12)) c",
    )
    found = cursor.execute(
        "SELECT currency, count(*), count(*) FILTER (cost_status = 'unpriced'), sum(c)"
        f" FROM {rows} GROUP BY currency ORDER BY currency",
        bound.values,
    ).fetchall()
    return ExportTotals(
        as_of=as_of,
        as_of_time=None if applied_at is None else aware(applied_at),
        events=sum(row[1] for row in found),
        unpriced_events=sum(row[2] for row in found),
        amounts={row[0]: row[3] for row in found if row[3] is not None},
        partial=listing_partial(horizons_of(cursor, scope.tenant_id, scope.filters), scope.window.start),
    )


def read_text(
    cursor: duckdb.DuckDBPyConnection, selection: ExportSelection, form: TextForm, after: int, limit: int
) -> EventText:
    """At most `limit` rows behind a position, written; none only where there are no more."""
    past, span = past_of(cursor, selection), SPAN_PER_ROW * limit
    while after < selection.as_of:
        until = min(after + span, selection.as_of)
        bounds = bound_rows(past, after, until, limit)
        count, last = cursor.execute(bounds.text, bounds.values).fetchall()[0]
        seen = until if count < limit else int(last)
        if count:
            text = _written(cursor, write_rows(past, form, after, seen))
            return EventText(text, count, seen if seen < selection.as_of else None)
        after, span = seen, min(span * 2, _LARGEST_SPAN)
    return EventText(b"", 0, None)


def _written(cursor: duckdb.DuckDBPyConnection, statement: Statement) -> bytes:
    """All lines as one text."""
    answer = cursor.execute(statement.text, statement.values)
    pieces: list[str] = []
    while lines := answer.fetchmany(LINES_AT_ONCE):
        pieces += [line for (line,) in lines]
    return "".join(pieces).encode()


def _last_seq(cursor: duckdb.DuckDBPyConnection) -> int:
    """The last position that has a row, in a store that nobody applied a journal to."""
    return int(cursor.execute("SELECT coalesce(max(seq), 0) FROM usage_events").fetchall()[0][0])
