"""Names of one's own for models, over HTTP: they count at once, with a trail, for their own tenant alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.access import ask, keys_of

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

ALIASES = "/api/v1/prices/aliases"
ALIAS = {"alias": "Prod-Chat", "to_model": "gpt-4o", "provider": "openai"}


def cost_of(server: RunningServer, key: str, model: str, **event: object) -> tuple[str | None, str]:
    asked = {"provider": "openai", "model": model, "input_tokens": 1_000_000, **event}
    answer = ask(server, key, "POST", "/api/v1/prices/check", json=asked).raise_for_status().json()
    explained = answer["items"][0]["explanation"]
    return explained["total"], explained["reason"] or explained["status"]


def test_a_name_of_ones_own_has_the_price_of_its_model_at_once(server: RunningServer) -> None:
    keys, other = keys_of(server, "al-one"), keys_of(server, "al-other")
    event = {"event_id": "a", "provider": "openai", "model": "prod-chat", "input_tokens": 1_000_000}
    ask(server, keys["admin"], "POST", "/api/v1/events?wait=applied", json=event).raise_for_status()
    made = ask(server, keys["admin"], "POST", ALIASES, json=ALIAS)
    assert made.status_code == 201
    assert made.json()["recorded"]["events"] == 1
    assert cost_of(server, keys["read"], "prod-chat") == ("2.5", "priced")
    assert cost_of(server, other["read"], "prod-chat") == (None, "unknown_model")
    assert cost_of(server, keys["read"], "prod-chat", provider="anthropic") == (None, "unknown_model")

    path = f"{ALIASES}/{made.json()['id']}"
    assert ask(server, other["admin"], "DELETE", path, params={"reason": "x"}).status_code == 404
    # An alias is no override.
    as_override = f"/api/v1/prices/overrides/{made.json()['id']}"
    assert ask(server, keys["admin"], "DELETE", as_override, params={"reason": "x"}).status_code == 404
    gone = ask(server, keys["admin"], "DELETE", path, params={"reason": "torn down"}).json()
    assert gone["withdrawn"]["reason"] == "torn down"
    assert cost_of(server, keys["read"], "prod-chat") == (None, "unknown_model")
    assert ask(server, keys["read"], "GET", ALIASES).json()["items"] == []
    listed = ask(server, keys["read"], "GET", ALIASES, params={"withdrawn": True}).json()["items"]
    assert [one["alias"] for one in listed] == ["Prod-Chat"]


def test_a_name_may_stand_for_one_model_after_another_and_differ_by_project(server: RunningServer) -> None:
    keys = keys_of(server, "al-dated")
    turn = "2026-11-01T00:00:00Z"
    for body in (
        {**ALIAS, "valid_to": turn},
        {**ALIAS, "valid_from": turn, "to_model": "gpt-4o-mini"},
        {**ALIAS, "project_id": "search", "to_model": "gpt-4.1"},
    ):
        ask(server, keys["admin"], "POST", ALIASES, json=body).raise_for_status()
    old, new = {"time": "2026-10-31T23:00:00Z"}, {"time": turn}
    assert cost_of(server, keys["read"], "prod-chat", **old) == ("2.5", "priced")
    assert cost_of(server, keys["read"], "prod-chat", **new) == ("0.15", "priced")
    assert cost_of(server, keys["read"], "prod-chat", project_id="search", **new) == ("2", "priced")
    clash = ask(server, keys["admin"], "POST", ALIASES, json={**ALIAS, "alias": "PROD-chat"})
    assert (clash.status_code, clash.json()["errors"][0]["code"]) == (409, "overlaps")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"alias": "prod-*"}, "invalid_value"),
        ({"alias": "GPT-4o"}, "same_name"),
        ({"valid_from": "2026-11-01T00:00:00Z", "valid_to": "2026-11-01T00:00:00Z"}, "before_valid_from"),
        ({"to_model": ""}, "string_pattern_mismatch"),
        ({"model": "x"}, "extra_forbidden"),
    ],
)
def test_what_is_no_alias_is_refused_by_name(
    server: RunningServer, change: dict[str, Any], code: str
) -> None:
    refused = server.client.post(ALIASES, json={**ALIAS, **change})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, code)


def test_aliases_need_the_admin_scope(server: RunningServer) -> None:
    keys = keys_of(server, "al-scope")
    for scope in ("ingest", "read"):
        assert ask(server, keys[scope], "POST", ALIASES, json=ALIAS).status_code == 403
    assert ask(server, keys["ingest"], "GET", ALIASES).status_code == 403
    assert server.stranger.get(ALIASES).status_code == 401
    headers = {"Idempotency-Key": "k"}
    first, again = (
        ask(server, keys["admin"], "POST", ALIASES, json=ALIAS, headers=headers) for _ in range(2)
    )
    assert (first.status_code, again.status_code, first.json()["id"]) == (201, 200, again.json()["id"])
