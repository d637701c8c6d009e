"""Re-pricing over HTTP: a look, a run that comes into force, its trail, who may, and what is refused."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bursar.pricing.genai_source import load_book
from bursar.usage.revising.repricing import RepriceWork
from tests.support.ledger import ask_store
from tests.support.other_prices import OtherBook
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.sampled import long

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import httpx

    from bursar.pricing.book import PriceBook
    from bursar.scheduling.job import RunContext
    from tests.support.serving import RunningServer

_numbers = itertools.count()
EVENTS = "/api/v1/events"
REPRICE = "/api/v1/reprice"
WHY = "the price list was wrong"
MINI = "gpt-4o-mini"


@contextmanager
def rated_by(server: RunningServer, book: PriceBook) -> Generator[None]:
    """Rate by other prices for a while."""
    server.platform.books.replace_book(book)
    try:
        yield
    finally:
        server.platform.books.replace_book(load_book())


def recorded(client: httpx.Client, *events: dict[str, Any]) -> str:
    """Record events of an environment of their own, wait until they count; its name."""
    environment = f"rerated-{next(_numbers)}"
    body = [
        {"event_id": f"{environment}-{number}", "environment": environment, "input_tokens": 1000, **event}
        for number, event in enumerate(events)
    ]
    answer = client.post(EVENTS, json=body, params={"wait": "applied"})
    assert answer.status_code == 200, answer.text
    return environment


def reprice(client: httpx.Client, environment: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - a body's fields
    """The run of a re-pricing of an environment, once it has ended."""
    asked = {"reason": WHY, "filters": {"environment": environment}, **body}
    answer = client.post(REPRICE, json=asked)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["run"]["url"]
    return finished(client, answer.json()["run"]["url"])


def finished(client: httpx.Client, url: str) -> dict[str, Any]:
    wait_until(lambda: client.get(url).json()["finished_at"] is not None, "the run ends")
    run = client.get(url).json()
    assert run["state"] == "succeeded", run
    return run


def test_a_look_says_what_would_change_and_changes_nothing(server: RunningServer) -> None:
    with rated_by(server, OtherBook(hidden={"gpt-4o"})):
        environment = recorded(server.client, {"model": MINI}, {"model": "gpt-4o"}, {"model": "gpt-4o"})
    with rated_by(server, OtherBook(factors={MINI: 3})):
        result = reprice(server.client, environment)["result"]
    assert result["dry_run"] is True
    assert (result["events"], result["changed"], result["becomes_priced"]) == (3, 3, 2)
    assert (result["unpriced_before"], result["unpriced_after"], result["applied"]) == (2, 0, 0)
    # 1000 tokens at 0.15 per million become 3 × as dear; 2 × 1000 at 2.50 had no price.
    assert result["cost"] == [
        {"currency": "USD", "before": "0.00015", "after": "0.00545", "difference": "0.0053"}
    ]
    by_model = {one["model"]: one for one in result["models"]}
    assert by_model[MINI]["cost"][0]["difference"] == "0.0003"
    assert by_model["gpt-4o"]["cost"][0] == {
        "currency": "USD",
        "before": "0",
        "after": "0.005",
        "difference": "0.005",
    }
    sample = {one["event_id"]: one for one in result["sample"]}
    assert sample[f"{environment}-0"]["before"]["total"] == "0.00015"
    assert sample[f"{environment}-1"]["before"] == {
        "total": None,
        "currency": "USD",
        "status": "unpriced",
        "reason": "unknown_model",
    }
    shown = server.client.get(f"{EVENTS}/{environment}-0").json()
    assert shown["cost"]["total"] == "0.00015"


def test_a_run_changes_events_and_totals_and_earlier_ratings_stay_readable(server: RunningServer) -> None:
    with rated_by(server, OtherBook(hidden={"gpt-4o"})):
        environment = recorded(server.client, {"model": MINI}, {"model": "gpt-4o"})
    for factor in (3, 5):
        with rated_by(server, OtherBook(factors={MINI: factor})):
            run = reprice(server.client, environment, dry_run=False, reason=f"times {factor}")
    result = run["result"]
    assert (result["changed"], result["applied"]) == (1, 1)
    assert result["months"][0]["cost"][0]["difference"] == "0.0003"
    first = server.client.get(f"{EVENTS}/{environment}-0/explain").json()
    assert (first["total"], first["adds_up"]) == ("0.00075", True)
    assert [
        (one["total"], one["reason"], one["run_id"] == run["id"]) for one in first["earlier_ratings"]
    ] == [
        ("0.00045", "times 5", True),
        ("0.00015", "times 3", False),
    ]
    assert first["earlier_ratings"][0]["explanation"]["lines"][0]["amount"] == "0.00045"
    assert first["earlier_ratings"][1]["explanation"]["lines"][0]["amount"] == "0.00015"
    second = server.client.get(f"{EVENTS}/{environment}-1/explain").json()
    assert (second["total"], len(second["earlier_ratings"])) == ("0.0025", 1)
    assert second["earlier_ratings"][0]["cost_reason"] == "unknown_model"
    recount = server.platform.stores.recount(lambda _step, _count: None)
    assert recount.differences == []


def test_rating_again_by_the_same_prices_changes_nothing(server: RunningServer) -> None:
    environment = recorded(
        server.client,
        {"model": MINI, "cached_tokens": 10, "output_tokens": 7, "reasoning_tokens": 3},
        {"model": "claude-sonnet-4-5", "service_tier": "priority"},
        {"model": "nobody-knows-this"},
        {"provider": "litellm", "model": "openai/gpt-4o"},
        {"model": "nobody-knows-that", "cost": {"amount": "0.25", "currency": "EUR"}},
        {"model": MINI, "status": "error", "input_tokens": None},
        {"provider": "openai", "response_model": "gpt-4o-2024-08-06"},
        {"model": MINI, "estimate": {"method": "characters:4"}},
        {"model": MINI, "units": {"input_text": 5, "own_unit": 2}, "input_tokens": None},
    )
    result = reprice(server.client, environment, dry_run=False)["result"]
    assert (result["events"], result["changed"], result["applied"]) == (9, 0, 0)


def test_what_is_kept_of_events_in_common_may_be_forgotten_at_any_time(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.usage.revising.ratable.COMMONS_KEPT", 1)
    events = [{"model": (MINI, "gpt-4o")[n % 2], "project_id": f"p-{n % 3}"} for n in range(7)]
    environment = recorded(server.client, *events)
    with rated_by(server, OtherBook(factors={MINI: 2})):
        result = reprice(server.client, environment)["result"]
    assert (result["events"], result["changed"]) == (7, 4)
    assert [(one["model"], one["events"], one["changed"]) for one in result["models"]] == [
        (MINI, 4, 4),
        ("gpt-4o", 3, 0),
    ]


def test_a_provider_that_was_found_by_the_price_goes_with_the_price(
    server: RunningServer,
) -> None:
    environment = recorded(server.client, {"model": MINI})
    with rated_by(server, OtherBook(hidden={MINI})):
        assert reprice(server.client, environment, dry_run=False)["result"]["becomes_unpriced"] == 1
    event = server.client.get(f"{EVENTS}/{environment}-0").json()
    assert (event["provider"], event["cost"]["reason"]) == (None, "unknown_model")
    assert reprice(server.client, environment, dry_run=False)["result"]["becomes_priced"] == 1
    assert server.client.get(f"{EVENTS}/{environment}-0").json()["provider"] == "openai"
    assert server.platform.stores.recount(lambda _step, _count: None).differences == []


def test_latencies_are_counted_again_only_where_the_provider_is_another(server: RunningServer) -> None:
    environment = recorded(server.client, *[{"model": MINI, "latency_ms": 7}] * 3)
    rows = "SELECT count(*), sum(events) FROM latency_by_hour WHERE model = 'gpt-4o-mini'"
    database = server.platform.stores.database
    before = ask_store(database, rows)
    with rated_by(server, OtherBook(factors={MINI: 2})):
        assert reprice(server.client, environment, dry_run=False)["result"]["applied"] == 3
        assert ask_store(database, rows) == before
    with rated_by(server, OtherBook(hidden={MINI})):
        assert reprice(server.client, environment, dry_run=False)["result"]["applied"] == 3
    (count, events), *_ = ask_store(database, rows)
    assert (count > before[0][0], events) == (True, before[0][1])
    assert server.platform.stores.recount(lambda _step, _count: None).differences == []


def an_answer_of_many_models(count: int) -> dict[str, Any]:
    """An answer that lists so many models beside its own."""
    known = ("claude-opus-4-5", "claude-haiku-4-5", "claude-opus-4-1")
    iterations: list[dict[str, Any]] = [{"type": "message", "input_tokens": 1}]
    iterations += [
        {"model": f"{known[n % 3]}-{n:03}"[: None if n > 2 else -4], "input_tokens": 1, "output_tokens": 1}
        for n in range(count)
    ]
    usage = {"input_tokens": 1, "output_tokens": 1, "iterations": iterations}
    said = {"provider": "anthropic", "model": "claude-sonnet-4-5", "usage": usage}
    return {**said, "input_tokens": None}


@pytest.mark.parametrize(
    "bound",
    long({"several records": 20_000, "a line of 19 MB": 2**30}, always=["several records"]),
)
def test_answers_of_hundreds_of_models_are_rated_again_and_hold_nobody_up(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    count, models = (20, 60) if bound < 2**20 else (260, 500)
    environment = recorded(server.client, *[an_answer_of_many_models(models)] * count)
    changes, sizes = server.platform.changes, list[int]()
    append = changes.append

    def noting(records: Sequence[bytes], **how: bool) -> int:
        sizes.extend(map(len, records))
        return append(records, **how)

    monkeypatch.setattr(changes, "append", noting)
    monkeypatch.setattr("bursar.usage.revising.repricing.SHARES_PER_RECORD", bound)
    with rated_by(server, OtherBook(factors={"claude-opus-4-5": 2})):
        result = reprice(server.client, environment, dry_run=False)["result"]
    assert (result["changed"], result["applied"]) == (count, count)
    # Whatever one event lists is in one record; how many share it is bounded.
    assert max(sizes) < 40_000 if bound < 2**20 else max(sizes) > 16 * 2**20
    after = {"event_id": f"{environment}-after", "model": MINI, "input_tokens": 1}
    assert server.client.post(EVENTS, json=after, params={"wait": "applied"}).json()["applied"] is True


def test_events_that_came_after_the_look_stay(server: RunningServer) -> None:
    environment = recorded(server.client, {"model": MINI})
    body = {"reason": WHY, "filters": {"environment": environment}}
    seen = server.client.post(REPRICE, json=body).json()
    finished(server.client, seen["run"]["url"])
    later = {
        "event_id": f"{environment}-later",
        "environment": environment,
        "model": MINI,
        "input_tokens": 1000,
    }
    assert server.client.post(EVENTS, json=later, params={"wait": "applied"}).status_code == 200
    with rated_by(server, OtherBook(factors={MINI: 2})):
        result = reprice(server.client, environment, dry_run=False, up_to_event=seen["up_to_event"])["result"]
    assert (result["events"], result["applied"]) == (1, 1)


def test_nothing_selected_needs_no_run(server: RunningServer) -> None:
    body = {"filters": {"environment": "there-is-none"}}
    answer = server.client.post(REPRICE, json=body)
    assert (answer.status_code, answer.json()["run"]) == (200, None)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"dry_run": False}, ("reason", "required")),
        ({"dry_run": "no"}, ("dry_run", "wrong_type")),
        ({"filters": {"nonsense": 1}}, ("filters", "unknown_dimension")),
        ({"window": "tomorrowish"}, ("window", "bad_window")),
        ({"up_to_event": "never-seen"}, ("up_to_event", "no_such_event")),
        ({"up_too": 1}, ("up_too", "unknown_parameter")),
        ({"all_tenants": "yes"}, ("all_tenants", "wrong_type")),
        ({"all_tenants": True, "tenant_id": "default"}, ("all_tenants", "conflicting_parameters")),
        ({"all_tenants": True, "up_to_event": "one-of-theirs"}, ("all_tenants", "conflicting_parameters")),
    ],
)
def test_what_cannot_be_asked_is_refused_with_every_reason(
    server: RunningServer, body: dict[str, Any], fault: tuple[str, str]
) -> None:
    answer = server.client.post(REPRICE, json=body)
    assert answer.status_code == 422, answer.text
    assert fault[0] in {one["field"].partition(".")[0] for one in answer.json()["errors"]}


def a_tenant(server: RunningServer) -> tuple[str, dict[str, str]]:
    """A new tenant and the header of a key of its own that may change things."""
    tenant_id = f"tenant-{next(_numbers)}"
    assert server.client.post("/api/v1/tenants", json={"id": tenant_id}).is_success
    made = server.client.post(
        "/api/v1/keys",
        params={"tenant_id": tenant_id},
        json={"label": "k", "scopes": ["admin", "ingest", "read"]},
    )
    assert made.is_success, made.text
    return tenant_id, {"X-API-Key": made.json()["key"]}


def test_a_tenant_rates_its_own_events_alone(server: RunningServer) -> None:
    _, other = a_tenant(server)
    environment = recorded(server.client, {"model": MINI})
    body = {"reason": WHY, "filters": {"environment": environment}, "dry_run": False}
    assert server.stranger.post(REPRICE, json=body, headers=other).json()["run"] is None
    refused = server.stranger.post(REPRICE, json={**body, "tenant_id": "default"}, headers=other)
    assert refused.status_code == 403
    assert server.stranger.post(REPRICE, json={**body, "all_tenants": True}, headers=other).status_code == 403
    assert server.stranger.post(REPRICE, json=body).status_code == 401


def test_the_operator_rates_all_tenants_each_in_a_run_of_its_own(server: RunningServer) -> None:
    tenant_id, key = a_tenant(server)
    environment = f"rerated-{next(_numbers)}"
    event = {"environment": environment, "model": MINI, "input_tokens": 1000}
    for client, headers in ((server.stranger, key), (server.client, {})):
        answer = client.post(EVENTS, json=event, params={"wait": "applied"}, headers=headers)
        assert answer.status_code == 200, answer.text
    with rated_by(server, OtherBook(factors={MINI: 2})):
        body = {"reason": WHY, "filters": {"environment": environment}, "dry_run": False, "all_tenants": True}
        runs = server.client.post(REPRICE, json=body).json()["runs"]
        assert runs.keys() == {tenant_id, "default"}
        results = [finished(server.client, run["url"])["result"] for run in runs.values()]
    assert [one["applied"] for one in results] == [1, 1]


def test_a_run_that_is_cancelled_in_the_middle_leaves_nothing(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = recorded(server.client, *[{"model": MINI}] * 6)
    changes, runner = server.platform.changes, server.platform.runner
    append, appended = changes.append, list[int]()

    def cancelling(records: Sequence[bytes], **how: bool) -> int:
        """Journal, and cancel the run once some of its ratings are durable."""
        appended.append(append(records, **how))
        if len(appended) == 1:
            runner.cancel(runner.last_runs("default")["reprice"].id)
        return appended[-1]

    monkeypatch.setattr("bursar.usage.revising.repricing.RATINGS_PER_RECORD", 2)
    monkeypatch.setattr(changes, "append", cancelling)
    with rated_by(server, OtherBook(factors={MINI: 2})):
        body = {"reason": WHY, "filters": {"environment": environment}, "dry_run": False}
        url = server.client.post(REPRICE, json=body).json()["run"]["url"]
        wait_until(lambda: server.client.get(url).json()["finished_at"] is not None, "the run ends")
        assert server.client.get(url).json()["state"] == "cancelled"
        # The first ratings, and what abandons them.
        wait_until(lambda: len(appended) == 2, "its ratings are abandoned")
        assert changes.wait_applied(appended[-1], 10.0)
        stores = server.platform.stores
        assert ask_store(stores.database, "SELECT * FROM staged_ratings") == []
        assert server.client.get(f"{EVENTS}/{environment}-0").json()["cost"]["total"] == "0.00015"
        assert reprice(server.client, environment, dry_run=False)["result"]["applied"] == 6
    assert stores.recount(lambda _step, _count: None).differences == []


def test_a_second_run_is_refused_while_one_is_under_way(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = recorded(server.client, {"model": MINI})
    body = {"reason": WHY, "filters": {"environment": environment}}
    go_on, rate = threading.Event(), RepriceWork.__call__

    def held(work: RepriceWork, run: RunContext) -> Mapping[str, Any]:
        assert go_on.wait(DEADLINE_SECONDS)
        return rate(work, run)

    monkeypatch.setattr(RepriceWork, "__call__", held)
    url = server.client.post(REPRICE, json=body).json()["run"]["url"]
    refused = server.client.post(REPRICE, json=body)
    go_on.set()
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "under_way")
    finished(server.client, url)
