"""Who was refused is refused again until a token is back, late when it keeps asking, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.local import LocalBuckets
from bursar.identity.limits.policy import Counted, Policy, Use, Verdict
from bursar.identity.limits.refusals import (
    AT_ONCE,
    BELIEVED_NANOSECONDS,
    HELD_AT_ONCE,
    HELD_SECONDS,
    LATEST_SECONDS,
    Refusals,
    Refused,
)

SECOND = 1_000_000_000
SLOW = Policy(Use.INGEST, Counted.KEY, Limit(60, 60))


def refused_by(policy: Policy, left: int = -1) -> Verdict:
    return Verdict([(policy, "somebody")], policy, left)


def the_refused(limit: Limit, *, count: int, held: int = 0, token_at: int = 0) -> Refused:
    policy = Policy(Use.INGEST, Counted.KEY, limit)
    return Refused([(policy, "somebody")], policy, token_at, token_at, 0, 0, count=count, held=held)


@given(
    per_minute=st.integers(1, 10**6),
    burst=st.integers(1, 50),
    gaps=st.lists(st.integers(0, 2 * SECOND), max_size=60),
)
def test_nobody_is_refused_here_whom_the_bucket_would_admit(
    per_minute: int, burst: int, gaps: list[int]
) -> None:
    policy = Policy(Use.INGEST, Counted.KEY, Limit(per_minute, burst))
    asks = [(policy, "somebody")]
    alone, behind, refusals, now = LocalBuckets(), LocalBuckets(), Refusals(), 0
    for gap in gaps:
        now += gap
        is_admitted = alone.take(asks, now).left >= 0
        if refusals.find("somebody", now) is not None:
            assert not is_admitted
            continue
        verdict = behind.take(asks, now)
        assert (verdict.left >= 0) == is_admitted
        if verdict.is_refused:
            refusals.note("somebody", verdict, now)


def test_a_refusal_is_believed_for_a_second_at_most_and_tells_the_time_that_is_left() -> None:
    refusals = Refusals()
    refusals.note("somebody", refused_by(SLOW, -60 * 60 * SECOND), asked_at=0)
    found = refusals.find("somebody", BELIEVED_NANOSECONDS - 1)
    assert found is not None
    assert found.verdict(0).wait_seconds == 60
    assert found.verdict(BELIEVED_NANOSECONDS - 1).wait_seconds == 60
    assert found.verdict(20 * SECOND).wait_seconds == 40
    assert refusals.find("somebody", BELIEVED_NANOSECONDS) is None
    assert not refusals.are_any(BELIEVED_NANOSECONDS)
    assert refusals.find("somebody else", 0) is None


def test_one_caller_is_news_once_a_minute() -> None:
    refusals = Refusals()
    news = [refusals.note("somebody", refused_by(SLOW), at * SECOND) for at in (0, 1, 59, 60, 61)]
    assert news == [True, False, False, True, False]


def test_memory_for_the_refused_is_bounded_and_the_old_make_room() -> None:
    refusals = Refusals(known_limit=3)
    for name in ("a", "b", "c", "d"):
        refusals.note(name, refused_by(SLOW), asked_at=0)
    assert len(refusals) == 3
    assert refusals.find("d", 0) is None
    refusals.note("e", refused_by(SLOW), asked_at=10 * SECOND)
    assert refusals.find("e", 10 * SECOND) is not None
    assert len(refusals) == 1


def test_who_keeps_asking_is_told_late_and_a_second_later_at_once_again() -> None:
    refused = the_refused(Limit(600, 100), count=0)
    told: list[float] = []
    for _ in range(AT_ONCE + 2):
        refused.count_one(now=0)
        told.append(refused.hold_seconds(now=0))
    assert told == [0.0] * AT_ONCE + [HELD_SECONDS] * 2
    refused.count_one(now=SECOND)
    assert refused.hold_seconds(now=SECOND) == 0.0


@pytest.mark.parametrize(
    ("limit", "held", "seconds"),
    [
        (Limit(600, 100), HELD_AT_ONCE, HELD_SECONDS),
        (Limit(600, 100), 4 * HELD_AT_ONCE, 4 * HELD_SECONDS),
        (Limit(600, 100), 100 * HELD_AT_ONCE, LATEST_SECONDS),
        # A hundred a second and two at once: the bucket would be full after 20 ms.
        (Limit(6_000, 2), 0, 0.01),
        (Limit(6_000, 2), 1_000, 0.01),
    ],
)
def test_many_are_told_later_but_never_so_late_that_what_is_allowed_is_lost(
    limit: Limit, held: int, seconds: float
) -> None:
    assert the_refused(limit, count=1_000, held=held).hold_seconds(now=0) == pytest.approx(seconds)


def test_a_bucket_for_one_holds_nobody_longer_than_until_its_token_comes() -> None:
    refused = the_refused(Limit(60, 1), count=1_000, token_at=SECOND // 20)
    # Half a second fills half of it; the token at hand comes sooner, but a longer wait loses none.
    assert refused.hold_seconds(now=0) == pytest.approx(HELD_SECONDS)
