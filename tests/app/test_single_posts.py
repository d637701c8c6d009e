"""Single posts are answered without a task, as the app would have answered them, or by the app."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from bursar.app.build import build_platform
from bursar.app.http import make_app, make_single_posts
from bursar.app.post_protocol import PostProtocol
from bursar.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from starlette.types import Receive, Scope, Send
    from uvicorn._types import ASGI3Application

    from bursar.app.platform import Platform

KEY = "bur_operator-of-these-tests"
PRICED = {
    "event_id": "e-1",
    "provider": "openai",
    "model": "gpt-5",
    "input_tokens": 1200,
    "output_tokens": 80,
}
GOOD = (
    PRICED,
    PRICED | {"event_id": 'a "b" \n\U0001f600', "metadata": {"ticket": 5}, "tags": {"team": "a"}},
    PRICED | {"model": "a-model-without-a-price"},
    PRICED | {"cost": {"amount": "0.25"}, "model": "unheard-of"},
    PRICED | {"units": {"searches": 2}},
    PRICED | {"input_tokens": 0, "output_tokens": 0},
    PRICED | {"time": "2026-11-01T00:00:00Z", "tenant_id": "default"},
)
REFUSED: tuple[object, ...] = (
    PRICED | {"input_tokens": -1},
    PRICED | {"time": "1980-01-01T00:00:00Z"},
    PRICED | {"tenant_id": "other"},
    PRICED | {"cached_tokens": 5000},
    PRICED | {"surprise": 1},
    [],
    "text",
    b"{",
    b"",
    b'{"event_id":"\xff"}',
    b"[" * 3000,
)


class Line(asyncio.Transport):
    """The client's end of a connection: what was written to it, and when it is worth a look."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.was_closed = False
        self.changed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what the server says."""
        self.written += bytes(data)
        self.changed.set()

    def close(self) -> None:
        """Remember that the server hung up."""
        self.was_closed = True
        self.changed.set()

    def is_closing(self) -> bool:
        """Whether the server hung up."""
        return self.was_closed

    def pause_reading(self) -> None:
        """Everything has been read already."""

    def resume_reading(self) -> None:
        """Everything has been read already."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own
        """Both ends are on this machine."""
        return ("127.0.0.1", 5000) if name in {"peername", "sockname"} else default


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it was read from the line."""

    status: int
    headers: list[tuple[str, str]]
    body: Any


@dataclass(slots=True)
class House:
    """A platform, its app and its single posts, on the running loop."""

    platform: Platform
    connect: Callable[[], tuple[PostProtocol, Line]]
    asked: list[str]
    """Methods that reached the app."""

    async def ask(self, *parts: bytes) -> Answered:
        """Send a request in these parts over a connection of its own; its answer."""
        protocol, line = self.connect()
        for part in parts:
            protocol.data_received(part)
        return await answer_on(line)


@asynccontextmanager
async def house(folder: Path) -> AsyncGenerator[House]:
    platform = build_platform(load_settings({}, data_dir=folder, admin_key=KEY, scheduler=False))
    platform.applier.start()
    app = make_app(platform)
    asked: list[str] = []

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["method"])
        await app(scope, receive, send)

    config = uvicorn.Config(cast("ASGI3Application", counted), lifespan="off", log_config=None)
    config.load()
    posts = make_single_posts(platform)
    assert posts is not None
    state = ServerState()
    state.default_headers = [(b"date", b"Sat, 21 Nov 2026 09:00:00 GMT")]

    def connect() -> tuple[PostProtocol, Line]:
        protocol = PostProtocol(posts, None, config=config, server_state=state, app_state={})
        line = Line()
        protocol.connection_made(line)
        return protocol, line

    built = House(platform, connect, asked)
    try:
        # The key is looked up and the price snapshot kept by the long way, once each.
        await built.ask(request(PRICED | {"event_id": "the first"}))
        asked.clear()
        yield built
    finally:
        await platform.journal.close()
        await platform.applier.stop()
        platform.close()


def request(body: Any, *more: str) -> bytes:  # noqa: ANN401 - any JSON value, or bytes as they are
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (
        "POST /api/v1/events HTTP/1.1",
        "Host: here",
        f"X-API-Key: {KEY}",
        f"Content-Length: {len(content)}",
        *more,
    )
    return "\r\n".join((*lines, "", "")).encode() + content


async def answer_on(line: Line, *, without_body: bool = False) -> Answered:
    """The next whole answer on the line, which is taken off it."""
    while True:
        head, end, rest = line.written.partition(b"\r\n\r\n")
        status, _, fields = head.decode().partition("\r\n")
        headers = [cast("tuple[str, str]", tuple(one.split(": ", 1))) for one in fields.split("\r\n") if one]
        length = int(dict(headers).get("content-length", "0"))
        if end and len(rest) >= length:
            line.written = rest[length:]
            return Answered(
                int(status.split()[1]), headers, None if without_body else json.loads(rest[:length])
            )
        line.changed.clear()
        await asyncio.wait_for(line.changed.wait(), 30)


def without_ids(answer: Answered) -> Answered:
    """All of it but the request's own id."""
    answer.headers[:] = [(name, "" if name == "x-request-id" else value) for name, value in answer.headers]
    return answer


