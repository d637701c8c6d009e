"""A flood is refused from its heads alone, late where it goes on, within bounds, and others lose nothing."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bursar.app import flood_gate
from bursar.identity.limits import refusals
from tests.support.access import ask
from tests.support.flood import Allowed, flood
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.redis_server import running_redis
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pytest

    from tests.support.serving import RunningServer

EVENT = {"provider": "openai", "model": "gpt-5", "input_tokens": 12, "output_tokens": 3}
READ = "/api/v1/projects"
ONE: dict[str, Any] = {"rate_limit_ingest_rpm": 1}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it was read."""

    status: int
    headers: dict[str, str]
    body: Any


class Caller:
    """One connection and a key."""

    def __init__(self, server: RunningServer, key: str) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), DEADLINE_SECONDS)
        self._read = self._socket.makefile("rb")
        self._key = key

    def send(self, *requests: bytes) -> None:
        """Send them behind each other."""
        self._socket.sendall(b"".join(requests))

    def request(self, *more: str, body: bytes | None = None, method: str = "POST", path: str = "") -> bytes:
        """A request; without a body the event."""
        content = json.dumps(EVENT).encode() if body is None else body
        length = () if any("length" in one.lower() for one in more) else (f"Content-Length: {len(content)}",)
        lines = (f"{method} {path or '/api/v1/events'} HTTP/1.1", "Host: here", f"X-API-Key: {self._key}")
        return "\r\n".join((*lines, *length, *more, "", "")).encode() + content

    def answer(self) -> Answer:
        """The next answer."""
        status = int(self._read.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._read.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return Answer(status, headers, json.loads(self._read.read(int(headers["content-length"]))))

    def is_hung_up_on(self) -> bool:
        """Whether nothing more comes."""
        return self._read.read(1) == b""

    def close(self) -> None:
        """Leave."""
        self._read.close()
        self._socket.close()


@contextmanager
def calling(server: RunningServer, key: str) -> Generator[Caller]:
    caller = Caller(server, key)
    try:
        yield caller
    finally:
        caller.close()


def key_of(server: RunningServer, tenant: str) -> str:
    server.operator.post("/api/v1/tenants", json={"id": tenant}).raise_for_status()
    body = {"label": "k", "scopes": ["read", "ingest"], "tenant_id": tenant}
    return str(server.operator.post("/api/v1/keys", json=body).raise_for_status().json()["key"])


def used_up(server: RunningServer, tenant: str = "acme") -> str:
    """The key of a tenant who has posted all that it may, and was told so."""
    key = key_of(server, tenant)
    codes = [ask(server, key, "POST", "/api/v1/events", json=EVENT).status_code for _ in range(2)]
    assert codes == [202, 429]
    return key


def held(server: RunningServer) -> float:
    return server.platform.metrics.registry.get_sample_value("bursar_rate_limit_held") or 0


def test_a_refusal_at_the_gate_says_what_the_app_would_say(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", **ONE) as server, calling(server, used_up(server)) as caller:
        answers: list[Answer] = []
        for more in ("X-Request-ID: mine-1", "X-Request-ID: mine-1\r\nOrigin: http://elsewhere"):
            caller.send(caller.request(more))
            answers.append(caller.answer())
        gate, app = answers
        assert gate.status == 429
        assert gate.body["request_id"] == "mine-1"
        waits = [int(one.headers.pop("retry-after")) for one in answers]
        assert 0 <= waits[0] - waits[1] <= 1
        for one in answers:
            for name in ("date", "ratelimit", "content-length"):
                one.headers.pop(name)
            one.body.pop("detail")
        assert gate == app


def test_a_flood_is_refused_before_its_body_is_sent(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", **ONE) as server, calling(server, used_up(server)) as caller:
        # Bidden to send its body, it would be told so first.
        caller.send(caller.request("Content-Length: 60", "Expect: 100-continue", body=b""))
        assert caller.answer().status == 429
        # The short body is passed over, and the connection goes on.
        caller.send(b"x" * 60, caller.request(method="GET", path=READ, body=b""))
        assert caller.answer().status == 200
        assert server.platform.journal.counters.records == 1


def test_a_long_body_of_a_refused_request_is_not_waited_for(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", **ONE) as server, calling(server, used_up(server)) as caller:
        caller.send(caller.request("Content-Length: 9000000", body=b"["))
        answer = caller.answer()
        assert (answer.status, answer.headers["connection"]) == (429, "close")
        assert caller.is_hung_up_on()


def test_exempt_paths_other_uses_and_other_callers_pass_the_gate(tmp_path: Path) -> None:
    exempt = f"{READ},/live"
    with running_server(tmp_path / "d", rate_limit_rpm=1, rate_limit_exempt=exempt) as server:
        key, other = key_of(server, "acme"), key_of(server, "globex")
        codes = [ask(server, key, "GET", "/api/v1/usage").status_code for _ in range(3)]
        assert codes == [200, 429, 429]
        assert ask(server, key, "GET", READ).status_code == 200
        assert ask(server, key, "GET", "/live").status_code == 200
        assert ask(server, key, "POST", "/api/v1/events", json=EVENT).status_code == 202
        assert ask(server, other, "GET", "/api/v1/usage").status_code == 200


def test_who_goes_on_and_on_is_answered_late_and_what_was_sent_behind_is_dropped(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", **ONE) as server, calling(server, used_up(server)) as caller:
        caller.send(*[caller.request()] * 60)
        answers = [caller.answer()]
        while "connection" not in answers[-1].headers:
            answers.append(caller.answer())
        assert {one.status for one in answers} == {429}
        # One was refused before, over another connection, perhaps within the same second.
        assert 0 <= refusals.AT_ONCE + 1 - len(answers) <= 1
        assert caller.is_hung_up_on()
        assert held(server) == 0
        refused = server.platform.metrics.registry.get_sample_value(
            "bursar_rate_limited_total", {"use": "ingest", "counted": "key"}
        )
        assert refused == len(answers) + 1


def test_refusals_that_are_held_back_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(tmp_path / "d", **ONE) as server:
        key = used_up(server)
        monkeypatch.setattr(flood_gate, "HELD_LIMIT", 3)
        monkeypatch.setattr(refusals, "AT_ONCE", 0)
        monkeypatch.setattr(refusals, "HELD_NANOSECONDS", 60_000_000_000)
        monkeypatch.setattr(refusals, "LATEST_NANOSECONDS", 60_000_000_000)
        waiting = [Caller(server, key) for _ in range(3)]
        for one in waiting:
            one.send(one.request())
        wait_until(lambda: held(server) == 3, "three are held back")
        with calling(server, key) as fourth:
            fourth.send(fourth.request())
            answer = fourth.answer()
            assert (answer.status, answer.headers["connection"]) == (429, "close")
            assert fourth.is_hung_up_on()
        assert held(server) == 3
    # A server that stops tells them at once.
    assert [one.answer().status for one in waiting] == [429] * 3
    for one in waiting:
        one.close()


def test_others_keep_every_event_that_was_acknowledged_beside_a_flood(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rate_limit_ingest_tenant_rpm": 600, "rate_limit_ingest_tenant_burst": 60}
    with running_server(tmp_path / "d", **settings) as server:
        flooding, steady = key_of(server, "acme"), key_of(server, "globex")
        with calling(server, steady) as other, calling(server, flooding) as rude:
            for nth in range(50):
                rude.send(rude.request(), rude.request())
                other.send(other.request(body=json.dumps(EVENT | {"event_id": f"e-{nth}"}).encode()))
                assert other.answer().status == 202
        applied = ask(
            server, steady, "POST", "/api/v1/events?wait=applied", json=EVENT | {"event_id": "last"}
        )
        assert applied.status_code == 200
        found = ask(server, steady, "GET", "/api/v1/events?limit=100").json()["items"]
        assert {one["event_id"] for one in found} == {"last", *(f"e-{nth}" for nth in range(50))}


def test_with_redis_the_gate_refuses_what_redis_refused(tmp_path: Path) -> None:
    allowed = Allowed(burst=10, per_minute=900)
    with running_redis(tmp_path) as redis:
        settings: dict[str, Any] = {
            "redis_url": redis.url,
            "rate_limit_ingest_tenant_rpm": allowed.per_minute,
        }
        with running_server(
            tmp_path / "d", **settings, rate_limit_ingest_tenant_burst=allowed.burst
        ) as server:
            key = key_of(server, "acme")
            flooded = flood([server.url], key, "POST", "/api/v1/events", EVENT, allowed=allowed)
            asked = redis.client().info("commandstats")["cmdstat_eval"]["calls"]
    flooded.assert_exact()
    # Redis was asked about what was admitted, and hardly about the others.
    assert asked < sum(flooded.admitted_by_url) + flooded.refused
