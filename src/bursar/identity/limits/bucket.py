"""A token bucket as one integer: the moment at which it will be full again.

A bucket holds `burst` tokens, a request takes one, and `per_minute` of them come back in a minute, evenly. A
bucket that misses tokens is known by when it will miss none: each token taken moves that moment further
into the future, by a minute divided by `per_minute`. So that this division is exact, moments are counted in
units of 1/`per_minute` ns: a nanosecond is `per_minute` of them and a token is 60e9 of them, whatever
the rate is. Nothing is ever rounded, so nothing drifts. The same arithmetic in Lua is in `storage/redis`.
"""

from __future__ import annotations

from dataclasses import dataclass

TOKEN = 60_000_000_000
"""Parts of a token: as many as a minute has nanoseconds. One nanosecond brings `per_minute` of them."""
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests a minute in the long run, and how many at once."""

    per_minute: int
    burst: int

    @property
    def depth(self) -> int:
        """Parts of tokens in a full bucket."""
        return self.burst * TOKEN


def spend(full_at: int, now_nanoseconds: int, limit: Limit) -> tuple[int, int]:
    """Take a token: when the bucket will be full again, and the parts of tokens that are left in it.

    Args:
        full_at: what the last call returned that was admitted; 0 for a bucket that was never used.
        now_nanoseconds: of a clock that never runs backwards.
        limit: what holds for the bucket.

    Returns:
        `full_at` as it is to be kept, and what is left. That is below 0 where the token wasn't there: then
        the request is refused and the old `full_at` is kept.
    """
    now = now_nanoseconds * limit.per_minute
    full_at = (max(now, full_at)) + TOKEN
    return full_at, limit.burst * TOKEN - full_at + now


def seconds_until(left: int, limit: Limit) -> int:
    """Whole seconds, rounded up, after which a refused request (`left` below 0) has its token."""
    return -(left // (limit.per_minute * _SECOND))
