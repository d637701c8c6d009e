"""Exports over HTTP: what the files hold, how they go on, what is refused, and that nobody sees another's."""

from __future__ import annotations

import csv
import io
import itertools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from bursar.billing.focus.columns import FOCUS_COLUMNS
from bursar.usage.exports.columns import EVENT_EXPORT
from tests.support.access import ask, keys_of
from tests.support.patience import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

EXPORT = "/api/v1/export"
_numbers = itertools.count()


def a_run(client: httpx.Client, count: int, **fields: Any) -> str:  # noqa: ANN401 - an event's fields
    """Record priced events of an environment of their own; its name."""
    environment = f"export-{next(_numbers)}"
    events = [
        {"event_id": f"{environment}-{n}", "environment": environment, "model": "gpt-4o-mini",
         "input_tokens": 1000 + n, "output_tokens": n, "user_id": "=1+1", **fields}
        for n in range(count)
    ]  # fmt: skip
    answer = client.post("/api/v1/events", json=events, params={"wait": "applied"})
    assert answer.status_code == 200, answer.text
    return environment


def export(client: httpx.Client, environment: str, **params: Any) -> httpx.Response:  # noqa: ANN401 - parameters
    answer = client.get(EXPORT, params={"environment": environment, **params})
    assert answer.status_code == 200, answer.text
    return answer


