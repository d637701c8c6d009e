"""The frame and the guard: ids in and out, log lines, bounds, and clients that leave."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI, Request

from bursar.app import problems
from bursar.app.auth import operator_door
from bursar.app.metrics import Metrics
from bursar.app.middleware import Frame, Guard
from tests.support.asking import ask

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message
    from structlog.typing import EventDict


def guarded(api: FastAPI, **limits: int) -> ASGIApp:
    """The app behind guard and frame."""
    problems.install(api)
    return Frame(Guard(api, **limits), Metrics().http)


def an_app() -> FastAPI:
    """An app that answers `/things/{id}`."""
    api = FastAPI()

    @api.get("/things/{thing_id}")
    async def thing(thing_id: str) -> str:
        return thing_id

    return api


def client_at(app: ASGIApp, address: str) -> httpx.AsyncClient:
    """Somebody who asks from there."""
    transport = httpx.ASGITransport(app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def connect(app: ASGIApp, method: str, path: str, leave: asyncio.Event) -> list[Message]:
    """A request whose client leaves when `leave` is set; returns what was sent to it."""
    sent: list[Message] = []
    parts = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        part = next(parts, None)
        if part is not None:
            return part
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return sent


def test_a_plain_request_id_is_taken_over() -> None:
    answer = ask(guarded(an_app()), "GET", "/things/1", headers={"X-Request-ID": "from-the-caller.7"})
    assert answer.headers["x-request-id"] == "from-the-caller.7"


@pytest.mark.parametrize("presented", [None, "", "has spaces", "x" * 129, 'a"}{"event":"forged'])
def test_any_other_request_id_is_replaced(presented: str | None) -> None:
    headers = {} if presented is None else {"X-Request-ID": presented}
    answer = ask(guarded(an_app()), "GET", "/things/1", headers=headers)
    assert answer.headers["x-request-id"].startswith("req_")


def test_every_answer_carries_the_safety_headers() -> None:
    for path in ("/things/1", "/nowhere"):
        headers = ask(guarded(an_app()), "GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_a_request_is_logged_without_its_query_and_its_headers(logged: list[EventDict]) -> None:
    ask(guarded(an_app()), "GET", "/things/1?key=hunter2", headers={"X-API-Key": "hunter2"})
    (line,) = logged
    assert (line["event"], line["method"], line["path"], line["status"]) == (
        "request",
        "GET",
        "/things/1",
        200,
    )
    assert "hunter2" not in str(line)


def test_probes_are_logged_only_when_they_fail(logged: list[EventDict]) -> None:
    api = FastAPI()

    @api.get("/live")
    async def live() -> str:
        return "yes"

    ask(guarded(api), "GET", "/live")
    ask(guarded(FastAPI()), "GET", "/ready")
    assert [line["log_level"] for line in logged] == ["debug", "info"]


def test_more_requests_than_the_limit_are_refused_but_never_probes_and_the_operator() -> None:
    api = FastAPI()
    release = asyncio.Event()

    @api.get("/slow")
    async def slow() -> str:
        await release.wait()
        return "done"

    @api.get("/live")
    async def live() -> str:
        return "yes"

    app = guarded(api, requests_limit=4)

    async def crowd() -> list[httpx.Response]:
        client, *others = [client_at(app, f"192.0.2.{i}") for i in range(1, 6)]
        operator = client_at(operator_door(app), "192.0.2.1")
        waiting = [asyncio.create_task(one.get("/slow")) for one in (client, *others[:3])]
        await asyncio.sleep(0.05)
        answers = [await others[3].get("/slow"), await client.get("/live"), await operator.get("/live")]
        release.set()
        return [*answers, *(await asyncio.gather(*waiting)), await client.get("/slow")]

    refused, *others = asyncio.run(crowd())
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert [answer.status_code for answer in others] == [200] * 7


def test_one_address_can_not_take_the_places_of_all_requests_at_work() -> None:
    api, release = FastAPI(), asyncio.Event()

    @api.get("/slow")
    async def slow() -> str:
        await release.wait()
        return "done"

    @api.get("/things")
    async def things() -> str:
        return "there"

    app = guarded(api, requests_limit=8)

    async def crowd() -> tuple[list[int], int]:
        flooder, other = client_at(app, "192.0.2.1"), client_at(app, "192.0.2.2")
        waiting = [asyncio.create_task(flooder.get("/slow")) for _ in range(10)]
        await asyncio.sleep(0.05)
        answer = await other.get("/things")
        release.set()
        return sorted([one.status_code for one in await asyncio.gather(*waiting)]), answer.status_code

    assert asyncio.run(crowd()) == ([200] * 4 + [503] * 6, 200)


@pytest.mark.parametrize(("method", "path"), [("GET", "/question"), ("POST", "/api/v1/query")])
def test_a_question_is_dropped_when_its_client_leaves(method: str, path: str) -> None:
    api, metrics = FastAPI(), Metrics()
    begun, leave, ends = asyncio.Event(), asyncio.Event(), list[str]()

    @api.api_route(path, methods=[method])
    async def question() -> str:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        return "too late"

    async def leave_early() -> list[Message]:
        request = asyncio.create_task(connect(Frame(Guard(api), metrics.http), method, path, leave))
        await begun.wait()
        leave.set()
        return await asyncio.wait_for(request, 5)

    assert asyncio.run(leave_early()) == []
    assert ends == ["cancelled"]
    assert b"bursar_http_requests_abandoned_total 1.0" in metrics.text()
    assert b'status="499"' in metrics.text()


def test_a_change_is_carried_out_although_its_client_leaves() -> None:
    api = FastAPI()
    begun, leave, done = asyncio.Event(), asyncio.Event(), threading.Event()

    @api.post("/change")
    async def change() -> str:
        begun.set()
        await asyncio.sleep(0.05)
        done.set()
        return "done"

    async def leave_early() -> None:
        request = asyncio.create_task(connect(guarded(api), "POST", "/change", leave))
        await begun.wait()
        leave.set()
        await asyncio.wait_for(request, 5)

    asyncio.run(leave_early())
    assert done.is_set()


def test_an_app_hears_of_the_disconnect_as_often_as_it_asks() -> None:
    api = FastAPI()
    leave, heard = asyncio.Event(), list[str]()

    @api.post("/listens")
    async def listens(request: Request) -> None:
        await request.body()
        leave.set()
        heard.extend([(await request.receive())["type"], (await request.receive())["type"]])

    asyncio.run(connect(guarded(api), "POST", "/listens", leave))
    assert heard == ["http.disconnect"] * 2
