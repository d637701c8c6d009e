"""Who was refused is refused again until a token is back, late when it keeps asking, within bounds."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.local import LocalBuckets
from bursar.identity.limits.policy import Counted, Policy, Use, Verdict
from bursar.identity.limits.refusals import (
    APART_NANOSECONDS,
    AT_ONCE,
    BELIEVED_NANOSECONDS,
    HELD_NANOSECONDS,
    LATEST_NANOSECONDS,
    Refusals,
    Refused,
)

SECOND = 1_000_000_000
SLOW = Policy(Use.INGEST, Counted.KEY, Limit(60, 60))


def refused_by(policy: Policy, left: int = -1) -> Verdict:
    return Verdict([(policy, "somebody")], policy, left)


def the_refused(limit: Limit, *, count: int, token_at: int = 0) -> Refused:
    policy = Policy(Use.INGEST, Counted.KEY, limit)
    return Refused([(policy, "somebody")], policy, token_at, token_at, 0, 0, count=count)


def held_back(refused: Refused, *, now: int = 0) -> int:
    return round(refused.hold_seconds(now) * SECOND)


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
    told: list[int] = []
    for _ in range(AT_ONCE + 2):
        refused.count_one(now=0)
        told.append(held_back(refused))
    assert told == [0] * AT_ONCE + [HELD_NANOSECONDS, HELD_NANOSECONDS + APART_NANOSECONDS]
    refused.count_one(now=SECOND)
    assert held_back(refused, now=SECOND) == 0


def test_what_comes_all_at_once_is_told_one_after_another() -> None:
    refused = the_refused(Limit(600, 100), count=1_000)
    told = [held_back(refused) for _ in range(256)]
    assert told == [HELD_NANOSECONDS + nth * APART_NANOSECONDS for nth in range(256)]
    # Nothing is owed to who comes back when all of them have been told.
    assert held_back(refused, now=SECOND) == HELD_NANOSECONDS


def test_of_too_many_none_is_told_later_than_a_second_and_few_at_once() -> None:
    refused = the_refused(Limit(600, 100), count=10_000)
    told = [held_back(refused) for _ in range(2_000)]
    assert max(told) <= LATEST_NANOSECONDS
    rounds = math.ceil(2_000 * APART_NANOSECONDS / (LATEST_NANOSECONDS // 2))
    assert max(Counter(at // APART_NANOSECONDS for at in told).values()) <= rounds


@given(st.integers(1, 10**6), st.integers(1, 100), st.lists(st.integers(0, SECOND // 10), max_size=60))
def test_nobody_is_told_so_late_that_what_is_allowed_is_lost(
    per_minute: int, burst: int, gaps: list[int]
) -> None:
    limit = Limit(per_minute, burst)
    refused, now = the_refused(limit, count=10_000), 0
    half = burst * 60 * SECOND // per_minute // 2
    for gap in gaps:
        now += gap
        assert 0 <= held_back(refused, now=now) <= min(half, LATEST_NANOSECONDS)


def test_a_bucket_for_one_holds_nobody_longer_than_until_its_token_comes() -> None:
    refused = the_refused(Limit(60, 1), count=1_000, token_at=SECOND // 20)
    # Half a second fills half of it; the token at hand comes sooner, but a longer wait loses none.
    assert held_back(refused) == HELD_NANOSECONDS
