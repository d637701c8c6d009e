"""Who may not see metadata or costs: what is left out, what is refused, and by which permission's name."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.identity.roles import BUILT_IN
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.asked import Asked
from bursar.usage.export_selection import TextForm
from bursar.usage.exports.reading import read_export
from bursar.usage.query_reader import Asker
from bursar.usage.sight import SENT_ALONG, sight_of
from tests.support.usage_house import CALLERS, NOW, House, open_house, usage

if TYPE_CHECKING:
    from collections.abc import Iterator

ANALYST = Caller("acme", "usr_1", BUILT_IN["analyst"].permissions)
PARTLY = Caller(
    "acme", "usr_2", ANALYST.permissions, within={Permission.METADATA_READ: frozenset({"search"})}
)
COUNTER = Caller("acme", "usr_3", frozenset({Permission.USAGE_READ}))
WORDS = {
    "tags": {"team": "hush-tag"},
    "metadata": '{"note": "hush-note"}',
    "message": "hush-message",
    "usage": '{"said": "hush-usage"}',
}
EVENTS = ("/api/v1/events", "/api/v1/usage", "/api/v1/events?format=csv", "/api/v1/events/e1")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house() as opened:
        for number, project_id in enumerate(["search", "ads", None], 1):
            known = {"event_id": f"e{number}", "project_id": project_id, **WORDS}
            opened.ledger.add(usage(1, **known, cost=Decimal(number)))
        yield opened


@pytest.fixture(autouse=True)
def callers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, caller in (("analyst", ANALYST), ("partly", PARTLY), ("counter", COUNTER)):
        monkeypatch.setitem(CALLERS, name, caller)


def exported(house: House, by: Caller) -> list[dict[str, Any]]:
    questions = CursorQuestions(house.ledger.cursor(), house.ledger.position_of)
    asked = read_export(Asked({}), Asker("acme", "UTC", NOW, sight=sight_of(by, Permission.USAGE_EXPORT)))
    as_of = questions.export_totals(asked.scope).as_of
    found = questions.export_text(asked.selection(as_of), TextForm.NDJSON, 0, 100)
    return [json.loads(line) for line in found.text.splitlines()]


@pytest.mark.parametrize("path", EVENTS)
def test_events_are_shown_without_what_was_sent_along(house: House, path: str) -> None:
    assert "hush" in house.get(path).text
    shown = house.get(path, who="analyst")
    assert shown.status_code == 200, shown.text
    assert "hush" not in shown.text


def test_nothing_else_of_an_event_is_left_out(house: House) -> None:
    full, shown = house.get("/api/v1/events/e1").json(), house.get("/api/v1/events/e1", who="analyst").json()
    assert {name for name in full if full[name] != shown[name]} == set(SENT_ALONG)
    assert [shown[name] for name in SENT_ALONG] == [None, None, {}, None]


def test_what_was_sent_along_is_shown_where_it_may_be_seen(house: House) -> None:
    items = house.get("/api/v1/events", who="partly").json()["items"]
    assert {one["project_id"]: one["message"] for one in items} == {
        "search": "hush-message",
        "ads": None,
        None: None,
    }


def test_exports_leave_it_out_too(house: House) -> None:
    assert [row["metadata"] for row in exported(house, CALLERS["acme"])] == [{"note": "hush-note"}] * 3
    assert [[row[name] for name in SENT_ALONG] for row in exported(house, ANALYST)] == [[None] * 4] * 3
    shown = {row["project_id"]: row["tags"] for row in exported(house, PARTLY)}
    assert shown == {"search": {"team": "hush-tag"}, "ads": None, None: None}


def test_focus_rows_of_single_events_leave_tags_out(house: House) -> None:
    questions = CursorQuestions(house.ledger.cursor(), house.ledger.position_of)
    for by, tags in ((ANALYST, {None}), (CALLERS["acme"], {'{"team":"hush-tag"}'})):
        asked = read_export(
            Asked({"format": "focus", "grain": "event"}),
            Asker("acme", "UTC", NOW, sight=sight_of(by, Permission.USAGE_EXPORT)),
        )
        as_of = questions.export_totals(asked.scope).as_of
        found = questions.export_events(asked.selection(as_of), 0)
        assert {one.key.tags for one in found.sums} == tags


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/events?tag:team=hush-tag",
        "/api/v1/usage?tag:team.prefix=h",
        "/api/v1/cost/summary?tag:team.absent=true",
        "/api/v1/cost/breakdown?group_by=tag:team",
        "/api/v1/analytics/top?group_by=tag:team&metric=events",
        "/api/v1/analytics/trends?tag:team.not=x",
    ],
)
def test_tags_that_may_not_be_seen_cant_be_asked_by(house: House, path: str) -> None:
    assert house.get(path).status_code == 200
    refused = house.get(path, who="analyst")
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert "metadata:read" in refused.json()["detail"]
    assert house.get(path, who="partly").status_code == 200


def test_a_question_by_tags_is_of_the_projects_where_they_may_be_seen(house: House) -> None:
    asked = {"measures": ["events"], "group_by": ["tag:team"]}
    assert [row["events"] for row in house.post(asked).json()["rows"]] == [3]
    assert [row["events"] for row in house.post(asked, who="partly").json()["rows"]] == [1]
    assert house.post(asked, who="analyst").status_code == 403


@pytest.mark.parametrize("measure", ["cost", "total_cost", "cost_per_call", "cost_per_1k_tokens"])
def test_costs_that_may_not_be_seen_cant_be_asked_for(house: House, measure: str) -> None:
    for answer in (
        house.post({"measures": ["events", measure]}, who="counter"),
        house.get(f"/api/v1/analytics/top?metric={measure}", who="counter"),
        house.get(f"/api/v1/analytics/trends?metric={measure}", who="counter"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
        assert "cost:read" in answer.json()["detail"]


def test_a_question_that_names_no_measures_leaves_costs_out(house: House) -> None:
    totals = house.post({}, who="counter").json()["totals"]
    assert (totals["events"], "cost" in totals) == (3, False)
    assert "cost" in house.post({}).json()["totals"]


@pytest.mark.parametrize("path", ["/api/v1/cost/summary", "/api/v1/cost/breakdown", "/api/v1/events"])
def test_costs_and_events_have_permissions_of_their_own(house: House, path: str) -> None:
    refused = house.get(path, who="counter")
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
