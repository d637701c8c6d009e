"""Who was refused lately, so that asking again before a token is back costs no more than a look here.

Nothing is counted here: until the emptiest of a caller's buckets has a token again, whoever asked it would
be refused all the same, so the limits stay as exact as their buckets are. Who is refused more often than a
client would that waits as it was told gets the next refusals late. That is what slows a flood down: it comes
over connections that wait for their answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.identity.limits.policy import Counted, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.identity.limits.policy import Ask, Policy

BELIEVED_NANOSECONDS = 1_000_000_000
"""For so long at most nobody looks into the buckets again: a limit may have been raised meanwhile."""
AT_ONCE = 20
"""Refusals within a second that are told at once; who heeds `Retry-After` gets one a second."""
HELD_NANOSECONDS = 100_000_000
"""How late the others are told. Sixteen connections then bring 160 requests a second instead of 10,000."""
APART_NANOSECONDS = 3_125_000
"""One caller's held refusals are told so long after each other, 320 a second: requests that came all at once
don't come back all at once, for then nobody else would be served meanwhile."""
LATEST_NANOSECONDS = 1_000_000_000
"""How late at most: no caller is ever told to come back sooner."""
NEWS_NANOSECONDS = 60_000_000_000
KNOWN_LIMIT = 10_000
"""Callers that are known to be refused, of about 0.5 kB each; others go the long way."""
_SECOND = 1_000_000_000
_OF_CALLERS = frozenset([Counted.KEY, Counted.TENANT, Counted.ADDRESS])
"""What can be said of a request before its body is read."""


@dataclass(slots=True)
class Refused:
    """One caller whose bucket is empty."""

    asks: Sequence[Ask]
    tightest: Policy
    token_at: int
    """When that bucket has a token again, in nanoseconds of the clock that buckets go by."""
    until: int
    """Until then whatever this caller asks is refused without asking buckets."""
    since: int
    """When the second began in which refusals are counted."""
    news_at: int
    """When its refusals were last worth a line in the log."""
    count: int = 0
    held: int = 0
    """Refusals that are told later, as of now."""
    next_at: int = 0
    """When the next one that is held is to be told."""

    def verdict(self, now: int) -> Verdict:
        """What the buckets would say now."""
        missing = max(1, self.token_at - now) * self.tightest.limit.per_minute
        return Verdict(self.asks, self.tightest, -missing)

    def count_one(self, now: int) -> None:
        """It was refused once more."""
        if now - self.since >= _SECOND:
            self.since, self.count = now, 0
        self.count += 1

    def hold_seconds(self, now: int) -> float:
        """How much later the refusal just counted is to be told.

        Never so long that the bucket would fill up: who asks too often still gets all that is allowed.
        """
        if self.count <= AT_ONCE:
            return 0.0
        limit = self.tightest.limit
        until_half_full = limit.depth // limit.per_minute // 2
        latest = min(max(self.token_at - now, until_half_full, 0), LATEST_NANOSECONDS)
        if self.next_at > now + latest:
            # All moments are taken: the later half of them is gone through once more.
            self.next_at = now + latest // 2
        told_at = max(self.next_at, now + min(HELD_NANOSECONDS, latest))
        self.next_at = told_at + APART_NANOSECONDS
        return (told_at - now) / _SECOND


class Refusals:
    """Knows who was refused lately. Use from the event loop."""

    def __init__(self, known_limit: int = KNOWN_LIMIT) -> None:
        """Begin with nobody refused."""
        self._known_limit = known_limit
        self._known: dict[str, Refused] = {}
        self._until = 0

    def note(self, name: str, verdict: Verdict, asked_at: int) -> bool:
        """Remember a refusal; whether it is worth telling: the first one of this caller within a minute.

        Args:
            name: whose request it was: all requests of that name ask the same buckets.
            verdict: what the buckets said.
            asked_at: nanoseconds of the clock, before the buckets were asked.
        """
        if verdict.tightest.counted not in _OF_CALLERS:
            return False
        wait = -(verdict.left // verdict.tightest.limit.per_minute)
        until = asked_at + min(wait, BELIEVED_NANOSECONDS)
        self._until = max(self._until, until)
        known = self._known.get(name)
        if known is not None:
            known.asks, known.tightest = verdict.asks, verdict.tightest
            known.token_at, known.until = asked_at + wait, until
            is_news = asked_at - known.news_at >= NEWS_NANOSECONDS
            known.news_at = asked_at if is_news else known.news_at
            return is_news
        if len(self._known) >= self._known_limit:
            self._sweep(asked_at)
        if len(self._known) < self._known_limit:
            self._known[name] = Refused(
                verdict.asks, verdict.tightest, asked_at + wait, until, since=asked_at, news_at=asked_at
            )
        return True

    def are_any(self, now: int) -> bool:
        """Whether there is anybody to look for."""
        return now < self._until

    def find(self, name: str, now: int) -> Refused | None:
        """Who is to be refused without asking the buckets."""
        known = self._known.get(name)
        return known if known is not None and now < known.until else None

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def _sweep(self, now: int) -> None:
        old = [name for name, one in self._known.items() if one.until + _SECOND < now and not one.held]
        for name in old:
            del self._known[name]
