"""`GET /api/v1/unpriced`: what has no price and why, names like it, and what another name would give."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.access import ask, keys_of
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.serving import RunningServer

UNPRICED = "/api/v1/unpriced"
DAY = "2026-11-{:02d}T12:00:00Z"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    """A server of which everything is known that it holds."""
    folder: Path = tmp_path_factory.mktemp("unpriced")
    with running_server(folder, max_past_days=3650) as server:
        events: list[dict[str, Any]] = [
            {"provider": "openai", "model": "gpt-4o-minni", "input_tokens": 1000, "time": DAY.format(10 + i)}
            for i in range(3)
        ]
        events += [
            {"provider": "openai", "model": "x", "response_model": "gpt-4oo", "output_tokens": 10},
            {"provider": "acme-llm", "model": "house-model", "units": {"input_text": 5, "own_unit": "2.5"}},
            {"model": "gpt-4o-mini", "input_tokens": 1000},
            {"provider": "openai", "model": "gpt-4o-minni", "input_tokens": 1, "cost": {"amount": "1"}},
        ]
        answer = server.client.post("/api/v1/events", json=events, params={"wait": "applied"})
        assert answer.status_code == 200, answer.text
        yield server


def a_cursor(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def listed(server: RunningServer, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - a parameter's own types
    answer = server.client.get(UNPRICED, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_model_is_listed_with_its_reason_and_its_figures(ledger: RunningServer) -> None:
    items = listed(ledger)["items"]
    assert [(one["provider"], one["model"], one["reason"], one["events"]) for one in items] == [
        ("openai", "gpt-4o-minni", "unknown_model", 3),
        ("acme-llm", "house-model", "unknown_provider", 1),
        ("openai", "gpt-4oo", "unknown_model", 1),
    ]
    first = items[0]
    assert (first["first_seen"][:10], first["last_seen"][:10]) == ("2026-11-10", "2026-11-12")
    assert first["units"] == {"input_text": "3000"}
    assert items[1]["units"] == {"input_text": "5", "own_unit": "2.5"}
    assert (first["nearest"][0]["provider"], first["nearest"][0]["model"]) == ("openai", "gpt-4o-mini")
    assert first["would_be"] is None


def test_another_name_says_exactly_what_it_would_give(ledger: RunningServer) -> None:
    items = listed(ledger, **{"as": "openai/gpt-4o-mini"})["items"]
    # 3 x 1000 tokens at 0.15 per million; 10 at 0.60; a unit of one's own has no price there.
    assert items[0]["would_be"] == {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "priced_events": 3,
        "unpriced_events": 0,
        "reasons": [],
        "cost": [{"currency": "USD", "amount": "0.00045"}],
    }
    assert items[2]["would_be"]["cost"] == [{"currency": "USD", "amount": "0.000006"}]
    assert items[1]["would_be"]["reasons"] == ["no_price_for_unit:own_unit"]
    assert listed(ledger)["items"][0]["events"] == 3


def test_pages_follow_each_other_without_gaps(ledger: RunningServer) -> None:
    models: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = listed(ledger, limit=1, **({"cursor": cursor} if cursor else {}))
        models += [one["model"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert (models, cursor) == (["gpt-4o-minni", "house-model", "gpt-4oo"], None)


def test_window_and_filters_choose(ledger: RunningServer) -> None:
    assert listed(ledger, start="2026-11-11", end="2026-11-12")["items"][0]["events"] == 1
    assert [one["model"] for one in listed(ledger, provider="acme-llm")["items"]] == ["house-model"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"as": "/"}, "as"),
        ({"limit": 0}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": a_cursor(b"[%d,[null,null,null]]" % 10**60)}, "cursor"),
        ({"cursor": a_cursor(b"[-1,[null,null,null]]")}, "cursor"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_cannot_be_asked_is_refused(ledger: RunningServer, params: dict[str, Any], field: str) -> None:
    answer = ledger.client.get(UNPRICED, params=params)
    assert answer.status_code == 422, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_another_tenant_sees_nothing_and_a_sender_may_not_ask(ledger: RunningServer) -> None:
    keys = keys_of(ledger, "other")
    seen = ask(ledger, keys["read"], "GET", UNPRICED)
    assert (seen.status_code, seen.json()["items"]) == (200, [])
    other = ask(ledger, keys["read"], "GET", UNPRICED, params={"tenant_id": "default"})
    assert other.status_code == 403
    assert ask(ledger, keys["ingest"], "GET", UNPRICED).status_code == 403
    assert listed(ledger, tenant_id="other")["items"] == []


def test_another_name_is_that_of_the_share_that_the_event_itself_names(tmp_path: Path) -> None:
    advice = {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 50, "output_tokens": 5}
    own = {"type": "message", "input_tokens": 100, "output_tokens": 20}
    usage = {"input_tokens": 100, "output_tokens": 20, "iterations": [own, advice]}
    event = {"provider": "anthropic", "model": "our-sonnet", "environment": "advised", "usage": usage}
    with running_server(tmp_path / "data") as server:
        server.client.post("/api/v1/events", json=event, params={"wait": "applied"}).raise_for_status()
        asked = {"environment": "advised", "as": "anthropic/claude-sonnet-4-5"}
        would_be = listed(server, **asked)["items"][0]["would_be"]
    # 100 at 3 and 20 at 15 per million by Sonnet; 50 at 5 and 5 at 25 by Opus.
    assert would_be["cost"] == [{"currency": "USD", "amount": "0.000975"}]
