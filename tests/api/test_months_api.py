"""Month summaries over HTTP: every event is billed once, however late it comes and whatever changes."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.billing import months_of
from bursar.billing.months.month import Month
from tests.support.access import ask, keys_of
from tests.support.jobs import run_job
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from bursar.billing.months.closing import ClosedBy, Closing, ClosingStore
    from tests.support.serving import RunningServer

SUMMARIES = "/api/v1/billing/summaries"
ONE_USD = {"model": "no-such-model", "input_tokens": 1, "cost": {"amount": "1", "currency": "USD"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def months_ago(number: int) -> Month:
    month = Month.of(clock.now())
    for _ in range(number):
        month = month.previous()
    return month


def spend(server: RunningServer, key: str, month: Month, event_id: str, **said: Any) -> None:  # noqa: ANN401 - JSON
    at = clock.rfc3339(month.start + timedelta(hours=1))
    event = {**ONE_USD, "event_id": event_id, "time": at, **said}
    answer = ask(server, key, "POST", "/api/v1/events/import?wait=applied", json=[event])
    assert answer.status_code == 200, answer.text


def finalise(server: RunningServer, key: str, month: Month) -> dict[str, Any]:
    answer = ask(server, key, "POST", f"{SUMMARIES}/{month}/finalise", json={"reason": "tested"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def show(server: RunningServer, key: str, month: Month) -> dict[str, Any]:
    return ask(server, key, "GET", f"{SUMMARIES}/{month}").raise_for_status().json()


def void(server: RunningServer, key: str, event_id: str) -> None:
    body = {"event_ids": [event_id], "reason": "tested", "dry_run": False}
    answer = ask(server, key, "POST", "/api/v1/events/void", json=body)
    assert answer.status_code in {200, 202}, answer.text
    path = f"/api/v1/events/{event_id}"
    wait_until(lambda: ask(server, key, "GET", path).status_code == 404, "the event is gone")


def total_of(month: dict[str, Any]) -> Decimal:
    return sum((Decimal(one["total"]) for one in month["totals"]), Decimal())


def test_a_late_event_of_a_closed_month_is_a_correction_in_the_next(server: RunningServer) -> None:
    key = keys_of(server, "late")["admin"]
    earlier, later = months_ago(2), months_ago(1)
    spend(server, key, earlier, "first")
    closed = finalise(server, key, earlier)
    assert closed["closed"] == [str(earlier)]
    assert closed["month"]["state"] == "closed"
    assert closed["month"]["totals"][0]["total"] == "1"
    spend(server, key, earlier, "late")
    spend(server, key, later, "own")
    assert show(server, key, earlier) == closed["month"]
    found = show(server, key, later)
    assert found["totals"] == [
        {
            "currency": "USD",
            "usage": "1",
            "corrections": "1",
            "total": "2",
            "events": 1,
            "unpriced_events": 0,
        }
    ]
    (correction,) = found["corrections"]
    assert correction["month"] == str(earlier)
    assert [(line["events"], line["amount"]) for line in correction["lines"]] == [(1, "1")]
    # Once it is closed with it, it is billed.
    finalise(server, key, later)
    assert show(server, key, months_ago(0))["corrections"] == []


def test_a_void_of_a_closed_months_event_is_taken_back_in_the_next(server: RunningServer) -> None:
    key = keys_of(server, "voids")["admin"]
    month = months_ago(1)
    spend(server, key, month, "wrong")
    finalise(server, key, month)
    void(server, key, "wrong")
    now = show(server, key, months_ago(0))
    assert now["totals"][0]["corrections"] == "-1"
    assert [(line["events"], line["amount"]) for line in now["corrections"][0]["lines"]] == [(-1, "-1")]


def reprice(server: RunningServer, key: str) -> dict[str, Any]:
    """The result of rating everything again by the prices of now."""
    body = {"window": "all", "reason": "new terms", "dry_run": False}
    run = ask(server, key, "POST", "/api/v1/reprice", json=body).raise_for_status().json()["run"]
    wait_until(lambda: ask(server, key, "GET", run["url"]).json()["state"] == "succeeded", "it is rated")
    result: dict[str, Any] = ask(server, key, "GET", run["url"]).json()["result"]
    return result


def cost_now(server: RunningServer, key: str) -> dict[str, Decimal]:
    """What the cost summary says, by currency."""
    found = ask(server, key, "GET", "/api/v1/cost/summary", params={"window": "all"})
    return {one["currency"]: Decimal(one["amount"]) for one in found.raise_for_status().json()["costs"]}


def billed(server: RunningServer, key: str) -> dict[str, Decimal]:
    """What all months come to together, by currency."""
    sums: dict[str, Decimal] = {}
    for number in range(3):
        for one in show(server, key, months_ago(number))["totals"]:
            sums[one["currency"]] = sums.get(one["currency"], Decimal()) + Decimal(one["total"])
    return sums


def corrected(server: RunningServer, key: str) -> dict[str, dict[tuple[str, str, str], tuple[int, Any]]]:
    """Of the open month: by month, and by model, currency and status, how many events and what they cost."""
    return {
        one["month"]: {
            (line["model"], line["currency"], line["cost_status"]): (line["events"], line["amount"])
            for line in one["lines"]
        }
        for one in show(server, key, months_ago(0))["corrections"]
    }


def three_months(server: RunningServer, key: str) -> list[dict[str, Any]]:
    """Usage of this month and of two that are closed, as those are billed."""
    earlier, later, now = months_ago(2), months_ago(1), months_ago(0)
    mini: dict[str, Any] = {"provider": "openai", "model": "gpt-4o-mini", "cost": None}
    spend(server, key, earlier, "a", **mini, input_tokens=1_000_001)
    spend(server, key, earlier, "b", **mini, input_tokens=7)
    spend(server, key, later, "c", **mini, input_tokens=333)
    spend(server, key, later, "d", **mini | {"model": "house-model"}, input_tokens=3)
    spend(server, key, now, "e", **mini, input_tokens=1_000)
    return [finalise(server, key, month)["month"] for month in (earlier, later)]


def agree(server: RunningServer, key: str, **said: Any) -> str:  # noqa: ANN401 - JSON
    body = {"valid_from": "2020-01-01T00:00:00Z", **said}
    made: str = ask(server, key, "POST", "/api/v1/prices", json=body).raise_for_status().json()["id"]
    return made


HOUSE = {"kind": "contract", "provider": "openai", "model": "house-model", "currency": "EUR"}


def test_what_is_rated_again_after_the_closing_is_its_exact_difference_in_the_open_month(
    server: RunningServer,
) -> None:
    """gpt-4o-mini: 0.15 USD per million input tokens (openai.com/api/pricing), then times 1.07."""
    key = keys_of(server, "rated-again")["admin"]
    closed = three_months(server, key)
    assert [one["totals"][0]["usage"] for one in closed] == ["0.1500012", "0.00004995"]
    agree(server, key, kind="multiplier", model="gpt-4o-mini", factor="1.07")
    agree(server, key, **HOUSE, prices={"input_tokens": "3.33"})

    assert reprice(server, key)["applied"] == 5

    assert [show(server, key, months_ago(number)) for number in (2, 1)] == closed
    assert corrected(server, key) == {
        str(months_ago(2)): {("gpt-4o-mini", "USD", "priced"): (0, "0.010500084")},
        str(months_ago(1)): {
            ("gpt-4o-mini", "USD", "priced"): (0, "0.0000034965"),
            ("house-model", "USD", "unpriced"): (-1, None),
            ("house-model", "EUR", "priced"): (1, "0.00000999"),
        },
    }
    # The open month's own event is rated again too: 1,000 x 0.15 x 1.07 per million.
    totals = {one["currency"]: one for one in show(server, key, months_ago(0))["totals"]}
    assert (totals["USD"]["usage"], totals["USD"]["corrections"]) == ("0.0001605", "0.0105035805")
    assert billed(server, key) == cost_now(server, key)


def test_what_is_rated_back_again_after_the_closing_leaves_no_correction(server: RunningServer) -> None:
    key = keys_of(server, "rated-back")["admin"]
    closed = three_months(server, key)
    dearer = agree(server, key, kind="multiplier", model="gpt-4o-mini", factor="1.07")
    assert reprice(server, key)["applied"] == 4
    assert list(corrected(server, key)) == [str(months_ago(2)), str(months_ago(1))]
    gone = {"reason": "never agreed on"}
    ask(server, key, "DELETE", f"/api/v1/prices/overrides/{dearer}", params=gone).raise_for_status()
    assert reprice(server, key)["applied"] == 4
    assert [show(server, key, months_ago(number)) for number in (2, 1)] == closed
    assert corrected(server, key) == {}
    assert billed(server, key) == cost_now(server, key)


def test_what_gets_a_cost_after_the_closing_moves_from_unpriced(server: RunningServer) -> None:
    key = keys_of(server, "unpriced")["admin"]
    month = months_ago(1)
    spend(server, key, month, "unknown", cost=None)
    closed = finalise(server, key, month)["month"]
    assert closed["totals"][0]["unpriced_events"] == 1
    assert (closed["totals"][0]["usage"], closed["totals"][0]["total"]) == (None, None)
    assert closed["lines"][0]["amount"] is None
    body = {"cost": {"amount": "0.25", "currency": "USD"}}
    event = {**ONE_USD, "time": clock.rfc3339(month.start + timedelta(hours=1)), **body}
    path = "/api/v1/events/unknown?reason=the+bill+came"
    answer = ask(server, key, "PUT", path, json=event)
    assert answer.status_code in {200, 202}, answer.text
    wait_until(
        lambda: show(server, key, months_ago(0))["totals"] != [], "the correction shows in the open month"
    )
    lines = show(server, key, months_ago(0))["corrections"][0]["lines"]
    found = {line["cost_status"]: (line["events"], line["amount"]) for line in lines}
    assert found == {"client_reported": (1, "0.25"), "unpriced": (-1, None)}


def test_months_close_in_order_and_only_once_they_are_over(server: RunningServer) -> None:
    key = keys_of(server, "order")["admin"]
    spend(server, key, months_ago(4), "oldest")
    done = finalise(server, key, months_ago(2))
    assert done["closed"] == [str(months_ago(number)) for number in (4, 3, 2)]
    assert finalise(server, key, months_ago(2))["closed"] == []
    refused = ask(server, key, "POST", f"{SUMMARIES}/{months_ago(0)}/finalise", json={})
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["code"] == "month_not_over"
    listed = ask(server, key, "GET", f"{SUMMARIES}?limit=2").json()
    assert [one["month"] for one in listed["items"]] == [str(months_ago(0)), str(months_ago(1))]
    rest = ask(server, key, "GET", f"{SUMMARIES}?cursor={listed['next_cursor']}").json()
    assert [one["state"] for one in rest["items"]] == ["closed"] * 3


def test_a_month_without_usage_is_closed_where_somebody_asks_for_it(server: RunningServer) -> None:
    key = keys_of(server, "nothing-yet")["admin"]
    month = months_ago(1)
    path = f"{SUMMARIES}/{month}/finalise"
    assert ask(server, key, "POST", path, json={"reason": "PostgreSQL has no \0"}).status_code == 422
    closed = finalise(server, key, month)
    assert (closed["closed"], closed["month"]["state"]) == ([str(month)], "closed")
    spend(server, key, month, "late")
    assert show(server, key, month)["totals"] == []
    assert show(server, key, months_ago(0))["totals"][0]["corrections"] == "1"
    # The schedule closes none for those who never used anything.
    other = keys_of(server, "nothing-ever")["admin"]
    assert run_job(server, "billing")["state"] == "succeeded"
    assert [one["state"] for one in ask(server, other, "GET", SUMMARIES).json()["items"]] == ["open"]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Closings that are about to be kept when something else happens."""

    store: ClosingStore
    happenings: list[Callable[[], object]]

    def closings(self, tenant_id: str) -> tuple[Closing, ...]:
        return self.store.closings(tenant_id)

    def close(self, tenant_id: str, month: Month, at: datetime, by: ClosedBy, text: str) -> bool:
        while self.happenings:
            self.happenings.pop()()
        return self.store.close(tenant_id, month, at, by, text)

    def forget(self, tenant_id: str) -> int:
        return self.store.forget(tenant_id)


