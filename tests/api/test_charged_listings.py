"""Projects, keys and users show who owns and bears them today: to whom may see that, and never tomorrow's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from tests.support.access import ask, keys_of
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import RunningServer

KINDS = ("project", "key", "user")
ALLOCATIONS = "/api/v1/allocations"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def make(server: RunningServer, key: str, kind: str, name: str) -> str:
    bodies: dict[str, dict[str, Any]] = {
        "project": {"name": name, "id": name},
        "key": {"label": name, "scopes": ["ingest"]},
        "user": {"email": f"{name}@example.com", "mail": False},
    }
    answer = ask(server, key, "POST", f"/api/v1/{kind}s", json=bodies[kind])
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def record(server: RunningServer, key: str, kind: str, subject: str, **said: Any) -> str:  # noqa: ANN401 - JSON
    answer = ask(server, key, "POST", ALLOCATIONS, json={"kind": kind, "subject": subject, **said})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def charge(server: RunningServer, key: str, kind: str, one: str) -> tuple[str | None, str | None]:
    """The owner and the cost centre that both the list and the single read show."""
    listed = ask(server, key, "GET", f"/api/v1/{kind}s", params={"limit": 500}).json()["items"]
    single = ask(server, key, "GET", f"/api/v1/{kind}s/{one}").json()
    shown = next(item for item in listed if item["id"] == one)
    assert shown == single
    return single["owner"], single["cost_centre"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_holds_today_is_shown_and_nothing_that_begins_tomorrow(server: RunningServer, kind: str) -> None:
    key = keys_of(server, f"today-{kind}")["admin"]
    one, other = make(server, key, kind, "one"), make(server, key, kind, "other")
    tomorrow = (clock.now() + timedelta(days=1)).date().isoformat()
    assert charge(server, key, kind, one) == (None, None)
    record(server, key, kind, one, owner="eve", cost_centre="CC-9", valid_from=tomorrow)
    assert charge(server, key, kind, one) == (None, None)
    record(server, key, kind, one, owner="ana", cost_centre="CC-1", valid_from="2026-01-01")
    today = record(server, key, kind, one, cost_centre="CC-2")
    assert charge(server, key, kind, one) == ("ana", "CC-2")
    assert charge(server, key, kind, other) == (None, None)
    ask(server, key, "DELETE", f"{ALLOCATIONS}/{today}").raise_for_status()
    assert charge(server, key, kind, one) == ("ana", "CC-1")


def test_another_tenants_allocation_of_the_same_id_is_not_shown(server: RunningServer) -> None:
    ours, theirs = (keys_of(server, tenant)["admin"] for tenant in ("same-ours", "same-theirs"))
    for key in (ours, theirs):
        make(server, key, "project", "search")
    record(server, theirs, "project", "search", owner="eve", cost_centre="CC-9")
    assert charge(server, ours, "project", "search") == (None, None)
    assert charge(server, theirs, "project", "search") == ("eve", "CC-9")


def test_one_kind_takes_nothing_from_another_of_the_same_id(server: RunningServer) -> None:
    key = keys_of(server, "kinds")["admin"]
    make(server, key, "project", "ana")
    record(server, key, "user", "ana", owner="eve")
    assert charge(server, key, "project", "ana") == (None, None)


def test_a_key_that_took_anothers_place_shows_what_that_one_had(server: RunningServer) -> None:
    key = keys_of(server, "rotated")["admin"]
    old = make(server, key, "key", "old")
    record(server, key, "key", old, owner="ana", cost_centre="CC-1", valid_from="2026-01-01")
    new = ask(server, key, "POST", f"/api/v1/keys/{old}/rotate", json={}).json()["id"]
    # Which keys took others' places is read anew every few seconds, and after each allocation.
    record(server, key, "project", "any", owner="ana")
    assert charge(server, key, "key", new) == ("ana", "CC-1")


def test_who_may_not_see_billing_sees_neither(server: RunningServer) -> None:
    key = keys_of(server, "seeing")["admin"]
    make(server, key, "project", "search")
    record(server, key, "project", "search", owner="ana", cost_centre="CC-1")

    def seen_with(*scopes: str) -> tuple[str | None, str | None]:
        made = ask(server, key, "POST", "/api/v1/keys", json={"label": "k", "scopes": scopes}).json()
        return charge(server, made["key"], "project", "search")

    assert seen_with("projects:read") == (None, None)
    assert seen_with("projects:read", "billing:read") == ("ana", "CC-1")


def test_no_owner_gets_into_the_audit_log(server: RunningServer) -> None:
    key = keys_of(server, "logged")["admin"]
    one = make(server, key, "key", "one")
    make(server, key, "project", "search")
    for kind, subject in (("project", "search"), ("key", one)):
        record(server, key, kind, subject, owner="Ana Ownerson", valid_from="2026-01-01")
    for method, path, body in (
        ("PATCH", "projects/search", {"name": "n"}),
        ("POST", f"keys/{one}/rotate", {}),
        ("DELETE", f"keys/{one}", None),
        ("DELETE", "projects/search", {"confirm": "search", "reason": "given up"}),
    ):
        ask(server, key, method, f"/api/v1/{path}", json=body).raise_for_status()
    log = ask(server, key, "GET", "/api/v1/audit", params={"limit": 500})
    assert "project.change" in log.text
    assert "key.rotate" in log.text
    assert "Ownerson" not in log.text
