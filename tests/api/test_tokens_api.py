"""Tracking tokens over HTTP: made, shown, switched off, and named by events, with a key and never instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar.identity.tokens.token import LONGEST, SHORTEST
from tests.support import access
from tests.support.patience import wait_until
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import RunningServer

PATH = "/api/v1/tokens"
EVENTS = "/api/v1/events?wait=applied"
EVENT = {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": 10, "output_tokens": 5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


class Tenant(access.Tenant):
    """A tenant, and what the tests here ask of it."""

    def token(self, label: str = "app", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        answer = self.ask("POST", PATH, json={"label": label, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def shown(self, token_id: str) -> dict[str, Any]:
        return self.ask("GET", f"{PATH}/{token_id}", "read").json()

    def codes(self, *events: dict[str, Any]) -> list[list[str]]:
        """The codes of every item's refusal."""
        document = self.ask("POST", EVENTS, "ingest", json=list(events)).json()
        refused = document["rejected"] if "rejected" in document else document["items"]
        return [[reason["code"] for reason in one["errors"]] for one in refused]


@pytest.fixture(scope="module")
def acme(server: RunningServer) -> Tenant:
    return Tenant(server, "acme")


@pytest.fixture(scope="module")
def rival(server: RunningServer) -> Tenant:
    return Tenant(server, "rival")


