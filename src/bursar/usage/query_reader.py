"""Makes queries and event pages of what a request asks, in a query string or in JSON.

In a query string a filter is a parameter named like its dimension (`provider=openai`, repeated for
any of several), with `.not`, `.prefix` or `.absent` behind the name for other comparisons and
`tag:team=search` for tags. In JSON, `filters` maps a dimension to a value, a list, null, or an
object such as `{"prefix": "gpt-4", "not": ["gpt-4-turbo"]}`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bursar import clock
from bursar.errors import Invalid, Reason
from bursar.identity.page import decode_cursor, encode_cursor
from bursar.usage.asked import Asked, must
from bursar.usage.periods import Grain
from bursar.usage.places import AS_THEY_ARE, Places
from bursar.usage.query import (
    EVENTS_DEFAULT,
    ROWS_DEFAULT,
    EventCursor,
    EventPage,
    Filter,
    FilterOp,
    FilterValue,
    Order,
    UsageQuery,
)
from bursar.usage.query_dimensions import DIMENSION_ALIASES, DIMENSIONS, PERIOD, Kind, find_dimension
from bursar.usage.query_measures import find_measure
from bursar.usage.sight import SEES_ALL, Sight
from bursar.window import (
    DEFAULT_WINDOW,
    END_NAMES,
    START_NAMES,
    WINDOW_NAMES,
    Window,
    parse_zone,
    read_window,
)

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from bursar.usage.reporting import ReportsCosts

DEFAULT_MEASURES = ("events", "cost", "unpriced_events", "total_tokens")
_ABSENT = "absent"
_CURSOR = struct.Struct(">qQ")


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom, in which reporting zone and at what time a question is asked."""

    tenant_id: str
    zone: str
    now: datetime
    reporting: ReportsCosts | None = None
    """Knows in which currency its costs are told."""
    sight: Sight = SEES_ALL
    """How far it sees: every window and filter that is read for it stays within."""
    places: Places = AS_THEY_ARE
    """How it is shown where a page of events ends."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What nearly every question has: a window, its zone, and filters."""

    window: Window
    zone: tzinfo
    filters: tuple[Filter, ...]


def read_scene(asked: Asked, asker: Asker, default_window: str = DEFAULT_WINDOW) -> Scene:
    """Window, zone and filters of a query string; every parameter still unread is a filter.

    Read other parameters first. What is wrong is noted in `asked`; `finish` refuses.
    """
    zone, window = _zone_and_window(asked, asker, default_window)
    return Scene(window, zone, _seen(_filters_of_parameters(asked), asker))


def _seen(filters: tuple[Filter, ...], asker: Asker) -> tuple[Filter, ...]:
    """The filters, and what keeps them within what the asker sees."""
    by = asker.sight.for_dimensions(one.dimension for one in filters)
    return (*filters, *asker.sight.filters, *by)


def read_json_scene(asked: Asked, asker: Asker, default_window: str = DEFAULT_WINDOW) -> Scene:
    """Window, zone and filters of a JSON body; what is wrong is noted in `asked`."""
    zone = _zone(asked, asker)
    bounds = _bounds_of_json(asked)
    window = asked.collect(lambda: read_window(bounds, zone, asker.now, default_window))
    return Scene(window or _ANY_WINDOW, zone, _seen(_filters_of_json(asked, asked.take("filters")), asker))


def read_query(asked: Asked, asker: Asker) -> UsageQuery:
    """The query of a JSON body.

    Raises:
        Invalid: with every reason.
    """
    scene = read_json_scene(asked, asker)
    grain, dimensions = read_group_by(asked)
    measures = tuple(canonical_measure(name) for name in asked.names("measures"))
    if not measures:
        measures = tuple(name for name in DEFAULT_MEASURES if asker.sight.sees_costs or name != "cost")
    limit, offset = asked.number("limit", ROWS_DEFAULT), asked.number("offset", 0)
    order = tuple(_order(name) for name in asked.names("order"))
    query = asked.collect(
        lambda: UsageQuery(
            window=scene.window,
            measures=measures,
            dimensions=dimensions,
            filters=(
                *scene.filters,
                *asker.sight.for_measures(measures),
                *asker.sight.for_dimensions(dimensions),
            ),
            grain=grain,
            zone=scene.zone,
            order=order,
            limit=limit,
            offset=offset,
        )
    )
    asked.finish()
    return must(query)


def read_event_page(
    asked: Asked, asker: Asker, *, default_window: str, is_counted: bool
) -> tuple[EventPage, tzinfo]:
    """The event page of a query string, and the zone in which its window was named.

    Raises:
        Invalid: with every reason.
    """
    limit, offset = asked.number("limit", EVENTS_DEFAULT), asked.number("offset", 0)
    cursor_text = asked.text("cursor")
    cursor = (
        asked.collect(lambda: parse_cursor(cursor_text, asker.places)) if cursor_text is not None else None
    )
    counted = asked.flag("total_count") or is_counted
    scene = read_scene(asked, asker, default_window)
    page = asked.collect(
        lambda: EventPage(scene.window, scene.filters, cursor, limit, offset, is_counted=counted)
    )
    asked.finish()
    return must(page), scene.zone


def read_group_by(asked: Asked) -> tuple[Grain | None, tuple[str, ...]]:
    """Grain and dimensions; a grain may also stand among the names of `group_by`."""
    names = asked.names("group_by")
    grains = [Grain(name) for name in names if name in list(Grain)]
    grain = asked.choice("grain", Grain)
    if len(grains) + (grain is not None) > 1:
        asked.refuse("grain", "conflicting_parameters", "Name one grain only: hour, day, week or month.")
    dimensions = tuple(canonical_dimension(name) for name in names if name not in list(Grain))
    return grain or next(iter(grains), None), dimensions


