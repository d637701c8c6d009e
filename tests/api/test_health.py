"""How Bursar says how it is: to probes, to people, and to those it doesn't know."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI

import bursar
from bursar.app import problems
from bursar.app.health import HEALTHY, Check, Finding, Health, HealthWord, make_router
from bursar.app.metrics import Metrics
from bursar.app.middleware import Frame
from bursar.errors import DiskFull
from tests.support.asking import ask
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.serving import RunningServer

PARTS = {"journal", "applier", "usage_store", "state_store", "scheduler"}


def app_with(*looks: Callable[[], Finding], timeout_seconds: float = 2.0) -> Frame:
    """An app whose health is what these checks find, named `part0` and so on."""
    checks = [Check(f"part{number}", look) for number, look in enumerate(looks)]
    api = FastAPI()
    problems.install(api)
    api.include_router(make_router(Health(checks, timeout_seconds), Metrics()))
    return Frame(api, Metrics().http)


def is_full() -> Finding:
    raise DiskFull


def is_broken() -> Finding:
    message = "/secret/path"
    raise RuntimeError(message)


def is_behind() -> Finding:
    return Finding(HealthWord.DEGRADED, "Behind.")


def test_a_ping_is_answered(server: RunningServer) -> None:
    assert server.stranger.get("/ping").json() == {"message": "pong"}


def test_live_answers_everybody(server: RunningServer) -> None:
    answer = server.stranger.get("/live")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"


def test_ready_names_every_part(server: RunningServer) -> None:
    answer = server.stranger.get("/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"] == dict.fromkeys(PARTS, "healthy")


def test_health_shows_its_parts_only_to_those_it_knows(server: RunningServer) -> None:
    known, unknown = server.client.get("/health").json(), server.stranger.get("/health").json()
    assert known["status"] == unknown["status"] == "healthy"
    assert known["version"] == bursar.__version__
    assert unknown["timestamp"].endswith("Z")
    assert set(known["services"]) == PARTS
    assert "services" not in unknown


def test_a_wrong_key_does_not_hide_the_health(server: RunningServer) -> None:
    answer = server.stranger.get("/health", headers={"X-API-Key": "wrong"})
    assert answer.status_code == 200
    assert "services" not in answer.json()


@pytest.mark.parametrize("path", ["/api/v1/health/", "/metrics"])
def test_details_need_a_credential(server: RunningServer, path: str) -> None:
    assert server.stranger.get(path).status_code == 401
    assert server.client.get(path).status_code == 200


def test_details_say_how_each_part_is(server: RunningServer) -> None:
    details = server.client.get("/api/v1/health/").json()
    assert details["services"] == {part: {"status": "healthy"} for part in PARTS}
    assert details["uptime_seconds"] > 0


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "application/openmetrics-text"])
def test_metrics_are_prometheus_text(server: RunningServer, accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = server.client.get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE bursar_applier_lag_seconds gauge" in answer.text


def test_metrics_of_a_running_server_move(server: RunningServer) -> None:
    def accepted() -> float:
        lines = server.client.get("/metrics").text.splitlines()
        name = 'bursar_ingest_events_accepted_total{door="native"} '
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    before = accepted()
    server.client.post("/api/v1/events?wait=applied", json=[{"provider": "openai"}, {"provider": "openai"}])
    assert accepted() == before + 2


def test_ready_is_a_503_that_names_what_failed_and_nothing_more() -> None:
    answer = ask(app_with(lambda: HEALTHY, is_full, is_broken, is_behind), "GET", "/ready")
    document = answer.json()
    assert (answer.status_code, document["code"]) == (503, "unavailable")
    assert document["detail"] == "Failed: part1, part2."
    assert document["checks"] == {
        "part0": "healthy",
        "part1": "unhealthy",
        "part2": "unhealthy",
        "part3": "degraded",
    }
    assert int(answer.headers["retry-after"]) > 0
    assert "secret" not in answer.text


def test_what_only_needs_attention_keeps_traffic_coming() -> None:
    answer = ask(app_with(lambda: HEALTHY, is_behind), "GET", "/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_a_check_that_hangs_counts_as_failed_and_takes_no_second_thread() -> None:
    release, looks = threading.Event(), 0

    def hangs() -> Finding:
        nonlocal looks
        looks += 1
        release.wait(10)
        return HEALTHY

    async def find_twice() -> list[dict[str, Finding]]:
        health = Health([Check("disk", hangs)], timeout_seconds=0.05)
        first = await health.findings()
        await asyncio.sleep(0.6)
        return [first, await health.findings()]

    try:
        found = asyncio.run(find_twice())
    finally:
        release.set()
    assert [one["disk"].word for one in found] == [HealthWord.UNHEALTHY] * 2
    assert "No answer within" in found[0]["disk"].detail
    assert looks == 1


def test_many_who_ask_at_once_share_one_look() -> None:
    looks = 0

    def count() -> Finding:
        nonlocal looks
        looks += 1
        return HEALTHY

    async def ask_often() -> None:
        health = Health([Check("part", count)])
        await asyncio.gather(*(health.findings() for _ in range(50)))

    asyncio.run(ask_often())
    assert looks == 1


def test_a_full_disk_makes_it_unready_until_there_is_room(tmp_path: Path) -> None:
    with running_server(tmp_path, min_free_disk_bytes=2**60) as full:
        answer = full.stranger.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["journal"] == "unhealthy"
        assert full.stranger.get("/live").status_code == 200
        assert full.stranger.get("/health").json()["status"] == "unhealthy"
        details = full.client.get("/api/v1/health/").json()
        assert "disk is full" in details["services"]["journal"]["detail"]
    with running_server(tmp_path) as roomy:
        assert roomy.stranger.get("/ready").status_code == 200
