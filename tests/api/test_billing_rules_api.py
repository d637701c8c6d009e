"""Billing rules over HTTP: recorded, found for an event, tried, withdrawn; each tenant's own, and exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.access import ask, keys_of
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import RunningServer

PATH = "/api/v1/billing-rules"
EVENTS = "/api/v1/events?wait=applied"
BY_PAGE = {"service_type": "document_processor", "unit": "pages", "rate": "0.01"}
DOCUMENT = {"service_type": "document_processor", "provider": "document_ai", "pages_processed": 120}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def add(server: RunningServer, key: str, **rule: Any) -> Any:  # noqa: ANN401 - any JSON
    answer = ask(server, key, "POST", PATH, json=BY_PAGE | rule)
    assert answer.status_code == 201, answer.text
    return answer.json()


def cost_of(server: RunningServer, key: str, **event: Any) -> Any:  # noqa: ANN401 - any JSON
    answer = ask(server, key, "POST", EVENTS, json=DOCUMENT | event)
    assert answer.status_code == 200, answer.text
    return answer.json()["events"][0]["cost"]


def test_a_built_in_service_is_unpriced_until_a_rule_bills_it_and_after_it_is_withdrawn(
    server: RunningServer,
) -> None:
    key = keys_of(server, "documents")["admin"]
    unknown = {"status": "unpriced", "currency": "USD", "reason": "no_billing_rule"}
    assert cost_of(server, key) == unknown
    rule = add(server, key)
    assert cost_of(server, key) == {"status": "priced", "currency": "USD", "total": "1.2"}
    withdrawn = ask(server, key, "DELETE", f"{PATH}/{rule['id']}").json()
    assert withdrawn["withdrawn_at"] is not None
    assert withdrawn["withdrawn_by"].startswith("key_")
    assert ask(server, key, "DELETE", f"{PATH}/{rule['id']}").json() == withdrawn
    assert cost_of(server, key) == unknown
    assert ask(server, key, "GET", PATH).json()["items"] == []
    kept = ask(server, key, "GET", PATH, params={"withdrawn": True}).json()["items"]
    assert kept == [withdrawn] == [ask(server, key, "GET", f"{PATH}/{rule['id']}").json()]


def test_a_models_rule_counts_before_a_providers_before_the_default_and_each_in_its_time(
    server: RunningServer,
) -> None:
    key = keys_of(server, "precedence")["admin"]
    add(server, key)
    add(server, key, provider="Document_AI", rate="0.02")
    add(server, key, model="layout-2", rate="0.03", currency="EUR")
    add(server, key, model="layout-2", rate="0.05", valid_from="2026-11-10T00:00:00+01:00", currency="EUR")
    later = {"model": "LAYOUT-2", "time": "2026-11-09T23:00:00Z"}
    before = {"model": "layout-2", "time": "2026-11-09T22:59:59.999999Z"}
    assert cost_of(server, key, provider="other")["total"] == "1.2"
    assert cost_of(server, key)["total"] == "2.4"
    assert cost_of(server, key, **before) == {"status": "priced", "currency": "EUR", "total": "3.6"}
    assert cost_of(server, key, **later) == {"status": "priced", "currency": "EUR", "total": "6"}
    found = ask(server, key, "GET", PATH, params={"model": "layout-2", "at": "2026-11-01T00:00:00Z"}).json()
    assert [item["billing"]["rates"] for item in found["items"]] == [{"standard": "0.03"}]
    assert len(ask(server, key, "GET", PATH, params={"provider": "Document_AI"}).json()["items"]) == 1
    assert ask(server, key, "GET", PATH, params={"at": "yesterday"}).status_code == 422


def test_a_field_of_the_event_chooses_among_rates(server: RunningServer) -> None:
    key = keys_of(server, "chosen")["admin"]
    add(server, key, rate=None, rates={"standard": 0.01, "premium": "0.03"}, rate_field="quality")
    assert cost_of(server, key)["total"] == "1.2"
    assert cost_of(server, key, metadata={"quality": "premium"})["total"] == "3.6"
    assert cost_of(server, key, tags={"quality": "premium"})["total"] == "3.6"
    assert cost_of(server, key, metadata={"quality": "gold"})["reason"] == "no_rate_for:gold"


def test_a_rule_for_language_models_counts_before_the_price_book(server: RunningServer) -> None:
    key = keys_of(server, "own-models")["admin"]
    call = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 500}
    rule = {"service_type": "llm_service", "model": "gpt-4o", "unit": "tokens", "rate": 1, "per": 1000}
    ask(server, key, "POST", PATH, json=rule).raise_for_status()
    events = [call, call | {"service_type": "llm_service"}, call | {"model": "gpt-4o-mini"}]
    answer = ask(server, key, "POST", EVENTS, json=events).json()
    assert [event["cost"]["total"] for event in answer["events"]] == ["1.5", "1.5", "0.00045"]


def test_rules_are_their_tenants_own_and_changes_need_the_admin_scope(server: RunningServer) -> None:
    mine, other = keys_of(server, "rules-mine"), keys_of(server, "rules-other")
    for scope in ("ingest", "read"):
        assert ask(server, mine[scope], "POST", PATH, json=BY_PAGE).status_code == 403
    rule = add(server, mine["admin"])
    one = f"{PATH}/{rule['id']}"
    assert ask(server, mine["read"], "GET", one).status_code == 200
    assert ask(server, mine["read"], "DELETE", one).status_code == 403
    for method in ("GET", "DELETE"):
        assert ask(server, other["admin"], method, one).status_code == 404
    assert ask(server, other["admin"], "GET", PATH, params={"withdrawn": True}).json()["items"] == []
    assert cost_of(server, other["admin"])["status"] == "unpriced"
    assert (
        ask(server, other["admin"], "POST", PATH, json=BY_PAGE | {"tenant_id": "rules-mine"}).status_code
        == 403
    )
    by_operator = server.client.get(PATH, params={"tenant_id": "rules-mine"}).json()["items"]
    assert [item["id"] for item in by_operator] == [rule["id"]]
    assert server.stranger.get(PATH).status_code == 401


def test_a_number_stays_the_decimal_that_was_sent(server: RunningServer) -> None:
    key = keys_of(server, "exact")["admin"]
    body = b'{"service_type":"document_processor","unit":"pages","rate":0.100000000000000001}'
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    made = server.stranger.post(PATH, content=body, headers=headers)
    assert made.json()["billing"]["rates"] == {"standard": "0.100000000000000001"}
    for number, code in ((b"1e-400", 400), (b"0.1000000000000000001", 422)):
        refused = body.replace(b"0.100000000000000001", number)
        assert server.stranger.post(PATH, content=refused, headers=headers).status_code == code, number


SHOWN = [
    {"kind": "graduated", "unit": "pages", "tiers": [{"rate": "1", "up_to": "10"}, {"rate": "0.5"}]},
    {"kind": "volume", "unit": "pages", "tiers": [{"rate": "1", "up_to": "10"}, {"rate": "0.5"}]},
    {"kind": "package", "unit": "pages", "size": "100", "rates": {"standard": "3"}},
    {"kind": "percentage", "unit": "order_value", "rates": {"standard": "2.9"}},
    {"kind": "flat", "rates": {"standard": "0.3", "gold": "0.2"}, "rate_field": "plan"},
    {"kind": "multiply", "unit": "pages", "rates": {"standard": "1"}, "per": 1000, "free_units": "5"},
    {"kind": "expression", "expression": "pages * rate + 1", "rates": {"standard": "2"}},
    {
        "kind": "sum",
        "parts": [
            {"kind": "flat", "rates": {"standard": "1"}},
            {"kind": "multiply", "unit": "pages", "rates": {"standard": "1"}},
        ],
    },
]


@pytest.mark.parametrize("charge", SHOWN, ids=lambda charge: charge["kind"])
def test_what_is_shown_of_a_rule_can_be_sent_again(server: RunningServer, charge: dict[str, Any]) -> None:
    scope = {"service_type": "document_processor", "provider": f"round-trip-{charge['kind']}"}
    made = server.client.post(PATH, json=scope | charge)
    assert made.status_code == 201, made.text
    shown = made.json()["billing"]
    assert {name: value for name, value in shown.items() if name in charge} == charge
    again = server.client.post(PATH, json=scope | shown)
    assert again.json()["billing"] == shown


def test_the_names_of_the_replaced_system_are_understood(server: RunningServer) -> None:
    body = {
        "service_type": "document_processor",
        "service_provider": "replaced",
        "model_or_tier": "ocr",
        "billing_unit": "pages_processed",
        "rate_per_unit": 0.5,
        "tiered_rates": {
            "tiers": [{"from": 0, "to": 100, "rate": 0.01}, {"from": 100, "to": None, "rate": 0.005}]
        },
        "minimum_charge": 0.25,
        "calculation_method": "multiply",
        "effective_from": "2026-01-01T00:00:00Z",
    }
    made = server.client.post(PATH, json=body)
    assert made.status_code == 201, made.text
    billing = made.json()["billing"]
    assert (billing["kind"], billing["unit"], billing["minimum_charge"]) == ("graduated", "pages", "0.25")
    event = DOCUMENT | {"provider": "replaced", "model": "ocr"}
    assert server.client.post(EVENTS, json=event).json()["events"][0]["cost"]["total"] == "1.1"


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"service_type": "never_registered"}, [("service_type", "unknown_service")]),
        ({"kind": "graduated"}, [("rate", "not_for_kind"), ("tiers", "required")]),
        (
            {"kind": "expression", "unit": None, "rate": None},
            [("expression", "required")],
        ),
        ({"currency": "usd"}, [("currency", "string_pattern_mismatch")]),
        (
            {"valid_from": "2026-01-02T00:00:00Z", "valid_to": "2026-01-02T00:00:00Z"},
            [("valid_to", "out_of_range")],
        ),
        ({"valid_from": "2026-01-02T00:00:00"}, [("valid_from", "timezone_aware")]),
        ({"minimum_charge": 1_000_000}, [("minimum_charge", "less_than")]),
        ({"unit": "Pages"}, [("unit", "invalid_value")]),
        ({"rate": True}, [("rate", "decimal_type")]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_billed_is_refused_by_its_field(
    server: RunningServer, change: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    body = {name: value for name, value in (BY_PAGE | change).items() if value is not None}
    answer = server.client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    found = [(one["field"].removeprefix("body."), one["code"]) for one in answer.json()["errors"]]
    assert found == errors


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("9**9**9", "exponent_out_of_range"),
        ("__class__", "not_an_expression"),
        ("(" * 10_000, "string_too_long"),
        ("pages / 0", None),
        ("1 / 0", "division_by_zero"),
        ("pages_processed * 2", "other_name"),
        ("pages * rate", "rate_mismatch"),
    ],
)
def test_a_hostile_expression_is_refused_or_leaves_events_unpriced(
    server: RunningServer, expression: str, code: str | None
) -> None:
    body = {"service_type": "document_processor", "kind": "expression", "expression": expression}
    if code is None:
        trial = server.client.post(f"{PATH}/try", json={"rule": body, "event": DOCUMENT}).json()["event"]
        assert (trial["explanation"]["status"], trial["explanation"]["reason"]) == (
            "unpriced",
            "division_by_zero",
        )
        return
    answer = server.client.post(PATH, json=body)
    assert (answer.status_code, [one["code"] for one in answer.json()["errors"]]) == (422, [code])


def test_a_rule_is_tried_without_being_kept(server: RunningServer) -> None:
    keys = keys_of(server, "trial")
    rule = BY_PAGE | {
        "kind": "graduated",
        "rate": None,
        "tiers": [{"up_to": 100, "rate": 0.01}, {"rate": "0.005"}],
    }
    rule = {name: value for name, value in rule.items() if value is not None} | {"minimum_charge": 2}
    trial = ask(server, keys["read"], "POST", f"{PATH}/try", json={"rule": rule, "event": DOCUMENT}).json()[
        "event"
    ]
    assert [(line["unit"], line["quantity"], line["amount"]) for line in trial["explanation"]["lines"]] == [
        ("pages", "100", "1"),
        ("pages", "20", "0.1"),
        ("minimum_charge", "1", "0.9"),
    ]
    assert trial["explanation"]["card"]["book_version"] == "tried"
    assert ask(server, keys["read"], "GET", PATH, params={"withdrawn": True}).json()["items"] == []
    own = ask(server, keys["read"], "POST", f"{PATH}/try", json={"event": DOCUMENT}).json()["event"]
    assert own["explanation"]["reason"] == "no_billing_rule"
    add(server, keys["admin"])
    own = ask(server, keys["read"], "POST", f"{PATH}/try", json={"event": DOCUMENT}).json()["event"]
    assert own["explanation"]["total"] == "1.2"
    broken = ask(server, keys["read"], "POST", f"{PATH}/try", json={"event": {"typo": 1}}).json()["event"]
    assert [error["field"] for error in broken["errors"]] == ["typo"]
    assert ask(server, keys["ingest"], "POST", f"{PATH}/try", json={"event": DOCUMENT}).status_code == 403
    assert ask(server, keys["read"], "POST", f"{PATH}/try", json={"event": []}).status_code == 422
