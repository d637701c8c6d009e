"""How the client takes a server that is away, overloaded, or not Bursar at all."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar_client import (
    AccessRefused,
    BursarClient,
    BursarClientError,
    ConnectionFailed,
    NotFound,
    Overloaded,
    RequestRefused,
    RetryPolicy,
    ServerFailed,
    UnreadableAnswer,
)
from bursar_client.retries import retry_after_seconds
from tests.client.scripted_server import Answer, accept_all, serving

HURRIED = RetryPolicy(tries=4, first_wait_seconds=0.001, longest_wait_seconds=1.0)
BROKEN = Answer(0)
BUSY = Answer(503, {"code": "overloaded", "detail": "Too much work is waiting."}, {"retry-after": "0"})
EVENTS: list[dict[str, Any]] = [{"event_id": f"e{n}"} for n in range(3)]


@pytest.mark.parametrize("setback", [BROKEN, BUSY, Answer(429), Answer(502), Answer(504)])
def test_a_setback_is_tried_again_with_the_same_ids(setback: Answer) -> None:
    with serving(setback, setback, accept_all) as server, BursarClient(server.url, retries=HURRIED) as client:
        assert client.send([{}, {}]).accepted == 2
    first, second, third = server.asked
    assert first.events == second.events == third.events


def test_the_server_decides_how_long_to_wait_at_least() -> None:
    policy = RetryPolicy()
    assert policy.wait_before_next(1, 3.0, 0.0) == 3.0
    assert policy.wait_before_next(1, None, 0.5) == 0.125
    assert policy.wait_before_next(3, None, 0.5) == 0.5


def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    with (
        serving(Answer(503, {"detail": "Back in an hour."}, {"retry-after": "3600"})) as server,
        BursarClient(server.url, retries=HURRIED) as client,
        pytest.raises(Overloaded, match="Back in an hour") as caught,
    ):
        client.send(EVENTS)
    assert caught.value.retry_after_seconds == 3600.0
    assert len(server.asked) == 1


@given(
    tries=st.integers(1, 12),
    asked=st.none() | st.floats(0, 30),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_waits_are_bounded_and_never_shorter_than_asked(tries: int, asked: float | None, draw: float) -> None:
    policy = RetryPolicy(tries=10)
    wait = policy.wait_before_next(tries, asked, draw)
    if tries >= 10:
        assert wait is None
    else:
        assert wait is not None
        assert (asked or 0.0) <= wait <= (asked or 0.0) + policy.longest_wait_seconds


def test_a_wait_is_read_as_seconds_or_as_a_date_against_the_answers_own_clock() -> None:
    assert retry_after_seconds({"retry-after": "7"}) == 7.0
    date = {"date": "Sun, 01 Nov 2026 10:00:00 GMT", "retry-after": "Sun, 01 Nov 2026 10:00:30 GMT"}
    assert retry_after_seconds(date) == 30.0
    assert retry_after_seconds({"retry-after": "soon"}) is None
    assert retry_after_seconds({}) is None


def test_patience_ends_and_the_unsent_events_are_handed_back_with_their_ids() -> None:
    many = [{"n": n} for n in range(2_200)]
    with serving(accept_all, BUSY) as server, BursarClient(server.url, retries=HURRIED) as client:
        with pytest.raises(Overloaded, match="Too much work is waiting") as caught:
            client.send(many)
        assert len(server.asked) == 1 + HURRIED.tries
        failed = caught.value
        assert failed.sent is not None
        assert failed.sent.accepted == 1_000
        assert [event["n"] for event in failed.unsent] == list(range(1_000, 2_200))
        server.script = [accept_all]
        assert client.send(failed.unsent).accepted == 1_200
    assert server.asked[1].events == server.asked[-2].events


def test_a_server_that_is_not_there_is_named_in_the_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            BursarClient(url, retries=HURRIED) as client,
            pytest.raises(ConnectionFailed, match=r"No answer from 127\.0\.0\.1 after 4 tries") as caught,
        ):
            client.send(EVENTS)
    assert list(caught.value.unsent) == EVENTS


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (401, AccessRefused),
        (403, AccessRefused),
        (404, NotFound),
        (413, RequestRefused),
        (500, ServerFailed),
    ],
)
def test_a_refusal_is_raised_at_once_with_its_document(status: int, kind: type[BursarClientError]) -> None:
    document = {"code": "some_code", "title": "No", "detail": "Because.", "errors": [{"field": "$"}]}
    with (
        serving(Answer(status, document)) as server,
        BursarClient(server.url, retries=HURRIED) as client,
        pytest.raises(kind, match="Because") as caught,
    ):
        client.send(EVENTS)
    problem: Any = getattr(caught.value, "problem", None)
    assert (problem.status, problem.code, problem.document) == (status, "some_code", document)
    assert len(server.asked) == 1


def test_a_proxys_page_still_becomes_a_typed_error() -> None:
    page = Answer(500, b"<html>oops</html>")
    with (
        serving(page) as server,
        BursarClient(server.url) as client,
        pytest.raises(ServerFailed, match="HTTP 500"),
    ):
        client.send(EVENTS)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"accepted": "many"}'])
def test_a_success_that_is_not_bursars_is_not_taken_for_one(body: bytes) -> None:
    with (
        serving(Answer(200, body)) as server,
        BursarClient(server.url) as client,
        pytest.raises(UnreadableAnswer, match="Bursar"),
    ):
        client.send(EVENTS)


def test_a_write_is_not_repeated_when_nobody_knows_what_became_of_it() -> None:
    with (
        serving(BROKEN) as server,
        BursarClient(server.url, retries=HURRIED) as client,
        pytest.raises(ConnectionFailed, match="after 1 try"),
    ):
        client.request("POST", "/api/v1/keys", body={"label": "ci"})
    assert len(server.asked) == 1


def test_a_write_that_was_turned_away_is_repeated() -> None:
    made = Answer(201, {"id": "key_1"})
    with serving(BUSY, made) as server, BursarClient(server.url, retries=HURRIED) as client:
        assert client.request("POST", "/api/v1/keys", body={"label": "ci"}) == {"id": "key_1"}


def test_a_query_is_repeated_and_its_table_read() -> None:
    table = {
        "columns": ["model", "cost"],
        "rows": [{"model": "gpt-5.4-mini", "cost": "1.25"}, {"model": None, "cost": None}],
        "unpriced": {"events": 4},
    }
    with serving(BROKEN, Answer(200, table)) as server, BursarClient(server.url, retries=HURRIED) as client:
        answer = client.query(["cost"], dimensions=["model"], window="30d", limit=None)
    assert answer.columns == ("model", "cost")
    assert answer.rows == (("gpt-5.4-mini", "1.25"), (None, None))
    assert answer.unpriced_events == 4
    assert server.asked[-1].content == b'{"measures":["cost"],"dimensions":["model"],"window":"30d"}'


def test_lines_come_one_by_one_and_a_refusal_comes_instead_of_them() -> None:
    lines = Answer(200, b'{"step": "counting"}\n{"result": 3}\n')
    refusal = Answer(403, {"detail": "Only the operator may do this."})
    with serving(lines, refusal) as server, BursarClient(server.url) as client:
        assert list(client.stream("POST", "/control/verify")) == [{"step": "counting"}, {"result": 3}]
        with pytest.raises(AccessRefused, match="Only the operator"):
            list(client.stream("POST", "/control/verify"))


def test_a_stream_that_breaks_off_is_an_error() -> None:
    with (
        serving(BROKEN) as server,
        BursarClient(server.url) as client,
        pytest.raises(ConnectionFailed, match="after 1 try"),
    ):
        list(client.stream("POST", "/control/verify"))
