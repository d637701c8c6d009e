"""API keys that are rotated, or bound to a project or to networks, over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from tests.support.access import keys_of
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

PATH = "/api/v1/keys"
PROJECTS = "/api/v1/projects"
EVENTS = "/api/v1/events"
EVENT = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def made(server: RunningServer, *scopes: str, **terms: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    body = {"label": "of a test", "scopes": scopes or ["ingest"], **terms}
    answer = server.client.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def send(server: RunningServer, key: str, body: Any, **more: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    headers = {"X-Ingest-Key": key, **more.pop("headers", {})}
    return server.stranger.post(EVENTS, headers=headers, json=body, **more)


def test_both_keys_count_for_the_overlap_and_then_the_new_one_alone(server: RunningServer) -> None:
    old = made(server, "ingest", project_id="search", networks=["127.0.0.1"])
    before = clock.now()
    answer = server.client.post(f"{PATH}/{old['id']}/rotate", json={"overlap_seconds": 3600})
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert new["key"] != old["key"]
    assert new["replaces"] == old["id"]
    for term in ("label", "scopes", "project_id", "networks", "is_operator", "expires_at"):
        assert new[term] == old[term]
    ends = datetime.fromisoformat(new["replaced_ends_at"])
    assert before + timedelta(hours=1) <= ends <= clock.now() + timedelta(hours=1)
    assert server.client.get(f"{PATH}/{old['id']}").json()["expires_at"] == new["replaced_ends_at"]
    assert send(server, old["key"], EVENT).status_code == send(server, new["key"], EVENT).status_code == 202

    at_once = server.client.post(f"{PATH}/{new['id']}/rotate", json={"overlap_seconds": 0}).json()
    refused = send(server, new["key"], EVENT)
    assert (refused.status_code, refused.json()["code"]) == (401, "expired_key")
    assert send(server, at_once["key"], EVENT).status_code == 202


def test_a_rotation_that_is_sent_again_makes_no_second_key_and_names_the_first(server: RunningServer) -> None:
    old = made(server)

    def rotate(retry_key: str) -> httpx.Response:
        body, headers = {"overlap_seconds": 0}, {"Idempotency-Key": retry_key}
        return server.client.post(f"{PATH}/{old['id']}/rotate", json=body, headers=headers)

    first, again = rotate("nightly 7"), rotate("nightly 7")
    assert (first.status_code, again.status_code) == (201, 409)
    (reason,) = again.json()["errors"]
    assert (reason["code"], first.json()["id"] in reason["message"]) == ("already_rotated", True)
    assert first.json()["key"] not in again.text
    assert rotate("nightly 8").json()["errors"][0]["code"] == "key_expired"
    assert server.client.get(f"{PATH}/{first.json()['id']}").json()["state"] == "usable"


def test_a_rotation_that_can_not_be_changes_nothing(server: RunningServer) -> None:
    old = made(server)
    for body in ({"overlap_seconds": -1}, {"overlap_seconds": 10**9}, {"expires_at": "2020-01-01T00:00:00Z"}):
        assert server.client.post(f"{PATH}/{old['id']}/rotate", json=body).status_code == 422
    assert server.client.post(f"{PATH}/key_none/rotate", json={}).status_code == 404
    assert server.client.get(f"{PATH}/{old['id']}").json()["expires_at"] is None
    server.client.delete(f"{PATH}/{old['id']}").raise_for_status()
    assert server.client.post(f"{PATH}/{old['id']}/rotate", json={}).status_code == 409


def test_only_an_admin_of_the_same_tenant_rotates(server: RunningServer) -> None:
    keys = keys_of(server, "rotating")
    other = made(server)
    own = server.client.get(PATH, params={"tenant_id": "rotating"}).json()["items"][0]["id"]

    def status(scope: str, key_id: str) -> int:
        headers = {"X-API-Key": keys[scope]}
        return server.stranger.post(f"{PATH}/{key_id}/rotate", headers=headers, json={}).status_code

    assert [status("read", own), status("ingest", own)] == [403, 403]
    assert status("admin", other["id"]) == status("admin", "key_none") == 404
    assert status("admin", own) == 201


@pytest.mark.parametrize("count", [1, 3])
def test_what_a_project_s_key_sends_is_that_project_s(server: RunningServer, count: int) -> None:
    key = made(server, "ingest", project_id="support")["key"]
    named = [f"bound-{count}-{number}" for number in range(count)]
    absent = [EVENT | {"event_id": event_id} for event_id in named]
    answer = send(server, key, absent if count > 1 else absent[0], params={"wait": "applied"})
    assert answer.status_code == 200, answer.text
    for event_id in named:
        assert server.client.get(f"{EVENTS}/{event_id}").json()["project_id"] == "support"

    foreign = EVENT | {"project_id": "search"}
    refused = send(server, key, foreign)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "project_mismatch")
    mixed = send(server, key, [EVENT | {"project_id": "support"}, foreign, EVENT]).json()
    assert mixed["accepted"] == 2
    assert [one["errors"][0]["code"] for one in mixed["rejected"]] == ["project_mismatch"]


def test_a_project_s_key_is_not_told_what_an_event_of_another_project_cost(server: RunningServer) -> None:
    whole, bound = made(server, "ingest")["key"], made(server, "ingest", project_id="support")["key"]
    event = EVENT | {"event_id": "of-search", "project_id": "search", "input_tokens": 1_000_000}
    first = send(server, whole, event, params={"wait": "applied"}).json()["events"][0]
    own = {key: value for key, value in event.items() if key != "project_id"} | {"input_tokens": 1}
    clash = send(server, bound, own, params={"wait": "applied"}).json()["events"][0]
    assert (first["outcome"], clash["outcome"]) == ("new", "conflict")
    assert clash["cost"]["total"] != first["cost"]["total"]
    told = send(server, whole, own | {"project_id": "search"}, params={"wait": "applied"}).json()["events"][0]
    assert (told["outcome"], told["cost"]) == ("conflict", first["cost"])


def test_a_project_s_key_is_bound_by_the_long_way_and_with_a_token_too(server: RunningServer) -> None:
    token = server.client.post("/api/v1/tokens", json={"label": "of a project"}).json()
    key = made(server, "ingest", project_id="support")["key"]
    event = EVENT | {"event_id": "bound-long", "tracking_token": token["token"], "cost": {"amount": "1"}}
    assert send(server, key, event, params={"wait": "applied"}).status_code == 200
    stored = server.client.get(f"{EVENTS}/bound-long").json()
    assert (stored["project_id"], stored["tracking_token_id"]) == ("support", token["id"])
    codes = send(server, key, event | {"project_id": "search", "tracking_token": "none-such"}).json()[
        "errors"
    ]
    assert [one["code"] for one in codes] == ["project_mismatch", "unknown_tracking_token"]


def test_a_project_s_key_manages_nothing_of_the_tenant(server: RunningServer) -> None:
    headers = {"X-API-Key": made(server, "admin", project_id="support")["key"]}
    for path in (PATH, "/api/v1/tokens"):
        assert server.stranger.get(path, headers=headers).status_code == 403
    body = {"label": "more", "scopes": ["ingest"]}
    assert server.stranger.post(PATH, headers=headers, json=body).status_code == 403
    for name in ("support", "sales"):
        assert server.client.post(PROJECTS, json={"id": name, "name": name}).status_code == 201
    shown = server.stranger.get(PROJECTS, headers=headers).json()["items"]
    assert [one["id"] for one in shown] == ["support"], "its own, and no other"
    assert (
        server.stranger.patch(f"{PROJECTS}/support", headers=headers, json={"name": "n"}).status_code == 403
    )


def test_an_operator_s_key_is_for_no_project(server: RunningServer) -> None:
    body = {"label": "x", "scopes": ["admin"], "is_operator": True, "project_id": "support"}
    answer = server.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_of_operator")


def test_a_key_counts_from_its_networks_only(server: RunningServer) -> None:
    here = made(server, "ingest", "read", networks=["127.0.0.0/8", "::1"])
    elsewhere = made(server, "ingest", "read", networks=["10.0.0.0/8"])
    assert here["networks"] == ["127.0.0.0/8", "::1/128"]
    forged = {"X-Forwarded-For": "10.1.2.3", "Forwarded": "for=10.1.2.3", "X-Real-IP": "10.1.2.3"}
    for headers in ({}, forged):
        for body in (EVENT, [EVENT, EVENT]):
            assert send(server, here["key"], body, headers=headers).status_code == 202
            refused = send(server, elsewhere["key"], body, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "wrong_network")
        for key, status in ((here, 200), (elsewhere, 403)):
            asked = server.stranger.get("/api/v1/usage", headers={"X-API-Key": key["key"], **headers})
            assert asked.status_code == status


def test_behind_a_trusted_proxy_the_client_s_address_counts(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", trusted_proxies="127.0.0.1") as server:
        key = made(server, "ingest", networks=["10.0.0.0/8"])["key"]
        for address, status in (("10.1.2.3", 202), ("192.0.2.1", 403), ("10.1.2.3, 192.0.2.1", 403)):
            assert send(server, key, EVENT, headers={"X-Forwarded-For": address}).status_code == status
        assert send(server, key, EVENT).status_code == 403


def test_what_is_no_network_is_refused_by_its_place(server: RunningServer) -> None:
    body = {"label": "x", "scopes": ["read"], "networks": ["10.0.0.0/8", "10.0.0.1/8"]}
    answer = server.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "networks.1")


def test_the_usage_of_a_key_is_what_it_sent(server: RunningServer) -> None:
    used, other = made(server), made(server)
    events = [EVENT | {"model": model} for model in ("gpt-4o", "gpt-4o", "gpt-4o-mini")]
    assert send(server, used["key"], events, params={"wait": "applied"}).status_code == 200
    path = f"{PATH}/{used['id']}/usage"
    found = server.client.get(path, params={"measures": "events,input_tokens", "dimensions": "model"}).json()
    assert found["totals"]["events"] == 3
    assert {row["model"]: row["events"] for row in found["rows"]} == {"gpt-4o": 2, "gpt-4o-mini": 1}
    asked = {"measures": ["events", "cost"], "filters": {"key_id": used["id"]}}
    same = server.client.post("/api/v1/query", json=asked).json()["totals"]
    assert server.client.get(path, params={"measures": "events,cost"}).json()["totals"] == same
    assert server.client.get(f"{PATH}/{other['id']}/usage").json()["totals"]["events"] == 0
    assert server.client.get(path, params={"format": "csv"}).headers["content-type"].startswith("text/csv")
    for wrong in ({"filters": "{}"}, {"measures": "nothing"}, {"window": "sometime"}, {"key_id": "x"}):
        assert server.client.get(path, params=wrong).status_code == 422


def test_the_usage_of_another_tenant_s_key_is_unknown(server: RunningServer) -> None:
    keys = keys_of(server, "looking")
    foreign = made(server)
    for key_id in (foreign["id"], "key_none"):
        answer = server.stranger.get(f"{PATH}/{key_id}/usage", headers={"X-API-Key": keys["read"]})
        assert answer.status_code == 404
    own = server.client.get(PATH, params={"tenant_id": "looking"}).json()["items"][0]["id"]
    for scope, status in (("read", 200), ("ingest", 403)):
        answer = server.stranger.get(f"{PATH}/{own}/usage", headers={"X-API-Key": keys[scope]})
        assert answer.status_code == status
    assert server.stranger.get(f"{PATH}/{own}/usage").status_code == 401
