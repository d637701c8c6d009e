"""Windows of hours and weekdays, as a partition of the week: the parts inside, and the parts outside.

Rows of the normal form never override each other, so a price that holds in some windows needs the
other price spelled out for the rest of the week.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bursar.pricing.rows import DAY_SECONDS, WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Iterable

Span = tuple[int, int]
"""From and to (exclusive) in seconds of the UTC day, from < to."""


class Part(NamedTuple):
    """A part of the week as a row states it."""

    hours: Span | None
    weekdays: tuple[int, ...] | None


class Window(NamedTuple):
    """Spans of the day on some weekdays (0 is Monday)."""

    spans: tuple[Span, ...]
    weekdays: tuple[int, ...]


def split_week(windows: Iterable[Window]) -> tuple[list[Part], list[Part]]:
    """The week's parts inside the windows and outside of them; days that are alike share a part."""
    days: list[list[Span]] = [[] for _ in range(WEEKDAYS)]
    for window in windows:
        for day in window.weekdays:
            days[day] += window.spans
    inside = [_joined(spans) for spans in days]
    outside = [_rest(spans) for spans in inside]
    return _parts(inside), _parts(outside)


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _rest(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """What is left of a day, given its spans in order and apart."""
    bounds = [0, *(bound for span in spans for bound in span), DAY_SECONDS]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return tuple((start, end) for start, end in pairs if start < end)


def _parts(days: list[tuple[Span, ...]]) -> list[Part]:
    by_span: dict[Span, list[int]] = {}
    for day, spans in enumerate(days):
        for span in spans:
            by_span.setdefault(span, []).append(day)
    return [
        Part(
            None if span == (0, DAY_SECONDS) else span,
            None if len(on) == WEEKDAYS else tuple(on),
        )
        for span, on in sorted(by_span.items())
    ]
