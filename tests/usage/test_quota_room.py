"""What is left of a quota is worked out from counts and holds, and never says more than there is."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bursar import clock
from bursar.usage.quotas.entry import Entry, hold_all, unsure_of
from bursar.usage.quotas.quota import Enforcement, Measure, MonthUse, Quota, month_of
from bursar.usage.quotas.room import Hold, Limited, TenantLimits, Wanted

if TYPE_CHECKING:
    from bursar.usage.quotas.quota import Month

LIMIT = 20
EVENTS = Quota("acme", Measure.EVENTS, LIMIT, Enforcement.HARD)
COST = Quota("acme", Measure.COST, LIMIT, Enforcement.HARD, "USD")
MONTH = month_of(clock.to_micros(datetime(2026, 11, 20, tzinfo=UTC)))

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 6), st.integers(0, 5)),
        st.tuples(st.just("apply"), st.integers(0, 8), st.just(0)),
        st.tuples(st.just("count"), st.just(0), st.just(0)),
        st.tuples(st.just("fail"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_is_let_in_applied_counted_or_lost_in_whatever_order_the_limit_holds(
    steps: list[tuple[str, int, int]],
) -> None:
    limited = Limited((EVENTS, COST), since_seq=0)
    journal: list[tuple[int, Wanted, Hold]] = []
    """What was let in: its last seq, what it is, and its hold."""
    seq = applied = 0
    limited.learn(0, {MONTH: MonthUse()})
    for what, number, picos in steps:
        room = limited.rooms.get(MONTH)
        if what == "send" and room is not None:
            wanted = Wanted(number, picos)
            if room.takes(wanted):
                hold = limited.hold(MONTH, wanted)
                seq += number
                hold.last_seq = seq
                journal.append((seq, wanted, hold))
        elif what == "apply":
            applied = min(seq, applied + number)
        elif what == "fail" and journal and journal[-1][0] > applied:
            journal.pop()[2].give_back()
        else:
            # An event that was applied in part of its body counts whole: bodies are applied whole.
            known = [one for last, one, _ in journal if last <= applied]
            use = MonthUse(sum(one.events for one in known), 0, {"USD": sum(one.picos for one in known)})
            reached = max((last for last, _, _ in journal if last <= applied), default=0)
            limited.learn(reached, {MONTH: use})
        assert sum(one.events for _, one, _ in journal) <= LIMIT
        # Only the event that reaches the limit is above it; bodies that would are looked at closely.
        assert sum(one.picos for _, one, _ in journal) < LIMIT


def test_a_count_from_before_a_quota_was_set_says_nothing() -> None:
    limited = Limited((EVENTS,), since_seq=10)
    limited.learn(9, {MONTH: MonthUse(1)})
    assert limited.rooms == {}
    limited.learn(10, {MONTH: MonthUse(1)})
    assert limited.rooms[MONTH].lefts == [LIMIT - 1]


def test_a_quota_that_is_changed_while_somebody_takes_a_closer_look_stays_closed() -> None:
    async def change() -> tuple[bool, bool]:
        limited = Limited((EVENTS,), since_seq=0)
        async with limited.turn:
            changed = limited.with_quotas((COST,))
            during = changed.is_closed
        return during, changed.is_closed

    assert asyncio.run(change()) == (True, False)


def test_nobody_but_who_has_the_turn_takes_of_what_is_left_meanwhile() -> None:
    async def look() -> None:
        limited = Limited((EVENTS,), since_seq=0)
        limited.learn(0, {MONTH: MonthUse()})
        needs = {(limited, MONTH): Wanted(1)}
        assert unsure_of(needs) == set()
        async with limited.turn:
            assert (unsure_of(needs), unsure_of(needs, [limited])) == ({limited}, set())

    asyncio.run(look())


def test_months_are_those_of_utc() -> None:
    last = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    december = month_of(clock.to_micros(last))
    assert (december.name, december.resets_at) == ("2026-12", datetime(2027, 1, 1, tzinfo=UTC))
    assert month_of(clock.to_micros(last) + 1).name == "2027-01"
    assert month_of(0).name == "1970-01"
    assert month_of(clock.to_micros(datetime(9999, 12, 31, tzinfo=UTC))).name == "9999-12"


WITHIN = {
    name: Quota("acme", Measure.EVENTS, most, Enforcement.HARD, project_id=name)
    for name, most in {"search": 2, "ads": 5}.items()
}
PLACES = st.sampled_from(["search", "ads", "elsewhere", None])
BODIES = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.lists(PLACES, min_size=1, max_size=6)),
        st.tuples(st.sampled_from(["apply", "fail", "count", "forget"]), st.just([])),
    ),
    max_size=60,
)


class Plain:
    """What a tenant and its projects have let in, as a list of bodies."""

    def __init__(self) -> None:
        projects = {name: Limited((one,), since_seq=0) for name, one in WITHIN.items()}
        self.own = Limited((EVENTS,), since_seq=0)
        self.limits = TenantLimits(self.own, projects)
        self.journal: list[tuple[int, list[str | None], Entry]] = []
        self.seq = self.applied = 0
        self.count([])

    def send(self, body: list[str | None]) -> None:
        needs: dict[tuple[Limited, Month], Wanted] = {}
        for project_id in body:
            for one in self.limits.on(project_id):
                needs.setdefault((one, MONTH), Wanted()).add(0)
        unsure = unsure_of(needs)
        if not unsure:
            assert self.has_room_for(body)
            self.seq += len(body)
            entry = Entry(hold_all(needs))
            entry.place(self.seq)
            self.journal.append((self.seq, body, entry))
        elif all(MONTH in one.rooms for one in unsure):
            assert not self.has_room_for(body)

    def has_room_for(self, body: list[str | None]) -> bool:
        sent = Counter(project for _, projects, _ in self.journal for project in projects) + Counter(body)
        return sent.total() <= LIMIT and all(sent[name] <= one.limit for name, one in WITHIN.items())

    def apply(self, _: object) -> None:
        self.applied = next((last for last, _, _ in self.journal if last > self.applied), self.applied)

    def fail(self, _: object) -> None:
        if self.journal and self.journal[-1][0] > self.applied:
            self.journal.pop()[2].give_back()

    def forget(self, _: object) -> None:
        self.limits.projects["search"].rooms.clear()

    def count(self, _: object) -> None:
        known = [project for last, body, _ in self.journal for project in body if last <= self.applied]
        for name, one in self.limits.projects.items():
            one.learn(self.applied, {MONTH: MonthUse(known.count(name))})
        self.own.learn(self.applied, {MONTH: MonthUse(len(known))})


@given(BODIES)
def test_a_body_is_let_in_where_its_tenant_and_all_its_projects_have_room_and_only_there(
    steps: list[tuple[str, list[str | None]]],
) -> None:
    plain = Plain()
    for what, body in steps:
        getattr(plain, what)(body)
