"""Every operation of the OpenAPI document, with data that fits its description and data that doesn't.

No answer may be a fault of ours, and each must be one that the document declares: status, media type,
headers and body. That wrong data is refused is tested elsewhere: any JSON value makes a line, so for
lines of JSON the generator can not tell right from wrong. The operator asks, so that every operation
is reached; in `make fuzz` an administrator, an analyst and a stranger ask too, to whom most of them say no.
"""

# schemathesis leaves the types of its checks and cases open.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportUntypedFunctionDecorator=false, reportMissingTypeArgument=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from bursar.identity.permissions import OF_PLATFORM
from bursar.identity.roles import BUILT_IN
from tests.house.sources import ROOT
from tests.support.access import keys_of
from tests.support.matrix import ANY, DECLARED, OPEN
from tests.support.odd_events import ALL_CHECKS
from tests.support.people import a_person
from tests.support.rounds import TIMES, rounds
from tests.support.sampled import long
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case, SerializationContext

    from tests.support.door import Door
    from tests.support.serving import RunningServer


DOCUMENT = ROOT / "docs/reference/openapi.json"
LONG = 10
"""From so many rounds on it is a long run: an hour's, not a minute's."""


@schemathesis.serializer(
    "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"
)
def write_lines(_context: SerializationContext, value: object) -> bytes:
    """What the document calls one JSON event a line: a text, or a value that makes one line."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


schema = schemathesis.openapi.from_path(DOCUMENT)
# Every parameter at every border takes seconds for each list that has sixty filters.
schema.config.phases.coverage.enabled = TIMES >= LONG
# Closing the months of ten years takes seconds, and more of them on a busy machine.
schema.config.update(request_timeout=60)
# Who asks is for the tests to say: an invented credential beside theirs would be answered with 401.
schema.config.generation.update(with_security_parameters=False)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
TENANT = "fuzzed"
"""Theirs who aren't the operator."""
TOO_LONG_FOR_HTTP = 431
"""Said by the protocol, before there is an operation: more than 64 KiB of a head."""
PHASES = tuple(Phase) if TIMES > 1 else (Phase.reuse, Phase.generate)
"""For callers besides the operator, who ask in `make fuzz` alone: to make the examples of the document for
each of them would take every run seconds before it begins."""
ENDS_THE_SESSION = "POST /api/v1/auth/logout"


def ask_as_described(case: Case, door: Door, headers: dict[str, str]) -> int:
    """The status of an answer that is held against what the document says of it."""
    answer = case.call(base_url=door.server.url, headers=headers)
    if answer.status_code != TOO_LONG_FOR_HTTP:
        case.validate_response(answer, checks=CHECKS)
    return answer.status_code


def permission_of(case: Case) -> str:
    return case.operation.definition.raw["x-permission"]


@schema.parametrize()
@settings(max_examples=rounds(4, in_every_run=1), suppress_health_check=ALL_CHECKS, deadline=None)
def test_every_operation_answers_as_it_is_described(case: Case, door: Door) -> None:
    status = ask_as_described(case, door, {"X-API-Key": ADMIN_KEY})
    assert status not in {401, 403} or permission_of(case) == OPEN


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=rounds(1), phases=PHASES, suppress_health_check=ALL_CHECKS, deadline=None)
def test_every_operation_answers_a_stranger_as_it_is_described_and_does_nothing(
    case: Case, door: Door
) -> None:
    status = ask_as_described(case, door, {})
    assert status >= 400 or permission_of(case) == OPEN


@pytest.fixture(scope="module")
def administrator(door: Door) -> dict[str, str]:
    """How a key asks that may do everything within its tenant."""
    return {"X-API-Key": keys_of(door.server, TENANT)["admin"]}


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=rounds(1), phases=PHASES, suppress_health_check=ALL_CHECKS, deadline=None)
def test_every_operation_answers_an_administrator_as_it_is_described(
    case: Case, door: Door, administrator: dict[str, str]
) -> None:
    status = ask_as_described(case, door, administrator)
    assert status != 401 or permission_of(case) == OPEN
    assert status >= 400 or permission_of(case) not in OF_PLATFORM


