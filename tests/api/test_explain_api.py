"""An explanation over HTTP: every line, what the list charges beside it, and how the price was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.pricing.rows import PriceRow
from tests.support.access import ask, keys_of

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

EVENT = {
    "event_id": "e",
    "provider": "Azure",
    "model": "prod-chat",
    "time": "2026-11-20T10:00:00Z",
    "input_tokens": 1_000,
    "output_tokens": 100,
}


def agree(server: RunningServer, key: str) -> None:
    """12 % off Azure's prices, and a deployment's name."""
    discount = {
        "kind": "discount",
        "percent": "12",
        "provider": "azure",
        "valid_from": "2026-11-01T00:00:00Z",
    }
    alias = {
        "alias": "prod-chat",
        "to_model": "gpt-4o",
        "provider": "azure",
        "valid_from": "2026-01-01T00:00:00Z",
    }
    for path, body in (("", discount), ("/aliases", alias)):
        ask(server, key, "POST", f"/api/v1/prices{path}", json=body).raise_for_status()


def test_an_explanation_tells_terms_list_rules_and_rows(server: RunningServer) -> None:
    keys = keys_of(server, "explain-all")
    agree(server, keys["admin"])
    ask(server, keys["ingest"], "POST", "/api/v1/events?wait=applied", json=EVENT).raise_for_status()
    found: dict[str, Any] = ask(server, keys["read"], "GET", "/api/v1/events/e/explain").json()
    explained = found["explanation"]
    # gpt-4o: 2.50 and 10 a million tokens (developers.openai.com/api/docs/pricing), less 12 %.
    assert [(line["amount"], line["list_amount"]) for line in explained["lines"]] == [
        ("0.0022", "0.0025"),
        ("0.00088", "0.001"),
    ]
    assert (explained["total"], explained["list_total"], found["adds_up"]) == ("0.00308", "0.0035", True)
    assert [(term["kind"], term["amount"]) for term in explained["card"]["terms"]] == [("discount", "12 %")]
    rules = [rule["rule"].partition(":")[0] for rule in explained["origin"]["rules"]]
    assert rules == ["alias", "provider_named", "prices_of", "name"]
    prices = explained["origin"]["prices"]
    assert [price["unit"] for price in prices] == ["input_text", "output_text"]
    assert all(PriceRow.from_json(price["recorded"]).hash == price["row"] for price in prices)

    [checked] = ask(server, keys["read"], "POST", "/api/v1/prices/check", json=EVENT).json()["items"]
    assert checked["explanation"] == explained


def test_another_tenants_terms_explain_nothing(server: RunningServer) -> None:
    theirs, own = keys_of(server, "explain-theirs"), keys_of(server, "explain-own")
    agree(server, theirs["admin"])
    ask(server, own["ingest"], "POST", "/api/v1/events?wait=applied", json=EVENT).raise_for_status()
    found = ask(server, own["read"], "GET", "/api/v1/events/e/explain").json()
    assert (found["cost_status"], found["cost_reason"]) == ("unpriced", "unknown_model")
    assert found["explanation"]["origin"] is None
    assert ask(server, theirs["read"], "GET", "/api/v1/events/e/explain").status_code == 404
