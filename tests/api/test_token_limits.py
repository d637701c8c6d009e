"""Events that name one tracking token too often are refused by name, one by one; others are taken."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.access import ask, keys_of
from tests.support.flood import Allowed, Flooded, Progress
from tests.support.redis_server import running_redis
from tests.support.sampled import long
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

BATCH = 100
TOKEN, OTHER = "first-token-of-acme", "other-token-of-acme"
EVENTS = "/api/v1/events"


def event(**more: object) -> dict[str, Any]:
    return {"provider": "openai", "model": "gpt-5", "input_tokens": 12, **more}


def a_tenant(server: RunningServer) -> str:
    """Its key for ingest."""
    keys = keys_of(server, "acme")
    for token in (TOKEN, OTHER):
        body = {"label": token, "token": token}
        ask(server, keys["admin"], "POST", "/api/v1/tokens", json=body).raise_for_status()
    return keys["ingest"]


def post(server: RunningServer, key: str, body: object) -> httpx.Response:
    return ask(server, key, "POST", EVENTS, json=body)


def test_an_event_beyond_its_tokens_limit_is_refused_and_others_are_taken(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", rate_limit_ingest_token_rpm=3) as server:
        key = a_tenant(server)
        body = [event(event_id=f"{n}", tracking_token=TOKEN) for n in range(4)]
        body[1:1] = [event(event_id="plain"), event(event_id="o", tracking_token=OTHER)]
        answer = post(server, key, body).json()
        assert [one["event_id"] for one in answer["events"]] == ["0", "plain", "o", "1", "2"]
        (refused,) = answer["rejected"]
        assert (refused["index"], refused["event_id"]) == (5, "3")
        assert (refused["errors"][0]["field"], refused["errors"][0]["code"]) == (
            "tracking_token",
            "rate_limited",
        )
        alone = post(server, key, event(tracking_token=TOKEN))
        assert alone.status_code == 429
        assert alone.json()["code"] == "rate_limited"
        assert 1 <= int(alone.headers["retry-after"]) <= 20
        assert post(server, key, event(tracking_token=OTHER)).status_code == 202
        assert post(server, key, event()).status_code == 202
        # What was refused was not recorded, and isn't counted as a use.
        server.platform.tokens.flush()
        uses = {
            one["label"]: one["usage_count"]
            for one in server.client.get("/api/v1/tokens", params={"tenant_id": "acme"}).json()["items"]
        }
        assert uses == {TOKEN: 3, OTHER: 2}
        assert server.platform.journal.counters.records == 7
        refused_events = server.platform.metrics.registry.get_sample_value(
            "bursar_rate_limited_total", {"use": "ingest", "counted": "token"}
        )
        assert refused_events == 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "is_shared", long({"one server": False, "two servers on one Redis": True}, always=["one server"])
)
def test_tokens_are_limited_exactly_under_ten_times_as_many_events(tmp_path: Path, is_shared: bool) -> None:  # noqa: FBT001
    allowed = Allowed(burst=100, per_minute=6_000)
    settings: dict[str, Any] = {
        "rate_limit_ingest_token_rpm": allowed.per_minute,
        "rate_limit_ingest_token_burst": allowed.burst,
    }
    with running_redis(tmp_path) as redis:
        if is_shared:
            settings["redis_url"] = redis.url
        with (
            running_server(tmp_path / "a", **settings) as one,
            running_server(tmp_path / "b", **settings) as two,
        ):
            servers = [(server, a_tenant(server)) for server in ((one, two) if is_shared else (one,))]
            flood_with_batches(servers, allowed).assert_exact()


@dataclass(frozen=True, slots=True)
class Posted:
    """A batch of events, and what was taken of it."""

    accepted: int
    sent: float
    answered: float


def flood_with_batches(places: Sequence[tuple[RunningServer, str]], allowed: Allowed) -> Flooded:
    """Ten times as many events as their token may have, in bodies of `BATCH` that all name it."""
    progress, body = Progress(allowed), [event(tracking_token=TOKEN)] * BATCH

    def post_one(place: tuple[RunningServer, str]) -> Posted:
        sent = time.monotonic()
        answer = post(*place, body)
        assert answer.status_code in {202, 429}, answer.text
        return Posted(int(answer.json()["accepted"]), sent, time.monotonic())

    posted: list[Posted] = []
    with ThreadPoolExecutor(4) as threads:
        while progress.goes_on():
            posted += threads.map(post_one, [*places] * 2)
            progress.asked = BATCH * len(posted)
    accepted = sum(one.accepted for one in posted)
    first = min(one.answered for one in posted if one.accepted < BATCH)
    begun, last = posted[0].sent, max(one.sent for one in posted)
    ended = max(one.answered for one in posted)
    return Flooded(allowed, [accepted], progress.asked - accepted, last - first, ended - begun)
