"""When jobs run by themselves: schedules, their next times, and APScheduler, which keeps the time.

APScheduler knows nothing but moments: it calls `fire` with a job's id, and has no store. What became of
a moment is the runner's business (`runner.py`), and so are moments that passed while nobody was there.
"""

from __future__ import annotations

import logging
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_never

# APScheduler 3 has no types of its own.
from apscheduler.executors.debug import DebugExecutor  # pyright: ignore[reportMissingTypeStubs]
from apscheduler.schedulers.background import BackgroundScheduler  # pyright: ignore[reportMissingTypeStubs]
from apscheduler.triggers.cron import CronTrigger  # pyright: ignore[reportMissingTypeStubs]
from apscheduler.triggers.interval import IntervalTrigger  # pyright: ignore[reportMissingTypeStubs]

from bursar.scheduling.job import Cron, Every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bursar.scheduling.job import Job, Schedule

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON_FIELDS = 5
_INSTANT = timedelta(microseconds=1)


def next_time(schedule: Schedule, after: datetime) -> datetime | None:
    """The first time of a schedule after a moment, in UTC, without jitter; None: never again.

    An interval counts from that moment.

    Raises:
        ValueError: the schedule can't be read.
    """
    if isinstance(schedule, Every):
        return after + timedelta(seconds=schedule.seconds)
    found: datetime | None = _trigger_of(schedule, after, 0).get_next_fire_time(None, after + _INSTANT)
    return None if found is None else found.astimezone(UTC)


class Timetable:
    """Calls `fire` with the id of each job whose time has come, in a thread of its own."""

    def __init__(self, jobs: Iterable[Job], fire: Callable[[str], None]) -> None:
        """Know these jobs; those without a schedule are passed over.

        Raises:
            ValueError: a schedule can't be read.
        """
        self._jobs = {job.id: job for job in jobs if job.schedule is not None}
        self._fire = fire
        self._scheduler: Any = None
        for job in self._jobs.values():
            if job.schedule is not None:
                _trigger_of(job.schedule, datetime(2026, 1, 1, tzinfo=UTC), 0)

    def start(self, reckoned: Mapping[str, datetime], now: datetime) -> None:
        """Begin; an interval goes on from where its schedule was last accounted for."""
        # What it says of each firing is in the runs.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC, executors={"default": DebugExecutor()}, daemon=True
        )
        for job in self._jobs.values():
            if job.schedule is not None:
                self._scheduler.add_job(
                    self._fire,
                    _trigger_of(job.schedule, reckoned.get(job.id, now), job.jitter_seconds),
                    args=[job.id],
                    id=job.id,
                    max_instances=1,
                    coalesce=True,
                    # However late it is: the runner decides what becomes of a moment that was missed.
                    misfire_grace_time=None,
                )
        self._scheduler.start()

    def stop(self) -> None:
        """End; a call of `fire` in progress is waited for."""
        if self._scheduler is not None:
            scheduler, self._scheduler = self._scheduler, None
            scheduler.shutdown()

    def look(self) -> None:
        """Look at the clock anew: it may have been set while APScheduler waits."""
        if self._scheduler is not None:
            self._scheduler.wakeup()

    def next_times(self, reckoned: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
        """When each job's next time is; a run begins up to its job's jitter later."""
        times: dict[str, datetime] = {}
        for job in self._jobs.values():
            if job.schedule is None:
                continue
            after = reckoned.get(job.id, now) if isinstance(job.schedule, Every) else now
            moment = next_time(job.schedule, after)
            if moment is not None:
                times[job.id] = max(moment, now)
        return times


def _trigger_of(schedule: Schedule, since: datetime, jitter_seconds: int) -> Any:  # noqa: ANN401 - untyped library
    jitter = jitter_seconds or None
    match schedule:
        case Every(seconds):
            if seconds < 1:
                message = f"an interval of {seconds} s is no schedule"
                raise ValueError(message)
            start = since + timedelta(seconds=seconds)
            return IntervalTrigger(seconds=seconds, start_date=start, timezone=UTC, jitter=jitter)
        case Cron(expression, zone):
            fields = expression.split()
            if len(fields) != _CRON_FIELDS:
                message = f"'{expression}' has {len(fields)} fields; a cron expression has five"
                raise ValueError(message)
            minute, hour, day, month, weekday = fields
            return CronTrigger(
                minute=minute,
                hour=hour,
                day=day,
                month=month,
                day_of_week=_named_days(weekday),
                timezone=zoneinfo.ZoneInfo(zone),
                jitter=jitter,
            )
        case _:
            assert_never(schedule)


def _named_days(field: str) -> str:
    """Days of the week by name: where cron counts from Sunday, APScheduler 3 counts from Monday."""
    if field == "*":
        return field
    return ",".join(day for part in field.lower().split(",") for day in _days_of(part))


def _days_of(part: str) -> list[str]:
    span, _, step = part.partition("/")
    first, _, last = ("0", "-", "6") if span == "*" else span.partition("-")
    start = _day_number(first)
    end = _day_number(last or ("6" if step else first))
    # `fri-mon` goes over the end of the week.
    end += len(_DAYS) if end < start else 0
    return [_DAYS[number % len(_DAYS)] for number in range(start, end + 1, int(step or 1))]


def _day_number(name: str) -> int:
    if name in _DAYS:
        return _DAYS.index(name)
    number = int(name)
    if not 0 <= number <= len(_DAYS):
        message = f"'{name}' is no day of the week"
        raise ValueError(message)
    return number
