"""Usage by owner and cost centre: as of each event's day, the same from rollups, raw rows and plain Python.

The model here looks up one event after the other, day by day, and knows nothing of intervals or joins.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.storage.duckdb.planner import plan_question
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.allocations.allocation import Allocation, Bearer, Bearing
from bursar.usage.allocations.claims import Claims, claims_of
from bursar.usage.query import EventPage, Filter, FilterOp, UsageQuery
from bursar.window import Window
from tests.support.allocations import an_allocation
from tests.support.random_usage import END, START, queries, random_events
from tests.support.raw_plan import from_raw_rows
from tests.support.recount import recount
from tests.support.rounds import rounds
from tests.support.usage_rows import Ledger, an_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hypothesis.strategies import DrawFn

EVERYTHING = Window(START, END)
_DICE = random.Random(3)
EVENTS = [
    {**event, "key_id": _DICE.choice(("key_1", "key_2", "key_3"))}
    for event in random_events(seed=11, count=600)
]
SUBJECTS = {
    Bearer.KEY: ("key_1", "key_2"),
    Bearer.PROJECT: ("search", "support"),
    Bearer.USER: ("ada", "bob"),
}
_FIELDS = {Bearer.KEY: "key_id", Bearer.PROJECT: "project_id", Bearer.USER: "user_id"}
_LONG = settings(max_examples=rounds(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def crowded() -> Ledger:
    """A store of 600 random events of two tenants and three keys."""
    return Ledger().add(*EVENTS)


@st.composite
def allocations(draw: DrawFn, kinds: Sequence[Bearer] = tuple(Bearer)) -> tuple[Allocation, ...]:
    """What some keys, projects and users bear from some days on; at most one of each a day."""
    days = st.integers(-3, (END - START).days + 1).map(lambda one: START.date() + timedelta(days=one))
    named = st.sampled_from((None, "CC-1", "CC-2", "o'brien", "CC-ü"))
    found: dict[tuple[Bearer, str, date], Allocation] = {}
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(list(kinds)))
        subject, day = draw(st.sampled_from(SUBJECTS[kind])), draw(days)
        found[kind, subject, day] = an_allocation(
            kind, subject, day, cost_centre=draw(named), owner=draw(named)
        )
    return tuple(found.values())


def borne(event: Mapping[str, Any], name: str, said: Iterable[Allocation]) -> str:
    """Who bears an event: the first of key, project and user of which the day's allocation names one."""
    day = event["time"].astimezone(UTC).date()
    for kind, column in _FIELDS.items():
        bearing = Bearing(kind, str(event.get(column)))
        of = [one for one in said if one.of == bearing and one.valid_from <= day]
        last = max(of, key=lambda one: one.valid_from, default=None)
        value = getattr(last, name, None)
        if value is not None:
            return value
    return "unallocated"


def with_bearers(said: Sequence[Allocation], tenant_id: str = "acme") -> list[dict[str, Any]]:
    return [
        {**event, **{name: borne(event, name, said) for name in ("owner", "cost_centre")}}
        for event in EVENTS
        if event["tenant_id"] == tenant_id
    ]


def asked(ledger: Ledger, claims: Claims, plan: Any = plan_question) -> CursorQuestions:  # noqa: ANN401 - a planner
    return CursorQuestions(
        ledger.cursor(), ledger.position_of, plan, lambda tenant: claims if tenant == "acme" else Claims()
    )


@st.composite
def questions(draw: DrawFn) -> UsageQuery:
    """A question by owner or cost centre, of all events, of some cost centres or of what has none."""
    query = draw(queries())
    names = draw(st.sampled_from((("cost_centre",), ("owner",), ("cost_centre", "owner"), ())))
    only = draw(st.none() | st.sampled_from((("CC-1",), ("unallocated",), ("CC-2", "unallocated"))))
    op = draw(st.sampled_from((FilterOp.IN, FilterOp.NOT)))
    filters = (*query.filters, *([Filter("cost_centre", op, only)] if only else []))
    return replace(query, dimensions=(*query.dimensions, *names), filters=filters)


@given(
    query=questions(),
    said=allocations() | allocations([Bearer.PROJECT]) | allocations([Bearer.USER, Bearer.PROJECT]),
)
@_LONG
def test_rollups_and_raw_rows_and_a_plain_model_agree_to_the_last_digit(
    crowded: Ledger, query: UsageQuery, said: tuple[Allocation, ...]
) -> None:
    claims = claims_of(said, {})
    planned = asked(crowded, claims).rows("acme", query).rows
    raw = asked(crowded, claims, from_raw_rows).rows("acme", query).rows
    assert planned == raw
    keys = query.key_columns
    found = {tuple(row[key] for key in keys): {name: row[name] for name in query.measures} for row in planned}
    assert found == recount(query, with_bearers(said))


