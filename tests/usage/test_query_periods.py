"""Periods of a zone: they follow each other without a gap, and agree with the zone's own clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.usage.periods import Grain, next_period, offset_spans, period_starts
from bursar.window import Window, parse_zone
from tests.support.random_usage import ZONES, windows


def starts(window: str, grain: Grain, zone: str) -> list[str]:
    start, _, end = window.partition("/")
    moments = Window(
        datetime.fromisoformat(start).astimezone(UTC), datetime.fromisoformat(end).astimezone(UTC)
    )
    return [moment.isoformat()[:16] for moment in period_starts(moments, grain, parse_zone(zone))]


def test_the_day_when_summer_time_ends_has_25_hours() -> None:
    days = starts("2026-10-24T00:00Z/2026-10-27T00:00Z", Grain.DAY, "Europe/Berlin")
    assert days == ["2026-10-23T22:00", "2026-10-24T22:00", "2026-10-25T23:00", "2026-10-26T23:00"]
    hours = starts("2026-10-24T22:00Z/2026-10-25T23:00Z", Grain.HOUR, "Europe/Berlin")
    assert len(hours) == 25


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    assert starts("2026-10-28T00:00Z/2026-11-03T00:00Z", Grain.WEEK, "UTC") == [
        "2026-10-26T00:00",
        "2026-11-02T00:00",
    ]
    assert starts("2026-12-31T23:00Z/2027-01-01T00:00Z", Grain.MONTH, "Asia/Tokyo") == ["2026-12-31T15:00"]


def test_a_change_by_half_an_hour_begins_a_period_of_its_own() -> None:
    hours = starts("2026-04-04T13:00Z/2026-04-04T17:00Z", Grain.HOUR, "Australia/Lord_Howe")
    assert hours == [
        "2026-04-04T13:00",
        "2026-04-04T14:00",
        "2026-04-04T15:00",
        "2026-04-04T15:30",
        "2026-04-04T16:30",
    ]


@given(window=windows(), zone=st.sampled_from(ZONES), grain=st.sampled_from(Grain))
@settings(deadline=None)
def test_periods_follow_each_other_and_begin_where_the_clocks_say_so(
    window: Window, zone: str, grain: Grain
) -> None:
    place = parse_zone(zone)
    found = period_starts(window, grain, place)
    assert found[0] <= window.start < next_period(found[0], grain, place)
    assert found[-1] < window.end <= next_period(found[-1], grain, place)
    changes = {span.start for span in offset_spans(window, place)[1:]}
    for start, following in pairwise(found):
        assert start < following
        # A period that begins or ends at a change of the clocks may be shorter than others.
        assert following == next_period(start, grain, place) or {start, following} & changes
        assert following <= next_period(start, grain, place)
        if following not in changes:
            local = following.astimezone(place)
            assert (local.minute, local.second) == (0, 0)
            assert grain is Grain.HOUR or local.hour == 0


@given(window=windows(), zone=st.sampled_from(ZONES))
@settings(deadline=None)
def test_within_a_span_the_offset_is_constant(window: Window, zone: str) -> None:
    place = parse_zone(zone)
    spans = offset_spans(window, place)
    ends = [span.start for span in spans[1:]] + [window.end]
    for span, end in zip(spans, ends, strict=True):
        for moment in (max(span.start, window.start), end - timedelta(seconds=1)):
            assert moment.astimezone(place).utcoffset() == span.offset


@pytest.mark.parametrize("grain", Grain)
def test_more_periods_than_anyone_reads_are_refused(grain: Grain) -> None:
    window = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC))
    if grain is Grain.MONTH:
        assert len(period_starts(window, grain, UTC)) == 229 * 12
    else:
        with pytest.raises(Invalid, match=f"more than 10000 {grain}s"):
            period_starts(window, grain, UTC)
