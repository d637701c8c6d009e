"""Problem documents: one form for every refusal, wherever it comes from, and nothing of our insides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from bursar import errors
from bursar.app import problems
from bursar.app.metrics import Metrics
from bursar.app.middleware import Frame, Guard
from bursar.errors import BursarError, Reason
from tests.support.asking import ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from structlog.typing import EventDict


class Order(BaseModel):
    count: int


def failing_app(error: Exception | None = None) -> Frame:
    """An app framed and guarded like Bursar's own, whose routes do what a test needs."""
    api = FastAPI()
    problems.install(api)

    @api.get("/fails")
    async def fails() -> None:
        if error is not None:
            raise error

    @api.post("/orders")
    async def orders(order: Order) -> int:
        return order.count

    return Frame(Guard(api, body_limit=100), Metrics().http)


@pytest.mark.parametrize("kind", problems.all_kinds(), ids=lambda kind: kind.code)
def test_every_kind_of_error_has_a_document_with_its_status_and_code(kind: type[BursarError]) -> None:
    answer = ask(failing_app(kind("Because.")), "GET", "/fails")
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == document["status"] == problems.status_of(kind())
    assert document["type"] == f"urn:bursar:problem:{kind.code}"
    assert (document["code"], document["title"], document["detail"]) == (kind.code, kind.title, "Because.")
    assert document["instance"] == "/fails"
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "errors" not in document


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.BadRequest(), 400),
        (errors.Malformed(), 400),
        (errors.MissingKey(), 401),
        (errors.RevokedKey(), 401),
        (errors.MissingScope(), 403),
        (errors.TenantMismatch(), 403),
        (errors.NotFound(), 404),
        (errors.Conflict(), 409),
        (errors.TooLarge(), 413),
        (errors.UnsupportedMedia(), 415),
        (errors.Invalid(), 422),
        (errors.Overloaded(), 503),
        (errors.DiskFull(), 503),
        (errors.TimedOut(), 503),
    ],
    ids=lambda value: getattr(value, "code", value),
)
def test_statuses_are_the_promised_ones(error: BursarError, status: int) -> None:
    assert problems.problem_of(error).status == status


def test_every_reason_is_listed() -> None:
    reasons = (Reason("model", "required", "Say which."), Reason("tags.a", "too_long", "At most 256."))
    document = ask(failing_app(errors.Invalid("Two faults.", reasons=reasons)), "GET", "/fails").json()
    assert document["errors"] == [
        {"field": "model", "code": "required", "message": "Say which."},
        {"field": "tags.a", "code": "too_long", "message": "At most 256."},
    ]


def test_a_401_says_how_to_authenticate() -> None:
    answer = ask(failing_app(errors.ExpiredKey()), "GET", "/fails")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_503_says_when_to_come_back() -> None:
    answer = ask(failing_app(errors.DiskFull(retry_after_seconds=7)), "GET", "/fails")
    assert answer.headers["retry-after"] == "7"


def test_an_unexpected_error_is_a_500_that_tells_nothing_but_where_to_look(
    logged: list[EventDict],
) -> None:
    answer = ask(failing_app(KeyError("hunter2")), "GET", "/fails", headers={"X-Request-ID": "find-me"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["request_id"] == "find-me"
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    fault, line = logged
    assert (fault["log_level"], fault["exc_info"], fault["request_id"]) == ("error", True, "find-me")
    assert (line["event"], line["status"], line["request_id"]) == ("request", 500, "find-me")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("DELETE", "/orders", 405, "method_not_allowed")],
)
def test_routing_refusals_are_problem_documents(method: str, path: str, status: int, code: str) -> None:
    answer = ask(failing_app(), method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_405_names_the_methods_that_are_allowed() -> None:
    assert ask(failing_app(), "DELETE", "/orders").headers["allow"] == "POST"


def test_a_parameter_that_does_not_fit_is_named_without_its_value() -> None:
    answer = ask(failing_app(), "POST", "/orders", json={"count": "hunter2"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"] == [
        {
            "field": "count",
            "code": "int_parsing",
            "message": ("count (body): it must be a whole number."),
        }
    ]
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 90])
def test_a_body_that_is_no_json_is_malformed(body: bytes) -> None:
    answer = ask(failing_app(), "POST", "/orders", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


def test_a_body_over_the_limit_is_refused_whether_declared_or_not() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b'"' + b"x" * 60

    declared = ask(failing_app(), "POST", "/orders", content=b"x" * 101)
    undeclared = ask(
        failing_app(), "POST", "/orders", content=pieces(), headers={"content-type": "application/json"}
    )
    for answer in (declared, undeclared):
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_raw_asgi_gets_the_same_document_with_members_of_its_own() -> None:
    status, headers, body = problems.problem_response(
        errors.Overloaded(), "/api/v1/events", "req_1", {"rejected": [0]}
    )
    document = json.loads(body)
    assert status == 503
    assert dict(headers) == {
        b"content-type": b"application/problem+json",
        b"content-length": str(len(body)).encode(),
        b"retry-after": b"1",
    }
    assert (document["request_id"], document["rejected"]) == ("req_1", [0])


def test_text_that_no_utf8_can_carry_is_still_answered() -> None:
    error = errors.Invalid("lone \ud800", reasons=(Reason("a\ud800", "x", "y"),))
    _, _, body = problems.problem_response(error, "/a\ud800 b", "req_1")
    document = json.loads(body)
    assert document["detail"] == "lone ?"
    assert document["instance"] == "/a%3F%20b"