def canonical_dimension(name: str) -> str:
    """A dimension's own name for an alias; unknown names stay and are refused by the query."""
    dimension = find_dimension(name)
    return dimension.name if dimension else name


def canonical_measure(name: str) -> str:
    """A measure's own name for an alias; unknown names stay and are refused by the query."""
    measure = find_measure(name)
    return measure.name if measure else name


def format_cursor(cursor: EventCursor, places: Places) -> str:
    """An opaque text that `parse_cursor` reads back."""
    packed = _CURSOR.pack(clock.to_micros(cursor.time), places.show(cursor.seq))
    return encode_cursor(packed)


def parse_cursor(text: str, places: Places) -> EventCursor:
    """The place that a `next_cursor` named.

    Raises:
        Invalid: it is not one of ours.
    """
    try:
        micros, seq = _CURSOR.unpack(decode_cursor(text))
        return EventCursor(clock.from_micros(micros), places.find(seq))
    except (ValueError, struct.error, OverflowError):
        message = "cursor is the next_cursor of an earlier answer, unchanged."
        raise Invalid(message, reasons=(Reason("cursor", "bad_cursor", message),)) from None


_ANY_WINDOW = Window(clock.EPOCH, clock.from_micros(1))
"""Stands in for a window that was refused, so that other faults are found as well."""


def _zone_and_window(asked: Asked, asker: Asker, default: str) -> tuple[tzinfo, Window]:
    zone = _zone(asked, asker)
    named = asked.texts(WINDOW_NAMES)
    window = asked.collect(lambda: read_window(named, zone, asker.now, default))
    return zone, window or _ANY_WINDOW


def _zone(asked: Asked, asker: Asker) -> tzinfo:
    text = asked.text("zone")
    zone = asked.collect(lambda: parse_zone(text)) if text is not None else None
    return zone or parse_zone(asker.zone)


def _bounds_of_json(asked: Asked) -> dict[str, str]:
    """What a body says about its window, as `read_window` takes it."""
    window = asked.take("window")
    named = asked.texts(name for name in WINDOW_NAMES if name != "window")
    if isinstance(window, str):
        return {"window": window, **named}
    if isinstance(window, dict):
        inner = Asked(cast("dict[str, Any]", window))
        named |= inner.texts(START_NAMES + END_NAMES)
        asked.collect(inner.finish)
    elif window is not None:
        asked.refuse(
            "window", "wrong_type", "window is a text such as '30d', or an object with start and end."
        )
    return named


def _order(text: str) -> Order:
    is_descending = text.startswith("-")
    name = text.lstrip("+-")
    if name in list(Grain) or name == PERIOD:
        return Order(PERIOD, is_descending)
    measure = find_measure(name)
    return Order(measure.name if measure else canonical_dimension(name), is_descending)


def _filters_of_parameters(asked: Asked) -> tuple[Filter, ...]:
    filters: list[Filter] = []
    for name, given in asked.rest().items():
        values = cast("list[str]", given if isinstance(given, list) else [given])
        dimension_name, op = _split_name(name)
        dimension = find_dimension(dimension_name)
        if dimension is None:
            asked.refuse_unknown(name, (*DIMENSIONS, *DIMENSION_ALIASES))
        elif op == _ABSENT:
            is_absent = asked.collect(lambda name=name, text=values[-1]: _flag(name, text))
            filters.append(Filter(dimension.name, FilterOp.IN if is_absent else FilterOp.NOT, (None,)))
        else:
            read = tuple(_value_of_text(text, dimension.kind) for text in values)
            filters.append(Filter(dimension.name, FilterOp(op), read))
    return tuple(filters)


def _split_name(name: str) -> tuple[str, str]:
    """Dimension and comparison of a parameter such as `model.prefix`."""
    stem, dot, suffix = name.rpartition(".")
    if dot and suffix in {FilterOp.NOT, FilterOp.PREFIX, FilterOp.IN, _ABSENT}:
        return stem, suffix
    return name, FilterOp.IN


def _flag(name: str, text: str) -> bool:
    asked = Asked({name: text})
    flag = asked.flag(name)
    asked.finish()
    return flag


def _value_of_text(text: str, kind: Kind) -> FilterValue:
    """A text as the dimension's kind; what doesn't fit stays a text and is refused by the query."""
    if kind is Kind.FLAG:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind is Kind.TEXT:
        return text
    try:
        return int(text) if kind is Kind.WHOLE else float(text)
    except ValueError:
        return text


def _filters_of_json(asked: Asked, given: object) -> tuple[Filter, ...]:
    if given is None:
        return ()
    if not isinstance(given, dict):
        asked.refuse(
            "filters", "wrong_type", "filters is an object from dimension to value, list or comparison."
        )
        return ()
    filters: list[Filter] = []
    for name, said in cast("dict[str, object]", given).items():
        filters += _comparisons(asked, canonical_dimension(name), said)
    return tuple(filters)


def _comparisons(asked: Asked, name: str, said: object) -> list[Filter]:
    comparisons = cast("dict[str, object]", said) if isinstance(said, dict) else {FilterOp.IN.value: said}
    filters: list[Filter] = []
    for op, value in comparisons.items():
        values = cast("list[object]", value if isinstance(value, list) else [value])
        if op not in list(FilterOp):
            ops = ", ".join(FilterOp)
            asked.refuse(f"filters.{name}", "unknown_word", f"{op!r:.80} is no comparison; use {ops}.")
        elif not all(item is None or isinstance(item, str | bool | int | float) for item in values):
            asked.refuse(
                f"filters.{name}", "wrong_type", "A filter compares with texts, numbers, true, false or null."
            )
        else:
            filters.append(Filter(name, FilterOp(op), tuple(cast("list[FilterValue]", values))))
    return filters
