"""Days of single projects over HTTP: fewer than the tenant's, held to at the doors, removed by an expiry."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.billing.months.month import Month
from bursar.storage.journal.batches import batches_up_to
from bursar.usage.own_project import project_of
from tests.api.test_retention_api import run_expiry
from tests.cli.command_line import bursar
from tests.support.access import ask, keys_of
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

SHORT, LONG = "short", "long"
WORD = "shibboleth-9c2a"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


class Tenant:
    """A tenant with two projects, of which events of any age may be sent."""

    def __init__(self, server: RunningServer, tenant_id: str | None = None) -> None:
        self.server, self.id = server, tenant_id or f"of-projects-{next(_numbers)}"
        self.keys = keys_of(server, self.id)
        for name in (SHORT, LONG):
            self.ask("POST", "/api/v1/projects", {"id": name, "name": name})

    def ask(self, method: str, path: str, body: object = None, *, key: str = "admin") -> Any:  # noqa: ANN401 - JSON
        answer = ask(self.server, self.keys[key], method, path, json=body)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    def refused(
        self, method: str, path: str, body: object = None, *, key: str = "admin"
    ) -> tuple[int, list[str]]:
        answer = ask(self.server, self.keys[key], method, path, json=body)
        return answer.status_code, [error["code"] for error in answer.json().get("errors", [])]

    def choose(self, project: str | None = None, **days: int | None) -> dict[str, Any]:
        return self.ask("PUT", path_of(project), days)

    def send(self, project: str | None, *days_ago: int, name: str = "", **more: object) -> list[str]:
        """Import events of a project; codes of what was refused."""
        events = [an_event(project, days, name, **more) for days in days_ago]
        path = "/api/v1/events/import?wait=applied"
        answer = ask(self.server, self.keys["admin"], "POST", path, json=events)
        assert answer.status_code in {200, 422}, answer.text
        return [error["code"] for one in answer.json()["rejected"] for error in one["errors"]]

    def expire(self, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
        return run_expiry(self.server, self.keys["admin"], **parameters)["expired"]

    def by(self, *dimensions: str) -> list[Any]:
        """Figures of all there is, by these dimensions."""
        body = {"measures": ["events", "cost", "input_tokens"], "dimensions": dimensions, "window": "all"}
        answer = self.ask("POST", "/api/v1/query", body)
        return [answer["totals"], *sorted(answer["rows"], key=repr)]

    def has(self, event_id: str) -> bool:
        path = f"/api/v1/events/{event_id}"
        return ask(self.server, self.keys["admin"], "GET", path).status_code == 200

    def verify(self) -> dict[str, Any]:
        answer = self.server.operator.post("/control/verify", timeout=60)
        result = json.loads(answer.text.splitlines()[-1])["result"]
        assert result["is_clean"], result["differences"]
        return result


def path_of(project: str | None) -> str:
    return "/api/v1/retention" if project is None else f"/api/v1/projects/{project}/retention"


def an_event(project: str | None, days_ago: int, name: str = "", **more: object) -> dict[str, Any]:
    return {
        "event_id": f"{name or project}-{days_ago}",
        "project_id": project,
        "provider": "openai",
        "model": "gpt-4o",
        "time": clock.rfc3339(clock.now() - timedelta(days=days_ago)),
        "input_tokens": 1_000_000,
        **more,
    }


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    return Tenant(server)


def test_a_project_is_kept_as_its_tenant_is_until_less_is_chosen(tenant: Tenant) -> None:
    tenant.choose(events_days=90, rollups_days=365)
    shown = tenant.ask("GET", path_of(SHORT), key="read")
    tenants = {"events_days": 90, "rollups_days": 365}
    assert shown == {
        **tenants,
        "tenant_id": tenant.id,
        "project_id": SHORT,
        "chosen": dict.fromkeys(tenants),
        "tenant": tenants,
        "events_from": tenant.ask("GET", path_of(None))["events_from"],
    }
    chosen = tenant.choose(SHORT, events_days=40)
    assert (chosen["events_days"], chosen["rollups_days"]) == (40, 365)
    assert (chosen["chosen"], chosen["tenant"]) == ({"events_days": 40, "rollups_days": None}, tenants)
    assert chosen == tenant.ask("GET", path_of(SHORT))
    assert chosen["events_from"] > shown["events_from"]
    assert tenant.ask("GET", path_of(LONG))["events_days"] == 90
    # The tenant's days become fewer: they count. When they are more again, so do the project's.
    tenant.choose(events_days=38)
    narrowed = tenant.ask("GET", path_of(SHORT))
    assert (narrowed["events_days"], narrowed["chosen"]["events_days"]) == (38, 40)
    tenant.choose()
    assert tenant.ask("GET", path_of(SHORT))["events_days"] == 40


def test_more_than_the_tenant_has_is_refused_with_every_reason(tenant: Tenant) -> None:
    tenant.choose(events_days=90, rollups_days=365)
    for days, codes in (
        ({"events_days": 91}, ["longer_than_tenant"]),
        ({"events_days": 0}, ["longer_than_tenant"]),
        ({"events_days": 10}, ["too_short"]),
        ({"events_days": 100, "rollups_days": 20}, ["longer_than_tenant", "shorter_than_events"]),
        ({"events_days": 40, "rollups_days": 366}, ["longer_than_tenant"]),
    ):
        assert tenant.refused("PUT", path_of(SHORT), days) == (422, codes)
    answer = ask(tenant.server, tenant.keys["admin"], "PUT", path_of(SHORT), json={"events_days": 91})
    assert "the tenant's own events are kept for 90 days" in answer.json()["errors"][0]["message"]
    wrong: list[object] = [{"quarantine_days": 5}, {"events_days": -1}, {"events_days": "40d"}, [], None]
    for body in wrong:
        assert tenant.refused("PUT", path_of(SHORT), body)[0] == 422, body
    assert tenant.ask("GET", path_of(SHORT))["chosen"] == {"events_days": None, "rollups_days": None}


def test_it_needs_the_permission_of_the_tenants_own_and_a_project_that_is_known(
    server: RunningServer, tenant: Tenant
) -> None:
    other = Tenant(server)
    for scope, code in (("read", 403), ("ingest", 403), ("admin", 200)):
        assert (
            ask(server, tenant.keys[scope], "PUT", path_of(SHORT), json={"events_days": 40}).status_code
            == code
        )
    assert tenant.refused("GET", path_of(SHORT), key="ingest")[0] == 403
    # Of the other tenant's project of this id nothing was chosen.
    assert other.ask("GET", path_of(SHORT))["events_days"] == 0
    shown = server.client.get(path_of(SHORT), params={"tenant_id": tenant.id}).json()
    assert (shown["tenant_id"], shown["events_days"]) == (tenant.id, 40)
    unknown = ask(server, tenant.keys["admin"], "GET", path_of("nothing"))
    assert (unknown.status_code, unknown.json()["detail"]) == (
        404,
        ask(server, tenant.keys["admin"], "GET", "/api/v1/projects/nothing").json()["detail"],
    )
    assert tenant.refused("PUT", path_of("nothing"), {"events_days": 40})[0] == 404
    assert server.stranger.get(path_of(SHORT)).status_code == 401


def test_a_key_of_one_project_reads_its_days_and_chooses_none(tenant: Tenant) -> None:
    body = {"label": "bound", "scopes": ["admin"], "project_id": SHORT}
    tenant.keys["bound"] = tenant.ask("POST", "/api/v1/keys", body)["key"]
    assert tenant.ask("GET", path_of(SHORT), key="bound")["project_id"] == SHORT
    assert tenant.refused("GET", path_of(LONG), key="bound")[0] == 404
    for project in (SHORT, LONG):
        assert tenant.refused("PUT", path_of(project), {"events_days": 40}, key="bound")[0] == 403


def test_a_choice_is_in_the_audit_log_with_what_was_before(tenant: Tenant) -> None:
    tenant.choose(SHORT, events_days=50)
    tenant.choose(SHORT, events_days=40, rollups_days=60)
    entries = tenant.ask("GET", "/api/v1/audit?act=retention.change")["items"]
    latest = entries[0]
    assert latest["target"] == SHORT
    assert latest["before"] == {"events_days": 50, "rollups_days": None}
    assert latest["after"]["chosen"] == {"events_days": 40, "rollups_days": 60}


def test_every_door_refuses_what_is_older_than_its_project_is_kept(tenant: Tenant) -> None:
    assert tenant.send(SHORT, 60) == []
    tenant.choose(SHORT, events_days=40)
    assert tenant.send(SHORT, 41, 39, name="later") == ["beyond_retention"]
    assert tenant.send(LONG, 41, 39) == tenant.send(None, 41) == []
    one = an_event(SHORT, 50, "one")
    for path, body in (
        ("/api/v1/events", one),
        ("/api/v1/events/batch", [one]),
        ("/api/v1/events/import", one),
        ("/api/v1/events/import", [one | {"units": {"input_text": 5}}]),
    ):
        answer = ask(tenant.server, tenant.keys["admin"], "POST", path, json=body)
        assert answer.status_code == 422, answer.text
        assert "beyond_retention" in answer.text, path
    lines = {"Content-Type": "application/x-ndjson"}
    answer = tenant.server.stranger.post(
        "/api/v1/events/import",
        content=json.dumps(one),
        headers={**lines, "X-API-Key": tenant.keys["admin"]},
    )
    assert "beyond_retention" in answer.text
    # Nor is an event moved where it would be gone by the next night.
    move = an_event(SHORT, 41, "long")
    path = "/api/v1/events/long-41?reason=moved"
    assert tenant.refused("PUT", path, move) == (422, ["beyond_retention"])
    assert tenant.ask("PUT", "/api/v1/events/long-39?reason=moved", an_event(SHORT, 39, "long"))["applied"]


def test_a_key_of_one_project_is_held_to_its_days_where_events_name_none(tenant: Tenant) -> None:
    tenant.choose(SHORT, events_days=40)
    for project in (SHORT, LONG):
        body = {"label": "bound", "scopes": ["ingest"], "project_id": project}
        tenant.keys[project] = tenant.ask("POST", "/api/v1/keys", body)["key"]
    event = an_event(None, 41, "bound")
    assert tenant.refused("POST", "/api/v1/events/import", event, key=SHORT) == (422, ["beyond_retention"])
    assert tenant.ask("POST", "/api/v1/events/import", event, key=LONG)["accepted"] == 1


def test_an_expiry_of_a_project_keeps_every_sum_and_all_events_of_others(tenant: Tenant) -> None:
    rival = Tenant(tenant.server)
    for one in (tenant, rival):
        one.send(SHORT, 100, 60, 41, 39, 1, user_id="mara", metadata={"said": WORD})
        one.send(LONG, 100, 41, user_id="mara")
        one.send(None, 100)
    # One is moved in, one away, one is voided: what they are at last counts.
    for event_id, event in (
        ("long-41", an_event(SHORT, 41, "long")),
        ("short-60", an_event(LONG, 60, "short")),
    ):
        tenant.ask("PUT", f"/api/v1/events/{event_id}?reason=moved", event)
    tenant.ask("POST", "/api/v1/events/void", {"event_ids": ["short-100"], "reason": "a test"})
    kinds = ("project_id", "model", "user_id", "service_type", ("project_id", "user_id"))
    asked = [one if isinstance(one, tuple) else (one,) for one in kinds]
    before, theirs = ([one.by(*names) for names in asked] for one in (tenant, rival))
    chosen = tenant.choose(SHORT, events_days=40)

    plan = {"tenant_id": tenant.id, "project_id": SHORT, "what": "events", "before": chosen["events_from"]}
    plan |= {"events": 2, "unpriced": 0, "cost": [{"currency": "USD", "amount": "5"}]}
    assert tenant.expire(dry_run=True) == [plan]
    assert tenant.has("short-41")
    assert tenant.expire() == [plan]

    gone, left = (
        ("short-100", "short-41", "long-41"),
        ("short-60", "short-39", "short-1", "long-100", "None-100"),
    )
    assert [one for one in (*gone, *left) if tenant.has(one)] == list(left)
    assert [tenant.by(*names) for names in asked] == before
    assert [rival.by(*names) for names in asked] == theirs
    assert rival.has("short-41")
    assert tenant.expire() == []
    # The journal and its archive have lost them too.
    held = [line for line in lines_of(tenant) if project_of(line) == SHORT]
    assert sorted(json.loads(line)["event"]["event_id"] for line in held) == [
        "short-1",
        "short-39",
        "short-60",
    ]


def test_what_has_expired_of_a_project_comes_back_only_as_a_new_event_of_another(tenant: Tenant) -> None:
    tenant.send(SHORT, 41)
    tenant.choose(SHORT, events_days=40)
    tenant.expire()
    # Wider days don't let anything of it back in, and other projects take what they took.
    tenant.choose(SHORT)
    assert tenant.send(SHORT, 41) == ["beyond_retention"]
    assert tenant.send(LONG, 42) == []
    assert tenant.send(LONG, 41, name=SHORT) == []
    assert tenant.has(f"{SHORT}-41")
    assert {row["project_id"]: row["events"] for row in tenant.by("project_id")[1:]} == {SHORT: 1, LONG: 2}
    tenant.verify()


def lines_of(tenant: Tenant) -> list[bytes]:
    """The tenant's lines of the journal, archived ones too."""
    platform = tenant.server.platform
    batches = batches_up_to(platform.folder.journal, platform.changes.durable_seq)
    mark = b'"tenant_id":"%b"' % tenant.id.encode()
    return [line for batch in batches for line in batch.payload.splitlines() if mark in line]


