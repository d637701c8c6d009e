"""Corrections over HTTP: the whole event under its id, rated anew; who may, what is refused and how."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import RunningServer

_numbers = itertools.count()
EVENTS = "/api/v1/events"
CORRECTIONS = f"{EVENTS}/corrections"
WHY = {"reason": "the log was cut short"}


def send(client: httpx.Client, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - an event's fields
    """Record an event and wait until it counts; its answer."""
    event = {"event_id": f"wrong-{next(_numbers)}", "model": "gpt-4o-mini", "input_tokens": 1000, **fields}
    answer = client.post(EVENTS, json=event, params={"wait": "applied"})
    assert answer.status_code == 200, answer.text
    return answer.json()["events"][0]


def correct(
    client: httpx.Client,
    event_id: str,
    **params: str,
) -> httpx.Response:
    """Correct an event to twice its tokens."""
    body = {"model": "gpt-4o-mini", "input_tokens": 2000}
    return client.put(f"{EVENTS}/{event_id}", json=body, params={**WHY, **params})


def codes(answer: httpx.Response) -> set[tuple[str, str]]:
    return {(one["field"], one["code"]) for one in answer.json()["errors"]}


def spent(client: httpx.Client, event_id: str) -> dict[str, Any]:
    """Events and cost of an id, by raw rows and by rollups of a model of its own."""
    question = {"measures": ["events", "cost"], "filters": {"event_id": event_id}, "window": "all"}
    return client.post("/api/v1/query", json=question).json()["totals"]


def test_a_corrected_event_counts_once_at_its_new_cost(server: RunningServer) -> None:
    first = send(server.client, user_id="ada", time="2026-11-01T10:00:00Z")
    answer = correct(server.client, first["event_id"])
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert done["applied"] is True
    assert (done["old_cost"]["total"], done["new_cost"]["total"]) == ("0.00015", "0.0003")
    event = server.client.get(f"{EVENTS}/{first['event_id']}").json()
    assert event["is_corrected"] is True
    assert (event["cost"]["total"], event["totals"]["input_tokens"]) == ("0.0003", 2000)
    # What the correction doesn't say is absent, but for the time.
    assert (event["user_id"], event["time"]) == (None, "2026-11-01T10:00:00Z")
    assert spent(server.client, first["event_id"]) == {
        "events": 1,
        "cost": [{"currency": "USD", "amount": "0.0003"}],
    }


def test_the_first_delivery_sent_again_is_a_duplicate_of_the_corrected_event(server: RunningServer) -> None:
    event_id = f"wrong-{next(_numbers)}"
    event = {"event_id": event_id, "model": "gpt-4o-mini", "input_tokens": 1000}
    server.client.post(EVENTS, json=event, params={"wait": "applied"})
    assert correct(server.client, event_id).status_code == 200
    again = server.client.post(EVENTS, json=event, params={"wait": "applied"}).json()["events"][0]
    assert (again["outcome"], again["cost"]["total"]) == ("duplicate", "0.0003")


def test_many_are_corrected_at_once_and_each_refusal_is_named(server: RunningServer) -> None:
    first, second = send(server.client)["event_id"], send(server.client)["event_id"]
    body = [
        {"event_id": first, "model": "gpt-4o-mini", "input_tokens": 3000},
        {"event_id": "nobody-knows-it", "model": "gpt-4o-mini", "input_tokens": 1},
        {"event_id": second, "model": "gpt-4o-mini", "input_tokens": -1},
        {"model": "gpt-4o-mini", "input_tokens": 1},
        {"event_id": first, "model": "gpt-4o-mini", "input_tokens": 4000},
    ]
    done = server.client.post(CORRECTIONS, json=body, params=WHY).json()
    assert [one["new_cost"]["total"] for one in done["corrected"]] == ["0.00045", "0.0006"]
    assert [(one["index"], one["errors"][0]["field"]) for one in done["rejected"]] == [
        (1, "event_id"),
        (2, "input_tokens"),
        (3, "event_id"),
    ]
    assert server.client.get(f"{EVENTS}/{first}").json()["cost"]["total"] == "0.0006"
    assert server.client.get(f"{EVENTS}/{second}").json()["is_corrected"] is False


def test_a_body_of_which_nothing_can_be_corrected_is_refused_with_every_reason(server: RunningServer) -> None:
    known = send(server.client)["event_id"]
    body = [{"event_id": "nobody-knows-it", "model": "m"}, {"event_id": known, "input_tokens": -1}]
    answer = server.client.post(CORRECTIONS, json=body, params=WHY)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    document = answer.json()
    assert document["detail"] == "All 2 corrections of the body were refused."
    assert (document["instance"], document["corrected"]) == (CORRECTIONS, [])
    assert document["request_id"] == answer.headers["x-request-id"]
    assert [(one["index"], one["event_id"], one["errors"][0]["code"]) for one in document["rejected"]] == [
        (0, "nobody-knows-it", "no_such_event"),
        (1, known, "out_of_range"),
    ]
    alone = server.client.post(CORRECTIONS, json=body[0], params=WHY)
    assert (alone.status_code, [one["code"] for one in alone.json()["errors"]]) == (422, ["no_such_event"])
    nothing = server.client.post(CORRECTIONS, json=[], params=WHY)
    assert (nothing.status_code, nothing.json()["rejected"]) == (422, [])
    foreign = [{"event_id": known, "tenant_id": "rival"}]
    assert server.client.post(CORRECTIONS, json=foreign, params=WHY).status_code == 403


def test_a_correction_may_give_an_event_another_model_user_and_time(server: RunningServer) -> None:
    event_id = send(server.client, user_id="ada")["event_id"]
    body = {
        "event_id": event_id,
        "model": "claude-3-5-haiku-latest",
        "provider": "anthropic",
        "input_tokens": 10,
        "user_id": "bob",
        "time": "2026-10-02T00:00:00Z",
    }
    assert server.client.put(f"{EVENTS}/{event_id}", json=body, params=WHY).status_code == 200
    event = server.client.get(f"{EVENTS}/{event_id}").json()
    assert (event["provider"], event["user_id"], event["time"]) == (
        "anthropic",
        "bob",
        "2026-10-02T00:00:00Z",
    )


def test_an_id_with_slashes_can_be_corrected(server: RunningServer) -> None:
    event_id = send(server.client, event_id=f"run/7/{next(_numbers)}")["event_id"]
    assert correct(server.client, event_id).status_code == 200


def test_only_an_event_that_counts_can_be_corrected(server: RunningServer) -> None:
    assert correct(server.client, "never-seen").status_code == 404


@pytest.mark.parametrize(
    ("body", "params", "reason"),
    [
        ({"model": "gpt-4o-mini", "input_tokens": 1}, {}, ("reason", "required")),
        ({"model": "gpt-4o-mini", "input_tokens": 1}, {"reason": " "}, ("reason", "required")),
        ({"model": "gpt-4o-mini", "input_tokens": 1}, {"reason": "x" * 501}, ("reason", "too_long")),
        ({"event_id": "other", "model": "m", "input_tokens": 1}, WHY, ("event_id", "other_event")),
        ([{"model": "a"}, {"model": "b"}], WHY, ("$", "one_event")),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(
    server: RunningServer, body: object, params: dict[str, str], reason: tuple[str, str]
) -> None:
    event_id = send(server.client)["event_id"]
    answer = server.client.put(f"{EVENTS}/{event_id}", json=body, params=params)
    assert answer.status_code == 422, answer.text
    assert reason in codes(answer)
    assert server.client.get(f"{EVENTS}/{event_id}").json()["is_corrected"] is False


def test_a_body_that_is_no_json_is_refused(server: RunningServer) -> None:
    event_id = send(server.client)["event_id"]
    headers = {"content-type": "application/json"}
    answer = server.client.put(f"{EVENTS}/{event_id}", content=b"{nope", params=WHY, headers=headers)
    assert answer.status_code == 400
    other = server.client.put(
        f"{EVENTS}/{event_id}", content=b"x", params=WHY, headers={"content-type": "image/png"}
    )
    assert other.status_code == 415


def test_a_body_that_names_another_tenant_is_refused(server: RunningServer) -> None:
    event_id = send(server.client)["event_id"]
    body = {"model": "gpt-4o-mini", "input_tokens": 1, "tenant_id": "b"}
    answer = server.client.put(f"{EVENTS}/{event_id}", json=body, params=WHY)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")


def test_a_correction_needs_a_key_that_may_administer(server: RunningServer) -> None:
    event_id = send(server.client)["event_id"]
    assert correct(server.stranger, event_id).status_code == 401
    made = server.client.post("/api/v1/keys", json={"label": "sender", "scopes": ["ingest", "read"]}).json()
    headers = {"X-API-Key": made["key"]}
    answer = server.stranger.put(
        f"{EVENTS}/{event_id}", json={"model": "gpt-4o-mini"}, params=WHY, headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


def test_another_tenants_event_is_as_unknown_as_none(server: RunningServer) -> None:
    event_id = send(server.client)["event_id"]
    tenant_id = server.client.post("/api/v1/tenants", json={}).json()["id"]
    made = server.client.post(
        "/api/v1/keys", json={"label": "theirs", "scopes": ["admin"]}, params={"tenant_id": tenant_id}
    ).json()
    headers = {"X-API-Key": made["key"]}
    body = {"model": "gpt-4o-mini", "input_tokens": 2000}
    theirs = server.stranger.put(f"{EVENTS}/{event_id}", json=body, params=WHY, headers=headers)
    assert theirs.status_code == 404
    assert correct(server.client, event_id, tenant_id=tenant_id).status_code == 404
    assert server.client.get(f"{EVENTS}/{event_id}").json()["is_corrected"] is False


def test_every_version_is_kept_with_who_ended_it_and_why(server: RunningServer) -> None:
    event_id = send(server.client)["event_id"]
    correct(server.client, event_id, reason="first")
    correct(server.client, event_id, reason="second")
    body = {"event_ids": [event_id], "reason": "third"}
    assert server.client.get(f"{EVENTS}/{event_id}/history").json()["is_current"] is True
    assert server.client.post(f"{EVENTS}/void", json=body).status_code == 200
    found = server.client.get(f"{EVENTS}/{event_id}/history").json()
    assert found["is_current"] is False
    assert [(one["ended"]["kind"], one["ended"]["reason"]) for one in found["items"]] == [
        ("void", "third"),
        ("correction", "second"),
        ("correction", "first"),
    ]
    assert [one["event"]["cost"]["total"] for one in found["items"]] == ["0.0003", "0.0003", "0.00015"]
    assert all(one["ended"]["key_id"] and one["ended"]["at"] for one in found["items"])


def test_the_history_of_another_tenants_event_is_unknown(server: RunningServer) -> None:
    event_id = send(server.client)["event_id"]
    tenant_id = server.client.post("/api/v1/tenants", json={}).json()["id"]
    params = {"tenant_id": tenant_id}
    assert server.client.get(f"{EVENTS}/{event_id}/history", params=params).status_code == 404
    assert server.client.get(f"{EVENTS}/never-seen/history").status_code == 404
    assert server.stranger.get(f"{EVENTS}/{event_id}/history").status_code == 401
