"""`GET /api/v1/unallocated`: what no cost centre bears, which share that is, and where it is.

The projects, users and keys with the most of it are those whose allocation would help most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bursar.described import DESCRIBED
from bursar.usage.asked import must
from bursar.usage.csv_table import text_cell, write_csv
from bursar.usage.partial import Partial  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.query import Filter, FilterOp, Order, UsageQuery
from bursar.usage.query_answer import WindowShown, render_decimal, show_window
from bursar.usage.query_dimensions import ALLOCATED, UNALLOCATED
from bursar.usage.query_reader import Asker, read_scene
from bursar.usage.shares import share_of
from bursar.usage.views.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.usage.asked import Asked
    from bursar.usage.csv_table import Cell
    from bursar.usage.query_answer import Row, UsageAnswer
    from bursar.usage.store import UsageQuestions

DEFAULT_DIMENSION = "cost_centre"
DEFAULT_LIMIT = 10
BEARERS = ("project_id", "user_id", "key_id")
_MEASURES = ("cost", "events", "unpriced_events")


@dataclass(frozen=True, slots=True)
class UnallocatedAmount:
    """What is spent in one currency, and what of it nobody bears."""

    __pydantic_config__: ClassVar = DESCRIBED

    currency: str
    total: str | None
    """Null where the cost of no event is known."""
    unallocated: str | None
    share: str | None
    """unallocated / total, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class UnallocatedPart:
    """What one project, user or key has of it, in one currency."""

    __pydantic_config__: ClassVar = DESCRIBED

    id: str | None
    """Null stands for events without one."""
    currency: str
    cost: str | None
    events: int
    unpriced_events: int


@dataclass(frozen=True, slots=True)
class Unallocated:
    """What no cost centre (or no owner) bears."""

    __pydantic_config__: ClassVar = DESCRIBED

    dimension: str
    events: int
    """All events of the window."""
    unallocated_events: int
    unallocated_unpriced_events: int
    """Those of them that have no known cost."""
    share_of_events: str | None
    amounts: list[UnallocatedAmount]
    projects: list[UnallocatedPart]
    """Those with the most of it first."""
    users: list[UnallocatedPart]
    keys: list[UnallocatedPart]
    window: WindowShown
    partial: Partial | None = None
    """Null where the answer covers the whole window."""


@dataclass(frozen=True, slots=True)
class UnallocatedView:
    """Compares everything with what nobody bears."""

    tenant_id: str
    query: UsageQuery
    """Everything, by currency."""
    dimension: str

    def answer(self, store: UsageQuestions) -> Shown:
        """Ask for the whole, for the rest, and for where the rest is."""
        whole = store.answer(self.tenant_id, replace(self.query, limit=1))
        nobody = Filter(self.dimension, FilterOp.IN, (UNALLOCATED,))
        rest_query = replace(self.query, filters=(*self.query.filters, nobody))
        rest = store.answer(self.tenant_id, replace(rest_query, limit=1))
        parts: dict[str, tuple[UnallocatedPart, ...]] = {}
        for name in BEARERS:
            by_one = replace(rest_query, dimensions=(name,), order=_MOST_FIRST)
            parts[name] = tuple(_part(name, row) for row in store.rows(self.tenant_id, by_one).rows)
        shown = _show(self.dimension, whole, rest, parts)
        return Shown(shown, lambda: _as_csv(parts))


_MOST_FIRST = (Order("cost", is_descending=True), Order("events", is_descending=True))


def read_unallocated_view(asked: Asked, asker: Asker) -> UnallocatedView:
    """The question of a query string: by cost centre over 30 days, with ten of each, unless it says more.

    Raises:
        Invalid: with every reason.
    """
    dimension = asked.text("dimension") or DEFAULT_DIMENSION
    if dimension not in ALLOCATED:
        asked.refuse("dimension", "unknown_word", f"dimension is one of {', '.join(sorted(ALLOCATED))}.")
    limit = asked.number("limit", DEFAULT_LIMIT)
    scene = read_scene(asked, asker)
    query = asked.collect(
        lambda: UsageQuery(
            window=scene.window,
            measures=_MEASURES,
            filters=(*scene.filters, *asker.sight.for_measures(_MEASURES)),
            zone=scene.zone,
            limit=limit,
        )
    )
    asked.finish()
    return UnallocatedView(asker.tenant_id, must(query), dimension)


def _show(
    dimension: str,
    whole: UsageAnswer,
    rest: UsageAnswer,
    parts: dict[str, tuple[UnallocatedPart, ...]],
) -> Unallocated:
    events, alone = whole.totals.events, rest.totals.events
    totals, unborne = whole.totals.amounts["cost"], rest.totals.amounts["cost"]
    amounts = [
        UnallocatedAmount(
            currency,
            render_decimal(totals[currency]),
            render_decimal(unborne.get(currency, 0 if totals[currency] is not None else None)),
            render_decimal(share_of(unborne.get(currency, 0), totals[currency])),
        )
        for currency in sorted(totals)
    ]
    return Unallocated(
        dimension=dimension,
        events=events,
        unallocated_events=alone,
        unallocated_unpriced_events=rest.totals.unpriced_events,
        share_of_events=render_decimal(share_of(alone, events)),
        amounts=amounts,
        projects=[*parts["project_id"]],
        users=[*parts["user_id"]],
        keys=[*parts["key_id"]],
        window=show_window(whole.query.window, whole.query.zone),
        partial=rest.partial or whole.partial,
    )


def _part(name: str, row: Row) -> UnallocatedPart:
    named, currency = row[name], row["currency"]
    return UnallocatedPart(
        id=None if named is None else str(named),
        currency=str(currency),
        cost=render_decimal(row["cost"]),
        events=_count(row["events"]),
        unpriced_events=_count(row["unpriced_events"]),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _as_csv(parts: dict[str, tuple[UnallocatedPart, ...]]) -> str:
    def rows() -> Iterable[list[Cell]]:
        for name, found in parts.items():
            for one in found:
                yield [name, text_cell(one.id), one.cost, one.currency, one.events, one.unpriced_events]

    return write_csv(("by", "id", "cost", "currency", "events", "unpriced_events"), rows())
