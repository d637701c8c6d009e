"""Single events: `GET /api/v1/events`, `/events/{id}`, and `/usage` as the replaced system lists them.

Pages follow a cursor; `/usage` also counts and takes an offset, because its clients expect that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bursar.clock import rfc3339
from bursar.described import DESCRIBED
from bursar.errors import NotFound
from bursar.units import TOKEN_TOTALS, UNITS
from bursar.usage.csv_table import Cell, json_cell, text_cell, write_csv
from bursar.usage.partial import Partial  # noqa: TC001 - FastAPI reads the annotations
from bursar.usage.query_answer import WindowShown, show_window
from bursar.usage.query_reader import Asker, format_cursor, read_event_page
from bursar.usage.stored_event import TEXT_FIELDS, StoredEvent
from bursar.usage.views.shown import Shown
from bursar.window import DEFAULT_WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from bursar.usage.asked import Asked
    from bursar.usage.places import Places
    from bursar.usage.query import EventPage
    from bursar.usage.sight import Sight
    from bursar.usage.store import UsageQuestions


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """One page of events, newest first."""

    __pydantic_config__: ClassVar = DESCRIBED

    items: list[StoredEvent]
    next_cursor: str | None
    """Pass as `cursor` for the next page; null on the last one."""
    total_count: int | None
    """All events selected, where `total_count=true` was asked."""
    window: WindowShown
    partial: Partial | None
    """Null where every event of the window is still kept."""


@dataclass(frozen=True, slots=True)
class UsageListAnswer:
    """One page of events, newest first, in the words of the usage tracking system."""

    __pydantic_config__: ClassVar = DESCRIBED

    events: list[StoredEvent]
    total_count: int
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None
    window: WindowShown
    partial: Partial | None
    """Null where every event of the window is still kept."""


@dataclass(frozen=True, slots=True)
class EventsView:
    """A page of events."""

    tenant_id: str
    page: EventPage
    zone: tzinfo
    sight: Sight
    places: Places

    def answer(self, store: UsageQuestions) -> Shown:
        """The events and where the next page begins."""
        listed = store.list_events(self.tenant_id, self.page)
        events = [self.sight.show(event) for event in listed.events]
        cursor = format_cursor(listed.next_cursor, self.places) if listed.next_cursor else None
        window = show_window(self.page.window, self.zone)
        body = EventsAnswer(events, cursor, listed.total_count, window, listed.partial)
        return Shown(body, lambda: events_as_csv(events), len(events))


@dataclass(frozen=True, slots=True)
class UsageListView:
    """A page of events, counted."""

    tenant_id: str
    page: EventPage
    zone: tzinfo
    sight: Sight
    places: Places

    def answer(self, store: UsageQuestions) -> Shown:
        """The events, how many there are in all, and how to go on."""
        listed = store.list_events(self.tenant_id, self.page)
        events = [self.sight.show(event) for event in listed.events]
        body = UsageListAnswer(
            events=events,
            total_count=listed.total_count or 0,
            limit=self.page.limit,
            offset=self.page.offset,
            has_more=listed.next_cursor is not None,
            next_cursor=format_cursor(listed.next_cursor, self.places) if listed.next_cursor else None,
            window=show_window(self.page.window, self.zone),
            partial=listed.partial,
        )
        return Shown(body, lambda: events_as_csv(events), len(events))


@dataclass(frozen=True, slots=True)
class EventView:
    """One event by its id."""

    tenant_id: str
    event_id: str
    sight: Sight

    def answer(self, store: UsageQuestions) -> Shown:
        """The event.

        Raises:
            NotFound: this tenant has none of that id in what may be seen, or it isn't applied yet.
        """
        found = store.find_event(self.tenant_id, self.event_id, self.sight.projects)
        if found is None:
            message = "There is no event of this id; one just accepted is visible within a second."
            raise NotFound(message)
        event = self.sight.show(found)
        return Shown(event, lambda: events_as_csv([event]), events=1)


def read_events_view(asked: Asked, asker: Asker) -> EventsView:
    """A page of all events, of any age unless a window is named.

    Raises:
        Invalid: with every reason.
    """
    page, zone = read_event_page(asked, asker, default_window="all", is_counted=False)
    return EventsView(asker.tenant_id, page, zone, asker.sight, asker.places)


def read_usage_list_view(asked: Asked, asker: Asker) -> UsageListView:
    """A counted page of the last 30 days' events unless a window is named.

    Raises:
        Invalid: with every reason.
    """
    asked.flag("include_billing")  # The cost is always included.
    page, zone = read_event_page(asked, asker, default_window=DEFAULT_WINDOW, is_counted=True)
    return UsageListView(asker.tenant_id, page, zone, asker.sight, asker.places)


def events_as_csv(events: Sequence[StoredEvent]) -> str:
    """One line per event: names, totals, every unit, cost; nested things as JSON."""
    header = [*_TEXTS[:1], *_TIMES, *_TEXTS[1:], *_PLAIN, *TOKEN_TOTALS, *UNITS, *_COSTS, *_NESTED]
    return write_csv(header, (_csv_row(event) for event in events))


_TEXTS = ("event_id", "door", "key_id", *TEXT_FIELDS)
_TIMES = ("time", "received_at")
_PLAIN = (
    "batch",
    "context_tokens",
    "retry_count",
    "latency_ms",
    "time_to_first_token_ms",
    "temperature",
    "max_tokens",
)
_COSTS = ("cost", "currency", "cost_status", "cost_reason", "rate_card")
_NESTED = ("custom_units", "tags", "metadata")


def _csv_row(event: StoredEvent) -> list[Cell]:
    custom = {name: quantity for name, quantity in event.units.items() if name not in UNITS}
    cost = event.cost
    return [
        text_cell(event.event_id),
        rfc3339(event.time),
        rfc3339(event.received_at),
        *(text_cell(getattr(event, name)) for name in _TEXTS[1:]),
        *(getattr(event, name) for name in _PLAIN),
        *(event.totals.get(name) for name in TOKEN_TOTALS),
        *(event.units.get(name) for name in UNITS),
        cost.total,
        cost.currency,
        cost.status,
        text_cell(cost.reason),
        cost.rate_card,
        json_cell(custom),
        json_cell(event.tags),
        json_cell(event.metadata),
    ]
