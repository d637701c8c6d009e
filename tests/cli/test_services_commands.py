"""`bursar services` and `bursar billing-rules` beside a running server, and how their refusals read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command_line import bursar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

OCR = {
    "service_type": "ocr",
    "providers": ["scanner"],
    "required_fields": ["pages"],
    "billing_config": {"unit": "pages", "rate": "0.01"},
}

BY_PAGE = {"service_type": "document_processor", "provider": "exact", "unit": "pages"}


@pytest.fixture
def data(server: RunningServer) -> Path:
    return server.platform.folder.path


def file_of(tmp_path: Path, content: Any) -> Path:  # noqa: ANN401 - any JSON
    path = tmp_path / "body.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_service_is_registered_changed_shown_and_retired(tmp_path: Path, data: Path) -> None:
    file = file_of(tmp_path, OCR)
    made = bursar("services", "register", file, "--data", data)
    assert (made.code, made.out) == (0, "Registered ocr, version 1.\n")
    again = bursar("services", "register", file, "--data", data)
    assert (again.code, "already" in again.err) == (1, True)
    assert "version 2" in bursar("services", "register", file, "--new-version", "--data", data).out
    listed = bursar("services", "list", "--data", data)
    assert "ocr" in listed.out
    assert "document_processor" in listed.out
    shown = bursar("services", "show", "ocr", "--version", "1", "--data", data, "--json").json
    assert shown["billing_config"]["rates"] == {"standard": "0.01"}
    assert "scanner" in bursar("services", "show", "ocr", "--data", data).out
    assert "Retired ocr; its 2 versions" in bursar("services", "retire", "ocr", "--data", data).out
    assert bursar("services", "retire", "ocr", "--data", data).code == 1


def test_a_rules_number_reaches_the_server_to_the_last_digit(tmp_path: Path, data: Path) -> None:
    body = BY_PAGE | {"rate": "NUMBER"}
    rule = json.dumps(body).replace('"NUMBER"', "0.100000000000000001")
    made = bursar("billing-rules", "add", file_of(tmp_path, rule), "--data", data, "--json").json
    assert made["billing"]["rates"] == {"standard": "0.100000000000000001"}
    event = {"service_type": "document_processor", "provider": "exact", "units": {"pages": 1_000_000}}
    tried = bursar("billing-rules", "try", file_of(tmp_path, event), "--data", data)
    assert f"100000.000000000001 USD by {made['id']} (billing_rule:provider)." in tried.out
    listed = bursar("billing-rules", "list", "--service-type", "document_processor", "--data", data)
    assert made["id"] in listed.out
    assert "pages: standard 0.100000000000000001" in listed.out
    assert bursar("billing-rules", "withdraw", made["id"], "--data", data).code == 0
    assert made["id"] not in bursar("billing-rules", "list", "--data", data).out
    assert made["id"] in bursar("billing-rules", "list", "--withdrawn", "--data", data, "--json").out
    unknown = bursar("billing-rules", "try", file_of(tmp_path, event), "--data", data)
    assert (unknown.code, unknown.out) == (0, "Its cost isn't known: no_billing_rule.\n")


def test_what_is_wrong_with_a_file_is_said_in_a_line(tmp_path: Path, data: Path) -> None:
    for content, said in (
        ("{", "is no JSON"),
        ("[]", "one JSON object"),
        ({"service_type": "ocr2", "billing_config": {"unit": "pages"}}, "billing_config.rate"),
    ):
        refused = bursar("services", "register", file_of(tmp_path, content), "--data", data)
        assert (refused.code, said in refused.err) == (1, True), refused.err
    missing = bursar("billing-rules", "add", tmp_path / "missing.json", "--data", data)
    assert (missing.code, "can't be read" in missing.err) == (1, True)
    wrong = bursar("billing-rules", "try", file_of(tmp_path, {"typo": 1}), "--data", data)
    assert (wrong.code, "typo" in wrong.err) == (1, True)
