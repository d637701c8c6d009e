"""Schedules: the times of cron expressions, as cron counts days, and of intervals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bursar.scheduling.job import Cron, Every
from bursar.scheduling.timetable import Timetable, next_time
from tests.support.jobs import MONDAY, a_job


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", [6]),
        ("7", [6]),
        ("1", [0]),
        ("sun", [6]),
        ("MON-WED", [0, 1, 2]),
        ("5-7", [4, 5, 6]),
        ("fri-mon", [0, 4, 5, 6]),
        ("*/2", [1, 3, 5, 6]),
        ("1,4", [0, 3]),
        ("*", [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_days_of_the_week_are_counted_as_cron_counts_them(field: str, days: list[int]) -> None:
    moment, found = MONDAY.replace(hour=0) - timedelta(seconds=1), set[int]()
    for _ in range(7):
        moment = next_time(Cron(f"0 0 * * {field}"), moment)
        assert moment is not None
        found.add(moment.weekday())
    assert sorted(found) == days


def test_a_cron_time_is_of_its_zone_and_answered_in_utc() -> None:
    nightly = Cron("30 3 * * *", "Europe/Berlin")
    assert next_time(nightly, MONDAY) == datetime(2026, 3, 3, 2, 30, tzinfo=UTC)
    assert next_time(nightly, datetime(2026, 7, 1, tzinfo=UTC)) == datetime(2026, 7, 1, 1, 30, tzinfo=UTC)


def test_the_next_time_lies_after_the_moment_itself() -> None:
    noon = Cron("0 12 * * *")
    assert next_time(noon, MONDAY) == MONDAY + timedelta(days=1)
    assert next_time(Every(seconds=90), MONDAY) == MONDAY + timedelta(seconds=90)


@pytest.mark.parametrize(
    "schedule",
    [
        Cron("0 12 * *"),
        Cron("61 * * * *"),
        Cron("0 0 * * 8"),
        Cron("0 0 * * funday"),
        Cron("0 0 * * *", "Nowhere/At-all"),
        Every(seconds=0),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_when_the_jobs_are_known(schedule: Cron | Every) -> None:
    with pytest.raises((ValueError, KeyError)):
        Timetable([a_job(schedule=schedule)], lambda _: None)
