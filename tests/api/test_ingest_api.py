"""The door for events over real HTTP: shapes, encodings, answers, refusals, retries."""

from __future__ import annotations

import gzip
import json
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import zstandard

from bursar import clock
from bursar.ids import EventIds
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

EVENTS = "/api/v1/events"
JSON = {"Content-Type": "application/json"}
_ids = EventIds()


def an_event(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    event = {
        "event_id": _ids.make(clock.now()),
        "provider": "openai",
        "model": "gpt-5",
        "input_tokens": 1000,
        "output_tokens": 100,
    }
    return {**event, **fields}


def post(server: RunningServer, body: object, path: str = EVENTS, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.client.post(path, content=content, headers={**JSON, **headers})


def stored(server: RunningServer, event_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = server.client.get(f"{EVENTS}/{quote(event_id)}").raise_for_status().json()
    return answer


def test_one_event_is_accepted_durably_with_its_cost(server: RunningServer) -> None:
    """gpt-5: 1,000 x 1.25 USD + 100 x 10 USD per million tokens (openai.com/api/pricing)."""
    event = an_event()
    answer = post(server, event)

    assert answer.status_code == 202
    body = answer.json()
    assert body["accepted"] == 1
    assert body["rejected"] == []
    assert (body["success"], body["event_id"]) == (True, event["event_id"])
    expected = {
        "event_id": event["event_id"],
        "retry_safe": True,
        "cost": {"total": "0.00225", "currency": "USD", "status": "priced"},
    }
    assert body["events"] == [expected]


@pytest.mark.parametrize(
    ("media_type", "shape"),
    [
        ("application/json", "list"),
        ("application/json", "wrapped"),
        ("application/x-ndjson", "lines"),
        ("application/cloudevents-batch+json", "cloudevents"),
    ],
)
def test_several_events_come_in_every_shape(server: RunningServer, media_type: str, shape: str) -> None:
    events = [an_event(user_id=shape) for _ in range(3)]
    bodies: dict[str, bytes] = {
        "list": json.dumps(events).encode(),
        "wrapped": json.dumps({"events": events}).encode(),
        "lines": b"\r\n".join(json.dumps(event).encode() for event in events) + b"\n\n",
        "cloudevents": json.dumps([_envelope(event) for event in events]).encode(),
    }
    answer = server.client.post(
        f"{EVENTS}?wait=applied", content=bodies[shape], headers={"Content-Type": media_type}
    )

    assert answer.status_code == 200
    body = answer.json()
    assert [one["outcome"] for one in body["events"]] == ["new"] * 3
    assert "success" not in body
    assert stored(server, body["events"][1]["event_id"])["user_id"] == shape


def _envelope(event: dict[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in event.items() if name != "event_id"}
    return {
        "specversion": "1.0",
        "id": event["event_id"],
        "source": "/apps/a",
        "type": "llm.call",
        "data": data,
    }


def test_a_cloudevent_is_known_by_source_and_id(server: RunningServer) -> None:
    first = {"specversion": "1.0", "id": "1", "source": "/a", "type": "llm.call", "subject": "ada"}
    first |= {"data": {"model": "gpt-5", "provider": "openai", "input_tokens": 1}}
    structured = post(
        server, first, f"{EVENTS}?wait=applied", **{"Content-Type": "application/cloudevents+json"}
    )
    other_source = post(server, {**first, "source": "/b"}, f"{EVENTS}?wait=applied")
    binary = server.client.post(
        f"{EVENTS}?wait=applied",
        json=first["data"],
        headers={
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-source": "/a",
            "ce-type": "llm.call",
            "ce-subject": "ada",
        },
    )

    assert structured.json()["event_id"] == "/a#1"
    assert structured.json()["events"][0]["outcome"] == "new"
    assert other_source.json()["events"][0]["outcome"] == "new"
    assert binary.json()["events"][0]["outcome"] == "duplicate"
    assert stored(server, "/a#1")["operation"] == "llm.call"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_bodies_are_inflated(server: RunningServer, encoding: str) -> None:
    plain = json.dumps([an_event() for _ in range(300)]).encode()
    packed = gzip.compress(plain) if encoding == "gzip" else zstandard.ZstdCompressor().compress(plain)
    answer = post(server, packed, **{"Content-Encoding": encoding})

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 300


def test_good_items_of_a_bad_batch_are_accepted_and_bad_ones_named(server: RunningServer) -> None:
    good = [an_event(), an_event()]
    bad = [{"modle": "x", "input_tokens": -1, "time": "never"}, 5, an_event(input_tokens=1, cached_tokens=2)]
    answer = post(server, [good[0], *bad, good[1]], f"{EVENTS}?wait=applied")

    assert answer.status_code == 200
    body = answer.json()
    assert body["accepted"] == 2
    assert [one["index"] for one in body["rejected"]] == [1, 2, 3]
    codes = {(error["field"], error["code"]) for error in body["rejected"][0]["errors"]}
    assert {("modle", "unknown_field"), ("input_tokens", "out_of_range")} <= codes
    assert body["rejected"][2]["errors"][0]["field"] == "cached_tokens"
    assert stored(server, good[1]["event_id"])["event_id"] == good[1]["event_id"]


def test_nothing_valid_is_a_problem_with_the_same_list(server: RunningServer) -> None:
    answer = post(server, [{"modle": "x"}, {"input_tokens": "many"}])

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["accepted"], [one["index"] for one in body["rejected"]]) == (0, [0, 1])


def test_a_single_bad_event_gives_its_reasons_at_once(server: RunningServer) -> None:
    body = post(server, {"modle": "x", "input_tokens": -1}).json()

    assert body["success"] is False
    assert {error["field"] for error in body["errors"]} == {"modle", "input_tokens"}


def test_an_id_counts_once_and_another_content_is_a_conflict(server: RunningServer) -> None:
    event = an_event()
    first = post(server, event, f"{EVENTS}?wait=applied").json()["events"][0]
    again = post(server, event, f"{EVENTS}?wait=applied").json()["events"][0]
    changed = post(server, {**event, "input_tokens": 999_999}, f"{EVENTS}?wait=applied").json()["events"][0]

    assert (first["outcome"], again["outcome"], changed["outcome"]) == ("new", "duplicate", "conflict")
    assert first["cost"] == again["cost"] == changed["cost"]
    assert stored(server, event["event_id"])["units"]["input_text"] == 1000


def test_the_first_of_equal_ids_in_one_body_wins(server: RunningServer) -> None:
    event = an_event()
    body = post(server, [event, {**event, "user_id": "other"}, event], f"{EVENTS}?wait=applied").json()

    assert [one["outcome"] for one in body["events"]] == ["new", "conflict", "duplicate"]


def test_an_idempotency_key_makes_a_retry_without_ids_safe(server: RunningServer) -> None:
    events = [{"model": "gpt-5", "provider": "openai", "input_tokens": i} for i in (1, 2)]
    key = {"Idempotency-Key": f"key-{_ids.make(clock.now())}"}
    first = post(server, events, f"{EVENTS}?wait=applied", **key).json()["events"]
    again = post(server, events, f"{EVENTS}?wait=applied", **key).json()["events"]

    assert [one["event_id"] for one in first] == [one["event_id"] for one in again]
    assert [one["outcome"] for one in first + again] == ["new", "new", "duplicate", "duplicate"]
    assert all(one["retry_safe"] for one in first)


def test_without_id_or_key_the_answer_says_that_a_retry_is_not_safe(server: RunningServer) -> None:
    answer = post(server, {"model": "gpt-5", "provider": "openai", "input_tokens": 1}).json()

    assert answer["events"][0]["retry_safe"] is False
    assert answer["event_id"]


def test_the_batch_path_also_speaks_to_clients_of_the_usage_tracking_system(server: RunningServer) -> None:
    answer = post(server, {"events": [an_event(), {"modle": "x"}]}, f"{EVENTS}/batch").json()

    assert (answer["success"], answer["processed_count"], answer["failed_count"]) == (False, 1, 1)
    assert answer["failed_events"][0]["index"] == 1
    assert "modle" in answer["failed_events"][0]["error"]


def test_answers_can_do_without_the_events(server: RunningServer) -> None:
    answer = post(server, [an_event()], f"{EVENTS}?return=none").json()

    assert answer == {"accepted": 1, "rejected": []}


def test_native_times_are_bounded_and_imports_take_any_past(server: RunningServer) -> None:
    now = clock.now()
    old, early = clock.rfc3339(now - timedelta(days=36)), clock.rfc3339(now + timedelta(minutes=6))
    codes = [post(server, an_event(time=time)).json()["errors"][0]["code"] for time in (old, early)]
    imported = post(server, an_event(time="2023-06-01T00:00:00Z"), f"{EVENTS}/import?wait=applied")

    assert codes == ["too_old", "in_the_future"]
    assert imported.status_code == 200
    assert stored(server, imported.json()["event_id"])["door"] == "import"


def test_another_tenant_can_not_be_named(server: RunningServer) -> None:
    keys = server.client.post("/api/v1/keys", json={"label": "app", "scopes": ["ingest"]}).json()
    headers = {**JSON, "X-API-Key": keys["key"]}
    single = server.stranger.post(EVENTS, json=an_event(tenant_id="other"), headers=headers)
    mixed = server.stranger.post(EVENTS, json=[an_event(), an_event(tenant_id="other")], headers=headers)
    named = server.stranger.post(f"{EVENTS}?tenant_id=other", json=an_event(), headers=headers)

    assert (single.status_code, single.json()["code"]) == (403, "tenant_mismatch")
    assert mixed.status_code == 202
    assert mixed.json()["rejected"][0]["errors"][0]["code"] == "tenant_mismatch"
    assert (named.status_code, named.json()["code"]) == (403, "tenant_mismatch")


def test_the_operator_may_name_a_tenant_that_exists(server: RunningServer) -> None:
    server.client.post("/api/v1/tenants", json={"id": "tenant-of-ingest", "name": "T"}).raise_for_status()
    event = an_event(tenant_id="tenant-of-ingest")
    accepted = post(server, event, f"{EVENTS}?wait=applied")
    unknown = post(server, an_event(tenant_id="nobody"))

    assert accepted.status_code == 200
    found = server.client.get(f"{EVENTS}/{event['event_id']}", params={"tenant_id": "tenant-of-ingest"})
    assert found.status_code == 200
    assert server.client.get(f"{EVENTS}/{event['event_id']}").status_code == 404
    assert unknown.json()["errors"][0]["code"] == "unknown_tenant"


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Encoding": "br"}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Encoding": "gzip"}, b"not gzip", 400, "malformed_body"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b""), 400, "malformed_body"),
        ({}, b"", 400, "malformed_body"),
        ({}, b"[{}", 400, "malformed_body"),
        ({}, b'"text"', 400, "malformed_body"),
        ({}, b"[]", 422, "invalid"),
        ({"Idempotency-Key": "k" * 256}, b"{}", 422, "invalid"),
        ({}, json.dumps([{}] * 10_001).encode(), 413, "body_too_large"),
    ],
)
def test_bodies_that_can_not_be_taken_are_refused_as_a_whole(
    server: RunningServer, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    answer = post(server, content, **headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_unknown_parameters_are_refused_by_name(server: RunningServer) -> None:
    answer = post(server, an_event(), f"{EVENTS}?wate=applied&wait=soon")

    assert {error["field"] for error in answer.json()["errors"]} == {"wate", "wait"}


def test_only_keys_that_may_ingest_get_in(server: RunningServer) -> None:
    reader = server.client.post("/api/v1/keys", json={"label": "reader", "scopes": ["read"]}).json()
    refused = server.stranger.post(EVENTS, json=an_event(), headers={"X-API-Key": reader["key"]})

    assert server.stranger.post(EVENTS, json=an_event()).status_code == 401
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


def test_a_body_over_the_limit_or_a_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with running_server(tmp_path, max_body_bytes=10_000, max_inflated_bytes=100_000) as server:
        large = post(server, b"[" + b" " * 20_000 + b"]")
        bomb = post(server, gzip.compress(b" " * 5_000_000), **{"Content-Encoding": "gzip"})

        assert (large.status_code, bomb.status_code) == (413, 413)
        assert post(server, an_event()).status_code == 202


def test_bodies_that_are_only_announced_shut_nobody_out(tmp_path: Path) -> None:
    size = 2**20
    with running_server(
        tmp_path, max_body_bytes=size, max_inflated_bytes=size, pending_bytes_limit=size
    ) as server:
        address = (server.platform.settings.host, int(server.url.rpartition(":")[2]))
        head = (
            f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {ADMIN_KEY}\r\nContent-Length: 1000000\r\n\r\n"
        )
        stalled = [socket.create_connection(address) for _ in range(8)]
        try:
            for connection in stalled:
                connection.sendall(head.encode() + b"[")
            answer = post(server, an_event())
        finally:
            for connection in stalled:
                connection.close()

        assert answer.status_code == 202


def test_an_error_message_is_kept_without_the_key_it_quotes(server: RunningServer) -> None:
    event = an_event(status="error", message="Incorrect key sk-proj-abcdefghijklmnopqrst given")
    post(server, event, f"{EVENTS}?wait=applied").raise_for_status()

    assert stored(server, event["event_id"])["message"] == "Incorrect key [redacted] given"


def test_an_explanation_shows_usage_units_rates_and_their_sum(server: RunningServer) -> None:
    """Sonnet 4.5: 3 USD input, 0.30 USD cache read, 15 USD output per million tokens (claude.com/pricing)."""
    usage = {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 5}
    event = {"event_id": _ids.make(clock.now()), "provider": "anthropic", "model": "claude-sonnet-4-5"}
    post(server, {**event, "usage": usage}, f"{EVENTS}?wait=applied").raise_for_status()
    explained = server.client.get(f"{EVENTS}/{event['event_id']}/explain").json()

    lines = {line["unit"]: line["amount"] for line in explained["explanation"]["lines"]}
    assert lines == {"input_text": "0.00003", "cache_read_text": "0.0000015", "output_text": "0.0003"}
    assert (explained["total"], explained["adds_up"]) == ("0.0003315", True)
    assert explained["usage"] == usage
    assert explained["explanation"]["card"]["book_version"]


def test_an_unpriced_event_explains_why(server: RunningServer) -> None:
    event = an_event(model="no-such-model")
    post(server, event, f"{EVENTS}?wait=applied").raise_for_status()
    explained = server.client.get(f"{EVENTS}/{event['event_id']}/explain").json()

    assert (explained["cost_status"], explained["total"], explained["cost_reason"]) == (
        "unpriced",
        None,
        "unknown_model",
    )


def test_a_price_check_rates_at_any_time_and_keeps_nothing(server: RunningServer) -> None:
    """o3 cost 10 USD per million input tokens until 2025-06-10, and 2 USD from then on."""
    event = an_event(model="o3", input_tokens=1_000_000, output_tokens=0)
    body = [
        {**event, "time": "2025-06-01T00:00:00Z"},
        {**event, "time": "2025-06-20T00:00:00Z"},
        {"modle": 1},
    ]
    checked = server.client.post("/api/v1/prices/check", json=body).json()["items"]

    assert [item["explanation"]["total"] for item in checked[:2]] == ["10", "2"]
    assert checked[2]["errors"][0]["code"] == "unknown_field"
    assert server.client.get(f"{EVENTS}/{event['event_id']}").status_code == 404


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_compressed_price_check_is_answered_as_a_plain_one(server: RunningServer, encoding: str) -> None:
    plain = json.dumps([an_event() for _ in range(500)]).encode()
    packed = gzip.compress(plain) if encoding == "gzip" else zstandard.ZstdCompressor().compress(plain)
    check = "/api/v1/prices/check"
    answer = post(server, packed, check, **{"Content-Encoding": encoding})
    assert answer.raise_for_status().json() == post(server, plain, check).json()
    assert len(answer.json()["items"]) == 500
    assert post(server, plain, check, **{"Content-Encoding": "identity"}).is_success


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"not gzip", "gzip", 400, "malformed_body"),
        (gzip.compress(b"[]")[:-9], "gzip", 400, "malformed_body"),
        (b"[]", "br", 415, "unsupported_media_type"),
        (gzip.compress(b" " * 2_000_000), "gzip", 413, "body_too_large"),
        (gzip.compress(b"[nothing"), "gzip", 400, "malformed_body"),
    ],
    ids=["no gzip", "cut short", "another encoding", "too large", "no JSON"],
)
def test_a_compressed_body_that_cant_be_taken_is_refused_by_name(
    server: RunningServer, body: bytes, encoding: str, status: int, code: str
) -> None:
    answer = post(server, body, "/api/v1/prices/check", **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_compressed_body_in_parts_beyond_the_limit_is_refused(server: RunningServer) -> None:
    parts = (b"\0" * 100_000 for _ in range(20))
    answer = server.client.post(
        "/api/v1/prices/check", content=parts, headers={**JSON, "Content-Encoding": "gzip"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
