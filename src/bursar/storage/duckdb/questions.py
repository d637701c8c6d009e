"""Answers questions about usage on one cursor, at one moment's state of the store.

A query becomes one statement for its rows, and another for totals where these are not the sums of
the rows (`totals.py`). `planner.py` chooses the
tables, `question_sql.py` and `event_sql.py` write the SQL, `asking.py` runs questions beside each
other. Nothing here, or in any of these, changes the store.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bursar import clock
from bursar.storage.duckdb.allocated import filtered_names, query_names
from bursar.storage.duckdb.change_reader import EVENTS
from bursar.storage.duckdb.event_sql import (
    read_event,
    read_version,
    select_event,
    select_events,
    select_versions,
)
from bursar.storage.duckdb.export_reader import CursorExports
from bursar.storage.duckdb.extent import narrowed
from bursar.storage.duckdb.horizons import horizons_of, listing_partial, partial_of
from bursar.storage.duckdb.person_sql import find_person
from bursar.storage.duckdb.planner import Reach, plan_question
from bursar.storage.duckdb.quarantine_sql import list_quarantined
from bursar.storage.duckdb.question_sql import parts_of, percents_of, write_question
from bursar.storage.duckdb.rating_sql import CursorRatings
from bursar.storage.duckdb.selection_sql import CursorSelections
from bursar.storage.duckdb.totals import adds_up, sum_up, totals_queries
from bursar.tracing import span
from bursar.usage.allocations.claims import NO_CLAIMS
from bursar.usage.latency import latency_of_bucket
from bursar.usage.periods import period_from_label
from bursar.usage.query import EventCursor
from bursar.usage.query_answer import Row, Totals, UsageAnswer, UsageRows, Value
from bursar.usage.query_dimensions import PERIOD
from bursar.usage.query_measures import Number, read_figure
from bursar.usage.stored_event import EventList

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    import duckdb

    from bursar.storage.duckdb.binding import Statement
    from bursar.storage.duckdb.planner import Plan
    from bursar.usage.allocations.claims import Claims
    from bursar.usage.partial import Partial
    from bursar.usage.person import PersonFound
    from bursar.usage.quarantined import QuarantineList, QuarantinePage
    from bursar.usage.query import EventPage, Filter, UsageQuery
    from bursar.usage.selection import CurrentEvent, Selection, SelectionTotals
    from bursar.usage.stored_event import EarlierRating, EventVersion, StoredEvent
    from bursar.window import Window


class CursorQuestions(CursorExports):
    """Implements `UsageQuestions` on a cursor that is in a transaction; use from one thread."""

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        position_of: Callable[[str, str], int | None],
        plan: Callable[[UsageQuery, Reach], Plan] = plan_question,
        claims_of: Callable[[str], Claims] | None = None,
    ) -> None:
        """Ask through this cursor.

        Args:
            cursor: in a transaction.
            position_of: finds an event's position by tenant and id.
            plan: chooses the tables.
            claims_of: who bears a tenant's usage; nobody does, where nobody says.
        """
        super().__init__(cursor)
        self._position_of = position_of
        self._make_plan = plan
        self._now = clock.now()
        self._horizons: dict[tuple[str, tuple[Filter, ...]], dict[str, datetime]] = {}
        # Read once: all questions on this cursor are about the same allocations.
        self._claims_of = cache(claims_of or _no_claims)
        self._selections = CursorSelections(cursor, position_of)
        self.ratings = CursorRatings(cursor, self._selections)

    def answer(self, tenant_id: str, query: UsageQuery) -> UsageAnswer:
        """The figures that a query asks for, with totals over everything it selects."""
        with span("usage.answer", dimensions=len(query.dimensions), measures=len(query.measures)):
            start, query = query.window.start, narrowed(self._cursor, tenant_id, query)
            plan = self._plan(tenant_id, query)
            found = self._found(tenant_id, query, plan)
            has_more, partial = len(found) > query.limit, self._partial(tenant_id, query, start, plan)
            if has_more or query.offset or partial or not adds_up(query):
                # A total may be read from sums where its rows must be read from what has expired.
                asked = totals_queries(query)
                plans = [self._plan(tenant_id, one) for one in asked]
                totals = self._totals(tenant_id, asked, plans)
                partial = self._partial(tenant_id, query, start, plan, *plans)
            else:
                totals = sum_up(query, found)
            rows = tuple(map(_RowReader(query).read, found[: query.limit]))
            return UsageAnswer(query, rows, has_more, totals, plan.explain(), partial)

    def rows(self, tenant_id: str, query: UsageQuery) -> UsageRows:
        """The rows alone, at most `query.limit` of them."""
        with span("usage.rows", dimensions=len(query.dimensions), measures=len(query.measures)):
            start, query = query.window.start, narrowed(self._cursor, tenant_id, query)
            plan = self._plan(tenant_id, query)
            found = self._found(tenant_id, query, plan)
            rows = tuple(map(_RowReader(query).read, found[: query.limit]))
            return UsageRows(rows, len(found) > query.limit, self._partial(tenant_id, query, start, plan))

    def list_events(self, tenant_id: str, page: EventPage) -> EventList:
        """One page of single events, newest first."""
        with span("usage.list_events", limit=page.limit):
            claims = self._claims(tenant_id, page.window, filtered_names(page.filters))
            count, listing = select_events(tenant_id, page, claims)
            total = self._all(count)[0][0] if page.is_counted else None
            rows = self._all(listing)
        events = [read_event(row) for row in rows[: page.limit]]
        cursor = None
        if len(rows) > page.limit:
            last_seq = rows[page.limit - 1][0]
            cursor = EventCursor(events[-1].time, last_seq)
        partial = listing_partial(self._horizons_of(tenant_id, page.filters), page.window.start)
        return EventList(tuple(events), cursor, total, partial)

    def find_event(
        self, tenant_id: str, event_id: str, projects: Collection[str] | None = None
    ) -> StoredEvent | None:
        """The event of this id, found by its position in the journal and never by a scan."""
        seq = self._position_of(tenant_id, event_id)
        rows = self._all(select_event(tenant_id, event_id, seq, projects)) if seq is not None else []
        return read_event(rows[0]) if rows else None

    def find_person(self, tenant_id: str, identifiers: Collection[str]) -> PersonFound:
        """Where a person stands in this tenant's usage."""
        return find_person(self._cursor, tenant_id, identifiers)

    def history_of(
        self, tenant_id: str, event_id: str, projects: Collection[str] | None = None
    ) -> tuple[EventVersion, ...]:
        """Every version of an event, the oldest first; empty where this tenant has none of that id."""
        seq = self._position_of(tenant_id, event_id)
        rows = self._all(select_versions(tenant_id, event_id, seq, projects)) if seq is not None else []
        return tuple(map(read_version, rows))

    def earlier_ratings(self, tenant_id: str, event_id: str) -> tuple[EarlierRating, ...]:
        """The ratings that an event had before, the newest first."""
        seq = self._position_of(tenant_id, event_id)
        return () if seq is None else self.ratings.earlier(tenant_id, seq)

    def total_selection(self, tenant_id: str, selection: Selection) -> SelectionTotals:
        """What the selected events come to."""
        return self._selections.totals(tenant_id, selection)

    def last_selected(self, tenant_id: str, selection: Selection) -> str | None:
        """Id of the selected event that was recorded last; None where nothing is selected."""
        return self._selections.last(tenant_id, selection)

    def selected_positions(
        self, tenant_id: str, selection: Selection, after_seq: int, limit: int
    ) -> list[tuple[int, str]]:
        """Position and id of selected events behind a position, in order, at most `limit`."""
        return self._selections.positions(tenant_id, selection, after_seq, limit)

    def list_quarantined(self, tenant_id: str, page: QuarantinePage) -> QuarantineList:
        """One page of records that were accepted and count nowhere, the latest first."""
        return list_quarantined(self._cursor, tenant_id, page)

    def current_events(self, tenant_id: str, event_ids: Collection[str]) -> dict[str, CurrentEvent]:
        """Those of the ids whose events count now."""
        return self._selections.current(tenant_id, event_ids)

    def _totals(self, tenant_id: str, asked: Sequence[UsageQuery], plans: Sequence[Plan]) -> Totals:
        found = [self._found(tenant_id, query, plan) for query, plan in zip(asked, plans, strict=True)]
        if adds_up(asked[0]):
            return sum_up(asked[0], found[0])
        figures = _RowReader(asked[0]).read(found[0][0]) if found[0] else _nothing(asked[0])
        counts = dict(zip(parts_of(asked[0]), found[0][0], strict=False)) if found[0] else {}
        amounts: Mapping[str, Mapping[str, Value]] = {}
        if len(asked) > 1:
            amounts = sum_up(asked[1], found[1]).amounts
        return Totals(int(counts.get("events", 0)), int(counts.get("unpriced", 0)), figures, amounts)

    def _partial(self, tenant_id: str, query: UsageQuery, start: datetime, *plans: Plan) -> Partial | None:
        return partial_of(self._horizons_of(tenant_id, query.filters), start, plans)

    def _plan(self, tenant_id: str, query: UsageQuery) -> Plan:
        events_from = self._horizons_of(tenant_id, query.filters).get(EVENTS)
        claims = self._claims(tenant_id, query.window, query_names(query))
        return self._make_plan(query, Reach(self._now, events_from, claims.columns))

    def _claims(self, tenant_id: str, window: Window, names: Collection[str]) -> Claims:
        """What is claimed within a window, by the dimensions that are asked for."""
        return self._claims_of(tenant_id).within(window, names) if names else NO_CLAIMS

    def _horizons_of(self, tenant_id: str, filters: tuple[Filter, ...]) -> dict[str, datetime]:
        """Read once: all questions on this cursor are about one moment."""
        asked = tenant_id, filters
        if asked not in self._horizons:
            self._horizons[asked] = horizons_of(self._cursor, tenant_id, filters)
        return self._horizons[asked]

    def _found(self, tenant_id: str, query: UsageQuery, plan: Plan) -> list[tuple[Any, ...]]:
        claims = self._claims(tenant_id, query.window, query_names(query))
        return self._all(write_question(tenant_id, query, plan, claims))

    def _all(self, statement: Statement) -> list[tuple[Any, ...]]:
        return self._cursor.execute(statement.text, statement.values).fetchall()


