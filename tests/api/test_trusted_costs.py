"""A provider's own figure of a cost: kept beside ours, and taken for it where the tenant says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.access import ask, keys_of

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

SETTINGS = "/api/v1/billing/settings"


def answer_of_openrouter(event_id: str, **more: object) -> dict[str, Any]:
    """An OpenRouter answer: `usage.cost` is what was charged (openrouter.ai/docs, usage accounting)."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": 0.0123}
    return {
        "event_id": event_id,
        "provider": "openrouter",
        "model": "openai/gpt-4o-mini",
        "usage": usage,
        **more,
    }


def recorded(server: RunningServer, key: str, event: dict[str, Any]) -> dict[str, Any]:
    ask(server, key, "POST", "/api/v1/events?wait=applied", json=event).raise_for_status()
    path = f"/api/v1/events/{event['event_id']}"
    found: dict[str, Any] = ask(server, key, "GET", path).raise_for_status().json()
    return found


def test_a_providers_figure_is_kept_beside_ours_and_counts_only_where_it_is_trusted(
    server: RunningServer,
) -> None:
    keys = keys_of(server, "trust")
    before = recorded(server, keys["admin"], answer_of_openrouter("before"))
    # 1,000 x 0.15 and 100 x 0.60 USD per million (openrouter.ai/openai/gpt-4o-mini).
    assert (before["cost"]["status"], before["cost"]["total"]) == ("priced", "0.00021")
    assert before["reported_cost"]["amount"] == "0.0123"

    trusting = {"trusted_providers": ["OpenRouter"]}
    ask(server, keys["admin"], "PUT", SETTINGS, json=trusting).raise_for_status()
    after = recorded(server, keys["admin"], answer_of_openrouter("after", provider="open-router"))
    assert (after["cost"]["status"], after["cost"]["total"], after["cost"]["reason"]) == (
        "provider_reported",
        "0.0123",
        "trusted:openrouter",
    )
    assert after["reported_cost"]["amount"] == "0.0123"
    explained = ask(server, keys["read"], "GET", "/api/v1/events/after/explain").json()
    assert (explained["cost_status"], explained["resolved_by"]) == ("provider_reported", "provider_reported")
    assert explained["reported_cost"]["amount"] == "0.0123"
    earlier = ask(server, keys["read"], "GET", "/api/v1/events/before/explain").json()
    assert (earlier["resolved_by"], earlier["reported_cost"]["amount"]) == ("price_book", "0.0123")
    # What is recorded keeps its cost.
    assert ask(server, keys["read"], "GET", "/api/v1/events/before").json()["cost"]["total"] == "0.00021"


def test_a_callers_figure_is_no_providers(server: RunningServer) -> None:
    keys = keys_of(server, "trust-caller")
    ask(server, keys["admin"], "PUT", SETTINGS, json={"trusted_providers": ["openai"]}).raise_for_status()
    event = {
        "event_id": "said",
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": 1_000_000,
        "cost": {"amount": "99", "currency": "USD"},
    }
    assert recorded(server, keys["admin"], event)["cost"]["total"] == "2.5"


def test_a_check_says_what_the_tenants_own_trust_makes_of_it(server: RunningServer) -> None:
    keys, other = keys_of(server, "trust-check"), keys_of(server, "trust-other")
    body = {"trusted_providers": ["openrouter"]}
    ask(server, keys["admin"], "PUT", SETTINGS, json=body).raise_for_status()

    def status(key: str, **params: str) -> str:
        checked = ask(
            server, key, "POST", "/api/v1/prices/check", json=answer_of_openrouter("x"), params=params
        ).json()
        return str(checked["items"][0]["explanation"]["status"])

    assert status(keys["read"]) == "provider_reported"
    assert status(other["read"]) == "priced"
    by_operator = server.client.post(
        "/api/v1/prices/check", json=answer_of_openrouter("x"), params={"tenant_id": "trust-check"}
    ).json()
    assert by_operator["items"][0]["explanation"]["status"] == "provider_reported"


def test_each_step_is_tried_before_the_next_and_explain_names_the_one_that_counted(
    server: RunningServer,
) -> None:
    keys = keys_of(server, "steps")

    def step(name: str, **more: object) -> tuple[str, str | None]:
        recorded(server, keys["admin"], answer_of_openrouter(name, **more))
        found = ask(server, keys["read"], "GET", f"/api/v1/events/{name}/explain").json()
        return str(found["resolved_by"]), found["total"]

    said = {"cost": {"amount": "7", "currency": "USD"}}
    assert step("nobody", model="no-such-model") == ("nobody", None)
    assert step("caller", model="no-such-model", **said) == ("client_reported", "7")
    assert step("book", **said) == ("price_book", "0.00021")
    trusting = {"trusted_providers": ["openrouter"]}
    ask(server, keys["admin"], "PUT", SETTINGS, json=trusting).raise_for_status()
    assert step("trusted", **said) == ("provider_reported", "0.0123")
    # A discount is no contract: the provider's figure is what it charges.
    discount = {"kind": "discount", "percent": "12", "valid_from": "2026-01-01T00:00:00Z"}
    ask(server, keys["admin"], "POST", "/api/v1/prices", json=discount).raise_for_status()
    assert step("discounted") == ("provider_reported", "0.0123")
    contract = {
        "kind": "contract",
        "provider": "openrouter",
        "model": "*gpt-4o-mini",
        "valid_from": "2026-01-01T00:00:00Z",
        "prices": {"input_tokens": "1", "output_tokens": "1"},
    }
    ask(server, keys["admin"], "POST", "/api/v1/prices", json=contract).raise_for_status()
    # 1,100 tokens at 1 USD per million, less 12 %.
    assert step("contract") == ("contract", "0.000968")
