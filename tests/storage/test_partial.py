"""What answers lack after retention took single events: complete ones stay, the others say from when on.

A store of random usage loses its older half as an expiry takes it, and every answer that says nothing
about it must be what it was before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from bursar.clock import rfc3339
from bursar.storage.duckdb.binding import naive
from bursar.storage.duckdb.kept import keep_sums
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.storage.duckdb.rollup import ROLLUPS
from bursar.usage.asked import Asked
from bursar.usage.partial import Partial, worst_of
from bursar.usage.periods import Grain
from bursar.usage.query import FilterOp, UsageQuery
from bursar.usage.query_reader import Asker
from bursar.usage.views.cost_breakdown import read_cost_breakdown_view
from bursar.usage.views.cost_summary import read_cost_summary_view
from bursar.usage.views.events import read_usage_list_view
from bursar.usage.views.top import read_top_view
from bursar.usage.views.trends import read_trends_view
from bursar.window import ALL
from tests.support.random_usage import END, START, queries, random_events
from tests.support.rounds import rounds
from tests.support.usage_rows import Ledger

if TYPE_CHECKING:
    from bursar.usage.api import ReadView

PROJECT = "search"
EVENTS = random_events(seed=11, count=1200)
TAKEN_OUT = [f"evt-{index}" for index in range(0, 1200, 40)]
HORIZON = (START + (END - START) / 2).replace(hour=0, minute=0)
"""Expiries reach up to the beginning of a day."""


@pytest.fixture(scope="module")
def whole() -> Ledger:
    """A store that nothing has expired from."""
    return _filled()


@pytest.fixture(scope="module")
def halved() -> Ledger:
    """The same store after events before the horizon have expired."""
    ledger = _filled()
    _expire(ledger, "", {})
    values: dict[str, Any] = {"tenant": "acme", "before": naive(HORIZON)}
    ledger.connection.execute("INSERT INTO horizons VALUES ($tenant, 'events', $before, 1)", values)
    return ledger


@pytest.fixture(scope="module")
def thinned() -> Ledger:
    """The same store after only the events of one project have expired."""
    ledger, project = _filled(), {"project": PROJECT}
    _expire(ledger, " AND project_id = $project", project)
    values: dict[str, Any] = {"tenant": "acme", "before": naive(HORIZON), **project}
    statement = "INSERT INTO project_horizons VALUES ($tenant, $project, 'events', $before, 1)"
    ledger.connection.execute(statement, values)
    return ledger


def _expire(ledger: Ledger, also: str, more: dict[str, Any]) -> None:
    values: dict[str, Any] = {"tenant": "acme", "before": naive(HORIZON), **more}
    old = f"usage_events WHERE tenant_id = $tenant AND time < $before{also}"
    keep_sums(ledger.connection, old, 1, values)
    ledger.connection.execute(f"DELETE FROM {old}", values)


def _filled() -> Ledger:
    ledger = Ledger().add(*EVENTS)
    ledger.take_out(TAKEN_OUT)
    return ledger


def ask(ledger: Ledger) -> CursorQuestions:
    return CursorQuestions(ledger.cursor(), ledger.position_of)


@given(query=queries())
@settings(max_examples=rounds(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_answer_that_lacks_nothing_is_what_it_was_before_the_expiry(
    whole: Ledger, halved: Ledger, query: UsageQuery
) -> None:
    before, after = (ask(ledger).answer("acme", query) for ledger in (whole, halved))
    assert before.partial is None
    if after.partial is None:
        assert (after.rows, after.totals) == (before.rows, before.totals)
    else:
        assert after.partial == Partial(HORIZON, "events_expired")
        assert query.window.start < HORIZON


@given(query=queries())
@settings(max_examples=rounds(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_answer_that_lacks_nothing_is_what_it_was_before_a_project_lost_events(
    whole: Ledger, thinned: Ledger, query: UsageQuery
) -> None:
    before, after = (ask(ledger).answer("acme", query) for ledger in (whole, thinned))
    if after.partial is None:
        assert (after.rows, after.totals) == (before.rows, before.totals)
    else:
        assert after.partial == Partial(HORIZON, "events_expired")
        wanted = [one for one in query.filters if one.dimension == "project_id"]
        assert all(PROJECT in one.values or one.op is not FilterOp.IN for one in wanted)


@pytest.mark.parametrize("has_later", [True, False])
def test_all_of_time_by_period_says_that_its_beginning_is_gone(*, has_later: bool) -> None:
    ledger = _filled()
    for table, at in (
        ("usage_events", "time"),
        *((rollup, next(iter(of))) for rollup, of in ROLLUPS.items()),
    ):
        ledger.connection.execute(f"DELETE FROM {table} WHERE {at} < ? OR NOT ?", [naive(HORIZON), has_later])
    ledger.connection.execute("INSERT INTO horizons VALUES ('acme', 'rollups', ?, 1)", [naive(HORIZON)])
    # What is left is narrowed down to its own days, but the question was about all of them.
    for dimensions in ((), ("operation",)):
        query = UsageQuery(ALL, ("events",), dimensions, grain=Grain.DAY)
        answer, rows = ask(ledger).answer("acme", query), ask(ledger).rows("acme", query)
        assert answer.partial == rows.partial == Partial(HORIZON, "rollups_expired")
        assert bool(answer.totals.events) is has_later
    assert ask(ledger).answer("other", UsageQuery(ALL, ("events",), grain=Grain.DAY)).partial is None


SUMMARY, BREAKDOWN, TRENDS, TOP, USAGE = (
    read_cost_summary_view,
    read_cost_breakdown_view,
    read_trends_view,
    read_top_view,
    read_usage_list_view,
)


def show(ledger: Ledger, read: ReadView, **given: str) -> Any:  # noqa: ANN401 - the body of any view
    window = {"start": rfc3339(START), "end": rfc3339(END)}
    return read(Asked(window | given), Asker("acme", "UTC", END)).answer(ask(ledger)).body


CUT = rfc3339(START + timedelta(hours=13, minutes=20))


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (SUMMARY, {"operation": "chat"}),
        # Users are summed by day, and more of this one lies before the window than in it.
        (SUMMARY, {"start": CUT}),
        (BREAKDOWN, {"group_by": "operation"}),
        (BREAKDOWN, {"tag:team": "red"}),
        (TRENDS, {"zone": "+05:30"}),
        (TRENDS, {"metric": "unique_users", "period": "hour"}),
        (TOP, {"group_by": "operation"}),
        (TOP, {"group_by": "session_id", "metric": "events"}),
        (USAGE, {}),
    ],
)
def test_a_view_that_needs_events_that_are_gone_says_from_when_it_is_complete(
    whole: Ledger, halved: Ledger, read: ReadView, given: dict[str, str]
) -> None:
    assert show(whole, read, **given).partial is None
    assert show(halved, read, **given).partial == Partial(HORIZON, "events_expired")
    later = {"start": rfc3339(HORIZON)} | {name: text for name, text in given.items() if name != "start"}
    assert show(halved, read, **later) == show(whole, read, **later)


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (SUMMARY, {}),
        (SUMMARY, {"project_id": "search", "zone": "Asia/Tokyo"}),
        (SUMMARY, {"model": "gpt-4", "end": CUT.replace("-09-", "-11-").replace("-28T", "-10T")}),
        (SUMMARY, {"user_id": "ada"}),
        (BREAKDOWN, {"group_by": "model"}),
        (BREAKDOWN, {"group_by": "user_id,project_id"}),
        (TRENDS, {"zone": "Europe/Berlin"}),
        (TRENDS, {"metric": "unique_users"}),
        (TOP, {}),
        (TOP, {"metric": "total_tokens", "provider": "openai"}),
    ],
)
def test_a_view_of_sums_alone_is_what_it_was(
    whole: Ledger, halved: Ledger, read: ReadView, given: dict[str, str]
) -> None:
    assert show(halved, read, **given) == show(whole, read, **given)
    assert show(halved, read, **given).partial is None


def test_of_several_lacks_the_later_one_counts() -> None:
    sums, events = Partial(START, "rollups_expired"), Partial(HORIZON, "events_expired")
    assert worst_of([None, sums, events, sums]) == events
    assert worst_of([None, None]) is worst_of([]) is None