@pytest.fixture
def analyst(door: Door) -> dict[str, str]:
    """How somebody asks who may see but not change, in a session of their own: one operation ends it."""
    return {"Authorization": f"Bearer {a_person(door.server, TENANT, 'analyst').enter()}"}


@pytest.mark.long
@schema.parametrize()
@settings(max_examples=rounds(1), phases=PHASES, suppress_health_check=ALL_CHECKS, deadline=None)
def test_every_operation_answers_an_analyst_as_it_is_described(
    case: Case, door: Door, analyst: dict[str, str]
) -> None:
    status = ask_as_described(case, door, analyst)
    assert status != 401 or permission_of(case) == OPEN or case.operation.label == ENDS_THE_SESSION
    assert status >= 400 or permission_of(case) in {OPEN, ANY, *BUILT_IN["analyst"].permissions}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that answers one request of an address, and none to come."""
    folder = tmp_path_factory.mktemp("impatient")
    with running_server(
        folder, rate_limit_address_rpm=1, rate_limit_ingest_address_rpm=1, rate_limit_exempt="/none"
    ) as server:
        for method, path in (("GET", "/api/v1/projects"), ("POST", "/api/v1/events")):
            server.stranger.request(method, path)
        yield server


@pytest.mark.parametrize("label", DECLARED)
def test_every_operation_describes_how_a_limit_refuses(impatient: RunningServer, label: str) -> None:
    method, path = label.split()
    answer = impatient.stranger.request(method, re.sub(r"[{}]", "", path))
    assert answer.status_code == 429
    operation = schema[path][method]
    operation.validate_response(answer)
    described = operation.responses.get("429")
    assert described


def protected_operations() -> Iterator[tuple[str, str]]:
    document = json.loads(DOCUMENT.read_text())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            security = operation.get("security", [])
            if security and {} not in security:
                yield method, path


@pytest.mark.parametrize(("method", "path"), list(protected_operations()))
def test_no_operation_answers_a_stranger(door: Door, method: str, path: str) -> None:
    for headers in ({}, {"X-API-Key": "bur_nobody"}, {"Authorization": "Basic YTpi"}):
        answer = door.server.stranger.request(method, path.replace("{", "").replace("}", ""), headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"]


ODD_TEXTS = ("%00", "%ed%a0%80", "%ff", "%0A", "1e999")
"""As they stand in a URL: NUL, half a surrogate pair, no UTF-8, a line end, no number."""


@pytest.mark.parametrize("text", long({text: text for text in ODD_TEXTS}, always=["%00"]))
def test_no_odd_text_in_a_url_is_a_fault(door: Door, text: str) -> None:
    paths = json.loads(DOCUMENT.read_text())["paths"]
    for path, item in paths.items():
        names = [one["name"] for one in item.get("get", {}).get("parameters", []) if one.get("in") == "query"]
        filled = re.sub(r"\{\w+\}", text, path)
        for name in ["tenant_id", *names]:
            answer = door.server.client.get(f"{filled}?{name}={text}")
            assert answer.status_code < 500, (path, name, answer.text)


ODD_VALUES = {
    "half a pair": b'"\\ud800"',
    "NUL": b'"\\u0000"',
    "NaN": b"NaN",
    "a large number": b"1e999",
    "many digits": b"9" * 4000,
    "many levels": b"[" * 900 + b"]" * 900,
    "no UTF-8": b"\xff",
}


@pytest.mark.parametrize("value", long(ODD_VALUES, always=["half a pair", "a large number", "no UTF-8"]))
def test_no_odd_value_in_a_body_is_a_fault(door: Door, value: bytes) -> None:
    bodies = (
        b'{"id":%b}',
        b'{"name":%b}',
        b'{"label":%b,"scopes":["read"]}',
        b'{"measures":%b}',
        b'{"window":%b}',
        b"%b",
    )
    bodies += (
        b'{"filters":{"model":%b}}',
        b'{"filters":{"tag:x":{"not":%b}}}',
        b'{"limit":%b}',
        b'{"model":%b}',
    )
    document = json.loads(DOCUMENT.read_text())
    for path, item in document["paths"].items():
        if "post" in item:
            for body in bodies:
                answer = door.server.client.post(
                    re.sub(r"[{}]", "", path),
                    content=body % value,
                    headers={"content-type": "application/json"},
                )
                assert answer.status_code < 500, (path, body, answer.text)