def test_answers_say_what_a_project_lacks_but_not_of_other_projects(tenant: Tenant) -> None:
    tenant.send(SHORT, 60, 1)
    tenant.send(LONG, 60, 1)
    since = tenant.choose(SHORT, events_days=40)["events_from"]
    tenant.expire()

    def partial(*projects: str) -> Any:  # noqa: ANN401 - JSON
        filters = {"filters": {"project_id": list(projects)}} if projects else {}
        body = {"measures": ["events"], "dimensions": ["operation"], "window": "all", **filters}
        return tenant.ask("POST", "/api/v1/query", body)["partial"]

    lacks = {"since": since, "reason": "events_expired"}
    assert partial() == partial(SHORT) == partial(SHORT, LONG) == lacks
    assert partial(LONG) is None
    listed = tenant.ask("GET", "/api/v1/events?window=all")
    assert listed["partial"] == lacks
    body = {"label": "bound", "scopes": ["read"], "project_id": LONG}
    tenant.keys["bound"] = tenant.ask("POST", "/api/v1/keys", body)["key"]
    assert tenant.ask("GET", "/api/v1/events?window=all", key="bound")["partial"] is None


def test_a_projects_sums_expire_too_and_what_was_billed_for_it_stays(tenant: Tenant) -> None:
    tenant.send(SHORT, 100, 1)
    tenant.send(LONG, 100, 1)
    month = clock.rfc3339(clock.now() - timedelta(days=100))[:7]
    summary = f"/api/v1/billing/summaries/{month}"
    tenant.ask("POST", f"{summary}/finalise", {"reason": "it is over"})
    billed = tenant.ask("GET", summary)
    tenant.choose(SHORT, events_days=40, rollups_days=60)
    assert [one["what"] for one in tenant.expire()] == ["events", "rollups"]
    rows = tenant.by("project_id")[1:]
    assert {row["project_id"]: row["events"] for row in rows} == {SHORT: 1, LONG: 2}
    assert tenant.ask("GET", summary) == billed
    # No later month takes back what was billed, and one that changes is corrected without it.
    tenant.ask("POST", "/api/v1/events/void", {"event_ids": ["long-100"], "reason": "a test"})
    taking_up = Month.parse(month).next()
    (corrected,) = tenant.ask("GET", f"/api/v1/billing/summaries/{taking_up}")["corrections"]
    assert corrected["month"] == month
    assert [(line["project_id"], line["events"]) for line in corrected["lines"]] == [(LONG, -1)]
    tenant.verify()


