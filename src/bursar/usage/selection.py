"""A selection: which events a change is about, and what they come to, before anybody changes them.

The same filters and windows as every question, bounded by the last event that was
seen, so that what was looked at and what is changed later are the same events. The bound is an event of
the tenant's own and no position of the journal, which would tell how much others record. Pure values;
`store.py` says who counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from bursar.described import DESCRIBED
from bursar.errors import Invalid, Reason
from bursar.usage.query import Filter, FilterOp, filter_faults
from bursar.usage.query_answer import Amount  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.query_dimensions import ALLOCATED
from bursar.usage.stored_event import StoredCost  # noqa: TC001 - FastAPI reads the annotations
from bursar.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Selection:
    """Events of one tenant: those that the filters select within a window, or those of some ids.

    Raises:
        Invalid: a filter that can't be used; all reasons at once.
    """

    window: Window
    filters: tuple[Filter, ...] = ()
    event_ids: tuple[str, ...] | None = None
    """Only these, where they are named."""
    up_to_event: str | None = None
    """Only events that were recorded no later than the one of this id."""

    def __post_init__(self) -> None:
        reasons = (*filter_faults(self.filters), *_allocation_faults(self.filters))
        if reasons:
            raise Invalid(" ".join(reason.message for reason in reasons), reasons=reasons)

    def as_json(self) -> dict[str, Any]:
        """The selection as a job keeps it; `selection_of` reads it back."""
        return {
            "start": self.window.start.isoformat(),
            "end": self.window.end.isoformat(),
            "filters": [
                {"dimension": one.dimension, "op": one.op.value, "values": list(one.values)}
                for one in self.filters
            ],
            "up_to_event": self.up_to_event,
        }


def _allocation_faults(filters: tuple[Filter, ...]) -> Iterator[Reason]:
    """Who bears an event may change between looking and changing; what the event says of itself can't."""
    for one in filters:
        if one.dimension in ALLOCATED:
            message = f"{one.dimension} can't select events here; name their project_id, user_id or key_id."
            yield Reason(f"filters.{one.dimension}", "not_selectable", message)


def selection_of(said: Mapping[str, Any]) -> Selection:
    """The selection that `Selection.as_json` wrote."""
    return Selection(
        Window(datetime.fromisoformat(said["start"]), datetime.fromisoformat(said["end"])),
        tuple(Filter(one["dimension"], FilterOp(one["op"]), tuple(one["values"])) for one in said["filters"]),
        up_to_event=said["up_to_event"],
    )


@dataclass(frozen=True, slots=True)
class SelectedModel:
    """What the selected events of one model come to."""

    __pydantic_config__: ClassVar = DESCRIBED

    provider: str | None
    model: str | None
    events: int
    unpriced: int
    cost: list[Amount]
    """One amount per currency, of the events whose cost is known."""


@dataclass(frozen=True, slots=True)
class SelectionTotals:
    """What the selected events come to."""

    __pydantic_config__: ClassVar = DESCRIBED

    events: int
    unpriced: int
    """How many of them have no known cost; they are in no amount."""
    cost: list[Amount]
    """One amount per currency."""
    first: datetime | None
    """Time of the earliest event; null where there is none."""
    last: datetime | None
    models: list[SelectedModel]
    """The same per model, the one with the most events first; at most a thousand."""


@dataclass(frozen=True, slots=True)
class CurrentEvent:
    """An event as it counts now, as far as a change needs to know it."""

    event_id: str
    time: datetime
    version: int
    """Position of the record that made it what it is: its first delivery, or its last correction."""
    cost: StoredCost
