"""A project is deleted with everything in it: others tie out, and `verify --gone` proves it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.billing import months_of
from bursar.app.own_usage import LoopDoor
from bursar.billing.months.closing import write_figures
from bursar.storage.journal.holding import hold_archive
from bursar.storage.relational.closings import RelationalClosings
from bursar.usage.event import UsageEvent
from tests.cli.command_line import bursar
from tests.flows.test_forget_story import holding
from tests.support.access import ask, keys_of
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.support.serving import RunningServer

GONE, KEPT = "canary-project", "support"
WORD = "shibboleth-5d1e"
"""Stands in what the project's events said."""
EVENT = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 1000, "time": "2026-11-10T12:00:00Z"}
EARLIER = EVENT | {"time": "2026-08-10T12:00:00Z"}
_numbers = itertools.count()


class Tenant:
    """A tenant with two projects."""

    def __init__(self, server: RunningServer) -> None:
        self.server, self.id = server, f"owner-{next(_numbers)}"
        self.key = keys_of(server, self.id)["admin"]
        for name in (GONE, KEPT):
            self.ask("POST", "/api/v1/projects", json={"id": name, "name": name})

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        answer = ask(self.server, self.key, method, path, **more)
        assert answer.is_success, (path, answer.text)
        return answer

    def send(self, event_id: str, project: str | None = GONE, **more: object) -> None:
        event = {**EVENT, "event_id": event_id, "project_id": project, **more}
        self.ask("POST", "/api/v1/events", json=event, params={"wait": "applied"})

    def move(self, event_id: str, project: str) -> None:
        event = {**EVENT, "event_id": event_id, "project_id": project}
        path = f"/api/v1/events/{event_id}"
        self.ask("PUT", path, json=event, params={"reason": "moved"})

    def delete(self, project: str = GONE) -> dict[str, Any]:
        run = self.ended(self.begin_deletion(project))
        assert run["state"] == "succeeded", run
        return run["result"]

    def begin_deletion(self, project: str = GONE) -> str:
        """Ask for it; the path of its run."""
        body = {"confirm": project, "reason": "given up"}
        begun = self.ask("DELETE", f"/api/v1/projects/{project}", json=body)
        assert (begun.status_code, begun.json()["project_id"]) == (202, project)
        return begun.json()["run"]["url"]

    def ended(self, url: str) -> dict[str, Any]:
        wait_until(lambda: self.ask("GET", url).json()["finished_at"] is not None, "the run ends")
        return self.ask("GET", url).json()

    def set(self, state: str) -> httpx.Response:
        return ask(self.server, self.key, "PATCH", f"/api/v1/projects/{GONE}", json={"state": state})

    def by_project(self) -> dict[str | None, tuple[int, str | None]]:
        body = {"measures": ["events", "cost"], "dimensions": ["project_id"], "window": "all"}
        rows = self.ask("POST", "/api/v1/query", json=body).json()["rows"]
        return {row["project_id"]: (row["events"], row["cost"]) for row in rows}

    def proof(self, project: str = GONE) -> dict[str, Any]:
        params = {"gone": f"{self.id}/{project}"}
        answer = self.server.client.post("/control/verify", params=params, timeout=60)
        result = json.loads(answer.text.splitlines()[-1])["result"]
        assert result["is_clean"], result["differences"]
        return result["gone"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data"), max_past_days=3650) as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    return Tenant(server)


def fill(tenant: Tenant) -> None:
    """Something of the project in as many places as there are, and of another one beside it."""
    for index in range(4):
        tenant.send(f"g{index}", metadata={"said": WORD}, user_id=WORD)
        tenant.send(f"k{index}", KEPT)
    tenant.send("free", None)
    # A repeat, and one with other content, which goes to quarantine; the other project has one, too.
    tenant.send("g0", metadata={"said": WORD}, user_id=WORD)
    tenant.send("g0", input_tokens=7, message=WORD)
    tenant.send("k0", KEPT, input_tokens=7)
    tenant.move("k3", GONE)
    tenant.move("g3", KEPT)
    void = {"event_ids": ["g2"], "reason": "a mistake"}
    tenant.ask("POST", "/api/v1/events/void", json=void)
    plan = {"provider": "openai", "plan": "Team", "seats": 1, "price_per_seat": "30", "project_id": GONE}
    tenant.ask("POST", "/api/v1/billing/seats", json={**plan, "starts": "2026-11-01", "ends": "2026-11-04"})
    terms = {"kind": "discount", "percent": "5", "provider": "openai", "project_id": GONE}
    tenant.ask("POST", "/api/v1/prices", json={**terms, "valid_from": "2026-11-01T00:00:00Z"})
    tenant.ask("POST", "/api/v1/keys", json={"label": "its", "scopes": ["ingest"], "project_id": GONE})
    tenant.ask("POST", "/api/v1/allocations", json={"kind": "project", "subject": GONE, "owner": WORD})
    quota = {"limit": "1000", "enforcement": "hard"}
    tenant.ask("PUT", f"/api/v1/projects/{GONE}/quotas/events", json=quota)
    person = {"email": "ada@example.org", "roles": [{"role": "viewer", "project_id": GONE}]}
    tenant.ask("POST", "/api/v1/users", json=person)


def test_a_deleted_project_is_proven_gone_and_others_tie_out(tenant: Tenant) -> None:
    fill(tenant)
    before, there = tenant.by_project(), tenant.proof()
    assert before[GONE][0] == 2 + 1 + 3, "two of its own, one moved in, three days of seats"
    assert not there["is_gone"]
    assert {
        "journal/usage",
        "journal/correction",
        "store/usage_events",
        "store/usage_history",
        "store/usage_by_hour",
        "store/quarantine",
        "state/projects",
        "state/api_keys",
        "state/seat_plans",
        "state/price_terms",
        "state/role_bindings",
        "state/allocations",
        "state/quotas",
    } <= there["left"].keys()
    result = tenant.delete()
    assert set(result["rows_left"].values()) == {0}
    counted = "keys", "roles", "seat_plans", "price_terms", "allocations", "quotas"
    assert {name: result[name] for name in ("events", *counted)} == {"events": 6, **dict.fromkeys(counted, 1)}
    assert tenant.by_project() == {name: sums for name, sums in before.items() if name != GONE}
    after = tenant.proof()
    assert (after["is_gone"], after["left"]) == (True, {})
    assert {one["place"] for one in after["stays"]} == {
        "journal/project_reset",
        "journal/former_versions",
        "state/runs",
        "state/audit_entries",
    }
    assert not tenant.proof(KEPT)["is_gone"]
    listed = tenant.ask("GET", "/api/v1/events/quarantine").json()["items"]
    assert [one["event_id"] for one in listed] == ["k0"]


def test_the_words_of_a_deleted_project_are_in_no_file(tenant: Tenant) -> None:
    word = "only-here-77aa"
    for name in ("a", "b"):
        tenant.send(f"{word}-{name}", metadata={"said": word}, user_id=word)
    tenant.send(f"{word}-a", metadata={"said": word}, user_id=word, input_tokens=3)
    tenant.ask("POST", "/api/v1/events/void", json={"event_ids": [f"{word}-b"], "reason": "a mistake"})
    folder = tenant.server.platform.folder.path
    assert holding(folder, word)
    tenant.delete()
    assert holding(folder, word) == []


def test_the_same_project_of_another_tenant_stays(server: RunningServer) -> None:
    mine, theirs = Tenant(server), Tenant(server)
    for one in (mine, theirs):
        one.send("a")
        one.send("a", input_tokens=3)
    before = theirs.by_project(), theirs.ask("GET", "/api/v1/events/quarantine").json()["items"]
    mine.delete()
    assert mine.by_project() == {}
    assert (theirs.by_project(), theirs.ask("GET", "/api/v1/events/quarantine").json()["items"]) == before
    assert theirs.proof()["left"]["store/usage_events"] == 1


def test_its_event_ids_may_be_used_again_and_a_new_project_of_its_id_begins_with_nothing(
    tenant: Tenant,
) -> None:
    tenant.send("a")
    first = tenant.by_project()
    tenant.delete()
    assert ask(tenant.server, tenant.key, "GET", f"/api/v1/projects/{GONE}").status_code == 404
    tenant.ask("POST", "/api/v1/projects", json={"id": GONE, "name": "again"})
    assert tenant.by_project() == {}
    tenant.send("a")
    assert tenant.by_project() == first
    assert tenant.delete()["events"] == 1


def test_a_project_that_is_being_deleted_takes_no_usage_and_can_not_be_resumed(tenant: Tenant) -> None:
    tenant.send("a")
    event = {**EVENT, "event_id": "b", "project_id": GONE}
    with hold_archive(tenant.server.platform.folder.journal):
        url = tenant.begin_deletion()
        refused = ask(tenant.server, tenant.key, "POST", "/api/v1/events", json=event)
        assert [one["code"] for one in refused.json()["errors"]] == ["project_suspended"]
        kept = tenant.set("active")
        assert (kept.status_code, [one["code"] for one in kept.json()["errors"]]) == (409, ["being_deleted"])
        tenant.ask("PATCH", f"/api/v1/projects/{KEPT}", json={"state": "suspended"})
        assert ask(tenant.server, tenant.key, "POST", f"{url}/cancel").is_success
        assert tenant.ended(url)["state"] == "cancelled"
    assert tenant.set("active").json()["state"] == "active"
    assert tenant.delete()["rows_left"]["usage_events"] == 0


def test_the_tenants_other_terms_count_all_along(tenant: Tenant) -> None:
    terms = {"kind": "discount", "percent": "12", "provider": "openai", "valid_from": "2026-01-01T00:00:00Z"}
    tenant.ask("POST", "/api/v1/prices", json=terms)
    tenant.ask("POST", "/api/v1/prices", json={**terms, "percent": "50", "project_id": GONE})
    tenant.send("a")
    totals: list[str] = []

    def has_ended(url: str) -> bool:
        found = tenant.ask("POST", "/api/v1/prices/check", json=EVENT).json()
        totals.append(found["items"][0]["explanation"]["total"])
        return tenant.ask("GET", url).json()["finished_at"] is not None

    url = tenant.begin_deletion()
    wait_until(lambda: has_ended(url), "the run ends")
    assert has_ended(url)
    assert set(totals) == {"0.000132"}
    assert tenant.ended(url)["result"]["price_terms"] == 1


def test_usage_that_was_on_its_way_goes_too(tenant: Tenant) -> None:
    tenant.send("a")
    with hold_archive(tenant.server.platform.folder.journal):
        url = tenant.begin_deletion()
        wait_until(lambda: tenant.by_project() == {}, "the reset is applied")
        # By the door of seats and schedules, which asks no project: as a server does that knows it late.
        platform = tenant.server.platform
        door = LoopDoor(platform.ingestor, platform.changes, platform.time_rules()["import"], bool)
        late = [
            UsageEvent(event_id=name, time=clock.now(), project_id=GONE, model="gpt-4o-mini")
            for name in ("b", "c")
        ]
        door.record(tenant.id, late, clock.now())
        wait_until(lambda: tenant.by_project().get(GONE, (0,))[0] == len(late), "they are applied")
    assert tenant.ended(url)["result"]["rows_left"]["usage_events"] == 0
    assert tenant.by_project() == {}
    assert tenant.proof()["is_gone"]


def test_a_project_that_only_usage_names_is_deleted_like_any_other(tenant: Tenant) -> None:
    tenant.send("a", "never-made")
    tenant.send("b", KEPT)
    unsure = ask(
        tenant.server,
        tenant.key,
        "DELETE",
        "/api/v1/projects/never-made",
        json={"confirm": "another", "reason": "given up"},
    )
    assert unsure.status_code == 422
    assert ask(tenant.server, tenant.key, "GET", "/api/v1/projects/never-made").status_code == 404
    assert tenant.delete("never-made")["events"] == 1
    assert set(tenant.by_project()) == {KEPT}
    assert ask(tenant.server, tenant.key, "GET", "/api/v1/projects/never-made").status_code == 404
    assert tenant.proof("never-made")["is_gone"]


def test_a_closed_month_keeps_what_it_billed_as_a_nameless_sum_and_nothing_is_corrected(
    tenant: Tenant,
) -> None:
    for name, project in (("g", GONE), ("k", KEPT)):
        tenant.send(name, project, **EARLIER)
    path = "/api/v1/billing/summaries/2026-08"
    tenant.ask("POST", f"{path}/finalise", json={})
    tenant.send("late", GONE, **EARLIER)
    before = tenant.ask("GET", path).json()
    (line,) = [one for one in before["lines"] if one["project_id"] == GONE]
    tenant.delete()
    after = tenant.ask("GET", path).json()
    assert [one["project_id"] for one in after["lines"]] == [KEPT]
    assert after["deleted"] == [{"currency": "USD", "events": 1, "amount": line["amount"]}]
    assert (after["closed_at"], after["state"]) == (before["closed_at"], "closed")
    assert GONE not in json.dumps(after)
    months = tenant.ask("GET", "/api/v1/billing/summaries").json()["items"]
    assert {total["corrections"] for one in months for total in one["totals"]} <= {"0"}
    # What comes to light later of another project is corrected as ever.
    tenant.send("later", KEPT, **EARLIER)
    tenant.ask("POST", "/api/v1/billing/summaries/2026-09/finalise", json={})
    (corrected,) = tenant.ask("GET", "/api/v1/billing/summaries/2026-09").json()["corrections"]
    assert [(one["project_id"], one["events"]) for one in corrected["lines"]] == [(KEPT, 1)]


def test_closings_of_servers_that_are_left_out_lose_the_project_too(tenant: Tenant) -> None:
    tenant.send("g", GONE, **EARLIER)
    tenant.ask("POST", "/api/v1/billing/summaries/2026-08/finalise", json={})
    engine = tenant.server.platform.engine
    (closing,) = months_of(tenant.server.platform).store.closings(tenant.id)
    text = write_figures(closing.month, closing.lines, {})
    elsewhere = RelationalClosings(engine, "another-journal")
    assert elsewhere.close(tenant.id, closing.month, closing.closed_at, (None, None), text)
    assert tenant.proof()["left"]["state/month_closings"] == 2
    tenant.delete()
    (left,) = elsewhere.closings(tenant.id)
    assert ({key.project_id for key in left.lines}, [one.events for one in left.deleted]) == (set(), [1])
    assert tenant.proof()["is_gone"]


def test_a_project_that_is_made_again_while_its_deletion_waits_keeps_what_it_has(tenant: Tenant) -> None:
    tenant.send("a")
    with hold_archive(tenant.server.platform.folder.journal):
        url = tenant.begin_deletion()
        wait_until(lambda: tenant.by_project() == {}, "the reset is applied")
        # As a deletion that was asked for on another server does, which came so far before this one.
        tenant.server.platform.identity.remove_project(tenant.id, GONE)
        tenant.server.platform.suspended_projects.refresh()
        tenant.ask("POST", "/api/v1/projects", json={"id": GONE, "name": "again"})
        tenant.send("b")
    run = tenant.ended(url)
    assert (run["state"], run["error"]) == ("succeeded", None)
    assert run["result"]["rows_left"] == {}
    assert tenant.by_project()[GONE][0] == 1
    assert tenant.ask("GET", f"/api/v1/projects/{GONE}").json()["state"] == "active"


@pytest.mark.parametrize("late", ["its deletion has ended", "its project was made again"])
def test_a_reset_that_comes_too_late_removes_nothing(tenant: Tenant, late: str) -> None:
    """As one does that a server finds which was down when a deletion asked it to remove its part."""
    whole = tenant.begin_deletion()
    assert tenant.ended(whole)["state"] == "succeeded"
    tenant.ask("POST", "/api/v1/projects", json={"id": GONE, "name": "again"})
    tenant.send("a")
    parameters = tenant.ask("GET", whole).json()["parameters"]
    if late == "its deletion has ended":
        parameters = {"project_id": GONE, "reason": "given up", "part_of": whole.rpartition("/")[2]}
    runner = tenant.server.platform.runner
    run = runner.enqueue("reset", tenant_id=tenant.id, parameters=parameters, asked_by="key_of_a_test")
    ended = tenant.ended(f"/api/v1/scheduler/runs/{run.id}")
    assert (ended["state"], late.rpartition(" ")[2] in str(ended["error"])) == ("failed", True)
    assert tenant.by_project()[GONE][0] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"confirm": "another", "reason": "given up"}, "not_confirmed"),
        ({"confirm": GONE}, "required"),
        ({"confirm": GONE, "reason": "x" * 501}, "too_long"),
    ],
)
def test_a_deletion_that_is_not_meant_changes_nothing(
    tenant: Tenant, body: dict[str, str], code: str
) -> None:
    refused = ask(tenant.server, tenant.key, "DELETE", f"/api/v1/projects/{GONE}", json=body)
    assert refused.status_code == 422
    assert [one["code"] for one in refused.json()["errors"]] == [code]
    assert tenant.ask("GET", f"/api/v1/projects/{GONE}").json()["state"] == "active"


