"""Query parameters that nobody knows, or that are given twice, are refused by name: never just left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from bursar.app.strange_parameters import OPEN
from tests.support.api_document import api_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import RunningServer

PATHS = api_document()["paths"]
PLACES = {"month": "2026-10", "number": "1"}
METHODS = ("get", "post", "put", "patch", "delete")


def described() -> Iterator[Any]:
    for path, operations in PATHS.items():
        for method in METHODS:
            # A provider's callback comes with whatever the provider adds.
            if method in operations and OPEN not in operations[method]:
                yield pytest.param(method, path, operations[method], id=f"{method} {path}")


def address(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: PLACES.get(found[1], "x"), path)


def single(operation: dict[str, Any]) -> str | None:
    """A query parameter that is no list."""
    names = [
        one["name"]
        for one in operation.get("parameters", [])
        if one["in"] == "query" and "array" not in str(one["schema"])
    ]
    return names[0] if names else None


@pytest.mark.parametrize(("method", "path", "operation"), list(described()))
def test_every_operation_refuses_a_parameter_that_it_does_not_know(
    server: RunningServer, method: str, path: str, operation: dict[str, Any]
) -> None:
    asked = {"no_such_thing": "1", "nor_this": "2"}
    answer = server.operator.request(method, address(path), params=asked)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = {one["field"]: one["code"] for one in answer.json()["errors"]}
    assert found | dict.fromkeys(asked, "unknown_parameter") == found, operation["operationId"]


@pytest.mark.parametrize(
    ("method", "path", "operation"), [one for one in described() if one.values[0] == "get"]
)
def test_every_question_refuses_a_parameter_that_is_given_twice_and_is_no_list(
    server: RunningServer, method: str, path: str, operation: dict[str, Any]
) -> None:
    name = single(operation)
    if name is None:
        return
    answer = server.operator.request(method, address(path), params={name: ["a", "b"]})
    assert answer.status_code == 422, answer.text
    found = {one["field"]: one["code"] for one in answer.json()["errors"]}
    assert found.get(name) in {"repeated", "wrong_type"}, operation["operationId"]


def test_the_name_that_was_meant_is_named(server: RunningServer) -> None:
    asked = {"knwon_at": "2026-01-01", "model": "gpt-4o"}
    refused = server.operator.get("/api/v1/prices/show", params=asked).json()
    assert refused["detail"] == "'knwon_at' is no parameter here. Did you mean known_at?"
    by_hand = server.operator.get("/api/v1/cost/summary", params={"modle": "x", "windw": "all"}).json()
    assert [one["message"] for one in by_hand["errors"]] == [
        "'modle' is no parameter here. Did you mean model?",
        "'windw' is no parameter here. Did you mean window?",
    ]


def test_lists_may_be_given_several_times(server: RunningServer) -> None:
    asked = {"state": ["failed", "succeeded"]}
    assert server.operator.get("/api/v1/scheduler/history", params=asked).status_code == 200


def test_who_may_not_ask_hears_that_first(server: RunningServer) -> None:
    assert server.stranger.get("/api/v1/services", params={"x": "1"}).status_code == 401
    assert server.stranger.get("/live", params={"x": "1"}).status_code == 422
