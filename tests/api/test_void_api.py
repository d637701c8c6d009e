"""Voids over HTTP: by ids at once, by filters in a job; what a dry run says; who may, what is refused."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.patience import wait_until

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import RunningServer

_numbers = itertools.count()
EVENTS = "/api/v1/events"
VOID = f"{EVENTS}/void"
WHY = "sent by a test"


def a_run(client: httpx.Client, count: int, **fields: Any) -> str:  # noqa: ANN401 - an event's fields
    """Record events of an environment of their own, wait until they count; its name."""
    environment = f"env-{next(_numbers)}"
    events = [
        {
            "event_id": f"{environment}-{number}",
            "environment": environment,
            "model": "gpt-4o-mini",
            "input_tokens": 1000,
            **fields,
        }
        for number in range(count)
    ]
    answer = client.post(EVENTS, json=events, params={"wait": "applied"})
    assert answer.status_code == 200, answer.text
    return environment


def void(client: httpx.Client, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - a body's fields
    answer = client.post(VOID, json={"reason": WHY, **body})
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


def finished(client: httpx.Client, answer: dict[str, Any]) -> dict[str, Any]:
    """The run of an answer, once it has ended."""
    url = answer["run"]["url"]
    wait_until(lambda: client.get(url).json()["finished_at"] is not None, "the run ends")
    return client.get(url).json()


def taken_out(client: httpx.Client, answer: dict[str, Any]) -> int:
    """Events that a void took out; one that comes when all are out already finds none and needs no run."""
    if answer["run"] is None:
        assert (answer["applied"], answer["totals"]["events"]) == (True, 0)
        return 0
    return finished(client, answer)["result"]["events"]


def counted(client: httpx.Client, environment: str) -> int:
    question = {"measures": ["events"], "filters": {"environment": environment}, "window": "all"}
    return client.post("/api/v1/query", json=question).json()["totals"]["events"]


def codes(answer: httpx.Response) -> set[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return {(one["field"], one["code"]) for one in answer.json()["errors"]}


def test_named_events_are_out_of_every_total_when_the_answer_comes(server: RunningServer) -> None:
    environment = a_run(server.client, 3)
    done = void(server.client, event_ids=[f"{environment}-0", f"{environment}-2", "never-seen"])
    assert (done["applied"], done["dry_run"], done["run"]) == (True, False, None)
    assert done["not_found"] == ["never-seen"]
    assert (done["totals"]["events"], done["totals"]["cost"]) == (
        2,
        [{"currency": "USD", "amount": "0.0003"}],
    )
    assert counted(server.client, environment) == 1
    assert server.client.get(f"{EVENTS}/{environment}-0").status_code == 404
    assert server.client.get(f"{EVENTS}/{environment}-1").status_code == 200


def test_voiding_again_changes_nothing(server: RunningServer) -> None:
    environment = a_run(server.client, 2)
    void(server.client, event_ids=[f"{environment}-0"])
    again = void(server.client, event_ids=[f"{environment}-0"])
    assert (again["totals"]["events"], again["not_found"]) == (0, [f"{environment}-0"])
    assert counted(server.client, environment) == 1


def test_a_voided_event_doesnt_come_back_by_a_retry(server: RunningServer) -> None:
    environment = a_run(server.client, 1)
    void(server.client, event_ids=[f"{environment}-0"])
    event = {
        "event_id": f"{environment}-0",
        "environment": environment,
        "model": "gpt-4o-mini",
        "input_tokens": 1000,
    }
    again = server.client.post(EVENTS, json=event, params={"wait": "applied"})
    assert again.json()["events"][0]["outcome"] == "duplicate"
    assert counted(server.client, environment) == 0


def test_filters_are_only_counted_unless_somebody_says_otherwise(server: RunningServer) -> None:
    environment = a_run(server.client, 4)
    a_run(server.client, 1)
    seen = void(server.client, filters={"environment": environment})
    assert (seen["dry_run"], seen["applied"], seen["expect_events"]) == (True, False, 4)
    totals = seen["totals"]
    assert totals["cost"] == [{"currency": "USD", "amount": "0.0006"}]
    assert [(one["provider"], one["model"], one["events"]) for one in totals["models"]] == [
        ("openai", "gpt-4o-mini", 4)
    ]
    assert totals["unpriced"] == 0
    assert totals["first"] <= totals["last"]
    assert counted(server.client, environment) == 4


def test_what_was_seen_is_voided_by_a_job_and_what_came_later_stays(server: RunningServer) -> None:
    environment = a_run(server.client, 5)
    seen = void(server.client, filter={"environment": environment}, window="1d")
    late = {"event_id": f"{environment}-late", "environment": environment, "model": "gpt-4o-mini"}
    server.client.post(EVENTS, json=late, params={"wait": "applied"})
    bounds = {name: seen[name] for name in ("expect_events", "up_to_event")}
    begun = server.client.post(
        VOID,
        json={
            "filters": {"environment": environment},
            "window": "1d",
            "reason": WHY,
            "dry_run": False,
            **bounds,
        },
    )
    assert begun.status_code == 202
    assert begun.headers["location"] == begun.json()["run"]["url"]
    run = finished(server.client, begun.json())
    assert (run["state"], run["job_id"], run["result"]) == ("succeeded", "void", {"events": 5, "reason": WHY})
    assert counted(server.client, environment) == 1


def test_no_answer_about_a_void_tells_how_much_others_record(server: RunningServer) -> None:
    environment = a_run(server.client, 2)
    selected = {"filters": {"environment": environment}, "window": "all"}
    before = void(server.client, **selected)
    elsewhere: str = server.client.post("/api/v1/tenants", json={}).json()["id"]
    server.client.post(EVENTS, json=[{"model": "m"}] * 50, params={"wait": "applied", "tenant_id": elsewhere})
    assert void(server.client, **selected) == before
    assert before["up_to_event"] == f"{environment}-1"
    begun = void(server.client, **selected, dry_run=False)
    assert finished(server.client, begun)["parameters"]["selection"]["up_to_event"] == f"{environment}-1"
    history = server.client.get(f"{EVENTS}/{environment}-0/history").json()["items"]
    assert all("seq" not in one and "seq" not in (one["ended"] or {}) for one in history)


def test_where_nothing_is_selected_nothing_is_begun(server: RunningServer) -> None:
    body = {"filters": {"environment": "never-seen"}, "dry_run": False}
    done = void(server.client, **body, expect_events=0)
    assert (done["applied"], done["run"], done["up_to_event"]) == (True, None, None)


def test_a_void_up_to_an_event_that_isnt_there_is_refused(server: RunningServer) -> None:
    body = {"window": "1d", "reason": WHY, "up_to_event": "never-seen"}
    assert codes(server.client.post(VOID, json=body)) == {("up_to_event", "no_such_event")}


def test_nobody_voids_more_than_they_saw(server: RunningServer) -> None:
    environment = a_run(server.client, 2)
    body = {"filters": {"environment": environment}, "reason": WHY, "dry_run": False, "expect_events": 1}
    answer = server.client.post(VOID, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert counted(server.client, environment) == 2


def test_unpriced_events_are_counted_as_such(server: RunningServer) -> None:
    environment = a_run(server.client, 2, model="a-model-of-our-own")
    totals = void(server.client, filters={"environment": environment})["totals"]
    assert (totals["events"], totals["unpriced"]) == (2, 2)
    assert all(one["amount"] is None for one in totals["cost"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"reason": WHY}, ("event_ids", "required")),
        ({"event_ids": ["a"], "window": "1d", "reason": WHY}, ("event_ids", "conflicting_parameters")),
        ({"event_ids": [], "reason": WHY}, ("event_ids", "out_of_range")),
        ({"event_ids": "a", "reason": WHY}, ("event_ids", "wrong_type")),
        ({"event_ids": [1], "reason": WHY}, ("event_ids", "wrong_type")),
        (
            {"event_ids": [f"{n}" for n in range(5001)], "reason": WHY},
            ("event_ids", "out_of_range"),
        ),
        ({"event_ids": ["a"]}, ("reason", "required")),
        ({"filters": {"environment": "a"}, "dry_run": False}, ("reason", "required")),
        ({"filters": {"flavour": "a"}, "reason": WHY}, ("filters", "unknown_dimension")),
        ({"filters": [], "reason": WHY}, ("filters", "wrong_type")),
        ({"window": "soon", "reason": WHY}, ("window", "unknown_window")),
        ({"window": "1d", "reason": WHY, "dry_run": "no"}, ("dry_run", "wrong_type")),
        ({"window": "1d", "reason": WHY, "expect_events": -1}, ("expect_events", "bad_number")),
        ({"window": "1d", "reason": WHY, "up_to_event": 7}, ("up_to_event", "wrong_type")),
        ({"window": "1d", "reason": WHY, "flavour": 1}, ("flavour", "unknown_parameter")),
    ],
)
def test_a_void_that_makes_no_sense_is_refused(
    server: RunningServer, body: dict[str, Any], reason: tuple[str, str]
) -> None:
    assert reason in codes(server.client.post(VOID, json=body))


def test_a_body_that_is_no_object_is_refused(server: RunningServer) -> None:
    assert server.client.post(VOID, content=b"{nope").status_code == 400
    assert server.client.post(VOID, content=b"[]").status_code == 422


def test_a_void_needs_a_key_that_may_administer_and_touches_only_its_tenant(server: RunningServer) -> None:
    environment = a_run(server.client, 1)
    body = {"event_ids": [f"{environment}-0"], "reason": WHY}
    assert server.stranger.post(VOID, json=body).status_code == 401
    sender = server.client.post("/api/v1/keys", json={"label": "s", "scopes": ["ingest", "read"]}).json()
    refused = server.stranger.post(VOID, json=body, headers={"X-API-Key": sender["key"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    tenant_id = server.client.post("/api/v1/tenants", json={}).json()["id"]
    key = server.client.post(
        "/api/v1/keys", json={"label": "t", "scopes": ["admin"]}, params={"tenant_id": tenant_id}
    ).json()
    theirs = server.stranger.post(VOID, json=body, headers={"X-API-Key": key["key"]}).json()
    assert theirs["not_found"] == [f"{environment}-0"]
    selected = {"filters": {"environment": environment}, "reason": WHY, "dry_run": False}
    begun = server.stranger.post(VOID, json=selected, headers={"X-API-Key": key["key"]}).json()
    assert (begun["totals"]["events"], begun["up_to_event"], begun["run"]) == (0, None, None)
    assert counted(server.client, environment) == 1


def test_a_tenant_named_in_the_body_is_the_one_whose_events_go(server: RunningServer) -> None:
    client, event = server.client, {"event_id": "of-two-tenants", "model": "gpt-4o-mini", "input_tokens": 5}
    other: str = client.post("/api/v1/tenants", json={}).json()["id"]
    for tenant_id in ("default", other):
        client.post(EVENTS, json=event, params={"wait": "applied", "tenant_id": tenant_id}).raise_for_status()
    body = {"event_ids": ["of-two-tenants"], "reason": WHY, "tenant_id": other}
    assert client.post(VOID, json=body).json()["totals"]["events"] == 1
    assert client.get(f"{EVENTS}/of-two-tenants").status_code == 200, "the default tenant's event stays"
    gone = client.get(f"{EVENTS}/of-two-tenants/history", params={"tenant_id": other}).json()
    assert gone["is_current"] is False
    assert client.post(VOID, json={**body, "tenant_id": "nobody-s"}).status_code == 404
    twice = client.post(VOID, json=body, params={"tenant_id": "default"})
    assert codes(twice) == {("tenant_id", "conflicting_parameters")}


def test_a_body_that_names_another_tenant_is_refused(server: RunningServer) -> None:
    client = server.client
    own: str = client.post("/api/v1/tenants", json={}).json()["id"]
    key = client.post("/api/v1/keys", json={"label": "a", "scopes": ["admin"]}, params={"tenant_id": own})
    headers = {"X-API-Key": key.json()["key"]}
    for path, body in (
        (VOID, {"event_ids": ["x"], "reason": WHY, "tenant_id": "default"}),
        (f"{EVENTS}/quarantine/replay", {"ids": [1], "reason": WHY, "tenant_id": "default"}),
    ):
        answer = server.stranger.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")


def test_of_two_equal_voids_only_one_says_that_it_took_events_out(server: RunningServer) -> None:
    environment = a_run(server.client, 3)
    body = {"filters": {"environment": environment}, "window": "all", "dry_run": False}
    answers = [void(server.client, **body), void(server.client, **body)]
    assert sum(taken_out(server.client, answer) for answer in answers) == 3
    assert counted(server.client, environment) == 0
