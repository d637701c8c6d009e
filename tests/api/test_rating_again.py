"""Rating again gives what ingest would have given: by equal prices nothing else, by others what is new gets.

Random events of every kind that decides a price: named, inferred and unknown providers, tiers of the answer,
long prompts, times of day, shares of several models, custom units, billing rules, figures of callers and of
trusted providers, estimates, failures; under contracts of a tenant and of a project.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.test_reprice_api import EVENTS, reprice
from tests.support.rounds import TIMES, rounds
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx

    from tests.support.serving import RunningServer

_numbers = itertools.count()
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
SINCE = "2020-01-01T00:00:00Z"
AGREED = (
    {"kind": "discount", "percent": "12.5", "model": "gpt-*", "valid_from": SINCE},
    {"kind": "multiplier", "factor": "3", "project_id": "dear", "valid_from": "2026-06-01T00:00:00Z"},
    {
        "kind": "contract",
        "provider": "openai",
        "model": "house-model",
        "prices": {"input_tokens": "2.50", "output_tokens": "10"},
        "currency": "EUR",
        "valid_from": SINCE,
    },
)
RULE = {
    "service_type": "document_processor",
    "kind": "multiply",
    "unit": "pages",
    "rates": {"standard": "0.25", "gold": "0.20"},
    "rate_field": "plan",
}
Said = dict[str, Any]
counts = st.integers(1, 3000)


def _both(said: Said, figures: Said) -> Said:
    return {**said, **figures}


def _openai_usage(cached: int, reasoning: int, cost: float) -> Said:
    return {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "cost": cost,
    }


def _anthropic_usage(fresh: int, read: int, written: int, tier: str) -> Said:
    return {
        "input_tokens": fresh,
        "output_tokens": 7,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "service_tier": tier,
    }


def _as_usage(usage: Said) -> Said:
    return {"usage": usage}


def _as_estimate(said: Said) -> Said:
    return {**said, "estimate": {"method": "characters:4"}}


def _as_half_an_estimate(said: Said) -> Said:
    return {**said, "estimate": {"method": "characters:4", "input_known": False}}


usages: st.SearchStrategy[Said] = st.one_of(
    st.builds(_openai_usage, st.integers(0, 1000), st.integers(0, 500), st.sampled_from([0.0125, 0.5])),
    st.builds(_anthropic_usage, counts, counts, counts, st.sampled_from(["standard", "batch", "priority"])),
)
totals: st.SearchStrategy[Said] = st.fixed_dictionaries(
    {"input_tokens": st.sampled_from([1, 1000, 250_000, 300_000])},
    optional={"output_tokens": counts, "context_tokens": st.sampled_from([100, 250_000])},
)
units: st.SearchStrategy[Said] = st.fixed_dictionaries(
    {
        "units": st.dictionaries(
            st.sampled_from(["input_text", "pages", "searches", "own_unit"]), counts, min_size=1
        )
    }
)
measured: st.SearchStrategy[Said] = st.one_of(
    totals,
    totals,
    units,
    usages.map(_as_usage),
    totals.map(_as_estimate),
    totals.map(_as_half_an_estimate),
    st.sampled_from([{"status": "error"}, Said()]),
)
MODELS = (
    "gpt-4o",
    "gpt-4o-mini-2024-07-18",
    "o3",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
    "deepseek-chat",
    "house-model",
    "nobody-knows-this",
    "openai/gpt-4o",
    "whisper-1",
)
events: st.SearchStrategy[Said] = st.builds(
    _both,
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(MODELS),
            "time": st.sampled_from(["2025-01-15T10:00:00Z", "2026-05-31T23:59:59Z", "2026-10-20T17:30:00Z"]),
        },
        optional={
            "provider": st.sampled_from(
                ["openai", "claude", "litellm", "openrouter", "acme", "google", "bedrock"]
            ),
            "response_model": st.sampled_from(["gpt-4o-2024-08-06", "nobody"]),
            "service_tier": st.sampled_from(["flex", "priority", "standard"]),
            "batch": st.booleans(),
            "region": st.sampled_from(["eu", "us-east-1"]),
            "project_id": st.sampled_from(["dear", "other"]),
            "cost": st.sampled_from([{"amount": "0.5"}, {"amount": "0.25", "currency": "EUR"}]),
            "service_type": st.sampled_from(["document_processor", "llm_service"]),
            "metadata": st.sampled_from([{"plan": "gold"}, {"plan": "none such"}, {"n": 1}]),
            "tags": st.just({"plan": "gold"}),
        },
    ),
    measured,
)


ALWAYS: list[dict[str, Any]] = [
    {
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "usage": {
            "input_tokens": 100,
            "output_tokens": 20,
            "iterations": [
                {"type": "message", "input_tokens": 100, "output_tokens": 20},
                {
                    "type": "advisor_message",
                    "model": "claude-opus-4-5",
                    "input_tokens": 50,
                    "output_tokens": 5,
                },
            ],
        },
    },
    {"model": "gpt-4o", "input_tokens": 1000, "project_id": "dear"},
    {"service_type": "document_processor", "units": {"pages": 3}, "metadata": {"plan": "gold"}},
]
"""Shares of two models, a contract of a project, a rule's rate by a field: too seldom by chance."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A server of its own, for its prices are agreed on, and which takes events of long ago."""
    with running_server(tmp_path_factory.mktemp("again"), max_past_days=3650) as server:
        server.client.post("/api/v1/billing-rules", json=RULE).raise_for_status()
        trusting = {"trusted_providers": ["openrouter"]}
        server.client.put("/api/v1/billing/settings", json=trusting).raise_for_status()
        yield server