def test_a_project_that_is_not_there_or_another_tenants_can_not_be_deleted(server: RunningServer) -> None:
    mine, theirs = Tenant(server), Tenant(server)
    mine.ask("POST", "/api/v1/projects", json={"id": "mine", "name": "Mine"})
    body = {"confirm": "mine", "reason": "given up"}
    answers = [
        ask(server, theirs.key, "DELETE", f"/api/v1/projects/{name}", json={**body, "confirm": name})
        for name in ("mine", "nobodys")
    ]
    assert [one.status_code for one in answers] == [404, 404]
    assert mine.ask("GET", "/api/v1/projects/mine").json()["state"] == "active"


def test_the_command_deletes_and_the_proof_names_the_project(server: RunningServer) -> None:
    tenant = Tenant(server)
    tenant.send("a")
    data = "--data", server.platform.folder.path
    whose, place = f"{tenant.id}/{GONE}", f"project {GONE} of tenant {tenant.id}"
    there = bursar("verify", "--gone", whose, *data)
    assert there.code == 3
    assert f"Of {place} there is something left" in there.out
    asked = "--tenant", tenant.id, "--reason", "given up", *data
    unsure = bursar("projects", "delete", GONE, *asked)
    assert unsure.code != 0
    assert "--yes" in unsure.err
    done = bursar("projects", "delete", GONE, "--yes", *asked)
    assert done.code == 0, done.err
    assert done.err == f"Deleted project {GONE}: 1 events, 0 keys; 0 rows are left.\n"
    gone = bursar("verify", "--gone", whose, *data)
    assert gone.code == 0, gone.err
    assert f"Nothing is left of {place}" in gone.out
    assert "Stays: journal/project_reset" in gone.out
