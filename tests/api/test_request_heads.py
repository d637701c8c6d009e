"""A request's path and query have bounds, and who goes beyond them is told which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar.app.request_heads import PARAMETERS_LIMIT, TARGET_BYTES_LIMIT
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx

    from tests.support.serving import RunningServer

READ = "/api/v1/projects"
EVENT = {"provider": "openai", "model": "gpt-5", "input_tokens": 12, "output_tokens": 3}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("heads") / "d") as started:
        yield started


def assert_refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [READ, "/api/v1/events"])
def test_a_target_beyond_its_bound_is_refused(server: RunningServer, path: str) -> None:
    long = f"{path}?cursor={'x' * TARGET_BYTES_LIMIT}"
    answer = server.client.get(long) if path == READ else server.client.post(long, json=EVENT)
    assert_refused(answer, 414, "target_too_long")
    assert_refused(server.client.get(f"/{'x' * TARGET_BYTES_LIMIT}"), 414, "target_too_long")


def test_more_parameters_than_are_read_are_refused_before_they_are_taken_apart(server: RunningServer) -> None:
    many = "&".join(["model=a"] * (PARAMETERS_LIMIT + 1))
    assert_refused(server.client.get(f"/api/v1/costs?{many}"), 400, "too_many_parameters")
    some = "&".join(["model=a"] * PARAMETERS_LIMIT)
    assert server.client.get(f"/api/v1/costs?{some}").status_code != 400
