"""`Idempotency-Key` where something is made: a retry makes no second one, and nobody else's is met."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from bursar import ids
from tests.support.access import ask, keys_of
from tests.support.api_document import api_document

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import RunningServer

KEYS, TOKENS, TENANTS, USERS, ACCOUNTS = (
    *("/api/v1/keys", "/api/v1/tokens", "/api/v1/tenants"),
    *("/api/v1/users", "/api/v1/auth/users"),
)
BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    KEYS: ({"label": "ci", "scopes": ["ingest"]}, {"label": "ci", "scopes": ["read"]}),
    TOKENS: ({"label": "app"}, {"label": "other app"}),
    USERS: (
        {"email": "ada@example.com", "roles": [{"role": "viewer"}]},
        {"email": "ada@example.com", "roles": [{"role": "analyst"}]},
    ),
    ACCOUNTS: ({"email": "eve@example.com"}, {"email": "bob@example.com"}),
}
"""What is asked for, and something else, by endpoint."""


@pytest.fixture
def admin(server: RunningServer) -> str:
    return keys_of(server, ids.make_id("ten"))["admin"]


def post(server: RunningServer, key: str, path: str, body: Any, retry_key: str = "once") -> httpx.Response:  # noqa: ANN401 - any JSON
    headers = {"X-API-Key": key, "Idempotency-Key": retry_key}
    return server.stranger.post(path, json=body, headers=headers)


def listed(server: RunningServer, key: str, path: str) -> list[str]:
    """The ids of all that there is."""
    return [one["id"] for one in ask(server, key, "GET", path, params={"limit": 500}).json()["items"]]


def reason_of(answer: httpx.Response) -> tuple[int, str, str]:
    [reason] = answer.json()["errors"]
    return answer.status_code, reason["field"], reason["code"]


@pytest.mark.parametrize("path", BODIES)
def test_a_retry_makes_no_second_one(server: RunningServer, admin: str, path: str) -> None:
    body, _ = BODIES[path]
    first = post(server, admin, path, body)
    assert first.status_code == 201, first.text
    before = listed(server, admin, path)
    again = post(server, admin, path, body)
    assert listed(server, admin, path) == before
    if path == TOKENS:
        assert (again.status_code, again.json()) == (200, first.json())
    else:
        assert reason_of(again) == (409, "Idempotency-Key", "already_made")
        assert first.json()["id"] in again.json()["detail"]
        made: dict[str, Any] = first.json()
        secret = made["key"] if path == KEYS else made["invitation"]["link"]
        assert secret not in again.text


@pytest.mark.parametrize("path", BODIES)
def test_the_same_key_with_another_body_is_refused_by_name(
    server: RunningServer, admin: str, path: str
) -> None:
    body, other = BODIES[path]
    first = post(server, admin, path, body).json()
    before = listed(server, admin, path)
    refused = post(server, admin, path, other)
    assert reason_of(refused) == (409, "Idempotency-Key", "other_content")
    assert first["id"] in refused.json()["detail"]
    assert listed(server, admin, path) == before


@pytest.mark.parametrize("path", BODIES)
def test_another_tenants_same_key_is_independent(server: RunningServer, admin: str, path: str) -> None:
    rival, (body, _) = keys_of(server, ids.make_id("ten"))["admin"], BODIES[path]
    made = [post(server, key, path, body) for key in (admin, rival)]
    assert [one.status_code for one in made] == [201, 201]
    assert made[0].json()["id"] != made[1].json()["id"]
    assert made[0].json()["id"] not in listed(server, rival, path)


@pytest.mark.parametrize("path", BODIES)
def test_retries_that_come_at_once_make_one(server: RunningServer, admin: str, path: str) -> None:
    body, before = BODIES[path][0], len(listed(server, admin, path))

    def send(_number: int) -> httpx.Response:
        return post(server, admin, path, body)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert len(listed(server, admin, path)) == before + 1
    again = 200 if path == TOKENS else 409
    assert sorted(one.status_code for one in answers) == sorted([201, again, again, again])
    assert {reason_of(one)[2] for one in answers if one.status_code == 409} <= {"already_made"}


def test_other_keys_make_other_things(server: RunningServer, admin: str) -> None:
    body, before = BODIES[KEYS][0], len(listed(server, admin, KEYS))
    made = [post(server, admin, KEYS, body, retry_key).json()["id"] for retry_key in ("a", "b")]
    assert len(set(made)) == 2
    without = [ask(server, admin, "POST", KEYS, json=body).json()["id"] for _ in range(2)]
    assert len(listed(server, admin, KEYS)) == before + 4 == before + len({*made, *without})


def test_a_key_made_once_counts_after_its_retry(server: RunningServer, admin: str) -> None:
    body = {"label": "ci", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00.123456+01:00"}
    secret = post(server, admin, KEYS, body).json()["key"]
    assert reason_of(post(server, admin, KEYS, body))[2] == "already_made"
    assert ask(server, secret, "GET", "/api/v1/projects").status_code == 200


def test_a_token_that_was_chosen_is_the_same_for_its_retry_alone(server: RunningServer, admin: str) -> None:
    chosen = {"label": "app", "token": "Zk3vXw0sQ1mPj7Tn5yRb2A"}
    assert post(server, admin, TOKENS, chosen).status_code == 201
    assert post(server, admin, TOKENS, chosen).json()["token"] == chosen["token"]
    other = post(server, admin, TOKENS, {**chosen, "token": "Zk3vXw0sQ1mPj7Tn5yRb2B"})
    assert reason_of(other)[2] == "other_content"


def test_a_tenant_whose_id_is_made_up_is_made_once(server: RunningServer) -> None:
    headers, body = {"Idempotency-Key": ids.make_id("x")}, {"name": "Acme", "zone": "Europe/Berlin"}
    first, again = (server.client.post(TENANTS, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    other = server.client.post(TENANTS, json={"name": "Other"}, headers=headers)
    assert reason_of(other) == (409, "Idempotency-Key", "other_content")
    chosen = {"id": ids.make_id("ten"), "name": "Acme"}
    told = [server.client.post(TENANTS, json=chosen, headers=headers) for _ in range(2)]
    assert told[0].status_code == 201
    assert reason_of(told[1]) == (409, "id", "tenant_exists")


@pytest.mark.parametrize("retry_key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused_by_name(server: RunningServer, admin: str, retry_key: str) -> None:
    refused = post(server, admin, KEYS, BODIES[KEYS][0], retry_key)
    assert refused.status_code == 422
    assert {one["field"] for one in refused.json()["errors"]} == {"Idempotency-Key"}


@pytest.mark.parametrize("path", ["tenants", "tokens", "prices", "prices/aliases"])
def test_the_document_tells_that_a_retry_is_answered_again(path: str) -> None:
    answers = api_document()["paths"][f"/api/v1/{path}"]["post"]["responses"]
    assert answers["200"]["content"] == answers["201"]["content"]
    assert "Idempotency-Key" in answers["200"]["description"]
