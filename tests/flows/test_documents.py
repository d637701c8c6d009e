"""The README, the tutorial and the how-to pages do what they say: their requests, sent to a real server.

Requests are taken out of the pages as a reader would copy them; answers that a page prints are compared
with what comes back. Layout of pages, links and generated references are held by `house/test_docs.py`.
"""

from __future__ import annotations

import csv
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command_line import bursar
from tests.house.sources import ROOT
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs/tutorial/first-ledger.md").read_text()
FINANCE = (ROOT / "docs/how-to/load-costs-into-finance.md").read_text()
OCTOBER = "2026-10-09T08:07:06Z"
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


@pytest.fixture(scope="module")
def october(server: RunningServer) -> RunningServer:
    """The server, with three calls of October."""
    call = {"provider": "openai", "model": "gpt-4o", "time": OCTOBER}
    calls = [{**call, "event_id": f"october-{n}", "input_tokens": 1000 + n} for n in range(3)]
    server.client.post("/api/v1/events/import", params={"wait": "applied"}, json=calls).raise_for_status()
    return server


def test_the_commands_for_finance_write_files_that_tie_out(
    october: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURSAR_DATA_DIR", str(october.platform.folder.path))
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^bursar (export .*?)(?:  +#.*)?$", FINANCE, re.MULTILINE)
    for command in shown:
        ran = bursar(*command.split(), "--filter", "event_id^=october-", "--overwrite")
        assert ran.code == 0, (command, ran.err)
        assert re.search(r"3 events, [\d.]+ USD in all, as of ", ran.err), ran.err
    files = {command.split()[command.split().index("--out") + 1] for command in shown}
    assert {path.name for path in tmp_path.iterdir()} == files
    summary = october.client.get(
        "/api/v1/cost/summary", params={"window": "2026-10", "event_id.prefix": "october-"}
    ).json()
    rows = csv.DictReader((tmp_path / "october-focus.csv").read_text().splitlines())
    assert sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0)) == Decimal(summary["total_cost"])


def test_every_header_that_the_page_for_finance_names_is_sent(october: RunningServer) -> None:
    answer = october.client.get("/api/v1/export", params={"window": "2026-10", "limit": 1})
    named = set(re.findall(r"`(Bursar-[A-Za-z-]+)`", FINANCE)) - {"Bursar-Complete-Since"}
    assert {name for name in named if name.lower() in answer.headers} == named
