"""Suspended projects: new events that name one are refused at every door, what was recorded stays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.platform import REFRESH_SECONDS
from bursar.identity.roles import RoleBinding
from bursar.identity.tenant import Project, ProjectChange, ProjectState
from tests.support.access import ask
from tests.support.patience import wait_until
from tests.support.people import a_person
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.serving import RunningServer

EVENTS, PROJECTS = "/api/v1/events", "/api/v1/projects"
EVENT = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 5}
CLOSED, OPEN = EVENT | {"project_id": "search"}, EVENT | {"project_id": "ads"}
BY_NAME = (422, [("project_id", "project_suspended")])
WAYS: dict[str, dict[str, Any]] = {
    "at once": {},
    "the long way": {"params": {"return": "events"}},
    "waiting": {"params": {"wait": "applied"}},
}
_numbers = itertools.count()


class Tenant:
    """A tenant with two projects, and its keys."""

    def __init__(self, server: RunningServer) -> None:
        self.server, self.id = server, f"tenant-{next(_numbers)}"
        server.client.post("/api/v1/tenants", json={"id": self.id}).raise_for_status()
        for name in ("search", "ads"):
            server.platform.identity.add_project(Project(name, self.id, name, clock.now()))
        self.admin = self.key("admin")

    def key(self, scope: str, **terms: str) -> str:
        body = {"label": "of a test", "scopes": [scope], "tenant_id": self.id, **terms}
        return self.server.client.post("/api/v1/keys", json=body).raise_for_status().json()["key"]

    def send(self, events: object, key: str | None = None, path: str = EVENTS, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        return ask(self.server, key or self.admin, "POST", path, json=events, **more)

    def set(self, state: str, project: str = "search") -> dict[str, Any]:
        answer = ask(self.server, self.admin, "PATCH", f"{PROJECTS}/{project}", json={"state": state})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    return Tenant(server)


def told(answer: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    return answer.status_code, [(one["field"], one["code"]) for one in answer.json().get("errors", [])]


@pytest.mark.parametrize("way", WAYS)
def test_events_of_a_suspended_project_are_refused_by_name_until_it_is_resumed(
    tenant: Tenant, way: str
) -> None:
    more = WAYS[way]
    assert tenant.send(CLOSED | {"event_id": "before"}, params={"wait": "applied"}).status_code == 200
    assert tenant.set("suspended")["state"] == "suspended"
    for event in (CLOSED, CLOSED | {"event_id": "whole"}, CLOSED | {"event_id": "before"}):
        refused = tenant.send(event, **more)
        assert told(refused) == BY_NAME
        assert "'search'" in refused.json()["errors"][0]["message"]
    for event in (OPEN, OPEN | {"event_id": "other"}, EVENT, EVENT | {"project_id": "never-made"}):
        assert tenant.send(event, **more).is_success
    assert tenant.set("active")["state"] == "active"
    assert tenant.send(CLOSED | {"event_id": "after"}, **more).is_success


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}/batch", f"{EVENTS}/import"])
def test_of_a_body_only_the_events_of_suspended_projects_are_refused(tenant: Tenant, path: str) -> None:
    tenant.set("suspended")
    known = CLOSED | {"event_id": "x", "time": "2020-01-01T00:00:00Z"}
    answer = tenant.send([OPEN, CLOSED, EVENT, known], path=path).json()
    assert answer["accepted"] == 2
    codes = [(one["index"], {reason["code"] for reason in one["errors"]}) for one in answer["rejected"]]
    old: set[str] = set() if path.endswith("import") else {"too_old"}
    assert codes == [(1, {"project_suspended"}), (3, {"project_suspended"} | old)]


def test_neither_its_keys_nor_its_people_send_usage_and_both_go_on_reading(tenant: Tenant) -> None:
    sending, reading = (tenant.key(scope, project_id="search") for scope in ("ingest", "read"))
    person = a_person(tenant.server, tenant.id, None)
    bound = RoleBinding(tenant.id, person.user.id, "member", "search", "tests", clock.now())
    tenant.server.platform.identity.bind(bound)
    callers = [sending, person.enter()]
    for key in callers:
        assert tenant.send(EVENT, key, params={"wait": "applied"}).status_code == 200
    tenant.set("suspended")
    for key in callers:
        assert told(tenant.send(EVENT, key)) == told(tenant.send(CLOSED, key)) == BY_NAME
    for key in (reading, person.enter(), tenant.admin):
        assert len(ask(tenant.server, key, "GET", EVENTS).json()["items"]) == 2
    tenant.set("active")
    assert tenant.send(EVENT, sending).status_code == 202


def test_what_was_recorded_of_it_can_still_be_corrected(tenant: Tenant) -> None:
    tenant.send(CLOSED | {"event_id": "wrong"}, params={"wait": "applied"}).raise_for_status()
    tenant.set("suspended")
    body, why = CLOSED | {"input_tokens": 20}, {"reason": "counted twice"}
    answer = ask(tenant.server, tenant.admin, "PUT", f"{EVENTS}/wrong", json=body, params=why)
    assert answer.status_code == 200, answer.text
    stored = ask(tenant.server, tenant.admin, "GET", f"{EVENTS}/wrong").json()
    assert (stored["is_corrected"], stored["project_id"]) == (True, "search")


def test_projects_of_the_same_id_are_each_tenants_own(server: RunningServer) -> None:
    ours, theirs = Tenant(server), Tenant(server)
    ours.set("suspended")
    assert theirs.send(CLOSED).status_code == 202
    foreign = theirs.send([CLOSED | {"tenant_id": ours.id}, OPEN]).json()["rejected"]
    assert [reason["code"] for one in foreign for reason in one["errors"]] == ["tenant_mismatch"]
    other = ask(server, theirs.admin, "PATCH", f"{PROJECTS}/search", json={"state": "active"})
    assert other.json()["tenant_id"] == theirs.id
    assert told(ours.send(CLOSED)) == BY_NAME


def test_an_operator_who_names_a_tenant_is_held_to_its_projects(server: RunningServer) -> None:
    tenant = Tenant(server)
    tenant.set("suspended")
    within = CLOSED | {"tenant_id": tenant.id}
    assert told(server.client.post(EVENTS, json=within)) == BY_NAME
    assert told(server.client.post(EVENTS, json=CLOSED, params={"tenant_id": tenant.id})) == BY_NAME
    assert server.client.post(EVENTS, json=CLOSED).status_code == 202


def test_the_audit_log_says_what_a_project_was_before(tenant: Tenant) -> None:
    tenant.set("suspended")
    params = {"act": "project.change", "outcome": "done"}
    [entry] = ask(tenant.server, tenant.admin, "GET", "/api/v1/audit", params=params).json()["items"]
    assert (entry["target"], entry["before"]) == ("search", {"name": "search", "state": "active"})
    assert entry["after"]["state"] == "suspended"


def test_a_state_that_is_none_is_refused_and_nothing_said_changes_nothing(tenant: Tenant) -> None:
    for body in ({"state": "closed"}, {"state": 1}, {"name": ""}, {"zone": "UTC"}):
        answer = ask(tenant.server, tenant.admin, "PATCH", f"{PROJECTS}/search", json=body)
        assert answer.status_code == 422, body
    same = ask(tenant.server, tenant.admin, "PATCH", f"{PROJECTS}/search", json={"state": None})
    assert (same.json()["name"], same.json()["state"]) == ("search", "active")
    renamed = ask(tenant.server, tenant.admin, "PATCH", f"{PROJECTS}/search", json={"name": "Find"})
    assert (renamed.json()["name"], renamed.json()["state"]) == ("Find", "active")


def test_a_project_that_is_removed_is_suspended_no_more(tenant: Tenant) -> None:
    tenant.set("suspended")
    path, body = f"{PROJECTS}/search", {"confirm": "search", "reason": "given up"}
    begun = ask(tenant.server, tenant.admin, "DELETE", path, json=body)
    url = begun.raise_for_status().json()["run"]["url"]
    reading = tenant.server, tenant.admin, "GET", url
    wait_until(lambda: ask(*reading).json()["finished_at"] is not None, "the deletion ends")
    assert tenant.send(CLOSED).status_code == 202


def test_what_another_process_suspends_counts_within_five_seconds(tenant: Tenant) -> None:
    assert REFRESH_SECONDS < 5
    suspended = ProjectChange(state=ProjectState.SUSPENDED)
    # In the store alone, as another process would.
    tenant.server.platform.identity.change_project(tenant.id, "search", suspended)
    wait_until(lambda: told(tenant.send(CLOSED)) == BY_NAME, "this process refuses it")
