"""Windows of time: half-open, aware, and read from the words that people and programs use.

A `Window` holds its start and not its end, so that neighbouring windows never share an event.
Words such as `30d` or `last_month` mean calendar days in a reporting zone, also across a change to
or from summer time; they are turned into two moments here, once, with `now` given. Periods inside a
window (hours, days, months of a zone) are the business of `usage/periods.py`.
"""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

from bursar.clock import EPOCH, rfc3339
from bursar.errors import Invalid, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

LAST_MOMENT = datetime(2200, 1, 1, tzinfo=UTC)
"""Windows lie between 1970 and here; it keeps sums of time far from the calendar's end."""
DAYS_LIMIT = 3660
"""`30d` and `days=30` reach back ten years at most; longer windows name both ends, or `all`."""
DEFAULT_WINDOW = "30d"
START_NAMES = ("start", "start_time", "start_date")
END_NAMES = ("end", "end_time", "end_date")
WINDOW_NAMES = ("window", "days", *START_NAMES, *END_NAMES)
"""Every parameter that may say which window is meant."""
WINDOW_FORMS = (
    "30d, 4w or 24h; today, yesterday, this_week, last_week, this_month, last_month, this_year, "
    "last_year or all; a month such as 2026-10; or START/END, each a date or an RFC 3339 time"
)

_SPAN = re.compile(r"(\d{1,5})([hdw])")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(?:([Zz])|([+\- ])(\d{2}):?(\d{2}))?"
)
_FIXED_OFFSET = re.compile(r"([+\- ])(\d{2}):?(\d{2})")
_MACHINE_ZONES = {"localtime", "Factory"}
"""Names that mean another zone on another machine, or none."""
_OFFSET_LIMIT = timedelta(hours=14)
"""The largest offset in civil use (Line Islands)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time from `start` up to, but not including, `end`; both aware, in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if not EPOCH <= self.start <= LAST_MOMENT or not EPOCH <= self.end <= LAST_MOMENT:
            raise _invalid("window", "out_of_range", "A window lies between the years 1970 and 2200.")
        if self.start >= self.end:
            message = (
                f"The window is empty: it starts at {rfc3339(self.start)} and ends at {rfc3339(self.end)}."
            )
            raise _invalid("window", "empty_window", message)

    @property
    def length(self) -> timedelta:
        """How long the window is."""
        return self.end - self.start

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __str__(self) -> str:
        return f"{rfc3339(self.start)}/{rfc3339(self.end)}"


ALL = Window(EPOCH, LAST_MOMENT)
"""The window named `all`: a total of it leaves no event out, not even one that a wrong clock dated ahead.

Asked for by period it is narrowed to what there is (`storage/duckdb/extent.py`)."""


def parse_zone(text: str) -> tzinfo:
    """The time zone of an IANA name (`Europe/Berlin`), `UTC`, or a fixed offset (`+05:30`).

    Raises:
        Invalid: no such zone.
    """
    if text in {"UTC", "Z", "utc"}:
        return UTC
    offset = _FIXED_OFFSET.fullmatch(text)
    if offset:
        delta = _offset(*offset.groups())
        if abs(delta) <= _OFFSET_LIMIT:
            return timezone(delta) if delta else UTC
    elif text in _zone_names():
        return zoneinfo.ZoneInfo(text)
    message = f"{text!r} is no time zone; name one as in 'Europe/Berlin', 'UTC' or '+05:30'."
    raise _invalid("zone", "unknown_zone", message)


def zone_name(zone: tzinfo) -> str:
    """The name that `parse_zone` reads back to the same zone."""
    if isinstance(zone, zoneinfo.ZoneInfo):
        return zone.key or "UTC"
    return "UTC" if zone is UTC else datetime(2000, 1, 1, tzinfo=zone).isoformat()[-6:]


def day_start(day: date, zone: tzinfo) -> datetime:
    """The moment in UTC at which a calendar day begins in a zone, also where it has no midnight."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def parse_window(text: str, zone: tzinfo, now: datetime) -> Window:
    """The window that a word or a pair means to a reader in `zone` at `now`.

    `30d` is today and the 29 days before it; `24h` ends now; `2026-10-01/2026-11-01` is October; `all`
    has no end but that of the calendar.

    Raises:
        Invalid: none of the forms, empty, or outside 1970 to 2200.
    """
    text = text.strip()
    span = _SPAN.fullmatch(text)
    if span:
        return _last(int(span[1]), span[2], zone, now)
    if "/" in text:
        start, _, end = text.partition("/")
        return Window(parse_moment(start, zone, "window"), parse_moment(end, zone, "window"))
    if text == "all":
        return ALL
    if _MONTH.fullmatch(text):
        first = parse_moment(f"{text}-01", zone, "window")
        return Window(first, day_start(_month_after(first.astimezone(zone).date()), zone))
    days = _named_days(text, now.astimezone(zone).date())
    if days is not None:
        return Window(max(day_start(days[0], zone), EPOCH), day_start(days[1], zone))
    raise _invalid("window", "unknown_window", f"{text!r} is no window; use {WINDOW_FORMS}.")


