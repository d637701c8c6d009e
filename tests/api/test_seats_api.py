"""Seats over HTTP: their days are usage like any other, once each, and sum up to what was paid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.billing import seats_of
from bursar.billing.seats.plan import SeatPlan
from bursar.errors import Conflict
from tests.api.test_months_api import months_ago
from tests.api.test_retention_api import events_counted
from tests.api.test_suspended_tenants import set_state
from tests.support.access import ask, keys_of
from tests.support.jobs import run_job
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from bursar.billing.seats.recording import OwnUsage
    from bursar.usage.event import UsageEvent
    from bursar.usage.ingest import Accepted
    from tests.support.serving import RunningServer

SEATS = "/api/v1/billing/seats"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def add(server: RunningServer, key: str, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Seven seats for 25 USD over the whole of last month, but for what is said."""
    month = months_ago(1)
    headers = said.pop("headers", {})
    body = {
        "provider": "anthropic",
        "plan": "Team",
        "seats": 7,
        "price_per_seat": "25.00",
        "starts": str(month.start.date()),
        "ends": str(month.end.date()),
        **said,
    }
    answer = server.stranger.post(SEATS, json=body, headers={"X-API-Key": key, **headers})
    assert answer.status_code == 201, answer.text
    return answer.json()


def seat_cost(server: RunningServer, key: str) -> Decimal:
    body = {"measures": ["cost"], "dimensions": ["service_type"], "window": "all"}

    def recorded() -> Any:  # noqa: ANN401 - JSON
        return ask(server, key, "POST", "/api/v1/query", json=body).raise_for_status().json()["rows"]

    wait_until(lambda: recorded() != [], "the days are applied")
    ((row),) = recorded()
    assert row["service_type"] == "subscription"
    return Decimal(row["cost"])


def test_a_past_months_seats_cost_what_was_paid_day_by_day(server: RunningServer) -> None:
    key = keys_of(server, "paid")["admin"]
    month = months_ago(1)
    made = add(server, key)
    assert made["recorded_until"] == str(month.end.date())
    wait_until(lambda: events_counted(server, key) == month.days, "every day is applied")
    assert seat_cost(server, key) == 7 * 25
    day = ask(server, key, "GET", f"/api/v1/events/seat:{made['id']}:{month.start.date()}").json()
    assert day["metadata"]["price_per_seat_and_month"] == "25"
    assert day["tags"] == {"plan": "Team"}
    assert day["cost"]["status"] == "client_reported"


def test_running_seats_are_recorded_up_to_today_and_once(server: RunningServer) -> None:
    key = keys_of(server, "running")["admin"]
    today = clock.now().date()
    made = add(server, key, starts=str(today - timedelta(days=2)), ends=None)
    assert made["recorded_until"] == str(today + timedelta(days=1))
    path = "/api/v1/scheduler/jobs/seats/trigger"
    run = ask(server, key, "POST", path, json={}).raise_for_status().json()
    at = f"/api/v1/scheduler/runs/{run['id']}"
    wait_until(lambda: ask(server, key, "GET", at).json()["state"] == "succeeded", "the job is done")
    assert ask(server, key, "GET", at).json()["result"] == {"days": 0}
    wait_until(lambda: events_counted(server, key) == 3, "three days are applied")


def test_after_a_reset_no_day_is_recorded_until_all_are_again(server: RunningServer) -> None:
    key = keys_of(server, "begun-anew")["admin"]
    past = add(server, key)
    running = add(server, key, starts=str(clock.now().date() - timedelta(days=2)), ends=None)
    days = months_ago(1).days + 3
    wait_until(lambda: events_counted(server, key) == days, "every day is applied")
    asked = {"confirm": "begun-anew", "reason": "tests are over"}
    run = ask(server, key, "DELETE", "/api/v1/usage", json=asked).raise_for_status().json()["run"]
    wait_until(lambda: ask(server, key, "GET", run["url"]).json()["state"] == "succeeded", "all is gone")
    assert events_counted(server, key) == 0
    plans = ask(server, key, "GET", SEATS).json()["items"]
    assert [one["recorded_until"] for one in plans] == [None, None]
    assert run_job(server, "seats")["state"] == "succeeded"
    wait_until(lambda: events_counted(server, key) == days, "every day is applied again")
    plans = ask(server, key, "GET", SEATS).json()["items"]
    assert [one["recorded_until"] for one in plans] == [past["recorded_until"], running["recorded_until"]]