def send(client: httpx.Client, environment: str, items: list[dict[str, Any]]) -> int:
    """Send events under ids of their environment; returns how many are taken."""
    body = [
        {**one, "event_id": f"{environment}-{i}", "environment": environment} for i, one in enumerate(items)
    ]
    answer = client.post(EVENTS, json=body, params={"wait": "applied"})
    assert answer.status_code in {200, 422}, answer.text
    return 0 if answer.status_code == 422 else len(answer.json()["events"])


def costs(client: httpx.Client, environment: str) -> list[tuple[Any, ...]]:
    """Provider and cost of each event, in the order of their ids."""
    found = client.get(EVENTS, params={"environment": environment, "window": "all", "limit": 500}).json()
    items = sorted(found["items"], key=lambda one: int(one["event_id"].rpartition("-")[2]))
    return [(one["event_id"].rpartition("-")[2], one["provider"], one["cost"], one["parts"]) for one in items]


@pytest.mark.timeout(120 * TIMES)
@settings(
    max_examples=rounds(1),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(items=st.lists(events, min_size=20, max_size=40))
def test_equal_prices_change_nothing_and_others_give_what_a_new_event_gets(
    ledger: RunningServer, items: list[dict[str, Any]]
) -> None:
    client, number, items = ledger.client, next(_numbers), [*ALWAYS, *items]
    before, after = f"before-{number}", f"after-{number}"
    assert send(client, before, items) >= len(ALWAYS)
    same = reprice(client, before, dry_run=False)["result"]
    assert (same["changed"], same["sample"]) == (0, [])
    made = [client.post("/api/v1/prices", json=one).raise_for_status().json()["id"] for one in AGREED]
    try:
        send(client, after, items)
        first = reprice(client, before, dry_run=False)["result"]
        again = reprice(client, before, dry_run=False)["result"]
        assert first["applied"] > 0
        assert (first["applied"], again["changed"]) == (first["changed"], 0)
        assert _without_cards(costs(client, before)) == _without_cards(costs(client, after))
    finally:
        for one in made:
            client.delete(f"/api/v1/prices/overrides/{one}", params={"reason": "tried"}).raise_for_status()
    assert ledger.platform.stores.recount(lambda _step, _count: None).differences == []


def _without_cards(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Costs without the cards, of which another with the same outcome is no change."""
    return [
        (
            number,
            provider,
            {**cost, "rate_card": None},
            [{**part, "rate_card": None} for part in parts or ()],
        )
        for number, provider, cost, parts in found
    ]


def test_a_providers_figure_counts_again_beside_the_callers_once_the_provider_is_trusted(
    ledger: RunningServer,
) -> None:
    client = ledger.client
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": 0.0123}
    said = {"provider": "openrouter", "model": "openai/gpt-4o-mini", "usage": usage}
    items = [said, {**said, "cost": {"amount": "0.5", "currency": "EUR"}}]
    assert send(client, "trusted", items) == len(items)
    figure = costs(client, "trusted")
    assert [(cost["status"], cost["total"]) for _, _, cost, _ in figure] == [
        ("provider_reported", "0.0123")
    ] * 2
    settings_path = "/api/v1/billing/settings"
    client.put(settings_path, json={"trusted_providers": []}).raise_for_status()
    try:
        send(client, "not-trusted", items)
        assert reprice(client, "trusted", dry_run=False)["result"]["applied"] == 2
        assert costs(client, "trusted") == costs(client, "not-trusted")
    finally:
        client.put(settings_path, json={"trusted_providers": ["openrouter"]}).raise_for_status()
    for environment in ("trusted", "not-trusted"):
        assert reprice(client, environment, dry_run=False)["result"]["applied"] == 2
        assert costs(client, environment) == figure