@pytest.mark.parametrize("others_last", [3, 2])
def test_two_who_close_at_once_bill_every_event_once(server: RunningServer, others_last: int) -> None:
    name = f"at-once-{others_last}"
    key = keys_of(server, name)["admin"]
    first, second, third = (months_ago(number) for number in (3, 2, 1))
    spend(server, key, first, "known to both")
    months = months_of(server.platform)

    def meanwhile() -> None:
        spend(server, key, first, "known to the other one only")
        finalise(server, key, months_ago(others_last))

    slower = replace(months, store=Interrupted(months.store, [meanwhile]))
    closed = slower.finalise(name, third, ("slower", None), clock.now())
    expected = {3: [second, third], 2: [third]}[others_last]
    assert [closing.month for closing in closed] == expected
    assert [total_of(show(server, key, month)) for month in (first, second, third)] == [2, 0, 0]
    assert show(server, key, second)["corrections"] == []


def test_whatever_happens_the_months_add_up_to_all_usage(server: RunningServer) -> None:
    key = keys_of(server, "story")["admin"]
    chance = random.Random(20261121)
    spend(server, key, months_ago(3), "first")
    alive = ["first"]
    hashes: dict[str, str] = {}
    for step in range(32):
        month = months_ago(chance.randrange(5))
        act = "finalise" if step % 8 == 7 else chance.choice(["spend", "spend", "void"])
        if act == "void" and len(alive) > 1:
            void(server, key, alive.pop(chance.randrange(1, len(alive))))
        elif act == "finalise":
            finalise(server, key, months_ago(max(3 - step // 8, 1)))
        else:
            alive.append(f"event-{step}")
            spend(server, key, month, alive[-1])
        listed = ask(server, key, "GET", SUMMARIES).json()["items"]
        assert sum(map(total_of, listed)) == len(alive), (step, act)
        for one in listed:
            if one["hash"] is not None:
                assert hashes.setdefault(one["month"], one["hash"]) == one["hash"]
    assert len(hashes) >= 3


def test_the_schedule_closes_what_is_due(server: RunningServer) -> None:
    key = keys_of(server, "due")["admin"]
    spend(server, key, months_ago(2), "event")
    path = "/api/v1/scheduler/jobs/billing/trigger"
    run = ask(server, key, "POST", path, json={}).raise_for_status().json()
    at = f"/api/v1/scheduler/runs/{run['id']}"
    wait_until(lambda: ask(server, key, "GET", at).json()["state"] == "succeeded", "the job is done")
    assert show(server, key, months_ago(2))["state"] == "closed"
    assert show(server, key, months_ago(2))["closed_by"] is None
    assert show(server, key, months_ago(0))["state"] == "open"


def test_a_month_of_which_a_part_has_expired_says_so_for_good(server: RunningServer) -> None:
    key = keys_of(server, "expired")["admin"]
    horizon = (clock.now() - timedelta(days=36)).replace(hour=0, minute=0, second=0, microsecond=0)
    month = Month.of(horizon - timedelta(hours=1))
    for hours in (-1, 1):
        at = clock.rfc3339(horizon + timedelta(hours=hours))
        spend(server, key, month, f"{hours} hours from it", time=at)
    assert show(server, key, month)["partial"] is None
    kept_days = {"events_days": 36, "rollups_days": 36}
    ask(server, key, "PUT", "/api/v1/retention", json=kept_days).raise_for_status()
    assert run_job(server, "retention")["state"] == "succeeded"
    partial = {"since": clock.rfc3339(horizon), "reason": "rollups_expired"}
    assert show(server, key, month)["partial"] == partial
    assert finalise(server, key, month)["month"]["partial"] == partial
    assert show(server, key, months_ago(0))["partial"] is None


def test_a_reset_takes_the_closings_with_the_usage(server: RunningServer) -> None:
    key = keys_of(server, "again")["admin"]
    spend(server, key, months_ago(1), "event")
    finalise(server, key, months_ago(1))
    body = {"confirm": "again", "reason": "tested"}
    run = ask(server, key, "DELETE", "/api/v1/usage", json=body).raise_for_status().json()["run"]
    at = f"/api/v1/scheduler/runs/{run['id']}"
    wait_until(lambda: ask(server, key, "GET", at).json()["state"] == "succeeded", "the reset is done")
    listed = ask(server, key, "GET", SUMMARIES).json()["items"]
    assert [(one["state"], one["totals"]) for one in listed] == [("open", [])]


def test_a_month_is_its_tenants_alone(server: RunningServer) -> None:
    keys, other = keys_of(server, "mine"), keys_of(server, "theirs")
    month = months_ago(1)
    spend(server, keys["admin"], month, "event")
    finalise(server, keys["admin"], month)
    assert show(server, other["read"], month)["totals"] == []
    assert show(server, other["read"], month)["state"] == "grace"
    assert ask(server, keys["read"], "POST", f"{SUMMARIES}/{month}/finalise", json={}).status_code == 403
    assert ask(server, keys["ingest"], "GET", SUMMARIES).status_code == 403
    assert ask(server, keys["ingest"], "GET", "/api/v1/billing/estimate").status_code == 403
    for bad in ("2026-13", "1969-01"):
        answer = ask(server, keys["read"], "GET", f"{SUMMARIES}/{bad}")
        assert answer.status_code == 422, answer.text


def test_the_current_month_is_estimated_from_its_days(server: RunningServer) -> None:
    key = keys_of(server, "guess")["admin"]
    empty = ask(server, key, "GET", "/api/v1/billing/estimate").json()
    assert empty == {"month": str(months_ago(0)), "items": [], "unpriced_events": 0}
    for days in range(1, 4):
        at = clock.rfc3339(clock.now() - timedelta(days=days))
        spend(server, key, months_ago(0), f"day-{days}", time=at)
    (found,) = ask(server, key, "GET", "/api/v1/billing/estimate").json()["items"]
    month, now = months_ago(0), clock.now()
    rest = (month.end.date() - now.date()).days
    assert found["basis_days"] == 3
    assert Decimal(found["to_come"]) == rest
    assert Decimal(found["total"]) == Decimal(found["so_far"]) + rest


def test_a_day_whose_cost_nobody_knows_is_none_that_costs_nothing(server: RunningServer) -> None:
    key = keys_of(server, "guess-unpriced")["admin"]
    now = clock.now()
    for days in range(3):
        at = clock.rfc3339(now - timedelta(days=days))
        spend(server, key, months_ago(0), f"unknown-{days}", time=at, cost=None)
    this_month = sum((now - timedelta(days=days)).month == now.month for days in range(3))
    found = ask(server, key, "GET", "/api/v1/billing/estimate").json()
    assert found == {"month": str(months_ago(0)), "items": [], "unpriced_events": this_month}
    spend(server, key, months_ago(0), "known", time=clock.rfc3339(now - timedelta(days=1)))
    found = ask(server, key, "GET", "/api/v1/billing/estimate").json()
    assert (found["items"][0]["basis_days"], found["unpriced_events"]) == (1, this_month)