def test_a_token_is_made_listed_masked_and_shown_whole(acme: Tenant) -> None:
    made = acme.token("made")
    assert len(made["token"]) == 22
    assert (made["label"], made["is_active"], made["usage_count"], made["last_seen_at"]) == (
        "made",
        True,
        0,
        None,
    )
    listed = acme.ask("GET", PATH, "read")
    assert made["token"] not in listed.text
    (found,) = [one for one in listed.json()["items"] if one["id"] == made["id"]]
    assert found["token_masked"] == f"{made['token'][:4]}…{made['token'][-4:]}"
    assert acme.shown(made["id"]) == made


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "label"),
        ({"label": ""}, "label"),
        ({"label": "x" * 65}, "label"),
        ({"label": "two\nlines"}, "label"),
        ({"label": "short", "token": "x" * (SHORTEST - 1)}, "token"),
        ({"label": "long", "token": "x" * (LONGEST + 1)}, "token"),
        ({"label": "odd", "token": "with a space in it"}, "token"),
        ({"label": "more", "secret": "x"}, "secret"),
    ],
)
def test_what_is_no_token_is_refused_by_its_field(acme: Tenant, body: dict[str, str], field: str) -> None:
    answer = acme.ask("POST", PATH, json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_label_is_one_token_s(acme: Tenant) -> None:
    acme.token("once")
    answer = acme.ask("POST", PATH, json={"label": "once"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "label_exists")


def test_an_event_keeps_the_id_of_the_token_it_names(acme: Tenant) -> None:
    token = acme.token("named")
    one = acme.ask(
        "POST", EVENTS, "ingest", json=EVENT | {"event_id": "t-1", "tracking_token": token["token"]}
    )
    assert one.status_code == 200, one.text
    batch = [EVENT | {"event_id": f"t-{number}", "tracking_token": token["token"]} for number in (2, 3)]
    assert acme.codes(*batch, EVENT | {"event_id": "t-4"}) == []

    stored = acme.ask("GET", "/api/v1/events/t-1", "read")
    assert token["token"] not in stored.text
    assert stored.json()["tracking_token_id"] == token["id"]
    question = {"measures": ["events"], "filters": {"ingest_token_id": token["id"]}, "window": "all"}
    answer = acme.ask("POST", "/api/v1/query", "read", json=question)
    assert answer.json()["totals"]["events"] == 3, answer.text
    wait_until(lambda: acme.shown(token["id"])["usage_count"] == 3, "the uses to be written down")
    assert acme.shown(token["id"])["last_seen_at"] is not None


def test_the_same_event_counts_once_whoever_names_the_token(acme: Tenant) -> None:
    token = acme.token("retried")
    event = EVENT | {"event_id": "again", "tracking_token": token["token"], "time": "2026-11-20T12:00:00Z"}
    first = acme.ask("POST", EVENTS, "ingest", json=[event]).json()
    again = acme.ask("POST", EVENTS, "ingest", json=[event]).json()
    by_id = {**event, "tracking_token_id": token["id"]}
    del by_id["tracking_token"]
    third = acme.ask("POST", EVENTS, "ingest", json=[by_id]).json()
    outcomes = [answer["events"][0]["outcome"] for answer in (first, again, third)]
    assert outcomes == ["new", "duplicate", "duplicate"]


def test_an_unknown_or_inactive_token_refuses_its_item_alone(acme: Tenant, rival: Tenant) -> None:
    token, foreign = acme.token("off"), rival.token("theirs")
    assert acme.ask("PATCH", f"{PATH}/{token['id']}", json={"is_active": False}).json()["is_active"] is False
    events = [
        EVENT | {"tracking_token": token["token"]},
        EVENT | {"tracking_token": foreign["token"]},
        EVENT | {"tracking_token": "nobody-has-this-one"},
        EVENT | {"tracking_token": "no such thing", "cost": {"amount": "-1"}, "input_tokens": 1},
        EVENT,
    ]
    answer = acme.ask("POST", EVENTS, "ingest", json=events)
    document = answer.json()
    assert document["accepted"] == 1
    codes = [[reason["code"] for reason in one["errors"]] for one in document["rejected"]]
    assert codes[:3] == [
        ["inactive_tracking_token"],
        ["unknown_tracking_token"],
        ["unknown_tracking_token"],
    ]
    assert "unknown_tracking_token" in codes[3]
    assert foreign["id"] not in answer.text
    assert rival.shown(foreign["id"])["usage_count"] == 0

    single = acme.ask("POST", EVENTS, "ingest", json=events[0])
    assert (single.status_code, single.json()["errors"][0]["code"]) == (422, "inactive_tracking_token")
    acme.ask("PATCH", f"{PATH}/{token['id']}", json={"is_active": True}).raise_for_status()
    assert acme.ask("POST", EVENTS, "ingest", json=events[0]).status_code == 200


def test_naming_another_tenant_tells_nothing_of_its_tokens(acme: Tenant, rival: Tenant) -> None:
    foreign = rival.token("secret of theirs")
    known = EVENT | {"tenant_id": "rival", "tracking_token": foreign["token"]}
    unknown = EVENT | {"tenant_id": "rival", "tracking_token": "nobody-has-this-one"}
    both = acme.codes(known, unknown)
    assert both[0] == both[1]
    assert "tenant_mismatch" in both[0]


def test_a_token_and_the_id_of_another_contradict_each_other(acme: Tenant) -> None:
    token = acme.token("contradicted")
    event = EVENT | {"tracking_token": token["token"], "tracking_token_id": "tok_other"}
    assert acme.codes(event) == [["contradiction"]]


def test_a_token_alone_opens_nothing(server: RunningServer, acme: Tenant) -> None:
    token = acme.token("no credential")["token"]
    event = EVENT | {"tracking_token": token}
    for headers in ({}, {"X-API-Key": token}, {"X-Ingest-Key": token}, {"Authorization": f"Bearer {token}"}):
        assert server.stranger.post(EVENTS, headers=headers, json=event).status_code == 401
        assert server.stranger.get(PATH, headers=headers).status_code == 401
    assert acme.ask("POST", EVENTS, "read", json=event).status_code == 403


def test_another_tenant_s_tokens_are_unknown(acme: Tenant, rival: Tenant) -> None:
    token = acme.token("mine")
    path = f"{PATH}/{token['id']}"
    for method, body in (("GET", None), ("PATCH", {"is_active": False}), ("DELETE", None)):
        answer = rival.ask(method, path, json=body)
        missing = rival.ask(method, f"{PATH}/tok_none", json=body)
        assert (answer.status_code, missing.status_code) == (404, 404)
    assert token["id"] not in rival.ask("GET", PATH).text
    assert acme.shown(token["id"]) == token


@pytest.mark.parametrize("key", ["read", "ingest"])
def test_only_who_may_write_tokens_does(acme: Tenant, key: str) -> None:
    token = acme.token(f"kept from {key}")
    assert acme.ask("POST", PATH, key, json={"label": "x"}).status_code == 403
    assert acme.ask("PATCH", f"{PATH}/{token['id']}", key, json={"is_active": False}).status_code == 403
    assert acme.ask("DELETE", f"{PATH}/{token['id']}", key).status_code == 403
    assert acme.ask("GET", PATH, "ingest").status_code == 403


def test_a_deleted_token_is_unknown_and_its_events_stay(acme: Tenant) -> None:
    token = acme.token("deleted")
    event = EVENT | {"event_id": "of-deleted", "tracking_token": token["token"]}
    assert acme.codes(event) == []
    assert acme.ask("DELETE", f"{PATH}/{token['id']}").status_code == 204
    assert acme.codes(event) == [["unknown_tracking_token"]]
    assert acme.ask("GET", f"{PATH}/{token['id']}").status_code == 404
    assert acme.ask("GET", "/api/v1/events/of-deleted", "read").json()["tracking_token_id"] == token["id"]


def test_a_setting_says_how_long_tokens_are_made(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", tracking_token_length=LONGEST) as server:
        made = server.client.post(PATH, json={"label": "long"}).json()
        assert len(made["token"]) == LONGEST


def test_what_was_counted_is_written_down_when_a_server_stops(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        made = server.client.post(PATH, json={"label": "kept"}).json()
        event = EVENT | {"tracking_token": made["token"]}
        server.client.post("/api/v1/events", json=event).raise_for_status()
    with running_server(tmp_path / "data") as server:
        assert server.client.get(f"{PATH}/{made['id']}").json()["usage_count"] == 1
        server.client.post("/api/v1/events", json=event).raise_for_status()