@given(
    query=queries(),
    said=allocations(),
    moved=allocations(),
    name=st.sampled_from(("cost_centre", "owner")),
)
@_LONG
def test_the_parts_sum_to_the_total_however_the_days_are_moved(
    crowded: Ledger,
    query: UsageQuery,
    said: tuple[Allocation, ...],
    moved: tuple[Allocation, ...],
    name: str,
) -> None:
    query = replace(query, measures=("cost", "events", "total_tokens", "requests", "seconds"), grain=None)
    whole = asked(crowded, Claims()).answer("acme", replace(query, dimensions=())).totals
    for one in (said, moved):
        answer = asked(crowded, claims_of(one, {})).answer("acme", replace(query, dimensions=(name,)))
        assert answer.totals == whole
        assert None not in {row[name] for row in answer.rows}
        assert sum(int(str(row["events"])) for row in answer.rows) == whole.events
        for currency, amount in whole.amounts["cost"].items():
            parts = [
                Decimal(str(row["cost"]))
                for row in answer.rows
                if row["currency"] == currency and row["cost"] is not None
            ]
            assert (sum(parts, Decimal(0)) if parts else None) == amount


@given(said=allocations(), value=st.sampled_from(("CC-1", "unallocated", None)))
@_LONG
def test_a_listing_by_cost_centre_has_the_events_that_it_bears(
    crowded: Ledger, said: tuple[Allocation, ...], value: str | None
) -> None:
    page = EventPage(EVERYTHING, (Filter("cost_centre", FilterOp.IN, (value,)),), limit=1000, is_counted=True)
    listed = asked(crowded, claims_of(said, {})).list_events("acme", page)
    wanted = {
        event["event_id"]
        for event in with_bearers(said)
        if event["cost_centre"] == (value or "unallocated") and event["time"] in EVERYTHING
    }
    assert {event.event_id for event in listed.events} == wanted
    assert listed.total_count == len(wanted)


def test_an_event_of_may_counts_to_mays_cost_centre_though_the_project_moved_in_june() -> None:
    moments = [datetime(2026, 5, 31, 23, 59, 59, 999_999, UTC), datetime(2026, 6, 1, tzinfo=UTC)]
    ledger = Ledger().add(*(an_event(time=one, project_id="search", cost=Decimal(1)) for one in moments))
    moves = [
        an_allocation(Bearer.PROJECT, "search", date(2026, 1, 1), cost_centre="CC-1"),
        an_allocation(Bearer.PROJECT, "search", date(2026, 6, 1), cost_centre="CC-2"),
    ]
    window = Window(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
    query = UsageQuery(window, ("events",), ("cost_centre",))
    found = asked(ledger, claims_of(moves, {})).answer("acme", query)
    assert found.rows == ({"cost_centre": "CC-1", "events": 1}, {"cost_centre": "CC-2", "events": 1})
    assert [sentence.split(" from ")[0] for sentence in found.plan] == ["sums: usage_by_hour"]


def test_another_tenants_events_are_never_borne_by_what_this_one_says() -> None:
    ledger = Ledger().add(an_event(tenant_id="other", project_id="search"))
    claims = claims_of([an_allocation(Bearer.PROJECT, "search", START.date(), cost_centre="CC-1")], {})
    query = UsageQuery(EVERYTHING, ("events",), ("cost_centre",))
    assert asked(ledger, claims).rows("other", query).rows == ({"cost_centre": "unallocated", "events": 1},)
    assert asked(ledger, claims).rows("acme", query).rows == ()


@pytest.mark.parametrize(
    ("kinds", "table"),
    [
        ((), "usage_by_hour"),
        ((Bearer.PROJECT,), "usage_by_hour"),
        ((Bearer.PROJECT, Bearer.USER), "usage_by_user_day"),
        ((Bearer.KEY,), "usage_events"),
    ],
)
def test_the_rollup_that_has_every_bearer_answers(
    crowded: Ledger, kinds: tuple[Bearer, ...], table: str
) -> None:
    said = [an_allocation(kind, SUBJECTS[kind][0], START.date(), cost_centre="CC-1") for kind in kinds]
    # Who only has an owner doesn't matter to questions by cost centre.
    said.append(an_allocation(Bearer.KEY, "key_3", START.date(), owner="ana"))
    query = UsageQuery(EVERYTHING, ("events",), ("cost_centre",))
    plan = asked(crowded, claims_of(said, {})).answer("acme", query).plan
    assert [sentence.split(" from ")[0] for sentence in plan] == [f"sums: {table}"]
