"""People with a role in some projects see these, and send usage of them as keys bound to a project do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.identity.roles import RoleBinding
from bursar.identity.tenant import Project
from tests.support.people import Person, a_person
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.serving import RunningServer

EVENTS = "/api/v1/events"
EVENT = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 5}
WAYS: dict[str, dict[str, Any]] = {
    "at once": {},
    "the long way": {"params": {"return": "events"}},
    "waiting": {"params": {"wait": "applied"}},
}
"""A plain post may be answered without a task; a query always takes it the long way."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        running.client.post("/api/v1/tenants", json={"id": "acme"}).raise_for_status()
        for name in ("search", "ads"):
            running.platform.identity.add_project(Project(name, "acme", name, clock.now()))
        yield running


def member_of(
    server: RunningServer, *projects: str, role: str = "member", whole: str | None = None
) -> Person:
    person = a_person(server, "acme", whole)
    for name in projects:
        bound = RoleBinding("acme", person.user.id, role, name, "tests", clock.now())
        server.platform.identity.bind(bound)
    return person


def send(person: Person, event: object, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
    return person.ask({"access_token": person.enter()}, "POST", EVENTS, json=event, **more)


def told(answer: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    said = answer.json().get("errors", [])
    return answer.status_code, [(one["field"], one["code"]) for one in said]


def seen_by(person: Person, path: str = "/api/v1/projects", **params: object) -> httpx.Response:
    return person.ask({"access_token": person.enter()}, "GET", path, params=params)


def test_who_has_a_role_in_projects_is_shown_these_and_no_other(server: RunningServer) -> None:
    ada, everybody = member_of(server, "search"), member_of(server, whole="viewer")
    assert [one["id"] for one in seen_by(ada).json()["items"]] == ["search"]
    assert [one["id"] for one in seen_by(everybody).json()["items"]] == ["search", "ads"]
    assert seen_by(ada, "/api/v1/projects/search").json()["id"] == "search"
    hidden, unknown = (seen_by(ada, f"/api/v1/projects/{name}") for name in ("ads", "never-made"))
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert hidden.json()["detail"].replace("ads", "never-made") == unknown.json()["detail"]


def test_projects_of_several_roles_come_in_pages(server: RunningServer) -> None:
    ada = member_of(server, "ads", "search")
    first = seen_by(ada, limit=1).json()
    second = seen_by(ada, limit=1, cursor=first["next_cursor"]).json()
    assert [one["id"] for one in (*first["items"], *second["items"])] == ["search", "ads"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("way", WAYS)
def test_a_member_of_a_project_sends_its_usage_and_no_other_project_s(
    server: RunningServer, way: str
) -> None:
    ada, more = member_of(server, "search"), WAYS[way]
    named = f"named-{way.replace(' ', '-')}"
    assert send(ada, EVENT | {"event_id": named, "project_id": "search"}, **more).is_success
    refused = send(ada, EVENT | {"project_id": "ads"}, **more)
    assert told(refused) == (422, [("project_id", "project_mismatch")])
    assert "search" in refused.json()["errors"][0]["message"]
    assert send(ada, EVENT | {"event_id": f"{named}-not"}, **more).is_success
    assert send(ada, EVENT | {"event_id": f"{named}-last"}, params={"wait": "applied"}).status_code == 200
    for event_id in (named, f"{named}-not"):
        stored = server.client.get(f"{EVENTS}/{event_id}", params={"tenant_id": "acme"}).json()
        assert (stored["project_id"], stored["key_id"]) == ("search", ada.user.id)


@pytest.mark.parametrize("way", WAYS)
def test_a_member_of_several_projects_says_of_which_each_event_is(server: RunningServer, way: str) -> None:
    ada, more = member_of(server, "search", "ads"), WAYS[way]
    for name in ("search", "ads"):
        assert send(ada, EVENT | {"project_id": name}, **more).is_success
    refused = send(ada, EVENT, **more)
    assert told(refused) == (422, [("project_id", "required_field")])
    assert "ads, search" in refused.json()["errors"][0]["message"]
    assert told(send(ada, EVENT | {"project_id": "support"}, **more))[0] == 422


def test_of_a_body_s_events_those_of_other_projects_are_refused_alone(server: RunningServer) -> None:
    ada = member_of(server, "search")
    body = [EVENT, EVENT | {"project_id": "ads"}, EVENT | {"project_id": "search"}]
    for path in (EVENTS, f"{EVENTS}/batch", f"{EVENTS}/import"):
        token = {"access_token": ada.enter()}
        answer = ada.ask(token, "POST", path, json=body).json()
        assert answer["accepted"] == 2, answer
        assert [(one["index"], one["errors"][0]["code"]) for one in answer["rejected"]] == [
            (1, "project_mismatch")
        ]


def test_who_sends_usage_of_the_whole_tenant_is_not_limited_by_a_role_in_a_project(
    server: RunningServer,
) -> None:
    ada = member_of(server, "search", whole="member")
    for event in (EVENT, EVENT | {"project_id": "ads"}):
        assert send(ada, event).status_code == 202


def test_who_only_looks_on_in_a_project_sends_nothing_and_is_told_what_they_lack(
    server: RunningServer,
) -> None:
    for role in ("viewer", "analyst"):
        ada = member_of(server, "search", role=role, whole="viewer")
        refused = send(ada, EVENT | {"project_id": "search"})
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        assert "API key" not in refused.text
        assert refused.json()["detail"] == (
            "This needs the permission 'usage:ingest', which none of your roles grants."
        )


def test_a_key_is_told_that_it_is_the_key_that_lacks_it(server: RunningServer) -> None:
    body = {"label": "a", "scopes": ["read"]}
    key = server.client.post("/api/v1/keys", json=body).raise_for_status().json()["key"]
    refused = server.stranger.post(EVENTS, headers={"X-API-Key": key}, json=EVENT)
    assert refused.status_code == 403
    assert refused.json()["detail"] == (
        "This needs the permission 'usage:ingest', which this API key doesn't grant."
    )
