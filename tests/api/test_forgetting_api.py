"""Erasures, resets and the end of a tenant over HTTP: what is gone, what stays, who may, what is refused."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.errors import Unavailable
from bursar.storage.journal.holding import hold_archive
from tests.support.patience import wait_until
from tests.support.serving import RunningServer, running_server

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx

_numbers = itertools.count()
EVENTS = "/api/v1/events"
WHY = "asked to be forgotten"
CALL = {"model": "gpt-4o-mini", "input_tokens": 1000}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    return Tenant(server)


class Tenant:
    """A tenant of its own, with a key that may everything there."""

    def __init__(self, server: RunningServer) -> None:
        self.id: str = server.client.post("/api/v1/tenants", json={}).json()["id"]
        params = {"tenant_id": self.id}
        made = server.client.post("/api/v1/keys", json={"label": "a", "scopes": ["admin"]}, params=params)
        self._key = {"X-API-Key": made.json()["key"]}
        self._client = server.stranger
        self.journal = server.platform.folder.journal

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        return self._client.request(method, path, headers=self._key, timeout=60, **request)

    def send(self, **fields: Any) -> str:  # noqa: ANN401 - an event's fields
        event_id = f"ev-{next(_numbers)}"
        event = {**CALL, "event_id": event_id, **fields}
        answer = self.ask("POST", EVENTS, json=event, params={"wait": "applied"})
        assert answer.status_code == 200, answer.text
        return event_id

    def totals(self) -> dict[str, Any]:
        question = {"measures": ["events", "cost", "input_tokens"], "window": "all"}
        return self.ask("POST", "/api/v1/query", json=question).json()["totals"]

    def finished(self, answer: httpx.Response) -> dict[str, Any]:
        """The run of an answer, once it has succeeded."""
        assert answer.status_code == 202, answer.text
        return self.ended(answer.json()["run"]["url"])

    def ended(self, url: str) -> dict[str, Any]:
        """The run at a path, once it has succeeded."""
        wait_until(lambda: self.ask("GET", url).json()["finished_at"] is not None, "the run ends")
        run = self.ask("GET", url).json()
        assert run["state"] == "succeeded", run
        return run


def verify(server: RunningServer) -> None:
    recount = server.platform.stores.recount(lambda _step, _records: None)
    assert recount.is_clean, recount.differences


def test_a_person_leaves_and_every_total_stays(server: RunningServer, tenant: Tenant) -> None:
    ada = tenant.send(user_id="ada@example.com", metadata={"ticket": 7}, operation="chat")
    tagged = tenant.send(tags={"owner": "ada@example.com", "team": "search"})
    said = tenant.send(message="no answer for u-4711", user_id="bob")
    bob = tenant.send(user_id="bob")
    before = tenant.totals()
    body = {"identifiers": ["ada@example.com", "u-4711"], "reason": WHY}
    seen = tenant.ask("POST", "/api/v1/erasures", json={**body, "dry_run": True}).json()
    assert (seen["found"]["events"], seen["run"]) == (3, None)
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json=body))
    assert (run["result"]["events"], run["result"]["left"], run["result"]["left_in"]) == (3, 0, {})
    assert tenant.totals() == before
    event = tenant.ask("GET", f"{EVENTS}/{ada}").json()
    assert (event["user_id"], event["metadata"], event["operation"]) == (None, None, "chat")
    assert tenant.ask("GET", f"{EVENTS}/{tagged}").json()["tags"] == {"team": "search"}
    assert tenant.ask("GET", f"{EVENTS}/{said}").json()["message"] is None
    assert tenant.ask("GET", f"{EVENTS}/{bob}").json()["user_id"] == "bob"
    assert "ada@example.com" not in str(run)
    verify(server)


def test_a_person_leaves_every_version_of_an_event(tenant: Tenant) -> None:
    event_id = tenant.send(user_id="fay")
    for user_id in ("fay", "gus"):
        body = {**CALL, "user_id": user_id, "tags": {"by": "fay"}}
        corrected = tenant.ask("PUT", f"{EVENTS}/{event_id}", json=body, params={"reason": "typo"})
        assert corrected.status_code == 200
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "fay", "reason": WHY}))
    assert (run["result"]["events"], run["result"]["left"]) == (3, 0)
    versions = tenant.ask("GET", f"{EVENTS}/{event_id}/history").json()["items"]
    assert "fay" not in str(versions)
    assert len(versions) == 3


def test_an_erased_event_doesnt_come_back_by_a_retry(tenant: Tenant) -> None:
    event_id = tenant.send(user_id="carol")
    body = {"user_id": "carol", "reason": WHY}
    tenant.finished(tenant.ask("POST", "/api/v1/erasures", json=body))
    event = {**CALL, "event_id": event_id, "user_id": "carol"}
    again = tenant.ask("POST", EVENTS, json=event, params={"wait": "applied"}).json()
    assert again["events"][0]["outcome"] == "duplicate"
    assert tenant.ask("GET", f"{EVENTS}/{event_id}").json()["user_id"] is None


def test_what_still_names_the_person_is_reported_by_its_fields(tenant: Tenant) -> None:
    tenant.send(user_id="dora", event_id="call:dora:1", operation="dora")
    tenant.send(user_id="dora", event_id="call-of-dora-2")
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "dora", "reason": WHY}))
    assert run["result"]["left"] == 1
    assert run["result"]["left_in"] == {"event_id": 1, "operation": 1}


def test_a_person_leaves_a_providers_usage_object_whatever_its_fields_are_called(tenant: Tenant) -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "billed_to": "ingrid", "by_caller": {"ingrid": 10}}
    event_id = tenant.send(usage=usage, model="claude-sonnet-4-5", input_tokens=None, user_id="ingrid")
    before = tenant.totals()
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "ingrid", "reason": WHY}))
    assert (run["result"]["events"], run["result"]["left"]) == (1, 0)
    event = tenant.ask("GET", f"{EVENTS}/{event_id}").json()
    assert event["usage"] == {"input_tokens": 7, "output_tokens": 3}
    assert tenant.totals() == before


def test_a_figure_that_is_written_like_an_identifier_names_nobody(
    server: RunningServer, tenant: Tenant
) -> None:
    counted = {"prompt_tokens": 4711, "completion_tokens": 3, "total_tokens": 4714}
    spent = tenant.send(user_id="bob", usage=counted, input_tokens=None, message="a long answer")
    asked = {**CALL, "event_id": spent, "usage": counted, "input_tokens": None, "model": "gpt-4o"}
    conflict = tenant.ask("POST", EVENTS, json={**asked, "user_id": "bob"}, params={"wait": "applied"})
    assert conflict.json()["events"][0]["outcome"] == "conflict"
    plain = tenant.send(user_id="bob", input_tokens=4711, latency_ms=4711)
    theirs = tenant.send(user_id="4711", usage={**counted, "caller": 4711}, input_tokens=None)
    before = tenant.totals()
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "4711", "reason": WHY}))
    assert (run["result"]["events"], run["result"]["left"]) == (1, 0), run
    for event_id in (spent, plain):
        assert tenant.ask("GET", f"{EVENTS}/{event_id}").json()["user_id"] == "bob"
    assert tenant.ask("GET", f"{EVENTS}/{theirs}").json()["usage"] == counted
    kept = tenant.ask("GET", f"{EVENTS}/quarantine").json()["items"]
    assert kept[0]["record"]["event"]["user_id"] == "bob"
    assert tenant.totals() == before
    verify(server)


def test_an_identifier_of_another_alphabet_is_no_part_of_a_longer_one(tenant: Tenant) -> None:
    kept = [tenant.send(user_id=user) for user in ("жанна", "zoë")]
    gone = [tenant.send(user_id=user) for user in ("анна", "zo")]
    body = {"identifiers": ["анна", "zo"], "reason": WHY}
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json=body))
    assert (run["result"]["events"], run["result"]["left"]) == (2, 0)
    users = [tenant.ask("GET", f"{EVENTS}/{one}").json()["user_id"] for one in (*kept, *gone)]
    assert users == ["жанна", "zoë", None, None]


def words_in(server: RunningServer, word: str) -> list[str]:
    """Files of state store and pads that hold a word."""
    folder = server.platform.folder
    files = [*folder.state.parent.glob("state.db*"), *folder.pads.glob("*")]
    return [path.name for path in files if word.encode() in path.read_bytes()]


def test_an_erasure_under_way_keeps_the_person_under_seal_and_one_that_was_cancelled_not_at_all(
    server: RunningServer, tenant: Tenant
) -> None:
    tenant.send(user_id="greta-0815")
    body = {"user_id": "greta-0815", "reason": WHY}
    pads = server.platform.folder.pads
    with hold_archive(server.platform.folder.journal):
        url = tenant.ask("POST", "/api/v1/erasures", json=body).json()["run"]["url"]
        waits = "waiting until a replay is done with the archive, s"
        wait_until(lambda: tenant.ask("GET", url).json()["step"] == waits, "the erasure waits")
        assert "greta" not in tenant.ask("GET", url).text
        assert words_in(server, "greta-0815") == []
        assert len(list(pads.iterdir())) == 1
        sealed = server.platform.runner.run(url.rpartition("/")[2]).parameters["identifiers"]
        tenant.ask("POST", f"{url}/cancel")
        wait_until(lambda: tenant.ask("GET", url).json()["finished_at"] is not None, "the run ends")
    assert tenant.ask("GET", url).json()["state"] == "cancelled"
    concealed = {"identifiers": "erased", "reason": WHY}
    wait_until(lambda: tenant.ask("GET", url).json()["parameters"] == concealed, "the seal is gone")
    wait_until(lambda: not words_in(server, sealed["text"]), "no file has the sealed words")
    assert list(pads.iterdir()) == []
    with pytest.raises(Unavailable, match="sealed and can't be opened"):
        server.platform.seals.open(sealed)
    # A second one, to its end.
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json=body))
    assert run["result"]["left"] == 0
    shown = server.platform.runner.run
    wait_until(lambda: shown(run["id"]).parameters == concealed, "the seal is gone")
    assert list(pads.iterdir()) == []


def test_other_tenants_keep_what_they_have_about_the_same_person(
    server: RunningServer, tenant: Tenant
) -> None:
    other = Tenant(server)
    theirs = other.send(user_id="erin")
    tenant.send(user_id="erin")
    tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "erin", "reason": WHY}))
    assert other.ask("GET", f"{EVENTS}/{theirs}").json()["user_id"] == "erin"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"reason": WHY}, ("identifiers", "out_of_range")),
        ({"user_id": "x", "reason": WHY}, ("identifiers", "wrong_length")),
        ({"user_id": "ada"}, ("reason", "required")),
        ({"user_id": "ada", "reason": "because ada said so"}, ("reason", "names_person")),
        ({"user_id": "ada", "reason": WHY, "flavour": 1}, ("flavour", "extra_forbidden")),
    ],
)
def test_an_erasure_that_makes_no_sense_is_refused(
    tenant: Tenant, body: dict[str, Any], reason: tuple[str, str]
) -> None:
    answer = tenant.ask("POST", "/api/v1/erasures", json=body)
    assert answer.status_code == 422, answer.text
    assert reason in {(one["field"], one["code"]) for one in answer.json()["errors"]}


def test_a_reset_removes_everything_of_the_tenant_and_nothing_of_others(
    server: RunningServer, tenant: Tenant
) -> None:
    other = Tenant(server)
    theirs = other.send(user_id="bob")
    event_id = tenant.send()
    tenant.send()
    body = {"confirm": tenant.id, "reason": "the trial is over"}
    run = tenant.finished(tenant.ask("DELETE", "/api/v1/usage", json=body))
    assert (run["result"]["events"], run["result"]["reason"]) == (2, "the trial is over")
    assert tenant.totals()["events"] == 0
    assert other.ask("GET", f"{EVENTS}/{theirs}").status_code == 200
    # The ids may be used again, as if nothing had been.
    again = tenant.ask("POST", EVENTS, json={**CALL, "event_id": event_id}, params={"wait": "applied"})
    assert again.json()["events"][0]["outcome"] == "new"
    verify(server)


def test_a_reset_needs_the_tenants_id_once_more(tenant: Tenant) -> None:
    tenant.send()
    for body in ({"confirm": "default", "reason": "r"}, {"confirm": tenant.id}):
        assert tenant.ask("DELETE", "/api/v1/usage", json=body).status_code == 422
    assert tenant.totals()["events"] == 1


def test_a_deleted_tenant_is_gone_with_all_it_had(server: RunningServer, tenant: Tenant) -> None:
    tenant.send(user_id="bob")
    tenant.ask("POST", "/api/v1/projects", json={"id": "search", "name": "Search"})
    body = {"confirm": tenant.id, "reason": "contract ended"}
    path = f"/api/v1/tenants/{tenant.id}"
    assert tenant.ask("DELETE", path, json=body).status_code == 403
    begun = server.client.request("DELETE", path, json=body)
    assert begun.status_code == 202, begun.text
    url = begun.json()["run"]["url"]
    wait_until(lambda: server.client.get(url).json()["finished_at"] is not None, "the run ends")
    run = server.client.get(url).json()
    assert run["state"] == "succeeded", run
    result = run["result"]
    assert (result["events"], result["keys"], result["projects"]) == (1, 1, 1)
    assert set(result["rows_left"].values()) == {0}
    assert {"usage_events", "usage_by_hour", "quarantine", "journal"} <= result["rows_left"].keys()
    assert tenant.ask("GET", EVENTS).status_code == 401
    assert server.client.get(path).status_code == 404
    verify(server)


def test_the_default_tenant_stays_and_an_unknown_one_cant_be_deleted(server: RunningServer) -> None:
    for tenant_id, status in (("default", 409), ("nobody", 404)):
        body = {"confirm": tenant_id, "reason": "r"}
        answer = server.client.request("DELETE", f"/api/v1/tenants/{tenant_id}", json=body)
        assert answer.status_code == status, answer.text


def test_nobody_forgets_without_a_key_that_may_administer(server: RunningServer) -> None:
    made = server.client.post("/api/v1/keys", json={"label": "s", "scopes": ["ingest", "read"]}).json()
    for method, path, body in (
        ("POST", "/api/v1/erasures", {"user_id": "ada", "reason": WHY}),
        ("DELETE", "/api/v1/usage", {"confirm": "default", "reason": WHY}),
        ("DELETE", "/api/v1/tenants/x", {"confirm": "x", "reason": WHY}),
    ):
        assert server.stranger.request(method, path, json=body).status_code == 401
        headers = {"X-API-Key": made["key"]}
        assert server.stranger.request(method, path, json=body, headers=headers).status_code == 403


def test_a_tenant_of_the_same_id_inherits_nothing(server: RunningServer, tenant: Tenant) -> None:
    tenant.send(user_id="ann")
    assert tenant.ask("PUT", "/api/v1/retention", json={"events_days": 40}).status_code == 200
    erased = tenant.ask("POST", "/api/v1/erasures", json={"user_id": "ann", "reason": WHY})
    tenant.finished(erased)
    operator, path = server.client, f"/api/v1/tenants/{tenant.id}"
    body = {"confirm": tenant.id, "reason": WHY}
    url = operator.request("DELETE", path, json=body).json()["run"]["url"]
    wait_until(lambda: operator.get(url).json()["finished_at"] is not None, "the tenant is deleted")
    assert operator.post("/api/v1/tenants", json={"id": tenant.id}).status_code == 201
    params = {"tenant_id": tenant.id}
    retention = operator.get("/api/v1/retention", params=params).json()
    assert (retention["events_days"], retention["events_from"]) == (0, None)
    assert operator.get("/api/v1/scheduler/history", params=params).json()["items"] == []
    old = {**CALL, "event_id": "old", "time": "2025-12-01T00:00:00Z"}
    sent = operator.post(f"{EVENTS}/import", json=old, params={**params, "wait": "applied"})
    assert sent.status_code == 200, sent.text


@pytest.mark.long
def test_what_expired_leaves_the_journal_also_after_an_erasure_and_a_rebuild(
    server: RunningServer, tenant: Tenant
) -> None:
    tenant.send(user_id="eve")
    tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "eve", "reason": WHY}))
    server.platform.rebuilder.run(lambda _step, _records: None)
    at = clock.rfc3339(clock.now() - timedelta(days=60))
    users = ("kim", "lou", "lou", "mia")
    old = [{**CALL, "event_id": f"old-{n}", "user_id": user, "time": at} for n, user in enumerate(users)]
    sent = tenant.ask("POST", f"{EVENTS}/import", json=old, params={"wait": "applied"})
    assert sent.status_code == 200, sent.text
    tenant.ask("PUT", "/api/v1/retention", json={"events_days": 40}).raise_for_status()
    run = tenant.ask("POST", "/api/v1/scheduler/jobs/retention/trigger", json={}).json()
    expired = tenant.ended(f"/api/v1/scheduler/runs/{run['id']}")
    assert expired["result"]["tombstones"] == 4, "of the four old events none is in the journal"
    tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "kim", "reason": WHY}))
    question = {"measures": ["events"], "dimensions": ["user_id"], "window": "all"}
    rows = tenant.ask("POST", "/api/v1/query", json=question).json()["rows"]
    assert {row["user_id"]: row["events"] for row in rows} == {None: 2, "lou": 2, "mia": 1}
    verify(server)


def test_a_person_leaves_whatever_stands_before_the_name_and_every_repeat(tenant: Tenant) -> None:
    said = tenant.send(message="please ask ruth", user_id="zed")
    repeat = {**CALL, "event_id": said, "message": "please ask ruth", "user_id": "zed"}
    again = tenant.ask("POST", EVENTS, json=repeat, params={"wait": "applied"}).json()
    assert again["events"][0]["outcome"] == "duplicate"
    noted = tenant.send(metadata={"note": "written by\nruth"})
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "ruth", "reason": WHY}))
    assert (run["result"]["events"], run["result"]["left"]) == (2, 0)
    assert tenant.ask("GET", f"{EVENTS}/{noted}").json()["metadata"] is None


def test_an_earlier_run_that_named_the_person_loses_its_words(server: RunningServer, tenant: Tenant) -> None:
    for user_id in ("judith-4711", "others"):
        tenant.send(user_id=user_id)
    body = {"filters": {"user_id": "judith-4711"}, "window": "all", "reason": "a mistake", "dry_run": False}
    voided = tenant.finished(tenant.ask("POST", f"{EVENTS}/void", json=body))
    body["filters"] = {"user_id": "others"}
    other = tenant.finished(tenant.ask("POST", f"{EVENTS}/void", json=body))
    erasure = {"user_id": "judith-4711", "reason": WHY}
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json=erasure))
    assert run["result"]["runs_concealed"] == 1
    paths = [f"/api/v1/scheduler/runs/{one['id']}" for one in (voided, other)]
    shown, untouched = (tenant.ask("GET", path).json() for path in paths)
    assert (shown["state"], shown["parameters"], shown["result"]) == ("succeeded", {"concealed": True}, None)
    assert untouched["parameters"] == other["parameters"]
    state = server.platform.folder.state
    assert not any(b"judith-4711" in path.read_bytes() for path in state.parent.glob("state.db*"))


def test_allocations_that_name_the_person_lose_them_and_the_cost_centre_stays(
    server: RunningServer, tenant: Tenant
) -> None:
    for body in (
        {"kind": "user", "subject": "naomi-11", "cost_centre": "CC-1"},
        {"kind": "project", "subject": "search", "cost_centre": "CC-2", "owner": "naomi-11"},
    ):
        assert tenant.ask("POST", "/api/v1/allocations", json=body).status_code == 201
    run = tenant.finished(tenant.ask("POST", "/api/v1/erasures", json={"user_id": "naomi-11", "reason": WHY}))
    assert run["result"]["allocations_changed"] == 2
    (kept,) = tenant.ask("GET", "/api/v1/allocations", params={"replaced": "true"}).json()["items"]
    assert (kept["subject"], kept["owner"], kept["cost_centre"]) == ("search", None, "CC-2")
    state = server.platform.folder.state
    assert not any(b"naomi-11" in path.read_bytes() for path in state.parent.glob("state.db*"))


def test_an_erasure_beside_a_backup_says_that_it_waits_for_it_and_goes_on_by_itself(tenant: Tenant) -> None:
    tenant.send(user_id="hanna")
    body = {"user_id": "hanna", "reason": WHY}
    with hold_archive(tenant.journal, "a backup"):
        url = tenant.ask("POST", "/api/v1/erasures", json=body).json()["run"]["url"]
        waits = "waiting until a backup is done with the archive, s"
        wait_until(lambda: tenant.ask("GET", url).json()["step"] == waits, "the erasure waits")
        # Usage is taken and applied meanwhile.
        tenant.send(user_id="bob")
        assert tenant.ask("GET", url).json()["state"] == "running"
    assert tenant.ended(url)["result"]["left"] == 0