def test_good_events_are_answered_as_the_app_would_answer_them(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            for event in GOOD:
                short = await built.ask(request(event, "Content-Type: application/json"))
                assert built.asked == []
                # Another spelling, which only the app reads.
                long = await built.ask(request(event, "Content-Type: Application/JSON"))
                assert built.asked.pop() == "POST"
                assert short.status == 202
                assert without_ids(short) == without_ids(long)

    asyncio.run(story())


def test_an_event_without_an_id_gets_one_and_is_told_that_a_retry_is_not_safe(tmp_path: Path) -> None:
    event = {name: value for name, value in PRICED.items() if name != "event_id"}

    async def story() -> None:
        async with house(tmp_path) as built:
            answers = [await built.ask(request(event)) for _ in range(2)]
            assert built.asked == []
            made = [one.body["event_id"] for one in answers]
            assert len(set(made)) == 2
            assert [one.body["events"][0]["event_id"] for one in answers] == made
            assert not any(one.body["events"][0]["retry_safe"] for one in answers)

    asyncio.run(story())


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_refused_is_refused_by_the_app(tmp_path: Path, body: object) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            refused = await built.ask(request(body))
            assert built.asked == ["POST"]
            assert 400 <= refused.status < 500
            assert refused.body["type"].startswith("urn:bursar:problem:")
            assert built.platform.journal.counters.records == 1

    asyncio.run(story())


@pytest.mark.parametrize(
    "header",
    [
        "Idempotency-Key: k",
        "X-API-Key: another",
        "Content-Encoding: identity",
        "Content-Type: application/x-ndjson",
        "ce-specversion: 1.0",
        "X-Twice: 1\r\nX-Twice: 2",
    ],
)
def test_headers_that_change_the_meaning_are_read_by_the_app(tmp_path: Path, header: str) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            await built.ask(request(PRICED, header))
            assert built.asked == ["POST"]

    asyncio.run(story())


def test_a_body_in_parts_and_a_large_one_are_taken_once(tmp_path: Path) -> None:
    large = PRICED | {"event_id": "large", "metadata": {"text": "x" * 20_000}}

    async def story() -> None:
        async with house(tmp_path) as built:
            whole = request(PRICED)
            assert (await built.ask(whole[:40], whole[40:-20], whole[-20:])).status == 202
            assert (await built.ask(request(large))).status == 202
            assert built.platform.journal.counters.records == 3

    asyncio.run(story())


def test_pipelined_requests_are_answered_in_their_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            protocol, line = built.connect()
            events = [PRICED | {"event_id": f"e-{i}"} for i in range(6)]
            requests = [request(one, *["Idempotency-Key: k"] * (i == 2)) for i, one in enumerate(events)]
            protocol.data_received(b"".join(requests))
            ids = [(await answer_on(line)).body["event_id"] for _ in events]
            assert ids == [one["event_id"] for one in events]
            assert len(built.asked) == 1

    asyncio.run(story())


def test_a_post_that_comes_in_parts_behind_another_starts_at_once(tmp_path: Path) -> None:
    # Else a client that waits to be told to go on waited for ever, and one that sends no more had no end.
    async def story() -> None:
        async with house(tmp_path) as built:
            protocol, line = built.connect()
            second = request(PRICED | {"event_id": "second"}, "Expect: 100-continue")
            protocol.data_received(request(PRICED) + second[:-20])
            assert (await answer_on(line)).status == 202
            assert (await answer_on(line, without_body=True)).status == 100
            protocol.data_received(second[-20:])
            assert (await answer_on(line)).body["event_id"] == "second"
            assert built.asked == ["POST"]

    asyncio.run(story())


def test_a_client_that_wants_no_more_is_hung_up_on_after_its_answer(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            protocol, line = built.connect()
            protocol.data_received(request(PRICED, "Connection: close"))
            answer = await answer_on(line)
            assert ("connection", "close") in answer.headers
            assert line.was_closed
            assert built.asked == []

    asyncio.run(story())


def test_a_client_that_leaves_before_its_answer_has_its_event_kept(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            protocol, line = built.connect()
            protocol.data_received(request(PRICED))
            protocol.connection_lost(ConnectionResetError())
            assert (await built.ask(request(PRICED))).status == 202
            assert built.platform.journal.counters.records == 3
            assert line.written == b""
            assert built.platform.metrics.http.in_flight == 0

    asyncio.run(story())


def test_the_app_says_why_an_event_could_not_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    async def story() -> None:
        async with house(tmp_path) as built:
            with monkeypatch.context() as broken:
                broken.setattr(os, "fdatasync", full)
                refused = await built.ask(request(PRICED))
            assert refused.status == 503
            assert dict(refused.headers)["retry-after"]
            assert (await built.ask(request(PRICED))).status == 202
            assert built.platform.metrics.http.in_flight == 0

    asyncio.run(story())


def test_single_posts_are_counted_as_all_requests_are(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            before = numbers_of(built.platform)
            sent = request(PRICED)
            await built.ask(sent)
            after = numbers_of(built.platform)
            assert {name: after[name] - before[name] for name in after} == {
                "requests": 1,
                "timed": 1,
                "bytes": len(sent.partition(b"\r\n\r\n")[2]),
                "accepted": 1,
            }

    asyncio.run(story())


def numbers_of(platform: Platform) -> dict[str, float]:
    labels = {"method": "POST", "route": "/api/v1/events"}
    registry = platform.metrics.registry
    return {
        "requests": registry.get_sample_value("bursar_http_requests_total", labels | {"status": "202"}) or 0,
        "timed": registry.get_sample_value("bursar_http_request_duration_seconds_count", labels) or 0,
        "bytes": registry.get_sample_value("bursar_ingest_bytes_total") or 0,
        "accepted": platform.ingestor.counters.accepted["native"],
    }


def test_a_presented_request_id_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as built:
            kept = await built.ask(request(PRICED, "X-Request-ID: from-the-caller.7"))
            made = await built.ask(request(PRICED, "X-Request-ID: has spaces"))
            assert dict(kept.headers)["x-request-id"] == "from-the-caller.7"
            assert dict(made.headers)["x-request-id"].startswith("req_")
            assert built.asked == []

    asyncio.run(story())


def test_where_every_request_has_its_log_line_the_app_answers_all(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=tmp_path, admin_key=KEY, scheduler=False, log_level="debug")
    platform = build_platform(settings)
    try:
        assert make_single_posts(platform) is None
    finally:
        platform.close()
