"""Buckets in the memory of this process: exact for one server, forgotten when it ends.

Only buckets that miss tokens need to be known; one that is full again is as good as one never seen. So the
memory is bounded by sweeping those away when there are many, and then, if a flood of addresses left too many
that miss some, the oldest: they get a full bucket again, which is the lesser evil.

A `Line` is the buckets that one caller's requests ask, found once and kept, for the short way of single
posts: with it counting takes a microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.identity.limits.bucket import TOKEN
from bursar.identity.limits.policy import Verdict, head_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.identity.limits.policy import Ask, Policy

BUCKETS_LIMIT = 50_000
"""Buckets of one policy, of about 0.2 kB; a sweep takes some milliseconds, once in 25,000 new ones."""
MOST = 2**100
"""More than is ever left in a bucket."""


class _Bucket:
    """One bucket, by `bucket.spend`'s arithmetic, which `Line.take` has in its own words."""

    __slots__ = ("depth", "full_at", "per_minute", "policy", "spent")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.per_minute = policy.limit.per_minute
        self.depth = policy.limit.depth
        self.full_at = 0
        self.spent = 0
        """What `full_at` will be if the request is admitted."""


class Line:
    """The buckets that the requests of one caller ask."""

    __slots__ = ("_asks", "_buckets", "_heads")

    def __init__(self, asks: Sequence[Ask], buckets: Sequence[_Bucket]) -> None:
        self._asks = asks
        self._buckets = buckets
        self._heads = {policy: head_line(asks, policy) for policy, _ in asks}

    def take(self, now_nanoseconds: int) -> Verdict:
        """Take a token from each of the buckets, or from none if one of them is empty."""
        buckets = self._buckets
        tightest, least = buckets[0], MOST
        for bucket in buckets:
            now = now_nanoseconds * bucket.per_minute
            spent = bucket.full_at
            if spent < now:  # noqa: PLR1730 - `max` takes twice as long
                spent = now
            spent += TOKEN
            bucket.spent = spent
            left = bucket.depth - spent + now
            if left < least:
                tightest, least = bucket, left
        if least >= 0:
            for bucket in buckets:
                bucket.full_at = bucket.spent
        return Verdict(self._asks, tightest.policy, least)

    def lines(self, admitted: Verdict) -> bytes:
        """The fields of the answer to an admitted request, as they are sent."""
        return b"%b%d\r\n" % (self._heads[admitted.tightest], admitted.left // TOKEN)


class LocalBuckets:
    """Knows buckets. Use from the event loop."""

    def __init__(self, buckets_limit: int = BUCKETS_LIMIT) -> None:
        """Begin with all buckets full."""
        self._buckets_limit = buckets_limit
        self._buckets: dict[Policy, dict[str, _Bucket]] = {}
        self.lines: dict[str, Line] = {}
        """By caller; only for looking one up."""

    def take(self, asks: Sequence[Ask], now_nanoseconds: int) -> Verdict:
        """Take a token from each of these buckets, or from none if one of them is empty."""
        return self._line(asks, now_nanoseconds).take(now_nanoseconds)

    def draw_line(self, caller: str, asks: Sequence[Ask], now_nanoseconds: int) -> Line:
        """Keep the line of a caller in `lines`."""
        line = self._line(asks, now_nanoseconds)
        if len(self.lines) >= self._buckets_limit:
            self.lines.clear()
        self.lines[caller] = line
        return line

    def __len__(self) -> int:
        """How many buckets are known."""
        return sum(map(len, self._buckets.values()))

    def _line(self, asks: Sequence[Ask], now_nanoseconds: int) -> Line:
        found: list[_Bucket] = []
        for policy, owner in asks:
            buckets = self._buckets.setdefault(policy, {})
            bucket = buckets.get(owner)
            if bucket is None:
                if len(buckets) >= self._buckets_limit:
                    self._sweep(buckets, now_nanoseconds * policy.limit.per_minute)
                bucket = buckets[owner] = _Bucket(policy)
            found.append(bucket)
        return Line(asks, found)

    def _sweep(self, buckets: dict[str, _Bucket], now: int) -> None:
        missing = [(owner, bucket) for owner, bucket in buckets.items() if bucket.full_at > now]
        buckets.clear()
        # Down to half, so that the next sweep is far away.
        buckets.update(missing[-(self._buckets_limit // 2) :])
        # They hold buckets that are known no longer, beside which new ones would count.
        self.lines.clear()
