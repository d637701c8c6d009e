"""Callers who may see some projects of a tenant: every answer is as if there were nothing else in it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.identity.caller import Caller
from bursar.identity.permissions import IN_PROJECTS, Permission
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.asked import Asked
from bursar.usage.export_selection import ExportScope, TextForm
from bursar.usage.exports.reading import read_export
from bursar.usage.query_reader import Asker
from bursar.usage.sight import sight_of
from tests.support.access import ask
from tests.support.rounds import rounds
from tests.support.usage_house import CALLERS, NOW, House, open_house, usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import RunningServer

SEARCH = frozenset({"search"})
SEARCHER = Caller("acme", "usr_1", frozenset(), within=dict.fromkeys(IN_PROJECTS, SEARCH))
WORDS = {"tags": {"team": "blue"}, "metadata": '{"secret": 1}', "message": "secret", "usage": '{"a": 1}'}
LISTINGS = (
    "/api/v1/events?total_count=true",
    "/api/v1/events?limit=4",
    "/api/v1/events?format=csv",
    "/api/v1/events?tag:team=blue",
    "/api/v1/usage?window=all",
    "/api/v1/cost/summary",
    "/api/v1/cost/summary?window=all",
    "/api/v1/cost/breakdown?group_by=user_id,project_id",
    "/api/v1/cost/breakdown?group_by=tag:team",
    "/api/v1/analytics/trends?metric=cost",
    "/api/v1/analytics/trends?metric=events&window=all&grain=day",
    "/api/v1/analytics/top?group_by=project_id&metric=events",
    "/api/v1/analytics/top",
)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house() as opened:
        opened.ledger.add(*events())
        yield opened


@pytest.fixture(autouse=True)
def searcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALLERS, "searcher", SEARCHER)


def events() -> Iterator[dict[str, Any]]:
    """The same kinds of events in two projects and in none, the others' older, dearer and of other users."""
    for number, project_id in enumerate(["search", "ads", None, "search", "ads", None, "search"]):
        days = 2 if project_id == "search" else 20 + number
        price = Decimal(number + 1) if project_id == "search" else Decimal(1000 * number)
        known = {"event_id": f"e{number}", "project_id": project_id, "user_id": f"u{number}", **WORDS}
        yield usage(days, **known, model=f"m{number % 2}", cost=price, input_text=number)


@pytest.mark.parametrize("path", LISTINGS)
def test_an_answer_is_that_of_the_own_projects_alone(house: House, path: str) -> None:
    limited = f"{path}{'&' if '?' in path else '?'}project_id=search"
    seen, meant = house.get(path, who="searcher"), house.get(limited)
    assert (seen.status_code, meant.status_code) == (200, 200), seen.text
    assert seen.text == meant.text
    assert seen.text != house.get(path).text


@pytest.mark.parametrize("path", [path for path in LISTINGS if "grain" not in path])
@pytest.mark.parametrize("beyond", ["project_id=ads", "project_id.not=search", "project_id.absent=true"])
def test_no_filter_leads_beyond_the_own_projects(house: House, path: str, beyond: str) -> None:
    joined = f"{path}{'&' if '?' in path else '?'}{beyond}"
    nothing = house.get(f"{joined}&user_id=nobody").text
    assert house.get(joined, who="searcher").text == nothing


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"measures": ["cost", "events", "unique_users"], "group_by": ["project_id", "user_id"]},
        {"measures": ["cost"], "grain": "day", "window": "all", "filters": {"tag:team": "blue"}},
        {"measures": ["latency_p95_ms"], "filters": {"project_id": {"not": ["search"]}}},
    ],
)
def test_a_query_is_of_the_own_projects_alone(house: House, question: dict[str, Any]) -> None:
    seen = house.post(question, who="searcher")
    assert seen.status_code == 200, seen.text
    assert not {"ads", None} & {row.get("project_id") for row in seen.json()["rows"] if "project_id" in row}
    assert seen.json()["totals"].get("cost") in (None, [{"currency": "USD", "amount": "12"}], [])
    if "filters" not in question:
        meant = house.post(question | {"filters": {"project_id": "search"}})
        assert seen.json()["rows"] == meant.json()["rows"]


def test_single_events_of_other_projects_are_as_unknown_as_none(house: House) -> None:
    assert house.get("/api/v1/events/e0", who="searcher").json()["project_id"] == "search"
    unknown = house.get("/api/v1/events/e99", who="searcher")
    for event_id in ("e1", "e2"):
        hidden = house.get(f"/api/v1/events/{event_id}", who="searcher")
        assert hidden.status_code == 404
        assert hidden.json() | {"instance": ""} == unknown.json() | {"instance": ""}


def test_versions_of_other_projects_are_as_unknown_as_none(house: House) -> None:
    questions = CursorQuestions(house.ledger.cursor(), house.ledger.position_of)
    assert len(questions.history_of("acme", "e1")) == 1
    assert questions.history_of("acme", "e1", SEARCH) == ()
    assert questions.history_of("acme", "e1", frozenset()) == ()
    assert questions.find_event("acme", "e1", frozenset()) is None


