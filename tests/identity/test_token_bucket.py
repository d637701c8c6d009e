"""A bucket gives exactly what it holds and what comes back, and takes from all buckets or from none."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bursar.identity.limits.bucket import TOKEN, Limit, seconds_until, spend
from bursar.identity.limits.local import LocalBuckets
from bursar.identity.limits.policy import Counted, Policy, Use

SECOND = 1_000_000_000
limits = st.builds(
    Limit, st.integers(min_value=1, max_value=6_000_000), st.integers(min_value=1, max_value=50)
)
pauses = st.lists(st.integers(min_value=0, max_value=90 * SECOND), min_size=1, max_size=80)


@given(limit=limits, pauses=pauses, begin=st.integers(min_value=0, max_value=10**18))
def test_it_gives_what_a_bucket_of_fractions_gives(limit: Limit, pauses: list[int], begin: int) -> None:
    full_at, now = 0, begin
    tokens, asked_at = Fraction(limit.burst), begin
    for pause in pauses:
        now += pause
        tokens = min(
            Fraction(limit.burst), tokens + Fraction((now - asked_at) * limit.per_minute, 60 * SECOND)
        )
        asked_at = now
        spent, left = spend(full_at, now, limit)
        assert Fraction(left, TOKEN) == tokens - 1
        if left >= 0:
            full_at, tokens = spent, tokens - 1


@given(limit=limits, pauses=pauses, begin=st.integers(min_value=0, max_value=10**18))
def test_buckets_in_memory_do_the_same_arithmetic(limit: Limit, pauses: list[int], begin: int) -> None:
    asks = [(Policy(Use.READ, Counted.KEY, limit), "a")]
    buckets, full_at, now = LocalBuckets(), 0, begin
    for pause in pauses:
        now += pause
        spent, left = spend(full_at, now, limit)
        assert buckets.take(asks, now).left == left
        full_at = spent if left >= 0 else full_at


@given(limit=limits, pauses=pauses)
def test_who_waits_as_told_has_a_token_and_a_second_less_is_too_early(
    limit: Limit, pauses: list[int]
) -> None:
    full_at, now = 0, 0
    for pause in [0] * limit.burst + pauses:
        now += pause % (SECOND // 3)
        spent, left = spend(full_at, now, limit)
        if left >= 0:
            full_at = spent
            continue
        wait = seconds_until(left, limit)
        assert wait >= 1
        assert spend(full_at, now + wait * SECOND, limit)[1] >= 0
        assert wait == 1 or spend(full_at, now + (wait - 1) * SECOND, limit)[1] < 0


def test_seven_a_minute_are_seven_a_minute_after_a_day() -> None:
    # A seventh of a minute is no whole number of nanoseconds.
    limit, full_at, admitted = Limit(7, 2), 0, 0
    for second in range(24 * 3600 + 1):
        spent, left = spend(full_at, second * SECOND, limit)
        if left >= 0:
            full_at, admitted = spent, admitted + 1
    assert admitted == 2 + 7 * 24 * 60


def test_an_empty_bucket_takes_nothing_from_the_others() -> None:
    key = Policy(Use.READ, Counted.KEY, Limit(60, 2))
    tenant = Policy(Use.READ, Counted.TENANT, Limit(60, 3))
    buckets = LocalBuckets()
    for _ in range(2):
        assert not buckets.take([(key, "a"), (tenant, "t")], 0).is_refused
    for _ in range(5):
        refused = buckets.take([(key, "a"), (tenant, "t")], 0)
        assert refused.is_refused
        assert refused.tightest is key
    assert not buckets.take([(key, "b"), (tenant, "t")], 0).is_refused
    last = buckets.take([(key, "b"), (tenant, "t")], 0)
    assert last.is_refused
    assert last.tightest is tenant


def test_a_flood_of_addresses_takes_bounded_memory_and_frees_nobody_who_came_lately() -> None:
    policy = Policy(Use.READ, Counted.ADDRESS, Limit(60, 1))
    buckets = LocalBuckets(buckets_limit=100)
    for number in range(1000):
        assert not buckets.take([(policy, f"address-{number}")], number).is_refused
        assert len(buckets) <= 100
    assert buckets.take([(policy, "address-999")], 1000).is_refused


def test_full_buckets_are_swept_before_any_that_misses_tokens() -> None:
    policy = Policy(Use.READ, Counted.ADDRESS, Limit(60, 1))
    buckets = LocalBuckets(buckets_limit=100)
    for number in range(90):
        buckets.take([(policy, f"early-{number}")], 0)
    for number in range(50):
        buckets.take([(policy, f"late-{number}")], 2 * SECOND)
    assert len(buckets) <= 60
    assert all(buckets.take([(policy, f"late-{number}")], 2 * SECOND).is_refused for number in range(50))


def test_what_is_told_is_what_the_draft_asks_for() -> None:
    key = Policy(Use.INGEST, Counted.KEY, Limit(600, 20))
    tenant = Policy(Use.INGEST, Counted.TENANT, Limit(6000, 2))
    verdict = LocalBuckets().take([(key, "a"), (tenant, "t")], 0)
    assert dict(verdict.fields()) == {
        b"ratelimit-policy": (
            b'"ingest-key";q=600;w=60;bursar-burst=20, "ingest-tenant";q=6000;w=60;bursar-burst=2'
        ),
        b"ratelimit": b'"ingest-tenant";r=1',
    }

    line = LocalBuckets().draw_line("a t", [(key, "a"), (tenant, "t")], 0)
    assert line.lines(line.take(0)) == b"".join(b"%b: %b\r\n" % one for one in verdict.fields())
