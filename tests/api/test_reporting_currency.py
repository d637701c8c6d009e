"""Costs told in one currency: beside the amounts as they are, by each day's rate, or not at all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from tests.support.access import ask, keys_of

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

SETTINGS, RATES, SUMMARY = (
    "/api/v1/billing/settings",
    "/api/v1/billing/exchange-rates",
    "/api/v1/cost/summary",
)
TODAY = clock.now().date()
DAYS = [TODAY - timedelta(days=age) for age in (3, 2, 1)]
WINDOW = {"start_date": DAYS[0].isoformat(), "end_date": DAYS[-1].isoformat()}


def record(server: RunningServer, key: str, *costs: tuple[int, str, str]) -> None:
    """Events that cost so much on the day of this number; the model is nobody's."""
    events = [
        {
            "event_id": f"e{number}",
            "provider": "acme",
            "model": "own",
            "time": f"{DAYS[day].isoformat()}T12:00:00Z",
            "input_tokens": 5,
            "cost": {"amount": amount, "currency": currency},
        }
        for number, (day, amount, currency) in enumerate(costs)
    ]
    ask(server, key, "POST", "/api/v1/events?wait=applied", json=events).raise_for_status()


def enter(server: RunningServer, key: str, *rates: tuple[int, str, str, str]) -> None:
    body = [
        {"date": DAYS[day].isoformat(), "base": base, "quote": quote, "rate": rate}
        for day, base, quote, rate in rates
    ]
    ask(server, key, "POST", RATES, json=body).raise_for_status()


def converted(server: RunningServer, key: str, **params: str) -> dict[str, Any]:
    answer = ask(server, key, "GET", SUMMARY, params={**WINDOW, **params}).raise_for_status().json()
    shown: dict[str, Any] = answer["converted"]
    return shown


def test_a_total_is_converted_by_each_days_rate_and_names_it(server: RunningServer) -> None:
    keys = keys_of(server, "rc-days")
    record(server, keys["admin"], (0, "110", "USD"), (1, "120", "USD"), (2, "120", "USD"), (2, "5", "EUR"))
    enter(server, keys["admin"], (0, "EUR", "USD", "1.10"), (1, "EUR", "USD", "1.20"))
    shown = converted(server, keys["read"], reporting_currency="EUR")
    # 110 / 1.10 + 120 / 1.20, the same rate a day later, and 5 as they are.
    assert (shown["currency"], shown["amount"], shown["missing"]) == ("EUR", "305", [])
    assert [
        (one["rate_date"], one["first_day"], one["last_day"], one["converted"]) for one in shown["rates"]
    ] == [
        (DAYS[0].isoformat(), DAYS[0].isoformat(), DAYS[0].isoformat(), "100"),
        (DAYS[1].isoformat(), DAYS[1].isoformat(), DAYS[2].isoformat(), "200"),
    ]
    quote = shown["rates"][0]["quotes"][0]
    assert (quote["base"], quote["quote"], quote["rate"], shown["rates"][0]["set_by"]) == (
        "EUR",
        "USD",
        "1.10",
        "tenant",
    )
    summary = ask(server, keys["read"], "GET", SUMMARY, params=WINDOW).json()
    assert summary["converted"] is None
    assert {one["currency"]: one["amount"] for one in summary["costs"]} == {"EUR": "5", "USD": "350"}


def test_one_missing_rate_makes_the_total_unknown(server: RunningServer) -> None:
    keys = keys_of(server, "rc-missing")
    record(server, keys["admin"], (0, "1", "USD"), (1, "1", "USD"), (1, "7", "JPY"), (2, "7", "JPY"))
    enter(server, keys["admin"], (0, "EUR", "USD", "2"))
    shown = converted(server, keys["read"], reporting_currency="EUR")
    assert shown["amount"] is None
    assert shown["missing"] == [
        {
            "currency": "JPY",
            "days": 2,
            "first_day": DAYS[1].isoformat(),
            "last_day": DAYS[2].isoformat(),
        }
    ]
    assert [one["converted"] for one in shown["rates"]] == ["1"]


def test_the_tenants_own_currency_is_told_unasked_and_all_three_answers_agree(server: RunningServer) -> None:
    keys = keys_of(server, "rc-chosen")
    record(server, keys["admin"], (0, "2", "USD"), (0, "4", "EUR"), (2, "3", "USD"))
    enter(server, keys["admin"], (0, "USD", "EUR", "0.5"))
    chosen = {"reporting_currency": "EUR"}
    ask(server, keys["admin"], "PUT", SETTINGS, json=chosen).raise_for_status()
    summary = converted(server, keys["read"])
    broken_down = ask(server, keys["read"], "GET", "/api/v1/cost/breakdown", params=WINDOW).json()[
        "converted"
    ]
    query = {"measures": ["cost", "events"], "dimensions": ["model"], "grain": "day", **WINDOW}
    queried = ask(server, keys["read"], "POST", "/api/v1/query", json=query).json()["converted"]
    assert summary["amount"] == "6.5"
    assert summary == broken_down == queried
    table = ask(server, keys["read"], "GET", SUMMARY, params={**WINDOW, "format": "csv"}).text
    # No currency's total is left out of the table.
    assert table.splitlines()[1:4] == ["total,,5,USD,0", "total,,4,EUR,0", "converted,,6.5,EUR,0"]
    # Filters select what is converted, too.
    only = converted(server, keys["read"], currency="EUR")
    assert (only["amount"], only["rates"]) == ("4", [])
    uncosted = ask(server, keys["read"], "POST", "/api/v1/query", json={"measures": ["events"]}).json()
    assert uncosted["converted"] is None


