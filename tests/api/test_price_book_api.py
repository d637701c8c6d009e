"""The kept price book over HTTP: updates by the operator from files, and what everybody may read of them."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.middleware import FILE_BODY_LIMIT
from tests.support.access import keys_of
from tests.support.patience import wait_until
from tests.support.price_sources import litellm_file
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.support.relational import PostgresServer
    from tests.support.serving import RunningServer

PRICES = "/api/v1/prices"
MODEL = {"id": "newco-1", "match": {"equals": "newco-1"}, "prices": {"input_mtok": 1, "output_mtok": 4}}
LITE = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 3e-06}


def a_file(price: float = 1) -> bytes:
    """A data file of one provider with one model."""
    provider = {
        "id": "newco",
        "name": "Newco",
        "api_pattern": "newco",
        "models": [MODEL | {"prices": {"input_mtok": price}}],
    }
    return json.dumps([provider]).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def post(server: RunningServer, what: str, content: bytes = b"", **params: Any) -> httpx.Response:  # noqa: ANN401 - query parameters
    headers = {"content-type": "application/json"}
    return server.client.post(f"{PRICES}/{what}", content=content, params=params, headers=headers)


def get(server: RunningServer, what: str, **params: Any) -> Any:  # noqa: ANN401 - JSON
    answer = server.client.get(f"{PRICES}/{what}", params=params)
    assert answer.is_success, answer.text
    return answer.json()


def price_of(server: RunningServer, model: str, **event: Any) -> str | None:  # noqa: ANN401 - fields of an event
    """What a million input tokens cost, if that is known."""
    body = {"provider": "newco", "model": model, "input_tokens": 1_000_000, **event}
    answer = server.client.post("/api/v1/events", json=body).raise_for_status().json()
    return answer["events"][0]["cost"].get("total")


def test_a_new_ledger_has_the_installed_prices(server: RunningServer) -> None:
    sources = get(server, "sources")
    assert sources["items"][0]["source"] == "genai-prices"
    assert sources["items"][0]["version"].startswith(sources["installed_version"])
    assert sources["items"][0]["open_rows"] > 5_000
    first = get(server, "updates/1")
    assert (first["made_by"], first["counts"]["new"] > 5_000) == ("bursar", True)
    assert post(server, "updates").json()["update"] is None, "the installed package again"


def test_a_file_is_compared_kept_and_counts_at_once(server: RunningServer) -> None:
    assert price_of(server, "newco-1") is None
    diff = post(server, "diff", a_file(), source="genai-prices").raise_for_status().json()
    (change,) = [one for one in diff["changes"] if one["provider"] == "newco"]
    assert (change["kind"], change["old"], change["new"], change["since"]) == ("new", None, "1", None)
    assert diff["update"] is None
    assert price_of(server, "newco-1") is None, "a diff keeps nothing"
    kept = post(server, "updates", a_file(), source="genai-prices", note="why not").raise_for_status().json()
    assert (kept["update"]["note"], kept["update"]["made_by"]) == (
        "why not",
        get(server, "updates")["items"][0]["made_by"],
    )
    assert price_of(server, "newco-1") == "1"
    changed = post(server, "updates", a_file(2), source="genai-prices").json()
    assert [(one["old"], one["new"], one["percent"]) for one in changed["changes"]] == [("1", "2", "+100")]
    assert price_of(server, "newco-1") == "2"
    assert price_of(server, "newco-1", time=clock.rfc3339(clock.now() - timedelta(hours=1))) == "1"


def test_the_package_takes_no_newer_file_back(server: RunningServer) -> None:
    post(server, "updates", a_file(2), source="genai-prices").raise_for_status()
    refused = post(server, "updates")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "older_source")
    assert post(server, "diff").is_success, "a look is allowed"
    assert price_of(server, "newco-1") == "2"


def test_history_and_moments_tell_when_a_price_holds_and_when_it_was_known(server: RunningServer) -> None:
    post(server, "updates", a_file(1), source="genai-prices").raise_for_status()
    post(server, "updates", a_file(5), source="genai-prices").raise_for_status()
    before = clock.rfc3339(clock.now())
    post(server, "updates", a_file(6), source="genai-prices", valid_from="2026-01-01").raise_for_status()
    named = {"provider": "newco", "model": "newco-1"}
    rows = get(server, "history", **named)["rows"]
    assert rows[-1]["price"] == "6"
    assert rows[-1]["valid_from"] == "2026-01-01T00:00:00Z"
    assert all(row["ended_by"] for row in rows[:-1])
    assert len({row["hash"] for row in rows}) == len(rows)
    at = "2026-06-01T00:00:00Z"
    assert [row["price"] for row in get(server, "show", at=at, **named)["rows"]] == ["6"]
    assert [row["price"] for row in get(server, "show", at=at, known_at=before, **named)["rows"]] == ["1"]


def test_a_gzipped_map_fills_gaps_and_is_compared(server: RunningServer) -> None:
    content = litellm_file(gpt_next_99=LITE, gpt_4o=LITE | {"output_cost_per_token": 1e-5})
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = server.client.post(
        f"{PRICES}/updates", content=gzip.compress(content), headers=headers, params={"source": "litellm"}
    )
    found = answer.raise_for_status().json()
    assert {one["model"] for one in found["changes"]} == {"gpt_next_99", "gpt_4o"}
    compared = post(server, "compare", litellm_file(**{"gpt-4o": LITE}), source="litellm").json()
    (one,) = compared["disagreements"]
    assert (one["model"], one["unit"], one["ours"], one["theirs"], one["percent"]) == (
        "gpt-4o",
        "input_tokens",
        "2.5",
        "3",
        "+20",
    )
    assert (compared["disagreement_count"], compared["compared_models"]) == (1, 1)
    plain = get(server, "report")
    assert plain["disagreements"] == []
    assert {fault["kind"] for fault in plain["faults"]} <= {"no_prices", "no_price_now"}


@pytest.mark.parametrize(
    ("what", "content", "params", "refusal"),
    [
        ("updates", b"{", {"source": "litellm"}, (400, None)),
        ("updates", b"{}", {"source": "genai-prices"}, (422, "$")),
        ("diff", b"", {"source": "litellm"}, (422, "source")),
        ("diff", b"{}", {"source": "installed"}, (422, "source")),
        ("diff", b"{}", {"source": "hearsay"}, (422, "source")),
        ("updates", b"", {"valid_from": "soon"}, (422, "valid_from")),
        ("updates", b"", {"note": "x" * 2_001}, (422, "note")),
        ("compare", litellm_file(a=LITE | {"mode": 3}), {"source": "litellm"}, (422, "a.mode")),
    ],
)
def test_bad_input_is_refused_by_field_and_changes_nothing(
    server: RunningServer, what: str, content: bytes, params: dict[str, str], refusal: tuple[int, str | None]
) -> None:
    status, field = refusal
    before = get(server, "updates", limit=1)
    answer = post(server, what, content, **params)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in {reason["field"] for reason in answer.json()["errors"]}
    assert get(server, "updates", limit=1) == before


def test_a_file_that_is_too_large_is_refused(server: RunningServer) -> None:
    answer = post(server, "diff", b" " * (FILE_BODY_LIMIT + 1), source="litellm")
    assert answer.status_code == 413
    assert post(server, "diff", b" " * (2**20 + 1), source="litellm").status_code == 400, "no JSON, but taken"


def test_updates_are_the_operators_and_reading_needs_its_scope(server: RunningServer) -> None:
    keys = keys_of(server, "acme")

    def status(scope: str | None, method: str, what: str) -> int:
        headers = {} if scope is None else {"X-API-Key": keys[scope]}
        return server.stranger.request(method, f"{PRICES}/{what}", headers=headers).status_code

    for what in ("updates", "diff", "compare"):
        assert [status(scope, "POST", what) for scope in (None, "admin", "read")] == [401, 403, 403]
    for what in (
        "updates",
        "updates/1",
        "sources",
        "report",
        "show?provider=openai&model=o3",
        "history?provider=openai&model=o3",
    ):
        assert [status(scope, "GET", what) for scope in (None, "ingest", "read")] == [401, 403, 200]


def test_what_isnt_there_is_not_found(server: RunningServer) -> None:
    for what in ("updates/9999", "history?provider=openai&model=nothing-9", "show?provider=nobody&model=o3"):
        assert server.client.get(f"{PRICES}/{what}").status_code == 404
    assert server.client.get(f"{PRICES}/updates/0").status_code == 422


def test_pages_of_updates_go_on_where_they_ended(server: RunningServer) -> None:
    numbers: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = get(server, "updates", limit=2, **cursor)
        numbers += [one["number"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert numbers == list(range(len(numbers), 0, -1))
    assert len(numbers) > 2


def test_the_prices_of_a_model_keep_their_own_path(server: RunningServer) -> None:
    assert get(server, "openai/gpt-4o")["model"] == "gpt-4o"


def test_an_update_elsewhere_counts_here_within_five_seconds(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.make_empty()
    with (
        running_server(tmp_path / "a", database_url=url) as one,
        running_server(tmp_path / "b", database_url=url) as other,
    ):
        assert get(one, "updates") == get(other, "updates"), "the second start found what the first had made"
        post(one, "updates", a_file(7), source="genai-prices").raise_for_status()
        assert price_of(one, "newco-1") == "7"
        wait_until(lambda: price_of(other, "newco-1") == "7", "the other server has read the update", 5)
