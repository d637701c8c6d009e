"""What `send` puts on the wire: ids made before the first try, bodies of bounded size, exact numbers."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from bursar_client import (
    BursarClient,
    EventsRejected,
    UnsendableEvent,
    new_event_id,
    with_event_ids,
)
from tests.client.scripted_server import Answer, accept_all, serving

EVENT = {"provider": "openai", "model": "gpt-5.4-mini", "input_tokens": 10, "output_tokens": 3}


def test_events_are_sent_with_the_key_and_an_id_each() -> None:
    with serving(accept_all) as server, BursarClient(server.url, "bur_secret") as client:
        result = client.send([EVENT, {**EVENT, "event_id": "mine"}])
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/events")
    assert asked.headers["authorization"] == "Bearer bur_secret"
    first, second = asked.events
    assert uuid.UUID(first["event_id"]).version == 7
    assert second["event_id"] == "mine"
    assert result.accepted == 2
    assert [event.event_id for event in result.events] == [first["event_id"], "mine"]


def test_sending_leaves_the_callers_events_as_they_are() -> None:
    event = dict(EVENT)
    with serving(accept_all) as server, BursarClient(server.url) as client:
        client.send([event])
    assert event == EVENT


def test_a_long_list_leaves_in_bodies_of_a_thousand_and_is_reported_as_one() -> None:
    with serving(accept_all) as server, BursarClient(server.url) as client:
        result = client.send({**EVENT, "event_id": f"e{n}"} for n in range(2_500))
    assert [len(asked.events) for asked in server.asked] == [1000, 1000, 500]
    assert result.accepted == 2_500
    assert [event.event_id for event in result.events] == [f"e{n}" for n in range(2_500)]


def test_bodies_also_end_before_they_grow_past_four_megabytes() -> None:
    big = {**EVENT, "metadata": {"text": "x" * 60_000}}
    with serving(accept_all) as server, BursarClient(server.url) as client:
        assert client.send([big] * 100).accepted == 100
    assert [len(asked.events) for asked in server.asked] == [69, 31]
    assert all(len(asked.content) <= 4 * 1024 * 1024 + 2 for asked in server.asked)


def test_nothing_to_send_sends_nothing() -> None:
    with serving(accept_all) as server, BursarClient(server.url) as client:
        assert client.send([]).accepted == 0
    assert server.asked == []


def test_large_bodies_are_compressed_and_small_ones_are_not() -> None:
    with serving(accept_all) as server, BursarClient(server.url) as client:
        client.send([EVENT])
        client.send([EVENT] * 500)
    small, large = server.asked
    assert "content-encoding" not in small.headers
    assert large.headers["content-encoding"] == "gzip"
    assert large.size_on_the_wire < len(large.content) / 4


def test_decimals_travel_as_exact_strings_and_times_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    event = {
        "units": {"seconds": Decimal("12.500000")},
        "cost": {"amount": Decimal("1E-7")},
        "time": datetime(2026, 10, 1, 14, 30, tzinfo=east),
        "request_id": uuid.UUID(int=5),
    }
    with serving(accept_all) as server, BursarClient(server.url) as client:
        client.send([event])
    (sent,) = server.asked[0].events
    assert sent["units"] == {"seconds": "12.500000"}
    assert sent["cost"] == {"amount": "0.0000001"}
    assert sent["time"] == "2026-10-01T12:30:00Z"
    assert sent["request_id"] == "00000000-0000-0000-0000-000000000005"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "not JSON compliant"),
        (datetime(2026, 10, 1), "no time zone"),  # noqa: DTZ001 - the point of the case
        ({1, 2}, "set has no form"),
    ],
)
def test_an_event_that_json_cannot_hold_is_named_and_nothing_is_sent(value: object, why: str) -> None:
    events: list[dict[str, Any]] = [{**EVENT, "event_id": f"e{n}"} for n in range(1_500)]
    events[1_200]["metadata"] = {"v": value}
    with (
        serving(accept_all) as server,
        BursarClient(server.url) as client,
        pytest.raises(UnsendableEvent, match=f"Event 1200 .*{why}") as caught,
    ):
        client.send(events)
    assert caught.value.index == 1_200
    assert server.asked == []


def test_refused_events_are_named_by_their_place_in_everything_sent() -> None:
    reason = {"field": "model", "code": "too_long", "message": "must have at most 256 characters"}
    refusing = Answer(
        202,
        {
            "accepted": 1,
            "rejected": [{"index": 1, "errors": [reason]}],
            "events": [
                {
                    "event_id": "e1000",
                    "cost": {"total": "0.000000000001", "currency": "USD", "status": "priced"},
                },
            ],
        },
    )
    with serving(accept_all, refusing) as server, BursarClient(server.url) as client:
        result = client.send({**EVENT, "event_id": f"e{n}"} for n in range(1_002))
    (rejected,) = result.rejected
    assert rejected.index == 1_001
    assert rejected.errors[0].code == "too_long"
    cost = result.events[-1].cost
    assert cost is not None
    assert cost.total == Decimal("0.000000000001")
    with pytest.raises(EventsRejected, match="Event 1001 was refused: model: must have at most") as caught:
        result.raise_for_rejected()
    assert caught.value.rejected == result.rejected


def test_a_body_refused_wholly_is_a_result_and_not_an_error() -> None:
    reason = {"field": "model", "code": "wrong_type", "message": "must be text"}
    document = {
        "type": "urn:bursar:problem:invalid",
        "status": 422,
        "accepted": 0,
        "rejected": [{"index": 0, "errors": [reason]}],
        "events": [],
    }
    with serving(Answer(422, document)) as server, BursarClient(server.url) as client:
        result = client.send([{"model": 3}])
    assert result.accepted == 0
    assert result.rejected[0].errors[0].message == "must be text"


def test_an_unpriced_event_has_no_total_instead_of_zero() -> None:
    cost = {"total": None, "currency": "USD", "status": "unpriced"}
    answer = Answer(202, {"accepted": 1, "rejected": [], "events": [{"event_id": "e", "cost": cost}]})
    with serving(answer) as server, BursarClient(server.url) as client:
        sent = client.send([EVENT]).events[0]
    assert sent.cost is not None
    assert sent.cost.total is None
    assert sent.cost.status == "unpriced"


def test_waiting_for_the_store_is_asked_for_and_its_outcome_is_told() -> None:
    answer = Answer(
        200,
        {
            "accepted": 1,
            "applied": True,
            "rejected": [],
            "events": [{"event_id": "e", "outcome": "duplicate"}],
        },
    )
    with serving(answer) as server, BursarClient(server.url) as client:
        result = client.send([EVENT], wait_applied=True)
    assert server.asked[0].path == "/api/v1/events?wait=applied"
    assert result.applied
    assert result.events[0].outcome == "duplicate"


def test_old_events_go_through_another_door() -> None:
    with serving(accept_all) as server, BursarClient(server.url) as client:
        client.send([EVENT], path="/api/v1/events/import")
    assert server.asked[0].path == "/api/v1/events/import"


def test_ids_sort_by_the_order_in_which_they_were_made() -> None:
    ids = [new_event_id() for _ in range(2_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2_000
    assert [event["event_id"] for event in with_event_ids([{"event_id": "kept"}])] == ["kept"]
