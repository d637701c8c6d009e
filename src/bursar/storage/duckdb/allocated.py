"""Adds to a table of usage the owner and the cost centre that bear each row, as of its day.

Which allocations there are comes from the state store with the question, as lists of values; each kind of
bearer is one join by id and time. `usage/allocations/claims.py` says the same for one event, in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.binding import naive
from bursar.usage.allocations.claims import COLUMNS, PRECEDENCE
from bursar.usage.query_dimensions import ALLOCATED, UNALLOCATED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from bursar.storage.duckdb.binding import Bound
    from bursar.usage.allocations.allocation import Bearer
    from bursar.usage.allocations.claims import Claims
    from bursar.usage.query import Filter, UsageQuery


class Allocated:
    """What makes a table out of a table and the claims on its rows. Of one statement."""

    def __init__(self, claims: Claims, names: Collection[str], bound: Bound) -> None:
        """Add these dimensions (`owner`, `cost_centre`), or nothing where there are none.

        Args:
            claims: those within the window of the question.
            names: which of the dimensions it asks for.
            bound: takes the values.
        """
        self._names = sorted(names)
        kinds = [kind for kind in PRECEDENCE if claims.by.get(kind)] if names else []
        self._kinds = {COLUMNS[kind]: _listed(claims, kind, self._names, bound) for kind in kinds}
        self._nobody = bound.add(UNALLOCATED) if names else ""

    def table(self, table: str, time: str) -> str:
        """The table to read instead: the same rows, each with who bears it.

        Args:
            table: a name, or a subquery in brackets; it has a column for every kind of bearer.
            time: its column that decides the day.
        """
        if not self._names:
            return table
        added = ", ".join(f"{self._first_of(name)} AS {name}" for name in self._names)
        joins = "".join(
            f" LEFT JOIN ({rows}) by_{column} ON by_{column}.subject = t.{column}"
            f" AND t.{time} >= by_{column}.starts AND t.{time} < by_{column}.ends"
            for column, rows in self._kinds.items()
        )
        return f"(SELECT t.*, {added} FROM {table} t{joins})"

    def _first_of(self, name: str) -> str:
        """The first bearer's that names one."""
        named = [f"by_{column}.{name}" for column in self._kinds]
        return f"coalesce({', '.join([*named, self._nobody])})"


def query_names(query: UsageQuery) -> frozenset[str]:
    """Which of the dimensions that allocations say a query asks for, in its rows or filters."""
    return ALLOCATED.intersection(query.dimensions) | filtered_names(query.filters)


def filtered_names(filters: Iterable[Filter]) -> frozenset[str]:
    """Which of them filters name."""
    return ALLOCATED.intersection(one.dimension for one in filters)


def _listed(claims: Claims, kind: Bearer, names: Iterable[str], bound: Bound) -> str:
    """The claims of one kind of bearer as rows."""
    found = claims.by[kind]

    def columns() -> Iterator[str]:
        yield f"unnest({bound.add([one.subject for one in found])}::VARCHAR[]) AS subject"
        yield f"unnest({bound.add([naive(one.start) for one in found])}::TIMESTAMP[]) AS starts"
        yield f"unnest({bound.add([naive(one.end) for one in found])}::TIMESTAMP[]) AS ends"
        for name in names:
            yield f"unnest({bound.add([one.value(name) for one in found])}::VARCHAR[]) AS {name}"

    return f"SELECT {', '.join(columns())}"
