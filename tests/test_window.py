"""Windows: what people's words mean as moments, in every zone and across changes of summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.clock import EPOCH
from bursar.errors import Invalid
from bursar.window import Window, day_start, parse_window, parse_zone, read_window, zone_name

NOW = datetime(2026, 10, 25, 12, 30, tzinfo=UTC)
"""A Sunday; that night clocks in Berlin went back."""
BERLIN = parse_zone("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def code_of(error: pytest.ExceptionInfo[Invalid]) -> tuple[str, str]:
    return error.value.reasons[0].field, error.value.reasons[0].code


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("today", "2026-10-25T00:00Z", "2026-10-26T00:00Z"),
        ("yesterday", "2026-10-24T00:00Z", "2026-10-25T00:00Z"),
        ("1d", "2026-10-25T00:00Z", "2026-10-26T00:00Z"),
        ("30d", "2026-09-26T00:00Z", "2026-10-26T00:00Z"),
        ("2w", "2026-10-12T00:00Z", "2026-10-26T00:00Z"),
        ("24h", "2026-10-24T12:30Z", "2026-10-25T12:30Z"),
        ("this_week", "2026-10-19T00:00Z", "2026-10-26T00:00Z"),
        ("last_week", "2026-10-12T00:00Z", "2026-10-19T00:00Z"),
        ("this_month", "2026-10-01T00:00Z", "2026-11-01T00:00Z"),
        ("last_month", "2026-09-01T00:00Z", "2026-10-01T00:00Z"),
        ("2026-10", "2026-10-01T00:00Z", "2026-11-01T00:00Z"),
        ("2025-12", "2025-12-01T00:00Z", "2026-01-01T00:00Z"),
        ("this_year", "2026-01-01T00:00Z", "2027-01-01T00:00Z"),
        ("last_year", "2025-01-01T00:00Z", "2026-01-01T00:00Z"),
        ("all", "1970-01-01T00:00Z", "2200-01-01T00:00Z"),
        ("2026-10-01/2026-11-01", "2026-10-01T00:00Z", "2026-11-01T00:00Z"),
        (" 2026-10-01 / 2026-10-01T06:00 ", "2026-10-01T00:00Z", "2026-10-01T06:00Z"),
        ("2026-10-01T00:00:00.5Z/2026-10-01T01:00:00+00:30", "2026-10-01T00:00:00.500Z", "2026-10-01T00:30Z"),
        ("2026-10-01T00:00:00 05:30/2026-10-01T00:00Z", "2026-09-30T18:30Z", "2026-10-01T00:00Z"),
    ],
)
def test_words_mean_these_moments(words: str, start: str, end: str) -> None:
    assert parse_window(words, UTC, NOW) == Window(at(start), at(end))


def test_days_are_the_reporting_zones_days() -> None:
    assert parse_window("today", BERLIN, NOW) == Window(
        at("2026-10-25T00:00+02:00"), at("2026-10-26T00:00+01:00")
    )
    assert parse_window("today", BERLIN, NOW).length == timedelta(hours=25)
    late = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    assert parse_window("this_month", BERLIN, late).start == at("2026-11-01T00:00+01:00")
    india = parse_zone("+05:30")
    assert parse_window("2026-10-01/2026-10-02", india, NOW).start == at("2026-09-30T18:30Z")


def test_a_day_without_a_midnight_begins_when_its_clocks_begin() -> None:
    beirut = parse_zone("Asia/Beirut")
    start = day_start(datetime(2026, 3, 29, tzinfo=UTC).date(), beirut)
    assert start.astimezone(beirut).isoformat() == "2026-03-29T01:00:00+03:00"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ({}, "2026-09-26T00:00Z", "2026-10-26T00:00Z"),
        ({"days": "7"}, "2026-10-19T00:00Z", "2026-10-26T00:00Z"),
        ({"window": "today"}, "2026-10-25T00:00Z", "2026-10-26T00:00Z"),
        ({"start_date": "2026-10-01", "end_date": "2026-10-31"}, "2026-10-01T00:00Z", "2026-11-01T00:00Z"),
        ({"start": "2026-10-01", "end": "2026-10-31"}, "2026-10-01T00:00Z", "2026-10-31T00:00Z"),
        (
            {"start_time": "2026-10-01T08:00:00Z", "end_time": "2026-10-02T08:00"},
            "2026-10-01T08:00Z",
            "2026-10-02T08:00Z",
        ),
        ({"start_date": "2026-10-01", "end_time": "2026-10-02"}, "2026-10-01T00:00Z", "2026-10-02T00:00Z"),
        ({"start_date": "2026-10-20"}, "2026-10-20T00:00Z", "2026-10-26T00:00Z"),
        ({"end_date": "2026-10-20T00:00:00"}, "2026-09-20T00:00Z", "2026-10-20T00:00Z"),
    ],
)
def test_parameters_name_a_window_in_many_ways(asked: dict[str, str], start: str, end: str) -> None:
    assert read_window(asked, UTC, NOW) == Window(at(start), at(end))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"window": ""}, ("window", "unknown_window")),
        ({"window": "0d"}, ("window", "out_of_range")),
        ({"window": "3661d"}, ("window", "out_of_range")),
        ({"window": "99999h"}, ("window", "out_of_range")),
        ({"window": "-1d"}, ("window", "unknown_window")),
        ({"window": "2026-10-01/"}, ("window", "bad_time")),
        ({"window": "2026-10-02/2026-10-01"}, ("window", "empty_window")),
        ({"window": "2026-10-01/2026-10-01"}, ("window", "empty_window")),
        ({"days": "1.5"}, ("days", "bad_number")),
        ({"start": "2026-13-01"}, ("start", "bad_time")),
        ({"start": "0001-01-01"}, ("start", "out_of_range")),
        ({"end": "9999-12-31T23:59:59-23:59"}, ("end", "bad_time")),
        ({"end": "2300-01-01"}, ("end", "out_of_range")),
        ({"start": "2026-10-01T25:00"}, ("start", "bad_time")),
        ({"start": "1e9", "end": "2026-10-01"}, ("start", "bad_time")),
        ({"days": "7", "window": "7d"}, ("window", "conflicting_parameters")),
        ({"days": "7", "end": "2026-10-01"}, ("days", "conflicting_parameters")),
        ({"start": "2026-10-01", "start_time": "2026-10-01"}, ("start", "conflicting_parameters")),
        ({"end_date": "2026-10-01", "end_time": "2026-10-01"}, ("end_time", "conflicting_parameters")),
    ],
)
def test_what_is_no_window_is_refused_by_name(asked: dict[str, str], reason: tuple[str, str]) -> None:
    with pytest.raises(Invalid) as error:
        read_window(asked, UTC, NOW)
    assert code_of(error) == reason


def test_a_window_holds_its_start_and_not_its_end() -> None:
    window = parse_window("today", UTC, NOW)
    assert window.start in window
    assert window.end not in window
    assert str(window) == "2026-10-25T00:00:00Z/2026-10-26T00:00:00Z"


@pytest.mark.parametrize(
    "text", ["", "Berlin", "Europe/Atlantis", "../etc/passwd", "+15:00", "+5", "localtime", "a" * 9999]
)
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_zone(text)
    assert code_of(error) == ("zone", "unknown_zone")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("UTC", "UTC"),
        ("Z", "UTC"),
        ("+00:00", "UTC"),
        ("+05:30", "+05:30"),
        (" 0530", "+05:30"),
        ("-03:30", "-03:30"),
        ("Asia/Tokyo", "Asia/Tokyo"),
    ],
)
def test_a_zone_keeps_its_name(text: str, name: str) -> None:
    assert zone_name(parse_zone(text)) == name
    assert parse_zone(name) == parse_zone(text)


@given(st.text(max_size=40), st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})))
def test_any_text_is_a_window_or_refused_with_a_reason(text: str, zone: str) -> None:
    try:
        window = parse_window(text, parse_zone(zone), NOW)
    except Invalid as invalid:
        reasons = [reason.field for reason in invalid.reasons]
    else:
        reasons = ["window"]
        assert EPOCH <= window.start < window.end
    assert reasons == ["window"]


@given(
    st.datetimes(datetime(1971, 1, 2), datetime(2198, 1, 1)),  # noqa: DTZ001 - made aware below
    st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    st.integers(1, 400),
)
def test_as_many_calendar_days_as_were_asked_for_and_today_is_the_last(
    now: datetime, name: str, days: int
) -> None:
    zone, now = parse_zone(name), now.replace(tzinfo=UTC)
    if now - timedelta(days=days + 1) < EPOCH:
        return
    window = parse_window(f"{days}d", zone, now)
    first, last = (
        moment.astimezone(zone).date() for moment in (window.start, window.end - timedelta(microseconds=1))
    )
    assert now in window
    assert (last - first).days == days - 1