class _RowReader:
    """Gives names and figures to rows of a statement; what they have in common is looked up once."""

    def __init__(self, query: UsageQuery) -> None:
        self._query = query
        self._names = query.key_columns
        self._parts = parts_of(query)
        self._percents = percents_of(query)
        self._measures = query.asked_measures

    def read(self, row: tuple[Any, ...]) -> Row:
        keys, after = len(self._names), len(self._names) + len(self._parts)
        figures: Row = dict(zip(self._names, row, strict=False))
        if self._query.grain:
            figures[PERIOD] = period_from_label(row[0], self._query.grain, self._query.zone)
        values: dict[str, Number | None] = dict(zip(self._parts, row[keys:after], strict=True))
        for percent, bucket in zip(self._percents, row[after:], strict=False):
            values[f"p{percent}"] = None if bucket is None else latency_of_bucket(bucket)
        values["users"] = row[-1] if len(row) > after + len(self._percents) else None
        for measure in self._measures:
            figures[measure.name] = read_figure(measure, values)
        return figures


def _no_claims(_tenant_id: str) -> Claims:
    return NO_CLAIMS


def _nothing(query: UsageQuery) -> Mapping[str, Value]:
    """The figures of no events at all."""
    parts: dict[str, Number | None] = dict.fromkeys(parts_of(query), 0)
    parts.update({f"p{percent}": None for percent in percents_of(query)}, users=0)
    return {measure.name: read_figure(measure, parts) for measure in query.asked_measures}
