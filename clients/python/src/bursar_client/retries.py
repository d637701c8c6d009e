"""When to try again, and how long to wait before: a pure decision.

Exponential backoff with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/),
never shorter than what the server asks for in `Retry-After`, and bounded in tries and in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
"""Answers that mean "not now": over a limit, overloaded, or a proxy that lost its server."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is."""

    tries: int = 6
    """Tries in all, the first included; with the defaults up to 8 seconds of waiting of our own accord."""
    first_wait_seconds: float = 0.25
    longest_wait_seconds: float = 30.0
    """No single wait is longer; a server that asks for more gets its answer raised at once."""

    def wait_before_next(self, tries_made: int, asked_seconds: float | None, draw: float) -> float | None:
        """Seconds to wait before the next try, None when there is none.

        Args:
            tries_made: how many tries have failed so far, at least 1.
            asked_seconds: the server's `Retry-After`, if it sent one.
            draw: a random number in [0, 1) that spreads clients out.
        """
        if tries_made >= self.tries:
            return None
        if asked_seconds is not None and asked_seconds > self.longest_wait_seconds:
            return None
        ceiling = min(self.longest_wait_seconds, self.first_wait_seconds * 2 ** (tries_made - 1))
        # The wait asked for is a floor: everybody returning at that very moment is what jitter avoids.
        return (asked_seconds or 0.0) + ceiling * draw


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The wait that an answer asks for, None when it asks for none that can be read.

    A date is measured against the answer's own `Date`, so that clocks need not agree.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        moment, sent_at = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (moment - sent_at).total_seconds())
    except (ValueError, TypeError):
        return None
