"""Allocations over HTTP: who owns and bears what since when, usage by it, and what nobody bears."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from tests.support.access import ask, keys_of
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

ALLOCATIONS, UNALLOCATED = "/api/v1/allocations", "/api/v1/unallocated"
MAY, JUNE = "2026-05-{:02d}T12:00:00Z", "2026-06-{:02d}T12:00:00Z"
YEAR = "2026-01-01/2027-01-01"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data"), max_past_days=3650) as running:
        yield running


def record(server: RunningServer, key: str, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    answer = ask(server, key, "POST", ALLOCATIONS, json={"kind": "project", "subject": "search", **said})
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(server: RunningServer, key: str, *events: dict[str, Any]) -> None:
    calls = [
        {"provider": "openai", "model": "x", "cost": {"amount": "1", "currency": "USD"}, **event}
        for event in events
    ]
    ask(server, key, "POST", "/api/v1/events", json=calls, params={"wait": "applied"}).raise_for_status()


def costs(server: RunningServer, key: str, **more: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    body = {"measures": ["cost"], "group_by": ["cost_centre"], "window": YEAR, **more}
    answer = ask(server, key, "POST", "/api/v1/query", json=body)
    assert answer.status_code == 200, answer.text
    return {row["cost_centre"]: row["cost"] for row in answer.json()["rows"]}


def test_a_project_that_moves_in_mid_month_leaves_its_past_where_it_was(server: RunningServer) -> None:
    key = keys_of(server, "moving")["admin"]
    send(server, key, *({"time": MAY.format(day), "project_id": "search"} for day in (1, 14, 15, 31)))
    send(server, key, {"time": MAY.format(2), "project_id": "other"}, {"time": MAY.format(2)})
    assert costs(server, key) == {"unallocated": "6"}
    record(server, key, cost_centre="CC-1", valid_from="1970-01-01")
    moved = record(server, key, cost_centre="CC-2", valid_from="2026-05-15", reason="sold to R&D")
    assert costs(server, key) == {"CC-1": "2", "CC-2": "2", "unallocated": "2"}
    assert costs(server, key, filters={"cost_centre": ["CC-2", "unallocated"]}) == {
        "CC-2": "2",
        "unallocated": "2",
    }
    assert costs(server, key, filters={"cost_centre": {"not": "unallocated"}}) == {"CC-1": "2", "CC-2": "2"}
    assert costs(server, key, filters={"cost_centre": None}) == {"unallocated": "2"}
    ask(server, key, "DELETE", f"{ALLOCATIONS}/{moved['id']}").raise_for_status()
    assert costs(server, key) == {"CC-1": "4", "unallocated": "2"}


def test_every_way_to_ask_knows_the_dimensions(server: RunningServer) -> None:
    key = keys_of(server, "ways")["admin"]
    record(server, key, cost_centre="CC-1", owner="ana", valid_from="2026-01-01")
    send(server, key, {"time": MAY.format(1), "project_id": "search"}, {"time": MAY.format(2)})
    params = {"window": YEAR, "cost_centre": "CC-1"}

    def got(path: str, **more: str) -> httpx.Response:
        return ask(server, key, "GET", path, params={**params, **more}).raise_for_status()

    assert got("/api/v1/events", total_count="true").json()["total_count"] == 1
    assert got("/api/v1/cost/summary").json()["total_cost"] == "1"
    assert len(got("/api/v1/export").text.splitlines()) == 2
    assert '"ana"' in got("/api/v1/cost/breakdown", group_by="owner").text
    assert '"unallocated"' not in got("/api/v1/cost/breakdown", group_by="owner").text
    ranked = {"window": YEAR, "group_by": "owner"}
    top = ask(server, key, "GET", "/api/v1/analytics/top", params=ranked).json()
    assert {one["name"] for one in top["items"]} == {"ana", "unallocated"}
    focus = got("/api/v1/export", format="focus", owner="unallocated", allow_unpriced="true")
    assert len(focus.text.splitlines()) == 1


@pytest.mark.parametrize("grain", ["day", "hour", "event"])
def test_focus_rows_name_who_bears_them_and_sum_to_the_total(server: RunningServer, grain: str) -> None:
    key = keys_of(server, f"focus-{grain}")["admin"]
    record(server, key, cost_centre="CC-1", owner="=ana", valid_from="2026-01-01")
    record(server, key, cost_centre="CC-2", valid_from="2026-05-02")
    days = (1, 1, 2, 3)
    send(server, key, *({"time": MAY.format(day), "project_id": "search"} for day in days))
    send(server, key, {"time": MAY.format(1), "units": {"own_unit": 2}})
    params = {"window": YEAR, "format": "focus", "grain": grain}
    text = ask(server, key, "GET", "/api/v1/export", params=params).raise_for_status().text
    sums: dict[tuple[str, str], Decimal] = {}
    for row in csv.DictReader(io.StringIO(text)):
        bearer = row["x_CostCentre"], row["x_Owner"]
        sums[bearer] = sums.get(bearer, Decimal(0)) + Decimal(row["BilledCost"])
    # A text that a spreadsheet would run as a formula is made harmless, as everywhere.
    assert sums == {("CC-1", "'=ana"): 2, ("CC-2", "'=ana"): 2, ("unallocated", "unallocated"): 1}


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_rows_of_an_export_name_who_bears_them(server: RunningServer, form: str) -> None:
    key = keys_of(server, f"plain-{form}")["admin"]
    record(server, key, cost_centre="CC-1", owner="ana", valid_from="2026-01-01")
    record(server, key, cost_centre="CC-2", valid_from="2026-05-02")
    send(server, key, *({"time": MAY.format(day), "project_id": "search"} for day in (1, 2)))
    send(server, key, {"time": MAY.format(3)})
    params = {"window": YEAR, "format": form}
    text = ask(server, key, "GET", "/api/v1/export", params=params).raise_for_status().text
    lines = text.splitlines()
    rows = list(csv.DictReader(lines)) if form == "csv" else [json.loads(line) for line in lines]
    borne = [(row["cost_centre"], row["owner"]) for row in rows]
    assert borne == [("CC-1", "ana"), ("CC-2", "ana"), ("unallocated", "unallocated")]


def test_a_cursor_of_an_export_is_refused_once_allocations_are_others(server: RunningServer) -> None:
    key = keys_of(server, "pieces")["admin"]
    record(server, key, cost_centre="CC-1", valid_from="2026-01-01")
    send(server, key, *({"time": MAY.format(day), "project_id": "search"} for day in range(1, 4)))
    params = {"window": YEAR, "cost_centre": "CC-1", "limit": "1"}
    first = ask(server, key, "GET", "/api/v1/export", params=params)
    params["cursor"] = first.headers["Bursar-Next-Cursor"]
    assert ask(server, key, "GET", "/api/v1/export", params=params).status_code == 200
    record(server, key, cost_centre="CC-2", valid_from="2026-05-02")
    refused = ask(server, key, "GET", "/api/v1/export", params=params)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "bad_cursor"


def test_events_are_not_changed_by_who_bears_them(server: RunningServer) -> None:
    key = keys_of(server, "unchanged")["admin"]
    body = {"filters": {"cost_centre": "CC-1"}, "window": YEAR, "dry_run": True, "reason": "x"}
    refused = ask(server, key, "POST", "/api/v1/events/void", json=body)
    assert refused.status_code == 422
    assert [one["code"] for one in refused.json()["errors"]] == ["not_selectable"]


def test_a_key_that_was_rotated_bears_what_the_old_one_did(server: RunningServer) -> None:
    key = keys_of(server, "rotating")["admin"]
    body = {"label": "sender", "scopes": ["ingest"]}
    old = ask(server, key, "POST", "/api/v1/keys", json=body).json()
    record(server, key, kind="key", subject=old["id"], cost_centre="CC-K", valid_from="2026-01-01")
    send(server, old["key"], {"time": MAY.format(1)})
    path = f"/api/v1/keys/{old['id']}/rotate"
    new = ask(server, key, "POST", path, json={}).raise_for_status().json()
    send(server, new["key"], {"time": MAY.format(2)})
    # Which keys replace which is read anew within seconds.
    server.platform.claims.refresh()
    assert costs(server, key) == {"CC-K": "2"}


def test_what_nobody_bears_is_told_with_its_share_and_whose_it_is(server: RunningServer) -> None:
    key = keys_of(server, "telling")["admin"]
    record(server, key, cost_centre="CC-1", valid_from="2026-01-01")
    send(
        server,
        key,
        *({"time": MAY.format(day), "project_id": "search"} for day in range(1, 7)),
        *({"time": JUNE.format(day), "project_id": "lab", "user_id": "ada"} for day in range(1, 3)),
        {"time": JUNE.format(1), "user_id": "ben"},
        {"time": JUNE.format(1), "user_id": "ben", "cost": None},
    )
    told = ask(server, key, "GET", UNALLOCATED, params={"window": YEAR}).raise_for_status().json()
    assert (told["events"], told["unallocated_events"], told["unallocated_unpriced_events"]) == (10, 4, 1)
    assert told["share_of_events"] == "0.4"
    assert told["amounts"] == [
        {"currency": "USD", "total": "9", "unallocated": "3", "share": "0.333333"},
    ]
    assert [(one["id"], one["cost"], one["events"]) for one in told["projects"]] == [
        ("lab", "2", 2),
        (None, "1", 2),
    ]
    assert [one["id"] for one in told["users"]] == ["ada", "ben"]
    assert sum(Decimal(one["cost"]) for one in told["keys"]) == 3
    owners = ask(server, key, "GET", UNALLOCATED, params={"window": YEAR, "dimension": "owner"}).json()
    assert owners["unallocated_events"] == 10
    as_csv = ask(server, key, "GET", UNALLOCATED, params={"window": YEAR, "format": "csv"}).text
    assert as_csv.splitlines()[0] == "by,id,cost,currency,events,unpriced_events"
    refused = ask(server, key, "GET", UNALLOCATED, params={"dimension": "model", "limit": "0"})
    assert [one["field"] for one in refused.json()["errors"]] == ["dimension", "limit"]


def test_an_explanation_says_who_bears_the_event_and_by_what(server: RunningServer) -> None:
    key = keys_of(server, "explaining")["admin"]
    first = record(server, key, cost_centre="CC-1", valid_from="2026-05-01")
    second = record(server, key, kind="user", subject="ada", owner="ana", valid_from="2026-01-01")
    send(server, key, {"event_id": "e1", "time": MAY.format(9), "project_id": "search", "user_id": "ada"})
    said = ask(server, key, "GET", "/api/v1/events/e1/explain").raise_for_status().json()["borne_by"]
    assert said == {
        "cost_centre": {
            "name": "CC-1",
            "kind": "project",
            "allocation_id": first["id"],
            "since": "2026-05-01",
        },
        "owner": {"name": "ana", "kind": "user", "allocation_id": second["id"], "since": "2026-01-01"},
    }
    send(server, key, {"event_id": "e2", "time": MAY.format(9)})
    nobody = ask(server, key, "GET", "/api/v1/events/e2/explain").json()["borne_by"]["owner"]
    assert nobody == {"name": "unallocated", "kind": None, "allocation_id": None, "since": None}


def test_where_nothing_was_recorded_nothing_is_unallocated(server: RunningServer) -> None:
    key = keys_of(server, "empty")["admin"]
    told = ask(server, key, "GET", UNALLOCATED).raise_for_status().json()
    assert (told["events"], told["share_of_events"], told["amounts"], told["projects"]) == (0, None, [], [])


def test_the_history_says_who_believed_what_when(server: RunningServer) -> None:
    key = keys_of(server, "history")["admin"]
    first = record(server, key, cost_centre="CC-1", valid_from="2026-05-01")
    between = clock.now()
    second = record(server, key, cost_centre="CC-2", valid_from="2026-05-01", reason="typed wrong")
    listed = ask(server, key, "GET", ALLOCATIONS).json()["items"]
    assert [one["id"] for one in listed] == [second["id"]]
    past = {"known_at": between.isoformat()}
    assert ask(server, key, "GET", ALLOCATIONS, params=past).json()["items"][0]["cost_centre"] == "CC-1"
    history = ask(server, key, "GET", ALLOCATIONS, params={"replaced": "true"}).json()["items"]
    assert [one["id"] for one in history] == [first["id"], second["id"]]
    assert history[0]["replaced_at"] == second["created_at"]
    path = f"{ALLOCATIONS}/{first['id']}"
    assert ask(server, key, "GET", path).json()["cost_centre"] == "CC-1"
    again = ask(server, key, "DELETE", path)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (409, "not_believed")


@pytest.mark.parametrize(
    ("said", "field", "code"),
    [
        ({}, "cost_centre", "nothing_said"),
        ({"cost_centre": "UNALLOCATED"}, "cost_centre", "reserved"),
        ({"cost_centre": "CC", "valid_from": "1969-12-31"}, "valid_from", "greater_than_equal"),
        (
            {"cost_centre": "CC", "valid_from": "2026-06-01T10:00Z"},
            "valid_from",
            "date_from_datetime_inexact",
        ),
        ({"cost_centre": "CC", "kind": "tenant"}, "kind", "enum"),
        ({"cost_centre": "CC", "subject": ""}, "subject", "string_too_short"),
        ({"cost_centre": "CC", "center": "x"}, "center", "extra_forbidden"),
        ({"owner": " ana"}, "owner", "invalid_name"),
    ],
)
def test_what_cannot_be_recorded_is_refused_by_name(
    server: RunningServer, said: dict[str, Any], field: str, code: str
) -> None:
    body = {"kind": "project", "subject": "search", **said}
    refused = ask(server, ADMIN_KEY, "POST", ALLOCATIONS, json=body)
    assert refused.status_code == 422
    assert [(one["field"].removeprefix("body."), one["code"]) for one in refused.json()["errors"]] == [
        (field, code)
    ]


def test_everything_that_is_wrong_with_an_allocation_is_told_at_once(server: RunningServer) -> None:
    body = {"kind": "key", "subject": "k", "valid_from": "soon", "cost_centre": "unallocated", "owner": " "}
    refused = ask(server, ADMIN_KEY, "POST", ALLOCATIONS, json=body)
    told = [(one["field"], one["message"].partition(": ")[2]) for one in refused.json()["errors"]]
    assert told == [
        ("valid_from", "it must be a date, such as 2026-10-01."),
        ("owner", "it must be one line and more than spaces."),
        ("cost_centre", "'unallocated' is what has none; send null instead."),
    ]


def test_another_tenants_allocations_and_keys_are_as_unknown_as_none(server: RunningServer) -> None:
    mine, theirs = keys_of(server, "mine"), keys_of(server, "theirs")
    made = record(server, mine["admin"], cost_centre="CC-1", valid_from="2026-01-01")
    send(server, theirs["admin"], {"time": MAY.format(1), "project_id": "search"})
    assert costs(server, theirs["admin"]) == {"unallocated": "1"}
    assert ask(server, theirs["admin"], "GET", ALLOCATIONS).json()["items"] == []
    for method in ("GET", "DELETE"):
        answers = [
            ask(server, theirs["admin"], method, f"{ALLOCATIONS}/{name}") for name in (made["id"], "alc_none")
        ]
        assert [one.status_code for one in answers] == [404, 404]
        assert answers[0].json()["detail"].replace(made["id"], "") == answers[1].json()["detail"].replace(
            "alc_none", ""
        )
    foreign = ask(server, mine["admin"], "GET", "/api/v1/keys").json()["items"][0]["id"]
    body = {"kind": "key", "subject": foreign, "cost_centre": "CC-1"}
    assert ask(server, theirs["admin"], "POST", ALLOCATIONS, json=body).status_code == 404


def test_reading_is_not_writing(server: RunningServer) -> None:
    keys = keys_of(server, "reading")
    body = {"kind": "project", "subject": "search", "cost_centre": "CC-1"}
    assert ask(server, keys["read"], "POST", ALLOCATIONS, json=body).status_code == 403
    assert ask(server, keys["ingest"], "GET", ALLOCATIONS).status_code == 403
    assert ask(server, keys["read"], "GET", ALLOCATIONS).status_code == 200
    assert ask(server, keys["ingest"], "GET", UNALLOCATED).status_code == 403


def test_an_allocation_without_a_day_holds_from_today_on(server: RunningServer) -> None:
    key = keys_of(server, "today")["admin"]
    made = record(server, key, owner="ana")
    now = clock.now()
    assert made["valid_from"] in {str(day.date()) for day in (now, now - timedelta(minutes=5))}
    assert (made["owner"], made["cost_centre"], made["valid_to"]) == ("ana", None, None)


def test_allocations_outlive_a_restart(tmp_path: Path) -> None:
    with running_server(tmp_path, max_past_days=3650) as server:
        record(server, ADMIN_KEY, cost_centre="CC-1", valid_from="2026-01-01")
        send(server, ADMIN_KEY, {"time": MAY.format(1), "project_id": "search"})
    with running_server(tmp_path, max_past_days=3650) as server:
        assert costs(server, ADMIN_KEY) == {"CC-1": "1"}
