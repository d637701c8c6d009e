"""`bursar query`: options become the API's question, and the answer is shown as table, JSON or CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import typer

from bursar import clock
from bursar.cli.query import read_filters
from tests.cli.command_line import bursar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import RunningServer

CALL = {"provider": "openai", "model": "gpt-4.1-mini", "input_tokens": 1_000_000, "output_tokens": 0}
"""40 cents: gpt-4.1-mini takes $0.40 per million input tokens."""


@pytest.fixture(scope="module")
def data(server: RunningServer) -> Path:
    hour_ago = clock.rfc3339(clock.now() - timedelta(hours=1))
    events: list[dict[str, Any]] = [
        {**CALL, "event_id": "a", "user_id": "ada", "tags": {"team": "search"}, "batch": False},
        {**CALL, "event_id": "b", "user_id": "ben", "tags": {"team": "search"}, "latency_ms": 250.5},
        {**CALL, "event_id": "c", "user_id": "ben", "model": "gpt-4.1", "time": hour_ago},
        {**CALL, "event_id": "d", "provider": "nobody", "model": "unheard-of"},
    ]
    answer = server.client.post("/api/v1/events?wait=applied", json=events)
    assert answer.json()["applied"]
    return server.platform.folder.path


def rows_of(data: Path, *arguments: str) -> list[dict[str, Any]]:
    return bursar("query", "--data", data, "--format", "json", *arguments).json["rows"]


def test_without_options_it_says_what_was_spent_and_what_has_no_price(data: Path) -> None:
    said = bursar("query", "--data", data)
    assert said.code == 0
    assert "2.8" in said.out
    assert "1 events have no known price and are in no amount." in said.err


def test_rows_are_by_dimension_and_in_the_order_asked_for(data: Path) -> None:
    rows = rows_of(data, "--by", "model", "--measures", "cost,events", "--order", "-cost")
    assert [row["model"] for row in rows][:2] == ["gpt-4.1", "gpt-4.1-mini"]
    assert rows[0]["cost"] == "2"
    assert rows[1] == {"model": "gpt-4.1-mini", "currency": "USD", "cost": "0.8", "events": 2}


@pytest.mark.parametrize(
    ("filters", "events"),
    [
        (["user_id=ada,ben"], 3),
        (["user_id=null"], 1),
        (["user_id!=null"], 3),
        (["model^=gpt-4.1"], 3),
        (["provider!=openai"], 1),
        (["tag:team=search", "user_id=ben"], 1),
        (["batch=false"], 1),
    ],
)
def test_filters_keep_what_they_say(data: Path, filters: list[str], events: int) -> None:
    options = [word for one in filters for word in ("--filter", one)]
    rows = rows_of(data, "--measures", "events", *options)
    assert sum(row["events"] for row in rows) == events


def test_filters_are_read_into_the_form_of_the_api() -> None:
    assert read_filters(["model=a,b", "model!=c", "tag:team^=se", "max_tokens=4096", "batch=true"]) == {
        "model": {"in": ["a", "b"], "not": ["c"]},
        "tag:team": {"prefix": ["se"]},
        "max_tokens": {"in": [4096]},
        "batch": {"in": [True]},
    }
    assert read_filters(["max_tokens=many", "temperature=0.5"]) == {
        "max_tokens": {"in": ["many"]},
        "temperature": {"in": [0.5]},
    }
    with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
        read_filters(["model"])


def test_a_grain_gives_a_row_per_period_in_the_zone(data: Path) -> None:
    arguments = ("--measures", "events", "--grain", "day", "--zone", "Asia/Kolkata", "--window", "7d")
    rows = rows_of(data, *arguments)
    assert sum(row["events"] for row in rows) == 4
    assert all(row["period"].endswith("00:00:00+05:30") for row in rows)


def test_csv_is_clean_and_the_rest_goes_to_stderr(data: Path) -> None:
    said = bursar("query", "--data", data, "--by", "user_id", "--measures", "events", "--format", "csv")
    table = list(csv.reader(io.StringIO(said.out)))
    assert table[0] == ["user_id", "events"]
    assert sorted(table[1:]) == [["", "1"], ["ada", "1"], ["ben", "2"]]


def test_rows_cut_off_by_the_limit_are_mentioned(data: Path) -> None:
    said = bursar("query", "--data", data, "--by", "event_id", "--limit", "2")
    assert "There are more than these 2 rows" in said.err


def test_a_wrong_name_is_refused_in_one_line(data: Path) -> None:
    said = bursar("query", "--data", data, "--measures", "cosst")
    assert said.code == 1
    assert "'cosst' is no measure of usage. Did you mean 'cost'?" in said.err
    assert bursar("query", "--data", data, "--filter", "nonsense").code == 2
    assert bursar("query", "--data", data, "--format", "xml").code == 2
