"""What every endpoint that answers questions about usage does alike: keys, tenants, refusals, CSV."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from bursar.storage.duckdb.asking import DuckDBQuestions, Outcome
from bursar.usage.api import make_router
from tests.support.asking import ask
from tests.support.usage_house import House, caller, table_of
from tests.support.usage_rows import Ledger

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    import duckdb

LISTINGS = (
    "/api/v1/events",
    "/api/v1/usage",
    "/api/v1/cost/summary",
    "/api/v1/cost/breakdown",
    "/api/v1/analytics/trends",
    "/api/v1/analytics/top",
)


# ---------------------------------------------------------------------------------------- every endpoint


@pytest.mark.parametrize("path", [*LISTINGS, "/api/v1/events/evt-1"])
def test_nobody_reads_without_a_key_that_may_read(busy: House, path: str) -> None:
    assert ask(busy.app, "GET", path).status_code == 401
    assert busy.get(path, who="ingest").status_code == 403


@pytest.mark.parametrize("path", [*LISTINGS, "/api/v1/events/evt-1"])
def test_a_named_tenant_must_be_the_callers_own(busy: House, path: str) -> None:
    assert busy.get(f"{path}?tenant_id=acme").status_code == 200
    refused = busy.get(f"{path}?tenant_id=other")
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant_mismatch")
    assert busy.get(f"{path}?tenant_id=nowhere").json()["code"] == "tenant_mismatch"
    assert busy.get(f"{path}?tenant_id=acme", who="operator").status_code == 200


@pytest.mark.parametrize("path", LISTINGS)
def test_nothing_of_another_tenant_is_seen(busy: House, path: str) -> None:
    assert "secret" not in busy.get(path).text
    assert "900" not in busy.get(path).text
    theirs = busy.get(path, who="other").text
    assert not any(word in theirs for word in ("gpt-4", "claude", '"ada"', "openai"))


@pytest.mark.parametrize("path", LISTINGS)
def test_every_reason_is_given_at_once_and_unknown_parameters_by_name(busy: House, path: str) -> None:
    found = busy.refusals(f"{path}?window=soon&zone=Mars/Base&flavour=x&format=xml&provider.absent=perhaps")
    assert {
        ("window", "unknown_window"),
        ("zone", "unknown_zone"),
        ("flavour", "unknown_parameter"),
        ("format", "unknown_word"),
        ("provider.absent", "wrong_type"),
    } == found


@pytest.mark.parametrize("path", LISTINGS)
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("window=30d&days=7", ("window", "conflicting_parameters")),
        ("start=2026-10-01&start_date=2026-10-01", ("start", "conflicting_parameters")),
        ("start=2026-10-02&end=2026-10-01", ("window", "empty_window")),
        ("start_time=yesterday-ish", ("start_time", "bad_time")),
        ("end_time=2926-10-01", ("end_time", "out_of_range")),
        ("days=0", ("window", "out_of_range")),
        ("days=many", ("days", "bad_number")),
        ("batch=perhaps", ("filters.batch", "wrong_type")),
        ("batch.prefix=t", ("filters.batch", "wrong_type")),
        ("retry_count=1.5", ("filters.retry_count", "wrong_type")),
        ("temperature=nan", ("filters.temperature", "wrong_type")),
        ("tag:=x", ("tag:", "unknown_parameter")),
    ],
)
def test_windows_and_filters_that_make_no_sense_are_refused(
    house: House, path: str, query: str, reason: tuple[str, str]
) -> None:
    assert house.refusals(f"{path}?{query}") == {reason}


@pytest.mark.parametrize("path", LISTINGS)
def test_an_empty_store_answers(house: House, path: str) -> None:
    assert house.get(path).status_code == 200
    assert house.get(f"{path}?format=csv").status_code == 200


@pytest.mark.parametrize("path", [*LISTINGS, "/api/v1/events/evt-1"])
def test_csv_comes_for_the_accept_header_or_the_parameter(busy: House, path: str) -> None:
    wanted = table_of(busy.get(path, accept="text/csv"))
    assert wanted == table_of(busy.get(f"{path}?format=csv"))
    assert len({len(row) for row in wanted}) == 1
    assert busy.get(f"{path}?format=json", accept="text/csv").headers["content-type"] == "application/json"
    assert busy.get(path, accept="text/csv;q=0.1, */*").headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/cost/summary", "/api/v1/analytics/top"])
def test_no_name_becomes_a_formula_in_a_spreadsheet(busy: House, path: str) -> None:
    cells = {cell for row in table_of(busy.get(f"{path}?format=csv")) for cell in row}
    assert "'=cmd()" in cells
    assert not any(cell.startswith(("=", "+", "@")) for cell in cells)


def test_a_question_is_ended_when_the_client_leaves() -> None:
    ledger, may_open, outcomes = Ledger(), threading.Event(), list[Outcome]()

    def open_late() -> duckdb.DuckDBPyConnection:
        may_open.wait(10)
        return ledger.cursor()

    questions = DuckDBQuestions(
        open_late, ledger.position_of, observe=lambda outcome, _seconds: outcomes.append(outcome)
    )
    app = FastAPI()
    app.include_router(make_router(questions, caller))
    messages = iter(({"type": "http.request", "body": b""}, {"type": "http.disconnect"}))

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(0.02)
        return next(messages)

    async def send(_: MutableMapping[str, Any]) -> None:
        """Nobody hears it."""

    scope = {"type": "http", "method": "GET", "path": "/api/v1/cost/summary", "query_string": b""}
    asyncio.run(app({**scope, "headers": [(b"who", b"acme")]}, receive, send))
    may_open.set()
    questions.close()
    assert outcomes == [Outcome.LEFT]