def table(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def refusals(answer: httpx.Response) -> set[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return {(one["field"], one["code"]) for one in answer.json()["errors"]}


def test_a_csv_export_has_every_event_once_in_documented_columns(server: RunningServer) -> None:
    environment = a_run(server.client, 5, tags={"team": 'a "b", c'}, metadata={"n": [1, "ü\n"]})
    answer = export(server.client, environment)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = table(answer)
    assert list(rows[0]) == [column.name for column in EVENT_EXPORT]
    assert [row["event_id"] for row in rows] == [f"{environment}-{n}" for n in range(5)]
    assert json.loads(rows[0]["metadata"]) == {"n": [1, "ü\n"]}
    assert json.loads(rows[0]["tags"]) == {"team": 'a "b", c'}
    assert {row["user_id"] for row in rows} == {"'=1+1"}
    assert {row["user_id"] for row in table(export(server.client, environment, raw=True))} == {"=1+1"}
    assert answer.content.endswith(b"\r\n")


def test_the_headers_say_what_the_rows_come_to_and_of_which_moment(server: RunningServer) -> None:
    environment = a_run(server.client, 4)
    a_run(server.client, 1, environment=environment, model="nobody-knows", event_id=f"{environment}-x")
    answer = export(server.client, environment)
    rows = table(answer)
    total = sum((Decimal(row["cost"]) for row in rows if row["cost"]), Decimal(0))
    assert answer.headers["bursar-total"] == f"{total.normalize():f} USD"
    assert (answer.headers["bursar-events"], answer.headers["bursar-unpriced-events"]) == ("5", "1")
    assert int(answer.headers["bursar-as-of"]) >= 0
    summary = server.client.get("/api/v1/cost/summary", params={"environment": environment}).json()
    assert Decimal(summary["total_cost"]) == total
    assert [row["cost_status"] for row in rows if not row["cost"]] == ["unpriced"]


def test_json_ndjson_and_parquet_hold_the_same_events(server: RunningServer, tmp_path: Path) -> None:
    environment = a_run(server.client, 3, metadata={"a": 1})
    array = export(server.client, environment, format="json").json()
    lines = export(server.client, environment, format="ndjson").text.splitlines()
    assert array == [json.loads(line) for line in lines]
    assert [list(one) for one in array] == [[column.name for column in EVENT_EXPORT]] * 3
    assert array[0]["metadata"] == {"a": 1}
    path = tmp_path / "events.parquet"
    path.write_bytes(export(server.client, environment, format="parquet").content)
    found = duckdb.execute(f"SELECT event_id, cost, user_id FROM '{path}'").fetchall()
    assert found == [(one["event_id"], Decimal(one["cost"]), one["user_id"]) for one in array]
    types = dict(duckdb.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{path}')").fetchall())
    assert (types["cost"], types["time"]) == ("DECIMAL(38,12)", "TIMESTAMP WITH TIME ZONE")
    scratch = server.platform.folder.scratch
    wait_until(lambda: not list(scratch.glob("export-*")), "the server's own file is gone")


def test_an_empty_export_is_a_file_all_the_same(server: RunningServer, tmp_path: Path) -> None:
    assert export(server.client, "none", format="json").json() == []
    assert export(server.client, "none", format="ndjson").content == b""
    assert len(export(server.client, "none").text.splitlines()) == 1
    assert len(export(server.client, "none", format="focus").text.splitlines()) == 1
    path = tmp_path / "none.parquet"
    path.write_bytes(export(server.client, "none", format="focus-parquet").content)
    found = duckdb.execute(f"SELECT column_name FROM (DESCRIBE FROM '{path}')").fetchall()
    assert [name for (name,) in found] == [column.name for column in FOCUS_COLUMNS]


@pytest.mark.parametrize(("form", "limit"), [("csv", 3), ("csv", 100), ("ndjson", 1), ("focus", 1)])
def test_cursors_lead_through_an_export_without_gap_or_repetition(
    server: RunningServer, form: str, limit: int
) -> None:
    environment = a_run(server.client, 7)
    whole = export(server.client, environment, format=form).content
    answer = export(server.client, environment, format=form, limit=limit)
    read, pages = answer.content, 1
    # What changes in between belongs to another moment.
    server.client.post("/api/v1/events/void", json={"event_ids": [f"{environment}-6"], "reason": "a test"})
    a_run(server.client, 2, environment=environment, event_id=None)
    while cursor := answer.headers.get("bursar-next-cursor"):
        answer = export(server.client, environment, format=form, limit=limit, cursor=cursor, header=False)
        read, pages = read + answer.content, pages + 1
    assert read == whole
    assert pages > 1 or limit > 7 or form == "focus"


def test_a_first_cursor_gives_the_same_file_again_whatever_has_happened(server: RunningServer) -> None:
    environment = a_run(server.client, 3)
    first = export(server.client, environment)
    corrected = {
        "event_id": f"{environment}-1",
        "model": "gpt-4o-mini",
        "input_tokens": 9,
        "environment": environment,
    }
    answer = server.client.put(f"/api/v1/events/{environment}-1", json=corrected, params={"reason": "a test"})
    assert answer.is_success, answer.text
    server.client.post("/api/v1/events/void", json={"event_ids": [f"{environment}-0"], "reason": "a test"})
    assert export(server.client, environment).headers["bursar-events"] == "2"
    cursor = first.headers["bursar-first-cursor"]
    assert export(server.client, environment, cursor=cursor).content == first.content


def test_focus_refuses_events_of_unknown_cost_unless_they_may_be_left_out(server: RunningServer) -> None:
    environment = a_run(server.client, 2)
    a_run(server.client, 1, environment=environment, model="nobody-knows", event_id=f"{environment}-x")
    refused = server.client.get(EXPORT, params={"environment": environment, "format": "focus"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert refused.json()["errors"][0]["code"] == "unpriced_events"
    answer = export(server.client, environment, format="focus", allow_unpriced=True)
    assert answer.headers["bursar-unpriced-events"] == "1"
    rows = table(answer)
    assert list(rows[0]) == [column.name for column in FOCUS_COLUMNS]
    total = sum((Decimal(row["BilledCost"]) for row in rows), Decimal(0))
    assert answer.headers["bursar-total"] == f"{total.normalize():f} USD"


def test_bad_parameters_are_refused_with_every_reason(server: RunningServer) -> None:
    params = {
        "format": "xlsx",
        "limit": "0",
        "cursor": "!",
        "raw": "maybe",
        "window": "soon",
        "colour": "red",
    }
    assert refusals(server.client.get(EXPORT, params=params)) == {
        ("format", "unknown_word"),
        ("limit", "out_of_range"),
        ("cursor", "bad_cursor"),
        ("raw", "wrong_type"),
        ("window", "unknown_window"),
        ("colour", "unknown_parameter"),
    }
    grain = server.client.get(EXPORT, params={"grain": "hour"})
    assert refusals(grain) == {("grain", "conflicting_parameters")}


def test_a_cursor_of_another_export_is_refused(server: RunningServer) -> None:
    environment = a_run(server.client, 3)
    cursor = export(server.client, environment, limit=1).headers["bursar-next-cursor"]
    for other in ({"environment": "another"}, {"environment": environment, "format": "focus"}):
        answer = server.client.get(EXPORT, params={**other, "cursor": cursor})
        assert refusals(answer) == {("cursor", "bad_cursor")}


def test_an_export_needs_the_scope_read_and_shows_no_other_tenants_events(server: RunningServer) -> None:
    environment = a_run(server.client, 2)
    assert server.stranger.get(EXPORT).status_code == 401
    keys = keys_of(server, "other")
    answer = ask(server, keys["ingest"], "GET", EXPORT)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    for form in ("csv", "focus"):
        params = {"environment": environment, "format": form}
        found = ask(server, keys["read"], "GET", EXPORT, params=params)
        assert len(found.text.splitlines()) == 1, found.text
    named = ask(server, keys["read"], "GET", EXPORT, params={"tenant_id": "default"})
    assert named.status_code == 403
