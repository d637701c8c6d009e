"""The client against a real Bursar: what it sends is taken, counted once, priced, and can be asked for."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bursar import clock
from bursar.app.operator_socket import address_of
from bursar_client import AccessRefused, BursarClient, NotFound, RequestRefused, with_event_ids

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

CALL = {"provider": "openai", "model": "gpt-4.1-mini", "input_tokens": 1_000, "output_tokens": 500}
"""1,000 x $0.40 and 500 x $1.60 per million: $0.0012."""


def test_events_are_priced_in_the_answer(client: BursarClient) -> None:
    result = client.send([CALL, {**CALL, "model": "unheard-of"}], wait_applied=True).raise_for_rejected()
    priced, unpriced = (event.cost for event in result.events)
    assert priced is not None
    assert unpriced is not None
    assert (priced.total, priced.currency, priced.status) == (Decimal("0.0012"), "USD", "priced")
    assert (unpriced.total, unpriced.status, unpriced.reason) == (None, "unpriced", "unknown_model")
    assert result.applied


def test_sending_the_same_events_again_counts_them_once(client: BursarClient) -> None:
    events = with_event_ids([{**CALL, "operation": "resent"} for _ in range(2_500)])
    first = client.send(events, wait_applied=True)
    again = client.send(events, wait_applied=True)
    assert {event.outcome for event in first.events} == {"new"}
    assert {event.outcome for event in again.events} == {"duplicate"}
    answer = client.query(["events", "cost"], filters={"operation": "resent"})
    assert answer.columns == ("currency", "events", "cost")
    assert answer.rows == (("USD", 2_500, "3"),)
    assert answer.unpriced_events == 0


def test_refused_events_come_back_with_every_reason_and_the_others_are_in(client: BursarClient) -> None:
    wrong: dict[str, Any] = {**CALL, "mood": 1, "input_tokens": -1}
    result = client.send([CALL, wrong, CALL])
    assert result.accepted == 2
    (refused,) = result.rejected
    assert refused.index == 1
    assert {reason.field for reason in refused.errors} == {"mood", "input_tokens"}


def test_a_body_in_which_nothing_is_right_is_a_result_too(client: BursarClient) -> None:
    result = client.send([{"mood": 1}, {"mood": 2}])
    assert result.accepted == 0
    assert [one.index for one in result.rejected] == [0, 1]


def test_decimals_and_times_arrive_exactly(client: BursarClient) -> None:
    moment = clock.now() - timedelta(days=3)
    event = {
        "event_id": "exact",
        "time": moment,
        "provider": "docreader",
        "units": {"seconds": Decimal("12.345678")},
        "cost": {"amount": Decimal("0.123456789012"), "currency": "EUR"},
    }
    sent = client.send([event], wait_applied=True).raise_for_rejected().events[0]
    assert sent.cost is not None
    assert (sent.cost.total, sent.cost.currency) == (Decimal("0.123456789012"), "EUR")
    stored = client.request("GET", "/api/v1/events/exact")
    assert stored["time"] == clock.rfc3339(moment)
    assert stored["units"]["seconds"] == "12.345678"


def test_old_events_need_the_import_door(client: BursarClient) -> None:
    old = {**CALL, "time": "2025-06-01T00:00:00Z"}
    assert client.send([old]).rejected[0].errors[0].field == "time"
    assert client.send([old], path="/api/v1/events/import").accepted == 1


def test_refusals_are_typed(server: RunningServer, client: BursarClient) -> None:
    with BursarClient(server.url, "bur_wrong") as stranger:
        with pytest.raises(AccessRefused, match="not known here") as caught:
            stranger.send([CALL])
        assert caught.value.problem.code == "unknown_key"
        assert caught.value.unsent[0]["event_id"]
    with pytest.raises(RequestRefused, match="'cosst' is no measure of usage") as wrong:
        client.query(["cosst"])
    assert wrong.value.problem.document["errors"][0]["field"] == "measures"
    with pytest.raises(NotFound):
        client.request("GET", "/api/v1/events/nowhere")


def test_the_socket_in_the_folder_needs_no_key(server: RunningServer) -> None:
    transport = httpx.HTTPTransport(uds=address_of(server.platform.folder.socket))
    with BursarClient("http://bursar", transport=transport) as operator:
        assert operator.send([CALL]).accepted == 1
        operator.request("POST", "/api/v1/tenants", body={"id": "acme"})
        assert operator.send([CALL], tenant_id="acme", wait_applied=True).accepted == 1
        asked = operator.request(
            "POST", "/api/v1/query", params={"tenant_id": "acme"}, body={"measures": ["events"]}
        )
        assert asked["totals"] == {"events": 1}


def test_threads_may_share_a_client(client: BursarClient) -> None:
    def send() -> None:
        client.send([{**CALL, "operation": "shared"} for _ in range(50)], wait_applied=True)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.query(["events"], filters={"operation": "shared"}).rows == ((400,),)
