"""The price book over HTTP: pages, filters, all prices of a model, and what is refused.

The router is mounted alone in an app of its own; problem documents are the business of `app` and have
their tests there, so errors are seen here as they are raised.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bursar.errors import Invalid, NotFound
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.pricing.api import make_router

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bursar.pricing.book import PriceBook

NOVEMBER = datetime(2026, 11, 2, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(book: PriceBook) -> Iterator[TestClient]:
    """A client that may read, at a fixed time."""
    asked: list[Permission] = []

    def caller(permission: Permission) -> Callable[[], Caller]:
        asked.append(permission)
        return lambda: Caller("acme", "key", frozenset({permission}))

    app = FastAPI()
    app.include_router(make_router(lambda: book, caller, lambda: NOVEMBER))
    assert asked == [Permission.PRICES_READ]
    with TestClient(app) as client:
        yield client


def answer(client: TestClient, path: str, **query: str | int | bool) -> dict[str, Any]:
    response = client.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_list_shows_what_a_standard_call_costs_now(client: TestClient) -> None:
    page = answer(client, "/api/v1/prices", provider="claude", model="claude-opus-4-6")
    assert page["next_cursor"] is None
    assert page["book_version"] == "genai-prices 0.2.3"
    [item] = page["items"]
    assert (item["provider"], item["model"], item["reason"]) == ("anthropic", "claude-opus-4-6", None)
    assert item["card"]["rates"]["input_text"] == {"price": "5", "per": 1_000_000}
    assert item["card"]["rates"]["searches"] == {"price": "10", "per": 1_000}
    assert item["card"]["valid_from"] == "2026-03-13"
    assert item["card"]["currency"] == "USD"


def test_pages_follow_each_other_without_gap_or_repeat(client: TestClient, book: PriceBook) -> None:
    seen: list[tuple[str, str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = answer(client, "/api/v1/prices", provider="mistral", limit=20, **cursor)
        assert len(page["items"]) <= 20
        seen += [(item["provider"], item["model"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [(offer.provider.id, offer.model.id) for offer in book.offers("mistral")]


def test_the_whole_book_is_listed_provider_by_provider(client: TestClient) -> None:
    page = answer(client, "/api/v1/prices", limit=200)
    assert page["items"][0]["provider"] == "anthropic"
    assert len(page["items"]) == 200
    assert page["next_cursor"]


def test_a_model_without_a_price_is_listed_with_the_reason(client: TestClient) -> None:
    page = answer(client, "/api/v1/prices", provider="google", model="gemma-3n")
    assert [(item["card"], item["reason"]) for item in page["items"]] == [(None, "no_price_for_model")]


def test_an_unknown_provider_has_no_prices(client: TestClient) -> None:
    assert answer(client, "/api/v1/prices", provider="acme-cloud")["items"] == []


def test_a_model_shows_all_its_prices_past_ones_included(client: TestClient) -> None:
    found = answer(client, "/api/v1/prices/openai/o3-2025-04-16")
    prices = [(card["valid_from"], card["rates"]["input_text"]["price"]) for card in found["cards"]]
    assert prices == [(None, "10"), ("2025-06-10", "2")]
    assert (found["provider"], found["model"], found["reasons"]) == ("openai", "o3", [])
    assert {"service_tier": "flex"} in found["variants"]
    assert found["variants"].count({"processing": "batch"}) == 1


def test_a_model_shows_the_prices_of_one_way_of_calling_it(client: TestClient) -> None:
    found = answer(client, "/api/v1/prices/openai/o3", service_tier="flex")
    assert [card["rates"]["input_text"]["price"] for card in found["cards"]] == ["1"]
    assert found["reasons"] == ["tier_not_priced_at_this_time:flex"]
    batch = answer(client, "/api/v1/prices/azure/gpt-5", batch=True)
    assert batch["cards"][0]["rule"] == "provider_named+prices_of:openai"


def test_a_model_name_may_contain_slashes(client: TestClient) -> None:
    found = answer(client, "/api/v1/prices/openrouter/openai/gpt-4o-mini")
    assert found["model"] == "openai/gpt-4o-mini"


def test_a_model_that_is_not_in_the_book_is_not_found(client: TestClient) -> None:
    with pytest.raises(NotFound, match="unknown_model"):
        client.get("/api/v1/prices/openai/gpt-nine-thousand")
    with pytest.raises(NotFound, match="unknown_provider"):
        client.get("/api/v1/prices/acme/gpt-4o")


@pytest.mark.parametrize("cursor", ["x", "%%%", "WyJhIl0", "é", "bm90IGpzb24"])
def test_a_cursor_that_is_not_ours_is_refused(client: TestClient, cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        client.get("/api/v1/prices", params={"cursor": cursor})
    assert [reason.code for reason in refused.value.reasons] == ["invalid_cursor"]