def parse_moment(text: str, zone: tzinfo, field: str) -> datetime:
    """The moment of a date (its first instant in `zone`) or of a time, which may name its own offset.

    Raises:
        Invalid: not a date or a time, or outside 1970 to 2200.
    """
    text = text.strip()
    try:
        if _DAY.fullmatch(text):
            moment = day_start(date.fromisoformat(text), zone)
        else:
            moment = _local_or_offset(text, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{text!r} is neither a date (2026-10-01) nor an RFC 3339 time (2026-10-01T12:00:00Z)."
        raise _invalid(field, "bad_time", message) from None
    if not EPOCH <= moment <= LAST_MOMENT:
        raise _invalid(field, "out_of_range", f"{text!r} lies outside the years 1970 to 2200.")
    return moment


def read_window(
    asked: Mapping[str, str], zone: tzinfo, now: datetime, default: str = DEFAULT_WINDOW
) -> Window:
    """The window that a request's parameters (`WINDOW_NAMES`) name, `default` where none does.

    `end_date` as a bare date includes that day; `end` and `end_time` are moments. An absent end is
    the end of today, an absent start lies 30 days before the end.

    Raises:
        Invalid: two ways of naming a window at once, or one that can't be read.
    """
    ways = [name for name in WINDOW_NAMES if name in asked]
    starts = [name for name in ways if name in START_NAMES]
    ends = [name for name in ways if name in END_NAMES]
    singles = len(ways) - len(starts) - len(ends)
    if singles + bool(starts or ends) > 1 or len(starts) > 1 or len(ends) > 1:
        message = f"Name the window in one way only; this names it by {', '.join(ways)}."
        raise _invalid(ways[0], "conflicting_parameters", message)
    if "days" in asked:
        return _last(_whole_days(asked["days"]), "d", zone, now)
    if starts or ends:
        return _between(asked, (starts or [None])[0], (ends or [None])[0], (zone, now))
    return parse_window(asked.get("window", default), zone, now)


def _between(
    asked: Mapping[str, str], start_name: str | None, end_name: str | None, when: tuple[tzinfo, datetime]
) -> Window:
    zone, now = when
    if end_name is None:
        end = day_start(now.astimezone(zone).date() + timedelta(days=1), zone)
    else:
        end = parse_moment(asked[end_name], zone, end_name)
        if end_name == "end_date" and _DAY.fullmatch(asked[end_name].strip()):
            end = day_start(end.astimezone(zone).date() + timedelta(days=1), zone)
    if start_name is None:
        return Window(day_start((end - timedelta(days=30)).astimezone(zone).date(), zone), end)
    return Window(parse_moment(asked[start_name], zone, start_name), end)


def _last(count: int, unit: str, zone: tzinfo, now: datetime) -> Window:
    days = {"h": count / 24, "d": count, "w": count * 7}[unit]
    if not 0 < days <= DAYS_LIMIT:
        message = f"A window reaches back 1 to {DAYS_LIMIT} days; '{count}{unit}' doesn't."
        raise _invalid("window", "out_of_range", message)
    if unit == "h":
        return Window(now - timedelta(hours=count), now)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return Window(day_start(tomorrow - timedelta(days=int(days)), zone), day_start(tomorrow, zone))


def _whole_days(text: str) -> int:
    if re.fullmatch(r"\d{1,5}", text.strip()):
        return int(text)
    raise _invalid("days", "bad_number", f"days is a whole number from 1 to {DAYS_LIMIT}; {text!r} is not.")


def _named_days(word: str, today: date) -> tuple[date, date] | None:
    """First day and the day after the last of a named window."""
    tomorrow = today + timedelta(days=1)
    monday = today - timedelta(days=today.weekday())
    month, year = today.replace(day=1), today.replace(month=1, day=1)
    next_month = (month + timedelta(days=31)).replace(day=1)
    named = {
        "today": (today, tomorrow),
        "yesterday": (today - timedelta(days=1), today),
        "this_week": (monday, monday + timedelta(days=7)),
        "last_week": (monday - timedelta(days=7), monday),
        "this_month": (month, next_month),
        "last_month": ((month - timedelta(days=1)).replace(day=1), month),
        "this_year": (year, year.replace(year=year.year + 1)),
        "last_year": (year.replace(year=year.year - 1), year),
    }
    return named.get(word)


def _month_after(day: date) -> date:
    """The first day of the next month."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def _local_or_offset(text: str, zone: tzinfo) -> datetime:
    """An aware time; a `+` that a URL turned into a space is understood."""
    parts = _MOMENT.fullmatch(text)
    if parts is None:
        raise ValueError(text)
    local = datetime.fromisoformat(f"{parts[1]}T{parts[2]}")
    if parts[3]:
        return local.replace(tzinfo=UTC)
    if parts[4]:
        return local.replace(tzinfo=timezone(_offset(parts[4], parts[5], parts[6])))
    return local.replace(tzinfo=zone)


def _offset(sign: str, hours: str, minutes: str) -> timedelta:
    delta = timedelta(hours=int(hours), minutes=int(minutes))
    return -delta if sign == "-" else delta


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - _MACHINE_ZONES


def _invalid(field: str, code: str, message: str) -> Invalid:
    return Invalid(message, reasons=(Reason(field, code, message),))
