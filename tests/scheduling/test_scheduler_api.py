"""`/api/v1/scheduler`: what each kind of caller may see and do, and that no tenant sees another's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bursar import clock
from bursar.app import problems
from bursar.app.auth import Doorkeeper
from bursar.app.scheduler_api import make_router
from bursar.identity.authenticate import Authenticator
from bursar.identity.permissions import Scope
from bursar.scheduling.job import Every, refuse_unknown
from bursar.storage.relational.identity import RelationalIdentityStore
from tests.support.identity import a_tenant, add_key, some_terms
from tests.support.jobs import House, a_job, pulse_until_ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Engine

    from bursar.errors import Reason
    from bursar.scheduling.runner import JobRunner

ADMIN, READ = frozenset({Scope.ADMIN}), frozenset({Scope.READ})


def only_dry_run(parameters: Mapping[str, Any]) -> tuple[Reason, ...]:
    return refuse_unknown(parameters, {"dry_run"})


class Desk:
    """The routes over a runner that is pulsed by hand, with a key for each kind of caller."""

    def __init__(self, engine: Engine) -> None:
        self.house = House(engine)
        self.gate = self.house.gate()
        self.runner: JobRunner = self.house.runner(
            a_job("upkeep", schedule=Every(seconds=60)),
            a_job("expiry", self.gate.work, for_tenants=True, check=only_dry_run),
            a_job("void", for_tenants=True, by_request_only=True),
        )
        store = RelationalIdentityStore(engine)
        for tenant in ("default", "acme", "rival"):
            store.add_tenant(a_tenant(tenant))
        terms = {
            "operator": some_terms("default", ADMIN, is_operator=True),
            "admin": some_terms("acme", ADMIN),
            "reader": some_terms("acme", READ),
            "rival": some_terms("rival", ADMIN),
        }
        self.keys = {who: add_key(store, asked, clock.now()).secret for who, asked in terms.items()}
        api = FastAPI()
        problems.install(api)
        api.include_router(make_router(self.runner))
        api.state.doorkeeper = Doorkeeper(Authenticator(store), store)
        self.client = TestClient(api)

    def ask(self, who: str, method: str, path: str, body: object = None, **query: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        headers = {"X-API-Key": self.keys[who]} if who else {}
        url = f"/api/v1/scheduler{path}"
        answer = self.client.request(method, url, json=body, headers=headers, params=query)
        return answer.status_code, answer.json()


@pytest.fixture
def desk(sqlite_state_url: str, open_engine: Any) -> Iterator[Desk]:  # noqa: ANN401 - a fixture
    opened = Desk(open_engine(sqlite_state_url))
    yield opened
    opened.house.stop_all()


ROUTES = [
    ("GET", "/status"),
    ("GET", "/health"),
    ("GET", "/jobs"),
    ("GET", "/jobs/expiry"),
    ("POST", "/jobs/expiry/trigger"),
    ("GET", "/history"),
    ("GET", "/next-runs"),
    ("GET", "/runs/run_1"),
    ("POST", "/runs/run_1/cancel"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_key_without_the_admin_scope_is_refused_everywhere(desk: Desk, method: str, path: str) -> None:
    assert desk.ask("reader", method, path)[0] == 403
    assert desk.ask("", method, path)[0] == 401
    assert desk.ask("admin", method, path, tenant_id="rival")[0] == 403


def test_an_admin_sees_the_jobs_for_tenants_and_the_operator_sees_all(desk: Desk) -> None:
    assert [job["id"] for job in desk.ask("admin", "GET", "/jobs")[1]["items"]] == ["expiry", "void"]
    jobs = desk.ask("operator", "GET", "/jobs")[1]["items"]
    assert [(job["id"], job["schedule"]) for job in jobs] == [
        ("upkeep", "every 60 s"),
        ("expiry", None),
        ("void", None),
    ]
    assert desk.ask("admin", "GET", "/jobs/upkeep") == desk.ask("admin", "GET", "/jobs/upkeep")
    assert desk.ask("admin", "GET", "/jobs/upkeep")[0] == 404
    assert desk.ask("operator", "GET", "/jobs/upkeep")[1]["title"] == "Title of upkeep."


def test_a_triggered_job_runs_for_the_callers_tenant_and_is_in_its_history_only(desk: Desk) -> None:
    desk.gate.opened.set()
    body = {"parameters": {"dry_run": True}}
    code, run = desk.ask("admin", "POST", "/jobs/expiry/trigger", body)
    assert (code, run["state"], run["tenant_id"], run["trigger"]) == (202, "queued", "acme", "request")
    pulse_until_ended(desk.runner, desk.runner.run(run["id"]))
    code, shown = desk.ask("admin", "GET", f"/runs/{run['id']}")
    assert (code, shown["state"], shown["result"]) == (200, "succeeded", body)
    assert shown["told"] == []
    assert desk.ask("rival", "GET", f"/runs/{run['id']}")[0] == 404
    assert desk.ask("rival", "POST", f"/runs/{run['id']}/cancel")[0] == 404
    for who, query, count in [
        ("admin", {}, 1),
        ("rival", {}, 0),
        ("operator", {}, 1),
        ("operator", {"tenant_id": "acme"}, 1),
        ("operator", {"tenant_id": "rival"}, 0),
        ("admin", {"state": "failed"}, 0),
        ("admin", {"state": ["failed", "succeeded"]}, 1),
        ("admin", {"job": "void"}, 0),
    ]:
        code, page = desk.ask(who, "GET", "/history", **query)
        assert (code, len(page["items"])) == (200, count), (who, query)
    assert desk.ask("operator", "GET", "/history", tenant_id="nobody")[0] == 404


def test_the_operator_triggers_for_everybody_or_for_the_tenant_named(desk: Desk) -> None:
    assert desk.ask("operator", "POST", "/jobs/expiry/trigger")[1]["tenant_id"] is None
    named = desk.ask("operator", "POST", "/jobs/expiry/trigger", tenant_id="acme")[1]
    assert named["tenant_id"] == "acme"
    code, refused = desk.ask("operator", "POST", "/jobs/upkeep/trigger", tenant_id="acme")
    assert (code, refused["errors"][0]["code"]) == (422, "not_for_tenants")


def test_what_cannot_be_triggered_is_refused_with_reasons(desk: Desk) -> None:
    def refusal(path: str, body: object = None) -> tuple[int, list[str]]:
        code, found = desk.ask("admin", "POST", path, body)
        return code, [error["code"] for error in found.get("errors", [])]

    assert refusal("/jobs/void/trigger") == (422, ["by_request_only"])
    assert refusal("/jobs/upkeep/trigger") == (404, [])
    assert refusal("/jobs/nonsense/trigger") == (404, [])
    assert refusal("/jobs/expiry/trigger", {"parameters": {"a": 1, "b": 2}}) == (
        422,
        ["unknown_parameter"] * 2,
    )
    assert refusal("/jobs/expiry/trigger", {"parameter": {}})[0] == 422
    assert refusal("/jobs/expiry/trigger", [1])[0] == 422
    assert desk.runner.counts(None).total() == 0


def test_history_goes_on_with_its_cursor_and_refuses_a_made_up_one(desk: Desk) -> None:
    made = [desk.ask("admin", "POST", "/jobs/expiry/trigger")[1]["id"] for _ in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = desk.ask("admin", "GET", "/history", **query)[1]
        seen += [run["id"] for run in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made[::-1]
    for bad in ({"cursor": "nonsense"}, {"limit": 0}, {"state": "gone"}, {"job": "no such/id"}):
        assert desk.ask("admin", "GET", "/history", **bad)[0] == 422


def test_a_run_is_cancelled_by_its_tenant_but_not_one_that_nobody_asked_for(desk: Desk) -> None:
    mine = desk.ask("admin", "POST", "/jobs/expiry/trigger")[1]["id"]
    desk.runner.pulse()
    assert desk.gate.begun.wait(10)
    code, run = desk.ask("admin", "POST", f"/runs/{mine}/cancel")
    assert (code, run["is_stop_asked"]) == (202, True)
    assert pulse_until_ended(desk.runner, desk.runner.run(mine)).state == "cancelled"
    by_itself = desk.runner.enqueue("expiry", tenant_id="acme")
    assert desk.ask("admin", "POST", f"/runs/{by_itself.id}/cancel")[0] == 403
    assert desk.ask("operator", "POST", f"/runs/{by_itself.id}/cancel")[1]["state"] == "cancelled"
    desk.gate.opened.set()
    ended = pulse_until_ended(desk.runner, desk.runner.enqueue("expiry", tenant_id="acme", asked_by="k"))
    assert desk.ask("admin", "POST", f"/runs/{ended.id}/cancel")[0] == 409


def test_status_health_and_next_runs_say_what_is_going_on(desk: Desk) -> None:
    desk.ask("rival", "POST", "/jobs/expiry/trigger")
    desk.runner.pulse()
    assert desk.gate.begun.wait(10)
    _, seen = desk.ask("operator", "GET", "/status")
    assert (seen["holds_lease"], seen["running"], len(seen["at_work"]), seen["jobs"]) == (True, 1, 1, 3)
    _, seen = desk.ask("admin", "GET", "/status")
    assert (seen["running"], seen["at_work"], seen["jobs"]) == (0, [], 2)
    _, coming = desk.ask("operator", "GET", "/next-runs")
    assert [one["job_id"] for one in coming["items"]] == ["upkeep"]
    assert desk.ask("admin", "GET", "/next-runs")[1] == {"items": []}
    # Its thread was never started.
    assert desk.ask("admin", "GET", "/health")[1]["status"] == "degraded"
