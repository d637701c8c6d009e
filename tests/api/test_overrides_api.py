"""Prices agreed on, over HTTP: they count at once, keep their trail, and are each tenant's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.access import ask, keys_of

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

PRICES, OVERRIDES = "/api/v1/prices", "/api/v1/prices/overrides"
SINCE = "2026-01-01T00:00:00Z"
DISCOUNT = {"kind": "discount", "percent": "12", "provider": "openai", "valid_from": SINCE}
CONTRACT = {
    "kind": "contract",
    "provider": "openai",
    "model": "gpt-4o",
    "valid_from": SINCE,
    "prices": {"input_tokens": "2.00", "output_tokens": {"price": "8", "per": 1000000}},
}


def agree(server: RunningServer, key: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = ask(server, key, "POST", PRICES, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def cost_of(server: RunningServer, key: str, **event: object) -> tuple[str | None, str]:
    """Total and status of a million input tokens of gpt-4o (2.50 USD by the list), without keeping it."""
    asked = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1_000_000, **event}
    answer = ask(server, key, "POST", "/api/v1/prices/check", json=asked).raise_for_status().json()
    explained = answer["items"][0]["explanation"]
    return explained["total"], explained["status"]


def recorded_cost(server: RunningServer, key: str, event_id: str, **event: object) -> dict[str, Any]:
    asked = {
        "event_id": event_id,
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": 1_000_000,
        **event,
    }
    ask(server, key, "POST", "/api/v1/events?wait=applied", json=asked).raise_for_status()
    cost: dict[str, Any] = ask(server, key, "GET", f"/api/v1/events/{event_id}").json()["cost"]
    return cost


def test_units_without_a_price_in_the_contracts_currency_are_named(server: RunningServer) -> None:
    key = keys_of(server, "ov-euros")["admin"]
    euros = {**CONTRACT, "currency": "EUR"}
    made = agree(server, key, {**euros, "prices": {"input_tokens": "2.00"}})
    (warning,) = made["warnings"]
    assert (warning["code"], warning["models"]) == ("units_without_rate", ["openai/gpt-4o"])
    assert "output_tokens" in warning["units"]
    assert "input_tokens" not in warning["units"]
    assert "openai/gpt-4o" in warning["message"]
    assert "output_tokens" in warning["message"]
    assert "EUR" in warning["message"]
    assert cost_of(server, key)[1] == "priced"
    assert cost_of(server, key, output_tokens=5)[1] == "unpriced"
    # What fills the gap ends it.
    rest = dict.fromkeys(warning["units"], "8")
    assert agree(server, key, {**euros, "prices": rest})["warnings"] == []
    assert cost_of(server, key, output_tokens=5)[1] == "priced"


def test_a_contract_in_the_lists_currency_leaves_nothing_out(server: RunningServer) -> None:
    key = keys_of(server, "ov-dollars")["admin"]
    assert agree(server, key, {**CONTRACT, "prices": {"input_tokens": "2.00"}})["warnings"] == []
    own = {**CONTRACT, "model": "house-model", "currency": "EUR", "prices": {"input_tokens": "2.00"}}
    assert agree(server, key, own)["warnings"] == []


def test_models_of_a_pattern_that_lose_the_same_units_are_told_together(server: RunningServer) -> None:
    key = keys_of(server, "ov-pattern")["admin"]
    body = {**CONTRACT, "model": "gpt-4o*", "currency": "EUR", "hours": "08:00-18:00", "weekdays": ["sat"]}
    made = agree(server, key, {**body, "prices": {"input_tokens": "2", "cache_read_tokens": "1"}})
    models = [model for warning in made["warnings"] for model in warning["models"]]
    assert {"openai/gpt-4o", "openai/gpt-4o-mini"} <= set(models)
    assert len(made["warnings"]) < len(models) == len(set(models))


def test_a_fee_in_another_currency_names_what_it_leaves_unpriced(server: RunningServer) -> None:
    key = keys_of(server, "ov-fee")["admin"]
    fee = {"kind": "fee", "amount": "0.01", "currency": "EUR", "model": "gpt-4o", "provider": "openai"}
    (warning,) = agree(server, key, {**fee, "valid_from": SINCE})["warnings"]
    assert {"input_tokens", "output_tokens"} <= set(warning["units"])
    assert cost_of(server, key)[1] == "unpriced"


def test_a_discount_counts_at_once_and_what_was_recorded_keeps_its_cost(server: RunningServer) -> None:
    keys, other = keys_of(server, "ov-discount"), keys_of(server, "ov-discount-other")
    assert recorded_cost(server, keys["admin"], "before")["total"] == "2.5"
    made = agree(server, keys["admin"], DISCOUNT)
    assert (made["percent"], made["withdrawn"], made["recorded"]["events"]) == ("12", None, 1)
    assert "reprice" in made["recorded"]["advice"]
    # 2.50 less 12 %.
    assert recorded_cost(server, keys["admin"], "after")["total"] == "2.2"
    assert ask(server, keys["read"], "GET", "/api/v1/events/before").json()["cost"]["total"] == "2.5"
    assert cost_of(server, other["read"]) == ("2.5", "priced")
    by_operator = server.client.post(
        "/api/v1/prices/check",
        json={"provider": "openai", "model": "gpt-4o", "input_tokens": 1_000_000},
        params={"tenant_id": "ov-discount"},
    ).json()
    assert by_operator["items"][0]["explanation"]["total"] == "2.2"
    # Ingest by the operator for the tenant is rated by the tenant's prices, too.
    event = {"event_id": "by-op", "provider": "openai", "model": "gpt-4o", "input_tokens": 1_000_000}
    named = {**event, "tenant_id": "ov-discount"}
    server.client.post("/api/v1/events?wait=applied", json=named).raise_for_status()
    assert ask(server, keys["read"], "GET", "/api/v1/events/by-op").json()["cost"]["total"] == "2.2"


def test_a_withdrawn_override_counts_no_longer_and_stays_with_who_when_and_why(server: RunningServer) -> None:
    keys = keys_of(server, "ov-gone")
    made = agree(server, keys["admin"], DISCOUNT)
    path = f"{OVERRIDES}/{made['id']}"
    assert ask(server, keys["admin"], "DELETE", path).status_code == 422
    gone = ask(server, keys["admin"], "DELETE", path, params={"reason": "renegotiated"}).json()
    assert gone["withdrawn"]["reason"] == "renegotiated"
    assert cost_of(server, keys["read"]) == ("2.5", "priced")
    again = ask(server, keys["admin"], "DELETE", path, params={"reason": "once more"}).json()
    assert again["withdrawn"] == gone["withdrawn"]
    assert ask(server, keys["read"], "GET", OVERRIDES).json()["items"] == []
    (kept,) = ask(server, keys["read"], "GET", OVERRIDES, params={"withdrawn": True}).json()["items"]
    assert (kept["id"], kept["withdrawn"]) == (made["id"], gone["withdrawn"])


def test_a_contract_replaces_the_list_and_the_explanation_names_it(server: RunningServer) -> None:
    keys = keys_of(server, "ov-contract")
    made = agree(server, keys["admin"], CONTRACT)
    assert made["prices"] == {
        "input_tokens": {"price": "2", "per": 1_000_000, "minimum": None},
        "output_tokens": {"price": "8", "per": 1_000_000, "minimum": None},
    }
    # 1M at 2.00 and 100,000 at 8.00 per million.
    assert recorded_cost(server, keys["admin"], "c", output_tokens=100_000)["total"] == "2.8"
    explained = ask(server, keys["read"], "GET", "/api/v1/events/c/explain").json()
    assert (explained["adds_up"], explained["resolved_by"]) == (True, "contract")
    terms = explained["explanation"]["card"]["terms"]
    assert {one["id"] for one in terms} == {f"{made['id']}/input_tokens", f"{made['id']}/output_tokens"}


def test_a_contract_may_price_a_model_that_nobody_lists_in_another_currency(server: RunningServer) -> None:
    keys = keys_of(server, "ov-own-model")
    body = {
        "kind": "contract",
        "provider": "openai",
        "model": "acme-tuned",
        "currency": "EUR",
        "valid_from": SINCE,
        "prices": {"input_tokens": "3", "output_tokens": "9"},
    }
    agree(server, keys["admin"], body)
    cost = recorded_cost(server, keys["admin"], "own", model="acme-tuned")
    assert (cost["total"], cost["currency"], cost["status"]) == ("3", "EUR", "priced")


def test_a_projects_terms_come_before_its_tenants(server: RunningServer) -> None:
    keys = keys_of(server, "ov-project")
    agree(server, keys["admin"], DISCOUNT)
    agree(server, keys["admin"], {**DISCOUNT, "percent": "50", "project_id": "support"})
    agree(
        server,
        keys["admin"],
        {"kind": "fee", "amount": "0.25", "project_id": "search", "valid_from": SINCE},
    )
    assert cost_of(server, keys["read"]) == ("2.2", "priced")
    assert cost_of(server, keys["read"], project_id="support") == ("1.25", "priced")
    assert cost_of(server, keys["read"], project_id="search") == ("2.45", "priced")
    only = ask(server, keys["read"], "GET", OVERRIDES, params={"project_id": "search"}).json()["items"]
    assert [one["kind"] for one in only] == ["fee"]
    fees = ask(server, keys["read"], "GET", OVERRIDES, params={"kind": "discount"}).json()["items"]
    assert [one["percent"] for one in fees] == ["12", "50"]


def test_terms_count_from_their_first_moment_to_their_last(server: RunningServer) -> None:
    keys = keys_of(server, "ov-dates")
    dated = {**DISCOUNT, "valid_from": "2026-10-01T00:00:00Z", "valid_to": "2026-11-01T00:00:00Z"}
    agree(server, keys["admin"], dated)
    for time, total in (
        ("2026-09-30T23:59:59Z", "2.5"),
        ("2026-10-01T00:00:00Z", "2.2"),
        ("2026-10-31T23:59:59.999999Z", "2.2"),
        ("2026-11-01T00:00:00Z", "2.5"),
    ):
        assert cost_of(server, keys["read"], time=time) == (total, "priced"), time
        asked = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1_000_000}
        at = ask(server, keys["read"], "POST", "/api/v1/prices/check", json=asked, params={"at": time})
        assert at.json()["items"][0]["explanation"]["total"] == total, time


def test_all_that_is_wrong_is_said_at_once(server: RunningServer) -> None:
    keys = keys_of(server, "ov-wrong")
    bad = {
        "kind": "contract",
        "percent": "120",
        "provider": "openai",
        "valid_from": "2026-11-01T00:00:00Z",
        "valid_to": "2026-10-01T00:00:00Z",
        "prices": {"imput_tokens": "-1"},
        "context_over": 10,
        "context_upto": 5,
    }
    refused = ask(server, keys["admin"], "POST", PRICES, json=bad)
    assert refused.status_code == 422
    assert sorted((one["field"], one["code"]) for one in refused.json()["errors"]) == [
        ("context_upto", "invalid_value"),
        ("percent", "not_of_this_kind"),
        ("prices.imput_tokens", "out_of_range"),
        ("prices.imput_tokens", "unknown_unit"),
        ("valid_to", "before_valid_from"),
    ]
    assert "input_tokens" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"percent": "100.1"}, "percent", "out_of_range"),
        ({"percent": "1E-999999999999"}, "percent", "too_fine"),
        ({"percent": "-1"}, "percent", "out_of_range"),
        ({"percent": None}, "percent", "required"),
        ({"percent": "0." + "0" * 20 + "1"}, "percent", "too_fine"),
        ({"amount": "1"}, "amount", "not_of_this_kind"),
        ({"batch": True}, "batch", "not_of_this_kind"),
        ({"kind": "multiplier"}, "factor", "required"),
        ({"kind": "multiplier", "percent": None, "factor": "-0.5"}, "factor", "out_of_range"),
        ({"kind": "fee", "percent": None, "amount": "1000001"}, "amount", "out_of_range"),
        ({"kind": "contract", "percent": None}, "prices", "required"),
        (
            {"kind": "contract", "percent": None, "provider": None, "prices": {"pages": "1"}},
            "model",
            "required",
        ),
        (
            {"kind": "contract", "percent": None, "prices": {"pages": {"price": "1", "per": 0}}},
            "prices.pages.per",
            "out_of_range",
        ),
        (
            {"kind": "contract", "percent": None, "prices": {"pages": "1"}, "hours": "10:00-10:00"},
            "hours",
            "invalid_value",
        ),
    ],
)
def test_what_cannot_be_agreed_on_is_refused_by_name(
    server: RunningServer, change: dict[str, Any], field: str, code: str
) -> None:
    refused = server.client.post(PRICES, json={**DISCOUNT, **change})
    assert refused.status_code == 422, refused.text
    assert (field, code) in [(one["field"], one["code"]) for one in refused.json()["errors"]]


@pytest.mark.parametrize(
    ("price", "field", "code"),
    [
        ({"price": "1E+999999999999"}, "prices.input_tokens", "out_of_range"),
        ({"price": "1E-999999999999"}, "prices.input_tokens", "too_fine"),
        ({"price": "2", "minimum": "1E-5000"}, "prices.input_tokens.minimum", "too_fine"),
        ({"price": "2", "minimum": "1E-999999999999"}, "prices.input_tokens.minimum", "too_fine"),
        ({"price": "2", "minimum": "0"}, "prices.input_tokens.minimum", "out_of_range"),
        ({"price": "2", "minimum": "-1"}, "prices.input_tokens.minimum", "out_of_range"),
    ],
)
def test_a_number_that_nobody_can_write_out_is_refused_by_name(
    server: RunningServer, price: dict[str, str], field: str, code: str
) -> None:
    body = {**CONTRACT, "prices": {"input_tokens": price}, "hours": "10:00-10:00"}
    refused = server.client.post(PRICES, json=body)
    assert refused.status_code == 422, refused.text
    reasons = {(one["field"], one["code"]) for one in refused.json()["errors"]}
    assert reasons >= {(field, code), ("hours", "invalid_value")}


def test_a_number_stays_the_decimal_that_was_sent(server: RunningServer) -> None:
    key = keys_of(server, "exact-overrides")["admin"]
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    head = b'"provider":"openai","model":"gpt-4o","valid_from":"2026-01-01T00:00:00Z"'
    body = b'{"kind":"contract",%b,"prices":{"input_tokens":2.00000000000000001}}' % head
    made = server.stranger.post(PRICES, content=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.json()["prices"]["input_tokens"]["price"] == "2.00000000000000001"
    factor = b'{"kind":"multiplier",%b,"factor":1.00000000000000000001}' % head
    assert server.stranger.post(PRICES, content=factor, headers=headers).json()["factor"] == (
        "1.00000000000000000001"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "gift"},
        {"valid_from": "yesterday"},
        {"valid_from": None},
        {"percent": "NaN"},
        {"percent": [1]},
        {"provider": ""},
        {"model": "a\u0000"},
        {"currency": "usd"},
        {"prices": {"Input": "1"}},
        {"weekdays": ["someday"]},
        {"weight": 1},
    ],
)
def test_what_is_no_override_is_refused(server: RunningServer, change: dict[str, Any]) -> None:
    assert server.client.post(PRICES, json={**DISCOUNT, **change}).status_code == 422


def test_two_contract_prices_for_the_same_thing_and_time_are_refused_by_name(server: RunningServer) -> None:
    keys = keys_of(server, "ov-overlap")
    first = agree(server, keys["admin"], {**CONTRACT, "valid_to": "2026-06-01T00:00:00Z"})
    other_spelling = {**CONTRACT, "provider": "open_ai", "valid_from": "2026-05-31T00:00:00Z"}
    refused = ask(server, keys["admin"], "POST", PRICES, json=other_spelling)
    assert refused.status_code == 409
    assert first["id"] in refused.json()["detail"]
    for change in (
        {"valid_from": "2026-06-01T00:00:00Z"},
        {"project_id": "search"},
        {"model": "gpt-4o-mini"},
        {"batch": True},
        {"prices": {"cache_read_tokens": "1"}},
    ):
        agree(server, keys["admin"], {**CONTRACT, **change})
    same = {**DISCOUNT, "percent": "15"}
    agree(server, keys["admin"], DISCOUNT)
    assert ask(server, keys["admin"], "POST", PRICES, json=same).status_code == 409
    agree(server, keys["admin"], {**same, "valid_from": "2026-02-01T00:00:00Z"})


def test_a_retry_with_its_key_adds_nothing(server: RunningServer) -> None:
    keys, other = keys_of(server, "ov-retry"), keys_of(server, "ov-retry-other")
    headers = {"Idempotency-Key": "deal-7"}
    first = ask(server, keys["admin"], "POST", PRICES, json=DISCOUNT, headers=headers)
    again = ask(server, keys["admin"], "POST", PRICES, json=DISCOUNT, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    changed = {**DISCOUNT, "percent": "13"}
    refused = ask(server, keys["admin"], "POST", PRICES, json=changed, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "other_content")
    assert ask(server, other["admin"], "POST", PRICES, json=changed, headers=headers).status_code == 201


def test_overrides_are_the_tenants_own_and_need_the_admin_scope(server: RunningServer) -> None:
    mine, other = keys_of(server, "ov-mine"), keys_of(server, "ov-other")
    for scope, status in (("ingest", 403), ("read", 403)):
        assert ask(server, mine[scope], "POST", PRICES, json=DISCOUNT).status_code == status
    made = agree(server, mine["admin"], DISCOUNT)
    path, why = f"{OVERRIDES}/{made['id']}", {"reason": "not mine"}
    assert ask(server, other["read"], "GET", OVERRIDES, params={"withdrawn": True}).json()["items"] == []
    assert ask(server, other["admin"], "DELETE", path, params=why).status_code == 404
    assert ask(server, mine["read"], "DELETE", path, params=why).status_code == 403
    assert ask(server, mine["ingest"], "GET", OVERRIDES).status_code == 403
    named = {"tenant_id": "ov-mine"}
    assert ask(server, other["admin"], "POST", PRICES, json=DISCOUNT, params=named).status_code == 403
    assert server.stranger.post(PRICES, json=DISCOUNT).status_code == 401
    (seen,) = server.client.get(OVERRIDES, params=named).json()["items"]
    assert seen["id"] == made["id"]
    for odd in ("ovr_none", "a%00b", "..", "x" * 500):
        gone = ask(server, mine["admin"], "DELETE", f"{OVERRIDES}/{odd}", params=why)
        assert gone.status_code in {404, 405}, odd


def test_pages_go_on_where_the_last_one_ended(server: RunningServer) -> None:
    keys = keys_of(server, "ov-pages")
    made = [
        agree(server, keys["admin"], {**DISCOUNT, "percent": str(n), "project_id": f"p{n}"})["id"]
        for n in range(5)
    ]
    first = ask(server, keys["read"], "GET", OVERRIDES, params={"limit": 3}).json()
    rest = ask(
        server, keys["read"], "GET", OVERRIDES, params={"limit": 3, "cursor": first["next_cursor"]}
    ).json()
    assert [one["id"] for one in (*first["items"], *rest["items"])] == made
    assert rest["next_cursor"] is None
    assert ask(server, keys["read"], "GET", OVERRIDES, params={"cursor": "x"}).status_code == 422


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00Z", "1960-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
def test_an_agreement_may_begin_on_any_day_of_the_calendar(server: RunningServer, since: str) -> None:
    keys = keys_of(server, f"ov-since-{since[:4]}")
    recorded_cost(server, keys["admin"], "before")
    made = agree(server, keys["admin"], {**DISCOUNT, "valid_from": since})
    assert made["recorded"]["events"] == (0 if since.startswith("9999") else 1)
    assert cost_of(server, keys["read"])[0] == ("2.5" if since.startswith("9999") else "2.2")
