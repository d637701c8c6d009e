"""The only place that reads the clock: aware UTC for dates, monotonic seconds for waiting.

Decisions take `now` as an argument; only edges call these functions. Ruff bans `datetime.now`
and `time.time` everywhere else, so that a test can always choose the time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> datetime:
    """The present moment, aware, in UTC, to the microsecond."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that never run backwards, for timeouts and durations only."""
    return time.monotonic()


def monotonic_nanoseconds() -> int:
    """The same as a whole number, for counting exactly."""
    return time.monotonic_ns()


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware moment, exactly."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int) -> datetime:
    """The aware UTC moment of whole microseconds since 1970."""
    return EPOCH + micros * _MICROSECOND


def rfc3339(moment: datetime) -> str:
    """The moment as RFC 3339 in UTC with a `Z`, microseconds only where there are any."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