def test_single_days_sum_up_to_their_total(server: RunningServer) -> None:
    keys = keys_of(server, "rc-sums")
    record(server, keys["admin"], *((day, f"0.00000000000{n}", "USD") for day in range(3) for n in (1, 3, 7)))
    enter(server, keys["admin"], (0, "EUR", "USD", "3"), (2, "EUR", "USD", "7"))
    whole = converted(server, keys["read"], reporting_currency="EUR")
    parts = [
        converted(
            server,
            keys["read"],
            reporting_currency="EUR",
            start_date=day.isoformat(),
            end_date=day.isoformat(),
        )
        for day in DAYS
    ]
    assert Decimal(whole["amount"]) == sum(Decimal(part["amount"]) for part in parts)


def test_nothing_recorded_costs_nothing_and_nothing_known_is_unknown(server: RunningServer) -> None:
    keys = keys_of(server, "rc-empty")
    assert converted(server, keys["read"], reporting_currency="EUR")["amount"] == "0"
    event = {
        "provider": "acme",
        "model": "own",
        "input_tokens": 5,
        "time": f"{DAYS[0].isoformat()}T00:00:00Z",
    }
    ask(server, keys["admin"], "POST", "/api/v1/events?wait=applied", json=event).raise_for_status()
    assert converted(server, keys["read"], reporting_currency="EUR")["amount"] is None


def test_how_old_a_rate_may_be_is_chosen(server: RunningServer) -> None:
    keys = keys_of(server, "rc-age")
    record(server, keys["admin"], (2, "2", "USD"))
    enter(server, keys["admin"], (0, "USD", "EUR", "0.5"))
    assert converted(server, keys["read"], reporting_currency="EUR")["amount"] == "1"
    body = {"exchange_rate_days": 1, "reporting_currency": "EUR"}
    ask(server, keys["admin"], "PUT", SETTINGS, json=body).raise_for_status()
    assert converted(server, keys["read"])["amount"] is None


@pytest.mark.parametrize("currency", ["eur", "EURO", "", "E1R"])
def test_what_is_no_currency_is_refused(server: RunningServer, currency: str) -> None:
    for path in (SUMMARY, "/api/v1/cost/breakdown"):
        refused = server.client.get(path, params={"reporting_currency": currency})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "bad_currency")
    refused = server.client.post("/api/v1/query", json={"reporting_currency": currency})
    assert refused.json()["errors"][0]["field"] == "reporting_currency"


def test_settings_are_the_tenants_own_and_need_the_admin_scope(server: RunningServer) -> None:
    mine, other = keys_of(server, "rc-mine"), keys_of(server, "rc-other")
    body = {"reporting_currency": "CHF", "trusted_providers": ["Open-Router", "grok"]}
    for scope, status in (("ingest", 403), ("read", 403), ("admin", 200)):
        assert ask(server, mine[scope], "PUT", SETTINGS, json=body).status_code == status
    assert ask(server, mine["read"], "GET", SETTINGS).json() == {
        "tenant_id": "rc-mine",
        "reporting_currency": "CHF",
        "exchange_rate_days": 7,
        "trusted_providers": ["openrouter", "x-ai"],
    }
    assert ask(server, other["read"], "GET", SETTINGS).json()["reporting_currency"] is None
    named = {"tenant_id": "rc-mine"}
    assert ask(server, other["admin"], "PUT", SETTINGS, json={}, params=named).status_code == 403
    assert server.client.get(SETTINGS, params=named).json()["reporting_currency"] == "CHF"
    assert server.client.get(SETTINGS).json()["tenant_id"] == "default"
    assert ask(server, mine["ingest"], "GET", SETTINGS).status_code == 403
    assert server.stranger.get(SETTINGS).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"reporting_currency": "euro"},
        {"exchange_rate_days": -1},
        {"exchange_rate_days": 367},
        {"trusted_providers": "openrouter"},
        {"trusted_providers": [""]},
        {"trusted_providers": ["a\u0000"]},
        {"currency": "EUR"},
        [],
    ],
)
def test_settings_that_cannot_be_are_refused(server: RunningServer, body: object) -> None:
    assert server.client.put(SETTINGS, json=body).status_code == 422
