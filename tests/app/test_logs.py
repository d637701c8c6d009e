"""Log lines: their two forms, the request's id on them, and what never appears on them."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from bursar import ids
from bursar.app.logs import WITHHELD, bind_request_id, configure_logging, unbind_request_id
from bursar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_where_no_terminal_reads_it(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream)
    structlog.get_logger().info("journal rotated", segment=3)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["segment"]) == ("journal rotated", "info", 3)
    assert line["timestamp"].endswith("Z")


def test_a_person_can_ask_for_columns(stream: io.StringIO) -> None:
    configure_logging(Settings(log_format="console"), stream)
    structlog.get_logger().info("journal rotated", segment=3)
    assert "journal rotated" in stream.getvalue()
    assert "segment=3" in stream.getvalue()


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    configure_logging(Settings(log_level="warning"), stream)
    structlog.get_logger().info("too much detail")
    logging.getLogger("uvicorn.error").info("too much detail")
    assert not stream.getvalue()


def test_lines_of_libraries_take_the_same_form(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream)
    logging.getLogger("uvicorn.error").warning("went to %s", "http://me:hunter2@db")
    (line,) = lines(stream)
    assert (line["event"], line["logger"]) == (f"went to http://{WITHHELD}@db", "uvicorn.error")


def test_the_request_id_is_on_every_line_of_its_request_and_on_no_other(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream)
    log = structlog.get_logger()
    assert bind_request_id("from-the-client.1") == "from-the-client.1"
    log.info("inside")
    unbind_request_id()
    log.info("outside")
    inside, outside = lines(stream)
    assert inside["request_id"] == "from-the-client.1"
    assert "request_id" not in outside


@pytest.mark.parametrize("presented", [None, "", "two words", "line\nbreak", "x" * 129, "sn\u00f6"])
def test_a_request_id_that_could_forge_a_line_is_replaced(presented: str | None, stream: io.StringIO) -> None:
    del stream  # only for putting the context back
    request_id = bind_request_id(presented)
    assert request_id.startswith("req_")
    assert request_id != presented


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "X-API-Key",
        "Authorization",
        "admin_key",
        "password",
        "client_secret",
        "token",
        "refresh_token",
        "Cookie",
        "database_url",
        "prompt",
        "messages",
        "body",
        "completion",
        "system_prompt",
        "metadata",
    ],
)
def test_secrets_and_content_are_withheld_by_their_name_at_any_depth(name: str, stream: io.StringIO) -> None:
    configure_logging(Settings(), stream)
    structlog.get_logger().info(
        "seen", **{name: "hunter2"}, headers={name: ["hunter2"]}, all=[{name: "hunter2"}]
    )
    assert "hunter2" not in stream.getvalue()
    (line,) = lines(stream)
    assert line[name] == line["headers"][name] == line["all"][0][name] == WITHHELD


def test_counts_and_public_ids_are_not_withheld(stream: io.StringIO) -> None:
    configure_logging(Settings(), stream)
    fields: dict[str, Any] = {
        "key_id": "key_1",
        "prefix": "bur_Ab12Cd34",
        "input_tokens": 3,
        "events": 5,
        "has_body": True,
        "prompt_version": "v2",
        "error": None,
    }
    structlog.get_logger().info("counted", **fields)
    (line,) = lines(stream)
    assert {name: line[name] for name in fields} == fields


@pytest.mark.parametrize(
    "template",
    [
        "refused {key}",
        "sent 'Authorization: Bearer {key}'",
        "postgresql://me:{key}@db/x",
        "{{'key': '{key}'}}",
    ],
)
def test_keys_inside_texts_are_withheld(template: str, stream: io.StringIO) -> None:
    configure_logging(Settings(), stream)
    key = ids.make_secret("bur")
    structlog.get_logger().info(template.format(key=key), note=template.format(key=key))
    assert key not in stream.getvalue()
    assert stream.getvalue().count(WITHHELD) == 2


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_where_but_no_local_values_and_no_key(log_format: str, stream: io.StringIO) -> None:
    configure_logging(Settings.model_validate({"log_format": log_format}), stream)
    key = ids.make_secret("bur")
    log = structlog.get_logger()
    try:
        raise ValueError(key)  # noqa: TRY301 -- the traceback is the thing under test
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed too")
    assert key not in stream.getvalue()
    assert stream.getvalue().count("test_logs.py") == 2