def test_seats_of_a_project_are_recorded_for_as_far_back_as_it_is_kept(tenant: Tenant) -> None:
    tenant.choose(SHORT, events_days=40)
    starts = (clock.now() - timedelta(days=60)).date()
    plan = {"provider": "openai", "plan": "Team", "seats": 1, "price_per_seat": "30", "starts": f"{starts}"}
    for project in (SHORT, LONG):
        tenant.ask("POST", "/api/v1/billing/seats", {**plan, "project_id": project})
    # They are journaled when the plan is there, and applied soon after.
    platform = tenant.server.platform
    assert platform.changes.wait_applied(platform.changes.durable_seq, 60)
    days = {row["project_id"]: row["events"] for row in tenant.by("project_id")[1:]}
    assert (days[SHORT], days[LONG]) == (40, 61)


def test_a_tenants_expiry_and_its_projects_are_counted_once(tenant: Tenant) -> None:
    tenant.send(SHORT, 200, 60, 1)
    tenant.send(LONG, 200, 60)
    tenant.choose(SHORT, events_days=40)
    tenant.choose(events_days=90)
    planned = tenant.expire(dry_run=True)
    assert [(one.get("project_id"), one["events"]) for one in planned] == [(None, 2), (SHORT, 1)]
    assert tenant.expire() == planned