def test_seats_that_should_not_come_back_after_a_reset_are_called_off(server: RunningServer) -> None:
    key = keys_of(server, "called-off-anew")["admin"]
    made = add(server, key)
    asked = {"confirm": "called-off-anew", "reason": "never paid"}
    run = ask(server, key, "DELETE", "/api/v1/usage", json=asked).raise_for_status().json()["run"]
    wait_until(lambda: ask(server, key, "GET", run["url"]).json()["state"] == "succeeded", "all is gone")
    end = {"ends": made["starts"]}
    ended = ask(server, key, "POST", f"{SEATS}/{made['id']}/end", json=end).raise_for_status().json()
    assert (ended["ends"], ended["recorded_until"]) == (made["starts"], None)
    assert run_job(server, "seats")["state"] == "succeeded"
    assert events_counted(server, key) == 0


def test_seats_end_but_not_before_what_is_recorded(server: RunningServer) -> None:
    key = keys_of(server, "ending")["admin"]
    today = clock.now().date()
    made = add(server, key, starts=str(today), ends=None)
    before = {"ends": str(today - timedelta(days=1))}
    early = ask(server, key, "POST", f"{SEATS}/{made['id']}/end", json=before)
    assert early.status_code == 422, early.text
    long = add(server, key, starts=str(today - timedelta(days=5)), ends=None)
    early = ask(server, key, "POST", f"{SEATS}/{long['id']}/end", json={"ends": str(today)})
    assert early.status_code == 409, early.text
    assert early.json()["errors"][0]["code"] == "days_recorded"
    ended = ask(server, key, "POST", f"{SEATS}/{long['id']}/end", json={}).raise_for_status().json()
    assert ended["ends"] == str(today + timedelta(days=1))


def test_seats_that_have_not_begun_can_be_called_off(server: RunningServer) -> None:
    key = keys_of(server, "called-off")["admin"]
    starts = str(clock.now().date() + timedelta(days=40))
    made = add(server, key, starts=starts, ends=None)
    ended = ask(server, key, "POST", f"{SEATS}/{made['id']}/end", json={}).raise_for_status().json()
    assert (ended["ends"], ended["recorded_until"]) == (starts, None)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The door, at which something else begins when days come in."""

    door: OwnUsage
    begins: Callable[[], Thread]
    begun: list[Thread]

    def record(self, tenant_id: str, events: Sequence[UsageEvent], now: datetime) -> Accepted:
        self.begun.append(self.begins())
        # Long enough for whoever doesn't wait for its turn.
        self.begun[0].join(0.5)
        return self.door.record(tenant_id, events, now)


def test_no_day_is_recorded_behind_the_end_that_somebody_was_told(server: RunningServer) -> None:
    keys_of(server, "ending-meanwhile")
    today = clock.now().date()
    recorder = seats_of(server.platform)
    plan = keep_unrecorded(server, "ending-meanwhile", "openai", starts=today - timedelta(days=3), ends=None)
    refused: list[str] = []

    def end() -> None:
        try:
            recorder.end(plan.tenant_id, plan.id, today - timedelta(days=1))
        except Conflict as refusal:
            refused.append(refusal.reasons[0].code)

    def begin_to_end() -> Thread:
        thread = Thread(target=end)
        thread.start()
        return thread

    begun: list[Thread] = []
    replace(recorder, door=Interrupted(recorder.door, begin_to_end, begun)).record_due(
        plan.tenant_id, clock.now()
    )
    begun[0].join()
    kept = recorder.store.plan(plan.tenant_id, plan.id)
    assert (kept.ends, kept.recorded_until, refused) == (None, today + timedelta(days=1), ["days_recorded"])


def test_seats_whose_days_are_refused_are_not_kept(server: RunningServer) -> None:
    key = keys_of(server, "refused-seats")["admin"]
    only_anthropic(server, key)
    days = {"starts": str(clock.now().date()), "ends": None}
    body = {"provider": "openai", "plan": "Team", "seats": 1, "price_per_seat": "25", **days}
    refused = ask(server, key, "POST", SEATS, json=body)
    assert refused.status_code == 409, refused.text
    assert ask(server, key, "GET", SEATS).json()["items"] == []
    assert add(server, key, **days)["recorded_until"] is not None


def test_one_tenants_refused_seats_keep_no_others_from_being_recorded(server: RunningServer) -> None:
    keys = {name: keys_of(server, name)["admin"] for name in ("a-refused", "b-suspended", "c-fine")}
    for name, key in keys.items():
        if name == "a-refused":
            only_anthropic(server, key)
        for provider in ("openai", "anthropic"):
            keep_unrecorded(server, name, provider)
    set_state(server, "b-suspended", "suspended")
    ended = run_job(server, "seats")
    assert ended["state"] == "failed"
    assert "a-refused" in ended["error"]
    assert "b-suspended" not in ended["error"]
    wait_until(lambda: events_counted(server, keys["c-fine"]) == 2, "the last tenant's days are recorded")
    wait_until(lambda: events_counted(server, keys["a-refused"]) == 1, "the first one's other plan is, too")
    assert events_counted(server, keys["b-suspended"]) == 0
    set_state(server, "b-suspended", "active")
    run_job(server, "seats")
    wait_until(lambda: events_counted(server, keys["b-suspended"]) == 2, "they are made up for")


def only_anthropic(server: RunningServer, key: str) -> None:
    """Let the tenant's subscriptions be refused for any other provider."""
    service = {"service_type": "subscription", "providers": ["anthropic"]}
    ask(server, key, "POST", "/api/v1/services", json=service).raise_for_status()


