"""Limits of single tenants: set by the operator, above or below the settings, and exact as those are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command_line import bursar
from tests.support.access import ask, keys_of
from tests.support.flood import Allowed, flood
from tests.support.redis_server import running_redis
from tests.support.sampled import long
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.support.serving import RunningServer

EVENT = {"provider": "openai", "model": "gpt-5", "input_tokens": 12, "output_tokens": 3}
LIMITS = "/api/v1/limits"
READ = "/api/v1/projects"


def set_limit(
    server: RunningServer, tenant: str, use: str, per_minute: int, burst: int | None = None
) -> None:
    body = {"per_minute": per_minute, "burst": burst}
    answer = server.operator.put(f"{LIMITS}/{use}", params={"tenant_id": tenant}, json=body)
    assert answer.raise_for_status().json()["is_own"]


def post(server: RunningServer, key: str) -> httpx.Response:
    return ask(server, key, "POST", "/api/v1/events", json=EVENT)


def test_a_tenants_own_limit_counts_at_once_where_the_settings_have_none(tmp_path: Path) -> None:
    with running_server(tmp_path / "d") as server:
        acme, globex = keys_of(server, "acme"), keys_of(server, "globex")
        assert post(server, acme["ingest"]).status_code == 202
        set_limit(server, "acme", "ingest", 2)
        answers = [post(server, key) for key in (acme["ingest"], acme["admin"], acme["ingest"])]
        assert [one.status_code for one in answers] == [202, 202, 429]
        assert answers[0].headers["ratelimit-policy"] == '"ingest-tenant";q=2;w=60;bursar-burst=2'
        assert answers[2].json()["code"] == "rate_limited"
        # Nobody else, and nothing else.
        assert [post(server, globex["ingest"]).status_code for _ in range(4)] == [202] * 4
        assert [ask(server, acme["read"], "GET", READ).status_code for _ in range(4)] == [200] * 4
        set_limit(server, "acme", "ingest", 6000, 1000)
        assert post(server, acme["ingest"]).status_code == 202
        gone = server.operator.delete(f"{LIMITS}/ingest", params={"tenant_id": "acme"})
        assert gone.status_code == 204
        assert "ratelimit" not in post(server, acme["ingest"]).headers
        assert server.operator.delete(f"{LIMITS}/ingest", params={"tenant_id": "acme"}).status_code == 404


def test_it_stands_in_place_of_the_settings_limit_above_it_too(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "rate_limit_tenant_rpm": 2,
        "rate_limit_ingest_tenant_rpm": 1,
        "rate_limit_ingest_rpm": 3,
    }
    with running_server(tmp_path / "d", **settings) as server:
        keys = keys_of(server, "acme")
        set_limit(server, "acme", "ingest", 100)
        answers = [post(server, keys["ingest"]) for _ in range(4)]
        # The one per key holds as ever.
        assert [one.status_code for one in answers] == [202, 202, 202, 429]
        assert '"ingest-key"' in answers[3].headers["ratelimit"]
        shown = ask(server, keys["read"], "GET", LIMITS).json()
        assert [(one["use"], one["per_minute"], one["is_own"]) for one in shown["items"]] == [
            ("ingest", 100, True),
            ("read", 2, False),
        ]


def test_a_limit_is_the_operators_to_set_and_the_tenants_to_see(tmp_path: Path) -> None:
    with running_server(tmp_path / "d") as server:
        mine, others = keys_of(server, "mine"), keys_of(server, "others")
        set_limit(server, "mine", "read", 100)
        assert not any(one["is_own"] for one in ask(server, others["read"], "GET", LIMITS).json()["items"])
        assert ask(server, others["read"], "GET", LIMITS, params={"tenant_id": "mine"}).status_code == 403
        body = {"per_minute": 5}
        assert ask(server, mine["admin"], "PUT", f"{LIMITS}/read", json=body).status_code == 403
        assert ask(server, mine["ingest"], "GET", LIMITS).status_code == 403
        nobody = server.operator.put(f"{LIMITS}/read", params={"tenant_id": "nobody"}, json=body)
        assert nobody.status_code == 404
        for wrong in ({"per_minute": 0}, {"per_minute": 6_000_001}, {"per_minute": 1, "burst": 0}, {}):
            assert server.operator.put(f"{LIMITS}/read", json=wrong).status_code == 422
        assert server.operator.put(f"{LIMITS}/write", json=body).status_code == 422


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "is_shared", long({"one server": False, "two servers on one Redis": True}, always=["one server"])
)
def test_it_is_exact_under_ten_times_as_many_requests(tmp_path: Path, is_shared: bool) -> None:  # noqa: FBT001
    allowed = Allowed(burst=10, per_minute=900)
    with running_redis(tmp_path) as redis:
        settings: dict[str, Any] = {"redis_url": redis.url} if is_shared else {}
        with (
            running_server(tmp_path / "a", **settings) as one,
            running_server(tmp_path / "b", **settings) as two,
        ):
            servers = (one, two) if is_shared else (one,)
            keys: list[str] = []
            for server in servers:
                keys.append(keys_of(server, "acme")["ingest"])
                set_limit(server, "acme", "ingest", allowed.per_minute, allowed.burst)
            urls = [server.url for server in servers]
            flood(urls, keys, "POST", "/api/v1/events", EVENT, allowed=allowed).assert_exact()


def test_limits_are_set_listed_and_removed_by_the_command(tmp_path: Path) -> None:
    with running_server(tmp_path / "d") as server:
        data = server.platform.folder.path
        made = json.loads(bursar("limits", "set", "ingest", 600, "--burst", 9, "--data", data, "--json").out)
        assert (made[0]["per_minute"], made[0]["burst"]) == (600, 9)
        assert "600" in bursar("limits", "list", "--data", data).out
        removed = bursar("limits", "remove", "ingest", "--data", data)
        assert removed.out == "Removed the tenant's own limit on ingest.\n"
        assert bursar("limits", "remove", "ingest", "--data", data).code == 1
