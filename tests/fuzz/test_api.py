"""Every operation of the OpenAPI document, with data that fits its description and data that doesn't.

No answer may be a fault of ours, and each must be one that the document declares: status, media type,
headers and body. That wrong data is refused is tested elsewhere: any JSON value makes a line, so for
lines of JSON the generator can not tell right from wrong. The operator asks, so that every operation
is reached.
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
from hypothesis import settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.house.sources import ROOT
from tests.support.odd_events import ALL_CHECKS, DEFAULT_EXAMPLES, EXAMPLES
from tests.support.serving import ADMIN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case, SerializationContext

    from tests.support.door import Door


DOCUMENT = ROOT / "docs/reference/openapi.json"


@schemathesis.serializer(
    "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"
)
def write_lines(_context: SerializationContext, value: object) -> bytes:
    """What the document calls one JSON event a line: a text, or a value that makes one line."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


schema = schemathesis.openapi.from_path(DOCUMENT)
# Every parameter at every border takes seconds for each list that has sixty filters.
schema.config.phases.coverage.enabled = EXAMPLES > DEFAULT_EXAMPLES


@schema.parametrize()
@settings(max_examples=EXAMPLES // 3, suppress_health_check=ALL_CHECKS, deadline=None)
def test_every_operation_answers_as_it_is_described(case: Case, door: Door) -> None:
    case.call_and_validate(
        base_url=door.server.url,
        headers={"X-API-Key": ADMIN_KEY},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            unsupported_method,
        ],
    )


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


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_no_odd_text_in_a_url_is_a_fault(door: Door, text: str) -> None:
    paths = json.loads(DOCUMENT.read_text())["paths"]
    for path, item in paths.items():
        names = [one["name"] for one in item.get("get", {}).get("parameters", []) if one.get("in") == "query"]
        filled = re.sub(r"\{\w+\}", text, path)
        for name in ["tenant_id", *names]:
            answer = door.server.client.get(f"{filled}?{name}={text}")
            assert answer.status_code < 500, (path, name, answer.text)


@pytest.mark.parametrize(
    "value", [b'"\\ud800"', b'"\\u0000"', b"NaN", b"1e999", b"9" * 4000, b"[" * 900 + b"]" * 900, b"\xff"]
)
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
