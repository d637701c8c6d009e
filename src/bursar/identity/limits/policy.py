"""Which limits there are, whom each counts, and what the fields of an answer say of them.

The fields are those of draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy` lists every limit that a
request was counted against, `RateLimit` tells of the one with the least left. Decision records say why so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from bursar.errors import RateLimited
from bursar.identity.limits.bucket import TOKEN, Limit, seconds_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.identity.caller import Caller


class Use(StrEnum):
    """What a request is for, counted apart, so that dashboards can't stop usage from coming in."""

    INGEST = "ingest"
    READ = "read"
    """Everything but ingest, changes too."""


class Counted(StrEnum):
    """Whose requests one bucket counts together."""

    KEY = "key"
    TENANT = "tenant"
    ADDRESS = "address"
    TOKEN = "token"  # noqa: S105 - a word
    """A tracking token, whose events are counted one by one."""


# Two policies are the same only if they are one: comparing fields would take longer than counting.
@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """One limit, with a bucket for everybody whom it counts."""

    use: Use
    counted: Counted
    limit: Limit
    item: bytes = field(init=False)
    """Its name as an item of the fields."""
    stated: bytes = field(init=False)
    """The item with its parameters in `RateLimit-Policy`."""

    def __post_init__(self) -> None:
        item = f'"{self.name}"'
        stated = f"{item};q={self.limit.per_minute};w=60;bursar-burst={self.limit.burst}"
        object.__setattr__(self, "item", item.encode("ascii"))
        object.__setattr__(self, "stated", stated.encode("ascii"))

    @property
    def name(self) -> str:
        """What it is called in an answer and in metrics."""
        return f"{self.use}-{self.counted}"


Ask = tuple[Policy, str]
"""A bucket from which a token is wanted: the policy, and who is counted."""


# Made for every request: frozen would set each field at ten times the cost.
@dataclass(slots=True)
class Verdict:
    """Whether a request may go on, by the bucket with the least left of those that it asks."""

    asks: Sequence[Ask]
    tightest: Policy
    left: int
    """Parts of tokens left in that bucket; below 0 the request is refused, and no bucket lost anything."""

    @property
    def is_refused(self) -> bool:
        """Whether it asked too often."""
        return self.left < 0

    @property
    def wait_seconds(self) -> int:
        """When a refused request is worth a retry."""
        return seconds_until(self.left, self.tightest.limit)

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """The fields of the answer, names in lower case."""
        if self.left < 0:
            state = b"%b;r=0;t=%d" % (self.tightest.item, self.wait_seconds)
        else:
            state = b"%b;r=%d" % (self.tightest.item, self.left // TOKEN)
        return (b"ratelimit-policy", _stated(self.asks)), (b"ratelimit", state)

    def error(self) -> RateLimited:
        """The refusal, for the caller."""
        limit, wait = self.tightest.limit, self.wait_seconds
        counted = {
            Counted.KEY: "this key",
            Counted.TENANT: "all keys of this tenant together",
            Counted.ADDRESS: "this address",
            Counted.TOKEN: "this tracking token",
        }[self.tightest.counted]
        what = "posts of events" if self.tightest.use is Use.INGEST else "requests other than posts of events"
        if self.tightest.counted is Counted.TOKEN:
            what = "events"
        text = (
            f"Too many {what}: {limit.per_minute} a minute and {limit.burst} at once are allowed"
            f" for {counted}; try again in {wait} s."
        )
        return RateLimited(text, retry_after_seconds=wait)


def tightest_of(asks: Sequence[Ask], lefts: Sequence[int]) -> Verdict:
    """The verdict on a request from what is left in each bucket."""
    least = min(lefts)
    return Verdict(asks, asks[lefts.index(least)][0], least)


def head_line(asks: Sequence[Ask], tightest: Policy) -> bytes:
    """The fields of an admitted answer as they are sent, up to the number of requests that are left."""
    return b"ratelimit-policy: %b\r\nratelimit: %b;r=" % (_stated(asks), tightest.item)


def _stated(asks: Sequence[Ask]) -> bytes:
    return b", ".join([policy.stated for policy, _ in asks])


def owner_of(counted: Counted, caller: Caller) -> str | None:
    """Who of a caller is counted by such a bucket; None where it doesn't count this caller.

    The operator acts for every tenant, so no tenant's bucket is the right one for it.
    """
    if counted is Counted.KEY:
        return f"{caller.tenant_id} {caller.key_id}"
    return None if caller.is_operator else caller.tenant_id