def test_an_export_has_the_own_projects_events_alone(house: House) -> None:
    questions = CursorQuestions(house.ledger.cursor(), house.ledger.position_of)

    def exported(said: dict[str, str], by: Caller) -> tuple[ExportScope, dict[str, Decimal], bytes]:
        asker = Asker("acme", "UTC", NOW, sight=sight_of(by, Permission.USAGE_EXPORT))
        asked = read_export(Asked(said), asker)
        totals = questions.export_totals(asked.scope)
        text = questions.export_text(asked.selection(totals.as_of), TextForm.NDJSON, 0, 100)
        return asked.scope, dict(totals.amounts), text.text

    _, amounts, text = exported({}, SEARCHER)
    _, meant, meant_text = exported({"project_id": "search"}, CALLERS["acme"])
    assert (amounts, text) == (meant, meant_text)
    assert amounts == {"USD": Decimal(12)}
    assert exported({"project_id": "ads"}, SEARCHER)[2] == b""


def test_a_cursor_of_an_export_leads_nobody_beyond_their_projects() -> None:
    everything = read_export(Asked({}), Asker("acme", "UTC", NOW)).cursor(7, 3)
    for by in (SEARCHER, replace(SEARCHER, within={Permission.USAGE_EXPORT: SEARCH})):
        with pytest.raises(Invalid, match="cursor"):
            read_export(
                Asked({"cursor": everything}),
                Asker("acme", "UTC", NOW, sight=sight_of(by, Permission.USAGE_EXPORT)),
            )


@settings(max_examples=rounds(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(LISTINGS),
    projects=st.frozensets(st.sampled_from(["search", "ads", "none"]), min_size=1),
)
def test_whatever_projects_somebody_sees_the_answer_is_of_these(
    house: House, path: str, projects: frozenset[str]
) -> None:
    CALLERS["searcher"] = replace(SEARCHER, within=dict.fromkeys(IN_PROJECTS, projects))
    asked = "&".join(f"project_id={one}" for one in sorted(projects))
    meant = house.get(f"{path}{'&' if '?' in path else '?'}{asked}").text
    assert house.get(path, who="searcher").text == meant


def keys_of_a_tenant_with_two_projects(server: RunningServer, *models: str) -> tuple[str, str]:
    """An admin's, and one that reads in the first project; each project has an event of every model."""
    tenant_id = str(server.client.post("/api/v1/tenants", json={}).json()["id"])
    admin = server.client.post(
        "/api/v1/keys", json={"label": "a", "scopes": ["admin"], "tenant_id": tenant_id}
    ).json()["key"]
    for name in ("search", "ads"):
        ask(server, admin, "POST", "/api/v1/projects", json={"id": name, "name": name}).raise_for_status()
        event = {"event_id": name, "project_id": name, "input_tokens": 1000}
        events = [event | {"model": model.format(name)} for model in models]
        sent = ask(server, admin, "POST", "/api/v1/events", json=events, params={"wait": "applied"})
        assert sent.status_code == 200, sent.text
    body = {"label": "b", "scopes": ["read"], "project_id": "search"}
    return admin, ask(server, admin, "POST", "/api/v1/keys", json=body).raise_for_status().json()["key"]


def test_a_key_of_a_project_exports_and_explains_that_project_alone(server: RunningServer) -> None:
    _, key = keys_of_a_tenant_with_two_projects(server, "gpt-4o-mini")
    for form in ("csv", "focus"):
        exported = ask(server, key, "GET", f"/api/v1/export?format={form}")
        assert exported.status_code == 200, exported.text
        assert "search" in exported.text
        assert "ads" not in exported.text
        assert exported.headers["Bursar-Events"] == "1"
    found = {
        (name, ask(server, key, "GET", f"/api/v1/events/{name}{part}").status_code)
        for name in ("search", "ads")
        for part in ("", "/explain", "/history")
    }
    assert found == {("search", 200), ("ads", 404)}
    assert ask(server, key, "GET", "/api/v1/prices").status_code == 403


@pytest.mark.parametrize("query", ["", "?as=openai/gpt-4o-mini", "?project_id.not=search", "?limit=1"])
def test_models_without_a_price_are_those_of_the_own_project_alone(server: RunningServer, query: str) -> None:
    admin, key = keys_of_a_tenant_with_two_projects(server, "unknown-to-{}")
    whole = ask(server, admin, "GET", "/api/v1/unpriced").json()["items"]
    assert {one["model"] for one in whole} == {"unknown-to-search", "unknown-to-ads"}
    seen = ask(server, key, "GET", f"/api/v1/unpriced{query}")
    assert seen.status_code == 200, seen.text
    own = [] if "not" in query else ["unknown-to-search"]
    assert ([one["model"] for one in seen.json()["items"]], seen.json()["next_cursor"]) == (own, None)
