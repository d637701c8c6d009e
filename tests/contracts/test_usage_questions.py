"""What every usage store must answer, whichever engine it is: right to the last digit, one tenant only.

Answers are compared with a recount in plain Python (`support/recount.py`), from rollups and from
raw rows alike.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.storage.duckdb.planner import Plan, Reach, plan_question
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.periods import Grain
from bursar.usage.query import MEASURES_LIMIT, EventPage, Filter, FilterOp, Order, UsageQuery
from bursar.usage.query_dimensions import PERIOD
from bursar.window import Window, parse_zone
from tests.support.random_usage import END, START, queries, random_events
from tests.support.raw_plan import from_raw_rows
from tests.support.recount import recount
from tests.support.rounds import rounds
from tests.support.usage_rows import NOON, Ledger, an_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bursar.usage.query_answer import Row

OCTOBER = Window(NOON.replace(day=1, hour=0), NOON.replace(month=11, day=1, hour=0))
EVENTS = random_events(seed=7, count=1500)
TAKEN_OUT = {f"evt-{index}" for index in range(0, 1500, 50)}
LEFT = [event for event in EVENTS if event["event_id"] not in TAKEN_OUT]
ACMES = [event for event in LEFT if event["tenant_id"] == "acme"]


@pytest.fixture(scope="module")
def crowded() -> Ledger:
    """A store of 1,500 random events, some of which were taken out again."""
    ledger = Ledger().add(*EVENTS)
    ledger.take_out(sorted(TAKEN_OUT))
    return ledger


def ask(ledger: Ledger, *events: Mapping[str, Any]) -> CursorQuestions:
    ledger.add(*events)
    return CursorQuestions(ledger.cursor(), ledger.position_of)


def by_key(query: UsageQuery, rows: Sequence[Row]) -> dict[tuple[Any, ...], dict[str, Any]]:
    keys = query.key_columns
    return {tuple(row[name] for name in keys): {name: row[name] for name in query.measures} for row in rows}


@given(query=queries(), now=st.sampled_from((START, NOON, END)))
@settings(max_examples=rounds(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rollups_and_raw_rows_and_a_recount_agree_to_the_last_digit(
    crowded: Ledger, query: UsageQuery, now: datetime
) -> None:
    def by_then(asked: UsageQuery, _: Reach) -> Plan:
        return plan_question(asked, Reach(now))

    planned = CursorQuestions(crowded.cursor(), crowded.position_of, by_then).rows("acme", query).rows
    raw = CursorQuestions(crowded.cursor(), crowded.position_of, from_raw_rows).rows("acme", query).rows
    assert planned == raw
    assert by_key(query, planned) == recount(query, ACMES)


@given(query=queries())
@settings(max_examples=rounds(5), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_breakdown_sums_to_the_total(crowded: Ledger, query: UsageQuery) -> None:
    asked = replace(query, measures=("cost", "events", "total_tokens", "unique_users", "latency_p95_ms"))
    answer = CursorQuestions(crowded.cursor(), crowded.position_of).answer("acme", asked)
    whole = recount(
        replace(asked, measures=("events", "unique_users", "latency_p95_ms"), dimensions=(), grain=None),
        ACMES,
    )
    figures = whole.get((), {"events": 0, "unique_users": 0, "latency_p95_ms": None})
    assert {name: answer.totals.figures[name] for name in figures} == figures
    assert sum(int(str(row["events"])) for row in answer.rows) == answer.totals.events
    for currency, amount in answer.totals.amounts["cost"].items():
        parts = [
            row["cost"] for row in answer.rows if row["currency"] == currency and row["cost"] is not None
        ]
        assert (sum(parts, Decimal(0)) if parts else None) == amount


def test_no_tenant_sees_anything_of_another(crowded: Ledger) -> None:
    everything = Window(START, END)
    asked = CursorQuestions(crowded.cursor(), crowded.position_of)
    others = [event for event in LEFT if event["tenant_id"] == "other"]
    query = UsageQuery(everything, ("events", "unique_users", "latency_p50_ms"))
    assert asked.answer("other", query).totals.events == len(others) > 0
    assert asked.rows("nobody", query).rows == ()
    assert asked.list_events("nobody", EventPage(everything, is_counted=True)).total_count == 0
    assert asked.find_event("other", ACMES[0]["event_id"]) is None
    assert asked.find_event("acme", ACMES[0]["event_id"]) is not None


def test_a_key_index_that_points_at_another_tenants_row_finds_nothing() -> None:
    ledger = Ledger().add(an_event(event_id="mine"))
    ledger.positions["other", "mine"] = ledger.positions["acme", "mine"]
    assert ask(ledger).find_event("other", "mine") is None


def test_amounts_of_different_currencies_are_never_added() -> None:
    events = [an_event(cost=Decimal(1)), an_event(cost=Decimal(2), currency="EUR"), an_event()]
    answer = ask(Ledger(), *events).answer("acme", UsageQuery(OCTOBER, ("cost", "events"), limit=1))
    assert answer.rows == ({"currency": "EUR", "events": 1, "cost": Decimal(2)},)
    assert answer.has_more
    assert answer.totals.amounts == {"cost": {"EUR": Decimal(2), "USD": Decimal(1)}}
    assert (answer.totals.events, answer.totals.unpriced_events) == (3, 1)


def test_a_cost_that_nobody_knows_is_null_and_never_0() -> None:
    answer = ask(Ledger(), an_event(), an_event()).answer(
        "acme", UsageQuery(OCTOBER, ("cost", "cost_per_call"))
    )
    assert answer.rows == ({"currency": "USD", "cost": None, "cost_per_call": None},)
    assert answer.totals.unpriced_events == 2


def test_a_known_cost_of_nothing_is_0() -> None:
    answer = ask(Ledger(), an_event(cost=Decimal(0))).answer("acme", UsageQuery(OCTOBER, ("cost",)))
    assert answer.rows == ({"currency": "USD", "cost": Decimal(0)},)


def test_no_events_give_no_rows_and_totals_of_nothing() -> None:
    query = UsageQuery(OCTOBER, ("events", "cost", "error_rate", "unique_users", "latency_p50_ms", "seconds"))
    answer = ask(Ledger()).answer("acme", query)
    assert answer.rows == ()
    assert answer.totals.amounts == {"cost": {}}
    assert answer.totals.figures["events"] == answer.totals.figures["unique_users"] == 0
    assert answer.totals.figures["error_rate"] is answer.totals.figures["latency_p50_ms"] is None


@pytest.mark.parametrize("last", ["seconds", "unique_users"])
def test_as_many_measures_as_may_be_asked_for_have_totals_too(last: str) -> None:
    measures = (*(f"unit:{number}" for number in range(MEASURES_LIMIT - 1)), last)
    events = [an_event(model=model, user_id=model, custom_units={"7": 1_500_000}) for model in ("a", "b")]
    answer = ask(Ledger(), *events).answer("acme", UsageQuery(OCTOBER, measures, ("model",), limit=1))
    assert answer.has_more
    assert answer.totals.figures["unit:7"] == 3
    assert (answer.totals.events, answer.totals.unpriced_events) == (2, 2)


def test_events_that_were_taken_out_leave_no_row_behind() -> None:
    ledger = Ledger().add(an_event(event_id="gone", model="gone", cost=Decimal(1)), an_event(model="here"))
    ledger.take_out(["gone"])
    assert ask(ledger).rows("acme", UsageQuery(OCTOBER, ("events",), ("model",))).rows == (
        {"model": "here", "events": 1},
    )


def test_the_window_holds_its_start_and_not_its_end() -> None:
    ends = [OCTOBER.start, OCTOBER.end - timedelta(microseconds=1), OCTOBER.end]
    events = [an_event(time=time) for time in (OCTOBER.start - timedelta(microseconds=1), *ends)]
    assert ask(Ledger(), *events).answer("acme", UsageQuery(OCTOBER, ("events",))).totals.events == 2


def test_rows_are_ordered_as_asked_and_ties_by_their_keys() -> None:
    models = ("b", "a", "c", None)
    events = [an_event(model=model) for model in models] + [an_event(model="c")]
    asked = ask(Ledger(), *events)
    query = UsageQuery(OCTOBER, ("events",), ("model",))
    assert [row["model"] for row in asked.rows("acme", query).rows] == ["c", "a", "b", None]
    backwards = replace(query, order=(Order("model", is_descending=True),))
    assert [row["model"] for row in asked.rows("acme", backwards).rows] == ["c", "b", "a", None]
    pages = [
        asked.rows("acme", replace(query, limit=1, offset=offset)).rows[0]["model"] for offset in range(4)
    ]
    assert pages == ["c", "a", "b", None]


@pytest.mark.parametrize(
    "measure", ["error_rate", "latency_p95_ms", "unique_users", "cost", "cost_per_call", "total_tokens"]
)
def test_rows_can_be_ordered_by_any_measure(crowded: Ledger, measure: str) -> None:
    query = UsageQuery(
        Window(START, END), (measure,), ("model", "operation"), order=(Order(measure, is_descending=True),)
    )
    rows = CursorQuestions(crowded.cursor(), crowded.position_of).rows("acme", query).rows
    figures = [row[measure] for row in rows if row[measure] is not None]
    assert figures == sorted(figures, key=lambda figure: Decimal(str(figure)), reverse=True)
    assert len(figures) > 5


def test_text_of_any_kind_is_a_value_and_never_sql() -> None:
    nasty = "x'; DROP TABLE usage_events; --\0\u2028\"$v0"
    events = [an_event(model=nasty, tags={nasty[:40]: nasty}), an_event(model="x")]
    asked = ask(Ledger(), *events)
    for dimension in ("model", f"tag:{nasty[:40]}"):
        only = (Filter(dimension, FilterOp.IN, (nasty,)),)
        assert asked.rows("acme", UsageQuery(OCTOBER, ("events",), (dimension,), only)).rows == (
            {dimension: nasty, "events": 1},
        )
    unit = "gpu\"; hours'"
    assert asked.rows("acme", UsageQuery(OCTOBER, (f"unit:{unit}",))).rows[0][f"unit:{unit}"] == 0


def test_the_hour_that_comes_twice_is_two_periods() -> None:
    events = [an_event(time=NOON.replace(day=25, hour=hour, minute=30)) for hour in (0, 1)]
    berlin = parse_zone("Europe/Berlin")
    rows = (
        ask(Ledger(), *events)
        .rows("acme", UsageQuery(OCTOBER, ("events",), grain=Grain.HOUR, zone=berlin))
        .rows
    )
    assert [row[PERIOD] for row in rows] == [NOON.replace(day=25, hour=hour) for hour in (0, 1)]


def test_pages_of_events_neither_skip_nor_repeat_while_more_arrive() -> None:
    times = [NOON + timedelta(seconds=index // 3) for index in range(10)]
    ledger = Ledger().add(*(an_event(event_id=f"e{index}", time=time) for index, time in enumerate(times)))
    seen: list[str] = []
    page = EventPage(OCTOBER, limit=3)
    while True:
        listed = ask(ledger).list_events("acme", page)
        seen += [event.event_id for event in listed.events]
        ledger.add(an_event(time=times[-1] + timedelta(days=1)))
        if listed.next_cursor is None:
            break
        page = replace(page, cursor=listed.next_cursor)
    assert seen == [f"e{index}" for index in range(9, -1, -1)]


@given(limit=st.integers(40, 1500), filtered=st.booleans())
@settings(max_examples=rounds(3), deadline=None)
def test_every_event_is_on_exactly_one_page(crowded: Ledger, limit: int, filtered: bool) -> None:  # noqa: FBT001 - drawn
    only = (Filter("provider", FilterOp.IN, ("openai", None)),) if filtered else ()
    page = EventPage(Window(START, END), only, limit=limit, is_counted=True)
    asked = CursorQuestions(crowded.cursor(), crowded.position_of)
    listed = asked.list_events("acme", page)
    ids = [event.event_id for event in listed.events]
    while listed.next_cursor:
        listed = asked.list_events("acme", replace(page, cursor=listed.next_cursor))
        ids += [event.event_id for event in listed.events]
    wanted = {event["event_id"] for event in ACMES if START <= event["time"] < END}
    if filtered:
        wanted &= {event["event_id"] for event in ACMES if event["provider"] in {"openai", None}}
    assert len(ids) == len(wanted)
    assert set(ids) == wanted
    assert listed.total_count == len(wanted)
