"""Who asks too often is refused by name and told when to come back; what is admitted is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bursar.app.rate_limits import network_of
from tests.support.access import ask, keys_of
from tests.support.flood import Allowed, flood
from tests.support.patience import wait_until
from tests.support.redis_server import running_redis
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

EVENT = {"provider": "openai", "model": "gpt-5", "input_tokens": 12, "output_tokens": 3}
READ = "/api/v1/projects"


def post(server: RunningServer, key: str, path: str = "/api/v1/events") -> httpx.Response:
    return ask(server, key, "POST", path, json=EVENT)


def refused_by(answer: httpx.Response) -> str:
    assert answer.status_code == 429, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "rate_limited"
    name, empty, wait = answer.headers["ratelimit"].split(";")
    assert empty == "r=0"
    assert wait == f"t={answer.headers['retry-after']}"
    assert name in answer.headers["ratelimit-policy"]
    return str(name.strip('"'))


def test_a_key_that_asks_too_often_is_told_when_to_come_back_and_another_is_served(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", rate_limit_rpm=2) as server:
        first, second = keys_of_both(server)
        answers = [ask(server, first, "GET", READ) for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert [one.headers["ratelimit"] for one in answers[:2]] == ['"read-key";r=1', '"read-key";r=0']
        assert {one.headers["ratelimit-policy"] for one in answers} == {'"read-key";q=2;w=60;bursar-burst=2'}
        assert refused_by(answers[2]) == "read-key"
        assert 20 <= int(answers[2].headers["retry-after"]) <= 30
        assert ask(server, second, "GET", READ).status_code == 200
        refused = server.platform.metrics.registry.get_sample_value(
            "bursar_rate_limited_total", {"use": "read", "counted": "key"}
        )
        assert refused == 1


def keys_of_both(server: RunningServer) -> tuple[str, str]:
    """The reading keys of two tenants, made through the socket, which nothing limits."""
    made: list[str] = []
    for tenant in ("acme", "globex"):
        server.operator.post("/api/v1/tenants", json={"id": tenant}).raise_for_status()
        body = {"label": "r", "scopes": ["read", "ingest"], "tenant_id": tenant}
        made.append(server.operator.post("/api/v1/keys", json=body).raise_for_status().json()["key"])
    return made[0], made[1]


def test_ingest_and_reads_are_counted_apart(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", rate_limit_rpm=1, rate_limit_ingest_rpm=2) as server:
        key, _ = keys_of_both(server)
        assert ask(server, key, "GET", READ).status_code == 200
        assert refused_by(ask(server, key, "GET", READ)) == "read-key"
        assert [post(server, key).status_code for _ in range(2)] == [202, 202]
        assert refused_by(post(server, key)) == "ingest-key"
        assert refused_by(post(server, key, "/api/v1/events/import")) == "ingest-key"
        # Nothing of what was refused was taken.
        assert server.platform.journal.counters.records == 2


def test_all_keys_of_a_tenant_share_its_bucket_and_the_operator_has_none(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", rate_limit_ingest_tenant_rpm=3) as server:
        keys = keys_of(server, "acme")
        codes = [post(server, keys[scope]).status_code for scope in ("admin", "ingest", "admin")]
        assert codes == [202, 202, 202]
        assert refused_by(post(server, keys["ingest"])) == "ingest-tenant"
        assert [server.client.post("/api/v1/events", json=EVENT).status_code for _ in range(5)] == [202] * 5


def test_an_address_is_counted_whatever_it_presents(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", rate_limit_address_rpm=5) as server:
        first, _ = keys_of_both(server)
        assert ask(server, first, "GET", READ).status_code == 200
        assert [ask(server, f"bur_wrong-{n}", "GET", READ).status_code for n in range(3)] == [401] * 3
        assert server.stranger.get("/nowhere").status_code == 404
        for key in (first, "bur_wrong-again"):
            assert refused_by(ask(server, key, "GET", READ)) == "read-address"
        assert refused_by(server.stranger.get("/nowhere")) == "read-address"
        # An address that a client claims is nobody's.
        forged = ask(server, first, "GET", READ, headers={"X-Forwarded-For": "203.0.113.9"})
        assert refused_by(forged) == "read-address"


def test_probes_and_the_socket_are_never_counted(tmp_path: Path) -> None:
    with running_server(tmp_path / "d", rate_limit_address_rpm=1, rate_limit_rpm=1) as server:
        assert [server.stranger.get("/live").status_code for _ in range(5)] == [200] * 5
        assert [server.operator.get(READ).status_code for _ in range(5)] == [200] * 5
        assert server.client.get(READ).status_code == 200
        assert refused_by(server.client.get(READ)) == "read-key"


def test_paths_can_be_exempt(tmp_path: Path) -> None:
    exempt = f"{READ},/api/v1/events"
    with running_server(
        tmp_path / "d", rate_limit_rpm=1, rate_limit_ingest_rpm=1, rate_limit_exempt=exempt
    ) as server:
        assert [server.client.get(READ).status_code for _ in range(3)] == [200] * 3
        assert [server.client.post("/api/v1/events", json=EVENT).status_code for _ in range(3)] == [202] * 3
        assert server.client.get("/api/v1/keys").status_code == 200
        assert refused_by(server.client.get("/api/v1/keys")) == "read-key"


def test_without_limits_nothing_is_counted_or_told(tmp_path: Path) -> None:
    with running_server(tmp_path / "d") as server:
        answers = [server.client.get(READ), server.client.post("/api/v1/events", json=EVENT)]
        assert [one.headers.get("ratelimit") for one in answers] == [None, None]
        assert not server.platform.limits.is_counting


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events?return=none", READ])
def test_ten_times_as_many_as_allowed_are_cut_down_to_what_is_allowed(tmp_path: Path, path: str) -> None:
    allowed = Allowed(burst=10, per_minute=900)
    use = "rate_limit_ingest" if "events" in path else "rate_limit"
    settings: dict[str, Any] = {f"{use}_rpm": allowed.per_minute, f"{use}_burst": allowed.burst}
    with running_server(tmp_path / "d", **settings) as server:
        key, _ = keys_of_both(server)
        method, body = ("POST", EVENT) if "events" in path else ("GET", None)
        flooded = flood([server.url], key, method, path, body, allowed=allowed)
    flooded.assert_exact()


def test_two_servers_on_one_redis_count_together(tmp_path: Path) -> None:
    allowed = Allowed(burst=10, per_minute=900)
    with running_redis(tmp_path) as redis:
        settings: dict[str, Any] = {
            "rate_limit_ingest_tenant_rpm": allowed.per_minute,
            "rate_limit_ingest_tenant_burst": allowed.burst,
            "redis_url": redis.url,
        }
        with (
            running_server(tmp_path / "a", **settings) as one,
            running_server(tmp_path / "b", **settings) as two,
        ):
            for server in (one, two):
                server.operator.post("/api/v1/tenants", json={"id": "acme"}).raise_for_status()
            keys = [a_key(one), a_key(two)]
            flooded = flood([one.url, two.url], keys, "POST", "/api/v1/events", EVENT, allowed=allowed)
            alone = one.platform.metrics.registry.get_sample_value("bursar_rate_limit_counted_alone_total")
    assert alone == 0
    assert min(flooded.admitted_by_url) > 0
    flooded.assert_exact()


def a_key(server: RunningServer) -> str:
    body = {"label": "i", "scopes": ["ingest"], "tenant_id": "acme"}
    return str(server.operator.post("/api/v1/keys", json=body).raise_for_status().json()["key"])


def test_while_redis_is_away_each_server_counts_by_itself_and_says_so(tmp_path: Path) -> None:
    with (
        running_redis(tmp_path) as redis,
        running_server(tmp_path / "d", rate_limit_rpm=3, redis_url=redis.url) as server,
    ):
        key, _ = keys_of_both(server)
        assert ask(server, key, "GET", READ).headers["ratelimit"] == '"read-key";r=2'
        redis.kill()
        # Its own bucket is full: it has counted nothing yet.
        answers = [ask(server, key, "GET", READ) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        checks = server.operator.get("/ready").json()["checks"]
        assert checks["rate_limits"] == "degraded"
        registry = server.platform.metrics.registry
        assert registry.get_sample_value("bursar_rate_limit_counted_alone_total") == 4
        assert (registry.get_sample_value("bursar_rate_limit_redis_failures_total") or 0) >= 1
        redis.start()
        wait_until(lambda: ask(server, key, "GET", READ).status_code == 200, "Redis is asked again")
        assert server.platform.limits.is_counting
        assert not server.platform.limits.is_alone


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_ipv6_address_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
