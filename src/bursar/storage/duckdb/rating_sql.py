"""What rating again asks the store: events by columns, what runs have changed, and earlier ratings.

Events come in windows of positions, which row groups make cheap however many events there are. Texts that
many rows share come as one text for each row: a column of its own for each would take longer to hand over
than to rate. Only reads; `rerate.py` is what changes ratings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.money import format_decimal
from bursar.storage.duckdb.binding import Bound, Statement, aware
from bursar.storage.duckdb.connection import fetch_columns
from bursar.storage.duckdb.rerate import read_sums
from bursar.units import UNITS
from bursar.usage.ratable_rows import Common, RatableRows
from bursar.usage.stored_event import TEXT_FIELDS, EarlierRating, StoredCost
from bursar.usage.unpriced_groups import GroupKey, UnpricedGroup

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from decimal import Decimal

    import duckdb

    from bursar.storage.duckdb.selection_sql import CursorSelections
    from bursar.usage.changes import MonthSums
    from bursar.usage.selection import Selection
    from bursar.usage.unpriced_groups import GroupPlace

_PICOS = "CAST(CAST({0} AS DECIMAL(38,12)) * 1000000000000 AS BIGINT)"
_FIELDS = ", ".join(f"{name} := {name}" for name in (*TEXT_FIELDS, "retry_count", "max_tokens"))
_READ = (
    f"CASE WHEN service_type IN (SELECT unnest({{0}}::VARCHAR[])) THEN to_json(struct_pack({_FIELDS},"
    " metadata := metadata, tags := tags, erased := coalesce(revised_seq, seq) IN"
    " (SELECT version FROM erased_events)))::VARCHAR END AS fields"
)
_COMMON = ", ".join(f"CAST({name} AS VARCHAR)" for name in Common.__struct_fields__)
_COLUMNS = (
    f"seq, time, to_json([{_COMMON}])::VARCHAR AS common, {_PICOS.format('cost')} AS picos, context_tokens,"
    " to_json(custom_units)::VARCHAR AS custom_units, parts::VARCHAR AS parts,"
    f" {_PICOS.format('reported_cost')} AS reported_picos, {', '.join(UNITS)},"
    " CASE WHEN reported_by = 'client' THEN usage::VARCHAR END AS usage"
)


_GROUP = {
    "provider": "provider",
    "model": "coalesce(nullif(response_model, ''), model)",
    "reason": "cost_reason",
}
"""What unpriced events are grouped by."""
_ORDER = ", ".join(f"coalesce({name}, '')" for name in _GROUP)


class CursorRatings:
    """Answers about ratings on a cursor that is in a transaction; use from one thread."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, selections: CursorSelections) -> None:
        """Ask through this cursor."""
        self._cursor = cursor
        self._selections = selections

    def span(self, tenant_id: str, selection: Selection) -> tuple[int, int] | None:
        """First and last position of the selected events; None where there is none."""
        bound, conditions = self._selections.conditions(tenant_id, selection)
        text = f"SELECT min(seq), max(seq) FROM usage_events WHERE {conditions}"
        first, last = self._all(Statement(text, bound.values))[0]
        return None if first is None else (int(first), int(last))

    def rows(
        self, tenant_id: str, selection: Selection, span: tuple[int, int], ruled: Collection[str | None] = ()
    ) -> RatableRows:
        """The selected events of these positions."""
        bound, conditions = self._selections.conditions(tenant_id, selection)
        first_seq, last_seq = span
        services = bound.add(sorted({one for one in ruled if one is not None}))
        text = (
            f"SELECT {_COLUMNS}, {_READ.format(services)} FROM usage_events"
            f" WHERE seq BETWEEN {bound.add(first_seq)} AND {bound.add(last_seq)} AND {conditions}"
        )
        found = fetch_columns(self._cursor, text, bound.values)
        as_of = self._all(Statement("SELECT coalesce(max(seq), 0) FROM applied", {}))[0][0]
        return RatableRows(
            int(as_of),
            found["seq"].tolist(),
            found["time"].tolist(),
            found["common"].tolist(),
            found["picos"].tolist(),
            found["context_tokens"].tolist(),
            {name: found[name].tolist() for name in UNITS if _has_any(found[name])},
            found["custom_units"].tolist(),
            found["parts"].tolist(),
            found["reported_picos"].tolist(),
            found["usage"].tolist(),
            found["fields"].tolist(),
        )

    def ids_at(self, tenant_id: str, seqs: Collection[int]) -> dict[int, str]:
        """Ids of the events at these positions."""
        bound = Bound()
        text = (
            f"SELECT seq, event_id FROM usage_events WHERE tenant_id = {bound.add(tenant_id)}"
            f" AND seq IN (SELECT unnest({bound.add(sorted(seqs))}::UBIGINT[]))"
        )
        return {int(seq): event_id for seq, event_id in self._all(Statement(text, bound.values))}

    def sums_of_run(self, tenant_id: str, run_id: str) -> list[MonthSums] | None:
        """What a run has changed; None where it isn't in force."""
        text = "SELECT sums FROM rating_runs WHERE tenant_id = $tenant AND run_id = $run AND seq IS NOT NULL"
        rows = self._all(Statement(text, {"tenant": tenant_id, "run": run_id}))
        return read_sums(rows[0][0]) if rows else None

    def unpriced(
        self, tenant_id: str, selection: Selection, after: GroupPlace | None, limit: int
    ) -> list[UnpricedGroup]:
        """Groups of selected events, those with the most events first."""
        bound, conditions = self._selections.conditions(tenant_id, selection)
        key = ", ".join(f"{expression} AS {name}" for name, expression in _GROUP.items())
        sums = ", ".join(f"sum({unit}) AS {unit}" for unit in UNITS)
        text = (
            f"SELECT * FROM (SELECT {key}, count(*) AS events, min(time), max(time), {sums} FROM usage_events"
            f" WHERE {conditions} GROUP BY ALL) {_behind(after, bound)}"
            f" ORDER BY events DESC, {_ORDER} LIMIT {bound.add(limit)}"
        )
        found = self._all(Statement(text, bound.values))
        custom = self._custom_units(tenant_id, selection, [GroupKey(*row[:3]) for row in found])
        groups: list[UnpricedGroup] = []
        for row in found:
            group_key = GroupKey(*row[:3])
            units = {name: int(steps) for name, steps in zip(UNITS, row[6:], strict=True) if steps}
            units |= custom.get(group_key, {})
            groups.append(UnpricedGroup(group_key, int(row[3]), aware(row[4]), aware(row[5]), units))
        return groups

    def _custom_units(
        self, tenant_id: str, selection: Selection, keys: Sequence[GroupKey]
    ) -> dict[GroupKey, dict[str, int]]:
        """What these groups used of units of one's own: there may be as many groups as events."""
        if not keys:
            return {}
        bound, conditions = self._selections.conditions(tenant_id, selection)
        columns = zip(*((one.provider or "", one.model or "", one.reason or "") for one in keys), strict=True)
        wanted = ", ".join(f"unnest({bound.add(list(column))}::VARCHAR[])" for column in columns)
        key = ", ".join(f"{expression} AS {name}" for name, expression in _GROUP.items())
        text = (
            f"SELECT {', '.join(_GROUP)}, one.key, sum(one.value) FROM"
            f" (SELECT {key}, unnest(map_entries(custom_units)) AS one FROM usage_events"
            f" WHERE {conditions} AND custom_units IS NOT NULL)"
            f" WHERE ({_ORDER}) IN (SELECT {wanted}) GROUP BY ALL"
        )
        found: dict[GroupKey, dict[str, int]] = {}
        for *group, unit, steps in self._all(Statement(text, bound.values)):
            found.setdefault(GroupKey(*group), {})[str(unit)] = int(steps)
        return found

    def is_open(self, tenant_id: str, run_id: str) -> bool:
        """Whether ratings of this run wait to come into force."""
        text = "SELECT 1 FROM rating_runs WHERE tenant_id = $tenant AND run_id = $run AND seq IS NULL"
        return bool(self._all(Statement(text, {"tenant": tenant_id, "run": run_id})))

    def earlier(self, tenant_id: str, seq: int) -> tuple[EarlierRating, ...]:
        """The ratings that the event at a position had before, as it is by now, the newest first."""
        text = (
            "SELECT cost, currency, cost_status, cost_reason, rate_card, parts, ended_at, ended_by,"
            " ended_reason, ended_run FROM earlier_ratings WHERE tenant_id = $tenant AND seq = $seq"
            " AND version = (SELECT coalesce(revised_seq, seq) FROM usage_events WHERE seq = $seq)"
            " ORDER BY ended_seq DESC"
        )
        rows = self._all(Statement(text, {"tenant": tenant_id, "seq": seq}))
        return tuple(
            EarlierRating(
                StoredCost(_amount(row[0]), row[1], row[2], row[3], row[4]),
                row[5],
                aware(row[6]),
                row[7],
                row[8],
                row[9],
            )
            for row in rows
        )

    def _all(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        return self._cursor.execute(statement.text, statement.values).fetchall()


def _behind(after: GroupPlace | None, bound: Bound) -> str:
    """The condition for groups that come after one in the list."""
    if after is None:
        return ""
    events = bound.add(after.events)
    key = ", ".join(bound.add(one or "") for one in (after.key.provider, after.key.model, after.key.reason))
    return f"WHERE events < {events} OR (events = {events} AND ({_ORDER}) > ({key}))"


def _has_any(column: Any) -> bool:  # noqa: ANN401 - an array of DuckDB's, masked where values are missing
    return not bool(getattr(column, "mask", False) is not False and column.mask.all())


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else format_decimal(value)
