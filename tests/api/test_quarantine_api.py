"""The quarantine over HTTP: what is listed, how it is let out, and why some of it stays."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import RunningServer

_numbers = itertools.count()
EVENTS = "/api/v1/events"
QUARANTINE = f"{EVENTS}/quarantine"
REPLAY = f"{QUARANTINE}/replay"
WHY = "the second log is the right one"


def a_conflict(client: httpx.Client) -> tuple[str, int]:
    """An event, delivered once more with other content; its id and the quarantined record's."""
    event_id = f"twice-{next(_numbers)}"
    for tokens in (1000, 2000):
        event = {"event_id": event_id, "model": "gpt-4o-mini", "input_tokens": tokens}
        assert client.post(EVENTS, json=event, params={"wait": "applied"}).status_code == 200
    return event_id, listed(client, event_id=event_id)[0]["id"]


def unreadable(server: RunningServer, line: bytes) -> int:
    """A record that the store can't apply, as an older or newer Bursar may have left; its place."""
    seq = server.platform.changes.append([line])
    assert server.platform.changes.wait_applied(seq, 10)
    return server.platform.veil.of("default").show(seq)


def listed(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a query's values
    answer = client.get(QUARANTINE, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def replay(client: httpx.Client, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - a body's fields
    answer = client.post(REPLAY, json={"reason": WHY, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_conflict_is_listed_with_what_came_the_second_time(server: RunningServer) -> None:
    event_id, record_id = a_conflict(server.client)
    (item,) = listed(server.client, event_id=event_id)
    assert (item["id"], item["event_id"], item["reason"]) == (record_id, event_id, "conflict")
    assert item["record"]["event"]["input_tokens"] == 2000
    assert server.client.get(f"{QUARANTINE}/{record_id}").json() == item


def test_a_conflict_becomes_a_correction_when_somebody_says_so(server: RunningServer) -> None:
    event_id, record_id = a_conflict(server.client)
    done = replay(server.client, ids=[record_id], **{"as": "correction"})
    assert (done["released"], done["refused"], done["applied"]) == ([record_id], [], True)
    event = server.client.get(f"{EVENTS}/{event_id}").json()
    assert (event["is_corrected"], event["cost"]["total"]) == (True, "0.0003")
    assert listed(server.client, event_id=event_id) == []


def test_a_conflict_never_becomes_a_correction_by_itself(server: RunningServer) -> None:
    event_id, record_id = a_conflict(server.client)
    done = replay(server.client, ids=[record_id])
    assert (done["released"], done["refused"][0]["code"]) == ([], "conflict")
    assert len(listed(server.client, event_id=event_id)) == 1


def test_a_conflict_that_isnt_wanted_is_discarded_and_the_first_delivery_stays(server: RunningServer) -> None:
    event_id, record_id = a_conflict(server.client)
    assert replay(server.client, ids=[record_id], **{"as": "discard"})["released"] == [record_id]
    assert listed(server.client, event_id=event_id) == []
    assert server.client.get(f"{EVENTS}/{event_id}").json()["cost"]["total"] == "0.00015"


def test_a_conflict_with_a_voided_event_cant_become_a_correction(server: RunningServer) -> None:
    event_id, record_id = a_conflict(server.client)
    server.client.post(f"{EVENTS}/void", json={"event_ids": [event_id], "reason": WHY})
    done = replay(server.client, ids=[record_id], **{"as": "correction"})
    assert done["refused"][0]["code"] == "no_such_event"


def test_a_correction_that_came_before_its_event_is_put_in_again_once_it_counts(
    server: RunningServer,
) -> None:
    event_id, record_id = a_conflict(server.client)
    usage = server.client.get(f"{QUARANTINE}/{record_id}").json()["record"]
    usage["event"]["event_id"] = late = f"{event_id}-late"
    head = {"v": 1, "kind": "correction", "received": 1, "tenant_id": "default", "key_id": "k", "door": "api"}
    correction = json.dumps({**head, "reason": "r", "event_id": late, "usage": usage})
    seq = unreadable(server, correction.encode())
    assert replay(server.client, ids=[seq])["refused"][0]["code"] == "no_such_event"
    event = {"event_id": late, "model": "gpt-4o-mini", "input_tokens": 5}
    server.client.post(EVENTS, json=event, params={"wait": "applied"})
    assert replay(server.client, ids=[seq])["released"] == [seq]
    assert server.client.get(f"{EVENTS}/{late}").json()["cost"]["total"] == "0.0003"
    assert listed(server.client, event_id=late) == []


def test_what_this_version_cant_read_stays(server: RunningServer) -> None:
    line = b'{"v":1,"kind":"from_the_future","received":1,"tenant_id":"default","key_id":"k","door":"api"}'
    seq = unreadable(server, line)
    done = replay(server.client, ids=[seq, 2**62])
    assert [(one["id"], one["code"]) for one in done["refused"]] == [
        (seq, "unknown_kind"),
        (2**62, "no_such_record"),
    ]
    assert replay(server.client, ids=[seq], **{"as": "correction"})["refused"][0]["code"] == "no_conflict"
    assert [one["id"] for one in listed(server.client, reason="unknown_kind")] == [seq]
    assert replay(server.client, ids=[seq], **{"as": "discard"})["released"] == [seq]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(server: RunningServer) -> None:
    event_id, record_id = a_conflict(server.client)
    body = {"filter": {"event_id": event_id}, "as": "correction", "dry_run": True}
    done = replay(server.client, **body)
    assert (done["dry_run"], done["released"], done["applied"]) == (True, [record_id], False)
    assert len(listed(server.client, event_id=event_id)) == 1


def test_pages_go_on_where_the_last_one_ended(server: RunningServer) -> None:
    ids = {a_conflict(server.client)[1] for _ in range(3)}
    found: list[int] = []
    times: list[str] = []
    params: dict[str, Any] = {"reason": "conflict", "window": "today", "limit": 2}
    while True:
        page = server.client.get(QUARANTINE, params=params).json()
        found += [one["id"] for one in page["items"]]
        times += [one["received_at"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert len(found) == len(set(found))
    assert times == sorted(times, reverse=True)
    assert ids <= set(found)
    assert len(found) == page["total_count"]


def test_the_recount_agrees_after_records_were_let_out(server: RunningServer) -> None:
    _, record_id = a_conflict(server.client)
    replay(server.client, ids=[record_id], **{"as": "correction"})
    recount = server.platform.stores.recount(lambda _step, _records: None)
    assert recount.is_clean, recount.differences


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"reason": WHY}, ("ids", "required")),
        ({"ids": [1], "filter": {}, "reason": WHY}, ("ids", "conflicting_parameters")),
        ({"ids": ["a"], "reason": WHY}, ("ids", "wrong_type")),
        ({"ids": [], "reason": WHY}, ("ids", "out_of_range")),
        ({"ids": [1]}, ("reason", "required")),
        ({"ids": [1], "reason": WHY, "as": "magic"}, ("as", "unknown_word")),
        ({"filter": {"flavour": 1}, "reason": WHY}, ("flavour", "unknown_parameter")),
        ({"filter": {"window": "soon"}, "reason": WHY}, ("window", "unknown_window")),
        ({"filter": [], "reason": WHY}, ("filter", "wrong_type")),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused(
    server: RunningServer, body: dict[str, Any], reason: tuple[str, str]
) -> None:
    answer = server.client.post(REPLAY, json=body)
    assert answer.status_code == 422
    assert reason in {(one["field"], one["code"]) for one in answer.json()["errors"]}


def test_the_quarantine_is_for_admins_and_shows_only_their_tenants_records(server: RunningServer) -> None:
    event_id, record_id = a_conflict(server.client)
    assert server.stranger.get(QUARANTINE).status_code == 401
    reader = server.client.post("/api/v1/keys", json={"label": "r", "scopes": ["read"]}).json()
    assert server.stranger.get(QUARANTINE, headers={"X-API-Key": reader["key"]}).status_code == 403
    tenant_id = server.client.post("/api/v1/tenants", json={}).json()["id"]
    admin = server.client.post(
        "/api/v1/keys", json={"label": "a", "scopes": ["admin"]}, params={"tenant_id": tenant_id}
    ).json()
    theirs = {"X-API-Key": admin["key"]}
    assert server.stranger.get(QUARANTINE, headers=theirs).json()["items"] == []
    assert server.stranger.get(f"{QUARANTINE}/{record_id}", headers=theirs).status_code == 404
    body = {"ids": [record_id], "as": "discard", "reason": WHY}
    done = server.stranger.post(REPLAY, json=body, headers=theirs).json()
    assert done["refused"][0]["code"] == "no_such_record"
    assert len(listed(server.client, event_id=event_id)) == 1
    unowned = server.stranger.get(QUARANTINE, params={"unowned": True}, headers=theirs)
    assert unowned.status_code == 403
    assert server.client.get(QUARANTINE, params={"unowned": True}).status_code == 200
