"""LiteLLM's `off_peak_pricing`: other prices in windows of hours and weekdays, in UTC.

Its weekdays are those of ISO 8601 (1 is Monday), its hours `HH:MM-HH:MM`, where an end of `00:00` is
the end of the day. Nothing but that form is understood.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from bursar.pricing.keeping.litellm_fields import UNIT_OF_FIELD, FieldFault, read_number
from bursar.pricing.keeping.litellm_rows import OffPeak
from bursar.pricing.keeping.weekly_hours import Span, Window, split_week
from bursar.pricing.rows import DAY_SECONDS, WEEKDAYS

if TYPE_CHECKING:
    from decimal import Decimal

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
EVERY_DAY = tuple(range(WEEKDAYS))


def read_off_peak(value: object) -> OffPeak | None:
    """The other prices and when they hold; None where that isn't understood.

    Not understood are other fields, and hours over midnight on some weekdays: before or after it?

    Raises:
        FieldFault: it is not of that form.
    """
    if not isinstance(value, dict):
        message = "must be an object with 'windows' and prices"
        raise FieldFault(message)
    fields = cast("dict[str, Any]", value)
    prices: dict[str, Decimal] = {}
    for name, price in fields.items():
        if name != "windows":
            if name not in UNIT_OF_FIELD:
                return None
            prices[UNIT_OF_FIELD[name]] = read_number(price)
    windows = fields.get("windows")
    if not isinstance(windows, list) or not windows:
        message = "'windows' must be a list of hours and weekdays"
        raise FieldFault(message)
    read = [_window(one) for one in cast("list[Any]", windows)]
    if None in read:
        return None
    inside, outside = split_week(one for one in read if one is not None)
    return OffPeak(prices, inside, outside)


def _window(value: object) -> Window | None:
    if not isinstance(value, dict):
        message = "each window must be an object"
        raise FieldFault(message)
    fields = cast("dict[str, Any]", value)
    days = _weekdays(fields.get("weekdays"))
    hours = fields.get("hours_utc", "00:00-00:00")
    texts: list[Any] = cast("list[Any]", hours) if isinstance(hours, list) else [hours]
    spans: list[Span] = []
    for text in texts:
        found = _spans(text)
        if len(found) > 1 and days != EVERY_DAY:
            return None
        spans += found
    return Window(tuple(spans), days)


def _weekdays(value: object) -> tuple[int, ...]:
    if value is None:
        return EVERY_DAY
    days = cast("list[Any]", value) if isinstance(value, list) else []
    if not days or any(not isinstance(day, int) or not 1 <= day <= WEEKDAYS for day in days):
        message = "'weekdays' must be a list of days from 1 (Monday) to 7 (Sunday)"
        raise FieldFault(message)
    return tuple(sorted({day - 1 for day in days}))


def _spans(text: object) -> list[Span]:
    """The hours as spans of one day; two where they run over midnight."""
    found = _HOURS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        message = "'hours_utc' must be like '00:30-16:30'"
        raise FieldFault(message)
    first, second, third, fourth = (int(part) for part in found.groups())
    start, end = first * 3600 + second * 60, third * 3600 + fourth * 60 or DAY_SECONDS
    if end > DAY_SECONDS:
        message = "'hours_utc' must end by 24:00"
        raise FieldFault(message)
    if start < end:
        return [(start, end)]
    if start == end:
        return [(0, DAY_SECONDS)]
    return [(start, DAY_SECONDS), (0, end)]
