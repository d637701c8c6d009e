"""The SQL of selections: what some events come to, their positions in order, and how they stand now.

Only raw rows answer here: a change must know single events, and exactly those that it will touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.errors import Invalid, Reason
from bursar.money import format_decimal
from bursar.storage.duckdb.binding import Bound, Statement, aware, naive
from bursar.storage.duckdb.expressions import conditions_of
from bursar.usage.query_answer import Amount
from bursar.usage.selection import CurrentEvent, SelectedModel, SelectionTotals
from bursar.usage.stored_event import StoredCost

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from decimal import Decimal

    import duckdb

    from bursar.usage.selection import Selection

MODELS_SHOWN = 1000
_UNPRICED = "cost_status = 'unpriced'"


class CursorSelections:
    """Answers about selections on a cursor that is in a transaction; use from one thread."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, position_of: Callable[[str, str], int | None]
    ) -> None:
        """Ask through this cursor; `position_of` finds an event's position by tenant and id."""
        self._cursor = cursor
        self._position_of = position_of

    def totals(self, tenant_id: str, selection: Selection) -> SelectionTotals:
        """What the selected events come to, in all and per model."""
        bound, conditions = self.conditions(tenant_id, selection)
        rows = self._all(
            Statement(
                "SELECT provider, model, currency, count(*), count(*) FILTER"
                f" ({_UNPRICED}), sum(CAST(cost AS DECIMAL(38,12))), min(time), max(time)"
                f" FROM usage_events WHERE {conditions} GROUP BY ALL",
                bound.values,
            )
        )
        return _totals_of(rows)

    def positions(
        self, tenant_id: str, selection: Selection, after_seq: int, limit: int
    ) -> list[tuple[int, str]]:
        """Position and id of selected events behind a position, in order."""
        bound, conditions = self.conditions(tenant_id, selection)
        text = (
            f"SELECT seq, event_id FROM usage_events WHERE {conditions} AND seq > {bound.add(after_seq)}"
            f" ORDER BY seq LIMIT {bound.add(limit)}"
        )
        return [(int(seq), event_id) for seq, event_id in self._all(Statement(text, bound.values))]

    def last(self, tenant_id: str, selection: Selection) -> str | None:
        """Id of the selected event that was recorded last."""
        bound, conditions = self.conditions(tenant_id, selection)
        text = f"SELECT event_id FROM usage_events WHERE {conditions} ORDER BY seq DESC LIMIT 1"
        return next((event_id for (event_id,) in self._all(Statement(text, bound.values))), None)

    def current(self, tenant_id: str, event_ids: Collection[str]) -> dict[str, CurrentEvent]:
        """Those of the ids whose events count now."""
        bound = Bound()
        found = self._all(
            Statement(
                "SELECT event_id, time, coalesce(revised_seq, seq), cost, currency, cost_status, cost_reason,"
                f" rate_card FROM usage_events WHERE tenant_id = {bound.add(tenant_id)}"
                f" AND {self._among(tenant_id, event_ids, bound)}",
                bound.values,
            )
        )
        return {
            row[0]: CurrentEvent(
                row[0],
                aware(row[1]),
                int(row[2]),
                StoredCost(_amount(row[3]), row[4], row[5], row[6], row[7]),
            )
            for row in found
        }

    def conditions(self, tenant_id: str, selection: Selection) -> tuple[Bound, str]:
        """What a row must fulfil to be selected, and the values in it.

        Raises:
            Invalid: the selection is bounded by an event that isn't there (any more).
        """
        bound = Bound()
        window = selection.window
        conditions = [
            f"tenant_id = {bound.add(tenant_id)}",
            f"time >= {bound.add(naive(window.start))} AND time < {bound.add(naive(window.end))}",
            *conditions_of(selection.filters, bound),
        ]
        if selection.up_to_event is not None:
            last = self._position_of(tenant_id, selection.up_to_event)
            if last is None:
                raise _unknown_bound(selection.up_to_event)
            conditions.append(f"seq <= {bound.add(last)}")
        if selection.event_ids is not None:
            conditions.append(self._among(tenant_id, selection.event_ids, bound))
        return bound, " AND ".join(conditions)

    def _among(self, tenant_id: str, event_ids: Collection[str], bound: Bound) -> str:
        """Rows of these ids, found by their positions and never by a scan of ids."""
        found = (self._position_of(tenant_id, event_id) for event_id in event_ids)
        seqs = sorted({seq for seq in found if seq is not None})
        if not seqs:
            return "false"
        # The bounds let DuckDB skip every row group that can't hold them.
        return (
            f"seq BETWEEN {bound.add(seqs[0])} AND {bound.add(seqs[-1])}"
            f" AND seq IN (SELECT unnest({bound.add(seqs)}::UBIGINT[]))"
            f" AND event_id IN (SELECT unnest({bound.add(list(event_ids))}::VARCHAR[]))"
        )

    def _all(self, statement: Statement) -> list[tuple[Any, ...]]:
        return self._cursor.execute(statement.text, statement.values).fetchall()


def _unknown_bound(event_id: str) -> Invalid:
    text = f"There is no event {event_id[:256]!r}, or none any more; look again with dry_run."
    return Invalid(text, reasons=(Reason("up_to_event", "no_such_event", text),))


def _totals_of(rows: list[tuple[Any, ...]]) -> SelectionTotals:
    models: dict[tuple[str | None, str | None], list[tuple[Any, ...]]] = {}
    for row in rows:
        models.setdefault((row[0], row[1]), []).append(row)
    shown = [
        SelectedModel(provider, model, _sum(some, 3), _sum(some, 4), _amounts(some))
        for (provider, model), some in models.items()
    ]
    shown.sort(key=lambda one: (-one.events, one.provider or "", one.model or ""))
    return SelectionTotals(
        events=_sum(rows, 3),
        unpriced=_sum(rows, 4),
        cost=_amounts(rows),
        first=min((aware(row[6]) for row in rows), default=None),
        last=max((aware(row[7]) for row in rows), default=None),
        models=shown[:MODELS_SHOWN],
    )


def _sum(rows: Iterable[tuple[Any, ...]], column: int) -> int:
    return sum(int(row[column]) for row in rows)


def _amounts(rows: Iterable[tuple[Any, ...]]) -> list[Amount]:
    sums: dict[str, Decimal | None] = {}
    for row in rows:
        currency, cost = row[2], row[5]
        before = sums.get(currency)
        sums[currency] = cost if before is None else before if cost is None else before + cost
    return [Amount(currency, _amount(sums[currency])) for currency in sorted(sums)]


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else format_decimal(value)
