"""The README, the tutorial and the how-to pages do what they say: their requests, sent to a real server.

Requests are taken out of the pages as a reader would copy them; answers that a page prints are compared
with what comes back. Layout of pages, links and generated references are held by `house/test_docs.py`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.house.sources import ROOT
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs/tutorial/first-ledger.md").read_text()
QUESTIONS = (ROOT / "docs/how-to/ask-questions.md").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("ledger")
    with running_server(folder) as server:
        yield server


def requests_in(page: str) -> list[tuple[str, Any]]:
    """Path and JSON body of each curl command of a page."""
    commands = re.findall(r"curl -s http://127\.0\.0\.1:8000(\S+)([^`]*?)\n```", page)
    bodies = [re.search(r"-d '(.*)'", options, re.DOTALL) for _, options in commands]
    return [
        (path, json.loads(body[1]) if body else None)
        for (path, _), body in zip(commands, bodies, strict=True)
    ]


def answers_in(page: str) -> list[Any]:
    """What a page prints as an answer."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]


def ask(server: RunningServer, request: tuple[str, Any]) -> Any:  # noqa: ANN401 -- any JSON
    path, body = request
    answer = server.client.post(path, json=body) if body is not None else server.client.get(path)
    assert answer.is_success, answer.text
    return answer.json()


def test_the_readmes_first_request_gets_the_answer_that_is_printed(server: RunningServer) -> None:
    record, explain = requests_in(README)
    printed, lines = answers_in(README)
    assert ask(server, record) == printed
    server.client.post(f"{record[0]}?wait=applied", json=record[1])
    assert ask(server, explain)["explanation"]["lines"] == lines


def test_the_tutorial_goes_as_it_is_told(server: RunningServer) -> None:
    record, explain, unpriced, query = requests_in(TUTORIAL)
    assert ask(server, record)["events"][0]["outcome"] == "new"
    assert ask(server, record)["events"][0]["outcome"] == "duplicate"
    assert ask(server, (record[0], record[1] | {"user_id": "bob"}))["events"][0]["outcome"] == "conflict"
    units = {line["unit"]: line["quantity"] for line in ask(server, explain)["explanation"]["lines"]}
    assert units == {"input_text": "200", "cache_read_text": "1000", "output_text": "300"}
    cost = ask(server, unpriced)["events"][0]["cost"]
    assert (cost["status"], cost["reason"]) == ("unpriced", "unknown_provider")
    assert "total" not in cost
    answer = ask(server, query)
    assert answer["unpriced"] == {"events": 1}
    assert answer["totals"]["events"] == sum(row["events"] for row in answer["rows"])


def test_the_questions_of_the_how_to_page_are_answered(server: RunningServer) -> None:
    questions = requests_in(QUESTIONS)
    assert questions
    for question in questions:
        assert ask(server, question)["columns"]


@pytest.mark.parametrize("path", re.findall(r"`GET (/api/v1/[a-z/]+)`", QUESTIONS))
def test_the_views_of_the_how_to_page_exist_as_json_and_csv(server: RunningServer, path: str) -> None:
    assert ask(server, (path, None))
    assert server.client.get(path, params={"format": "csv"}).headers["content-type"].startswith("text/csv")