def keep_unrecorded(
    server: RunningServer,
    tenant_id: str,
    provider: str,
    **said: Any,  # noqa: ANN401 - the plan's own fields
) -> SeatPlan:
    """A plan as it is after midnight: a day has begun, and nobody has recorded it."""
    now = clock.now()
    plan = SeatPlan(
        id=f"seat_{tenant_id}_{provider}".replace("-", "_"),
        tenant_id=tenant_id,
        provider=provider,
        plan="Team",
        seats=1,
        price_per_seat=Decimal(30),
        currency="USD",
        project_id=None,
        starts=now.date(),
        ends=now.date() + timedelta(days=1),
        recorded_until=None,
        note=None,
        created_at=now,
        created_by="key_test",
    )
    plan = replace(plan, **said)
    seats_of(server.platform).store.add(plan)
    return plan


def test_adding_again_with_the_same_key_adds_nothing(server: RunningServer) -> None:
    key = keys_of(server, "again")["admin"]
    headers = {"Idempotency-Key": "order-1"}
    first = add(server, key, headers=headers)
    assert add(server, key, headers=headers)["id"] == first["id"]
    changed = {**{name: first[name] for name in ("provider", "plan", "price_per_seat", "starts", "ends")}}
    answer = server.stranger.post(SEATS, json={**changed, "seats": 8}, headers={"X-API-Key": key, **headers})
    assert answer.status_code == 409, answer.text
    assert len(ask(server, key, "GET", SEATS).json()["items"]) == 1


def test_seats_belong_to_their_tenant_and_need_its_admin(server: RunningServer) -> None:
    keys, other = keys_of(server, "owner"), keys_of(server, "other")
    made = add(server, keys["admin"])
    assert ask(server, other["admin"], "GET", SEATS).json()["items"] == []
    assert ask(server, other["admin"], "GET", f"{SEATS}/{made['id']}").status_code == 404
    assert ask(server, other["admin"], "POST", f"{SEATS}/{made['id']}/end", json={}).status_code == 404
    assert ask(server, keys["read"], "GET", f"{SEATS}/{made['id']}").status_code == 200
    assert ask(server, keys["read"], "POST", SEATS, json={}).status_code == 403
    assert ask(server, keys["ingest"], "GET", SEATS).status_code == 403


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"seats": 0}, "seats"),
        ({"price_per_seat": "-1"}, "price_per_seat"),
        ({"price_per_seat": "1e3"}, "price_per_seat"),
        ({"price_per_seat": "999999", "seats": 2}, "price_per_seat"),
        ({"currency": "dollars"}, "currency"),
        ({"starts": "2026-02-30"}, "starts"),
        ({"starts": "2026-02-02", "ends": "2026-02-02"}, "ends"),
        ({"provider": ""}, "provider"),
        ({"note": "PostgreSQL has no \0"}, "note"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_seats_that_cant_be_are_refused_by_field(
    server: RunningServer, said: dict[str, Any], field: str
) -> None:
    body = {
        "provider": "openai",
        "plan": "Team",
        "seats": 1,
        "price_per_seat": "30",
        "starts": str(clock.now().date()),
        **said,
    }
    answer = server.client.post(SEATS, json=body)
    assert answer.status_code == 422, answer.text
    assert [error["field"].rpartition(".")[2] for error in answer.json()["errors"]] == [field]