def test_a_restart_keeps_a_projects_choice_and_horizon(tmp_path: Path) -> None:
    with running_server(tmp_path) as first:
        tenant = Tenant(first, "acme")
        tenant.send(SHORT, 60, 1)
        tenant.choose(SHORT, events_days=40)
        tenant.expire()
        tenant.choose(SHORT, events_days=400)
        before = tenant.ask("GET", path_of(SHORT))
    for rebuilt in (False, True):
        if rebuilt:
            assert bursar("rebuild", "--data", tmp_path).code == 0
        with running_server(tmp_path) as second:
            tenant.server = second
            assert tenant.ask("GET", path_of(SHORT)) == before
            assert tenant.send(SHORT, 50) == ["beyond_retention"]
            assert tenant.send(LONG, 50) == []
            tenant.verify()


def test_a_project_that_is_made_again_begins_anew_and_is_proven_gone(
    server: RunningServer, tenant: Tenant
) -> None:
    tenant.send(SHORT, 60, 1)
    tenant.send(LONG, 60)
    tenant.choose(SHORT, events_days=40, rollups_days=70)
    tenant.expire()
    body = {"confirm": SHORT, "reason": "given up"}
    url = tenant.ask("DELETE", f"/api/v1/projects/{SHORT}", body)["run"]["url"]
    wait_until(lambda: tenant.ask("GET", url)["finished_at"] is not None, "the project is deleted")
    ended = tenant.ask("GET", url)
    assert (ended["state"], sum(ended["result"]["rows_left"].values())) == ("succeeded", 0)
    assert tenant.refused("GET", path_of(SHORT))[0] == 404
    answer = server.client.post("/control/verify", params={"gone": f"{tenant.id}/{SHORT}"}, timeout=60)
    proof = json.loads(answer.text.splitlines()[-1])["result"]["gone"]
    assert (proof["is_gone"], proof["left"]) == (True, {})
    assert {one["place"]: one["count"] for one in proof["stays"]}["journal/project_expire"] == 1

    tenant.ask("POST", "/api/v1/projects", {"id": SHORT, "name": "another"})
    shown = tenant.ask("GET", path_of(SHORT))
    assert (shown["events_days"], shown["events_from"]) == (0, None)
    assert tenant.send(SHORT, 60) == []
    assert tenant.expire() == []
    tenant.verify()


def test_days_of_a_project_by_command(tenant: Tenant) -> None:
    whose = ("--tenant", tenant.id, "--data", tenant.server.platform.folder.path)
    tenant.send(SHORT, 60, 50)
    said = bursar("retention", "set", "--project", SHORT, "--events", "45d", *whose)
    assert (said.code, "45 days" in said.out, "are refused" in said.out) == (0, True, True), said.err
    assert f"Project {SHORT}" in said.out
    assert bursar("retention", "set", "--project", SHORT, "--quarantine", "5d", *whose).code == 2
    bursar("retention", "set", "--events", "90d", *whose)
    assert "the tenant's own events are kept for 90 days" in (
        bursar("retention", "set", "--project", SHORT, "--events", "91d", *whose).err
    )
    shown = bursar("retention", "show", "--project", SHORT, *whose, "--json")
    assert shown.json["chosen"] == {"events_days": 45, "rollups_days": None}
    done = bursar("expire", *whose)
    assert (done.code, SHORT in done.out, " 2 " in done.out) == (0, True, True), done.out
    bursar("retention", "set", "--project", SHORT, "--events", "default", *whose)
    assert tenant.ask("GET", path_of(SHORT))["events_days"] == 90
