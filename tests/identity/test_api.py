"""Tenants, projects and keys over HTTP: who may do what, and that no tenant sees what is another's."""

from __future__ import annotations

from dataclasses import dataclass
from json import dumps, loads
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bursar import clock
from bursar.app import problems
from bursar.app.auth import Doorkeeper, require
from bursar.identity.api import make_router
from bursar.identity.authenticate import Authenticator
from bursar.identity.charged import Charge
from bursar.identity.permissions import Scope
from bursar.identity.suspended_projects import SuspendedProjects
from tests.support.identity import a_project, a_tenant, add_key, some_terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bursar.identity.charged import Kind
    from bursar.storage.relational.identity import RelationalIdentityStore

ADMIN, READ, INGEST = (frozenset({scope}) for scope in (Scope.ADMIN, Scope.READ, Scope.INGEST))


@dataclass(frozen=True)
class Answer:
    """What came back, whichever HTTP library the test client is built on."""

    status_code: int
    kind: str
    text: str

    def json(self) -> Any:  # noqa: ANN401 - JSON may be anything
        return loads(self.text)


@dataclass(frozen=True)
class House:
    """A server over a store with two tenants, and a key for each kind of caller."""

    client: TestClient
    store: RelationalIdentityStore
    keys: dict[str, str]
    charge_asks: list[tuple[str, str]]
    """Which tenants' keys or projects it was asked of, who owns and bears them."""

    def ask(self, who: str | None, method: str, path: str, json: object = None, **query: str | int) -> Answer:
        headers = {"Content-Type": "application/json"}
        if who:
            headers["Authorization"] = f"Bearer {self.keys[who]}"
        # Written by hand, for a client of ours would refuse to send what some tests send.
        content = None if json is None else dumps(json)
        got = self.client.request(method, f"/api/v1{path}", content=content, headers=headers, params=query)
        return Answer(got.status_code, got.headers.get("content-type", ""), got.text)

    def codes(self, who: str | None, method: str, path: str, json: object = None) -> tuple[int, str]:
        answer = self.ask(who, method, path, json)
        assert answer.kind == "application/problem+json", answer.text
        return answer.status_code, answer.json()["code"]


@pytest.fixture
def house(sqlite_identity_store: RelationalIdentityStore) -> Iterator[House]:
    store, now = sqlite_identity_store, clock.now()
    for tenant_id in ("default", "acme", "rival"):
        store.add_tenant(a_tenant(tenant_id))
        store.add_project(a_project(f"of-{tenant_id}", tenant_id=tenant_id))
    terms = {
        "operator": some_terms("default", ADMIN, is_operator=True),
        "operator-reader": some_terms("default", READ, is_operator=True),
        "admin": some_terms("acme", ADMIN),
        "reader": some_terms("acme", READ),
        "ingester": some_terms("acme", INGEST),
        "rival": some_terms("rival", ADMIN),
    }
    keys = {who: add_key(store, asked, now).secret for who, asked in terms.items()}
    authenticator = Authenticator(store)
    api = FastAPI()
    api.state.doorkeeper = Doorkeeper(authenticator, store)
    asks: list[tuple[str, str]] = []

    def charges(tenant_id: str, kind: Kind) -> Mapping[str, Charge]:
        asks.append((tenant_id, kind))
        return {f"of-{tenant_id}": Charge("ana", "CC-1")}

    projects_changed = SuspendedProjects(store).refresh
    api.include_router(make_router(store, require, authenticator.forget, projects_changed, charges))
    problems.install(api)
    with TestClient(api) as client:
        yield House(client, store, keys, asks)


def ids_in(answer: Answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


ENDPOINTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/tenants", None),
    ("POST", "/tenants", {}),
    ("GET", "/tenants/acme", None),
    ("PATCH", "/tenants/acme", {}),
    ("GET", "/projects", None),
    ("POST", "/projects", {"name": "n"}),
    ("GET", "/projects/of-acme", None),
    ("PATCH", "/projects/of-acme", {"name": "n"}),
    ("GET", "/keys", None),
    ("POST", "/keys", {"label": "l", "scopes": ["read"]}),
    ("GET", "/keys/key_x", None),
    ("DELETE", "/keys/key_x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS)
def test_nobody_enters_without_a_key_or_with_one_that_only_ingests(
    house: House, method: str, path: str, body: object
) -> None:
    assert house.codes(None, method, path, body) == (401, "missing_key")
    code = "forbidden" if path.startswith("/tenants") else "missing_scope"
    assert house.codes("ingester", method, path, body) == (403, code)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [one for one in ENDPOINTS if one[0] != "GET" or one[1].startswith("/keys")],
)
def test_a_reader_changes_nothing_and_sees_no_keys(
    house: House, method: str, path: str, body: object
) -> None:
    code = "forbidden" if path.startswith("/tenants") else "missing_scope"
    assert house.codes("reader", method, path, body) == (403, code)


# ------------------------------------------------------------------------------------------------- tenants


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS[:4])
@pytest.mark.parametrize("tenant", ["acme", "rival", "nobody"])
def test_an_admin_can_not_tell_an_unknown_tenant_from_a_foreign_one(
    house: House, method: str, path: str, body: object, tenant: str
) -> None:
    assert house.codes("admin", method, path.replace("acme", tenant), body) == (403, "forbidden")


def test_the_operator_makes_reads_and_changes_tenants(house: House) -> None:
    made = house.ask("operator", "POST", "/tenants", {"id": "tenant-123", "name": "T", "zone": "Asia/Tokyo"})
    assert made.status_code == 201
    assert made.json() | {"created_at": ""} == {
        "id": "tenant-123",
        "name": "T",
        "zone": "Asia/Tokyo",
        "state": "active",
        "created_at": "",
    }
    assert made.json()["created_at"].endswith("Z")
    changed = house.ask("operator", "PATCH", "/tenants/tenant-123", {"zone": "Europe/Paris"})
    assert changed.json() == made.json() | {"zone": "Europe/Paris"}
    assert house.ask("operator-reader", "GET", "/tenants/tenant-123").json() == changed.json()
    assert ids_in(house.ask("operator-reader", "GET", "/tenants"))[-1] == "tenant-123"


def test_a_tenant_needs_nothing_but_gets_an_id(house: House) -> None:
    made = house.ask("operator", "POST", "/tenants", {}).json()
    assert made["id"].startswith("ten_")
    assert (made["name"], made["zone"]) == (made["id"], "UTC")


def test_a_taken_tenant_id_is_a_conflict(house: House) -> None:
    answer = house.ask("operator", "POST", "/tenants", {"id": "acme"})
    assert answer.status_code == 409
    assert [error["code"] for error in answer.json()["errors"]] == ["tenant_exists"]


def test_an_unknown_tenant_is_not_found_by_the_operator(house: House) -> None:
    assert house.codes("operator", "GET", "/tenants/nobody") == (404, "not_found")
    assert house.codes("operator", "PATCH", "/tenants/nobody", {"name": "x"}) == (404, "not_found")


def test_a_new_zone_counts_for_callers_at_once(house: House) -> None:
    assert house.ask("admin", "GET", "/projects").status_code == 200
    house.ask("operator", "PATCH", "/tenants/acme", {"zone": "Asia/Tokyo"})
    state: Any = house.client.app
    caller = state.state.doorkeeper._authenticator.authenticate(house.keys["admin"], clock.now())
    assert caller.zone == "Asia/Tokyo"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "a b"},
        {"id": ""},
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "nul\0"},
        {"name": "\ud800"},
        {"zone": "Mars/Olympus"},
        {"zone": "x" * 100},
        {"colour": "red"},
        {"id": 7},
        [],
    ],
)
def test_a_tenant_that_makes_no_sense_is_refused_with_the_reason(house: House, body: object) -> None:
    answer = house.ask("operator", "POST", "/tenants", body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


# ------------------------------------------------------------------------------------------------ projects


def test_an_admin_makes_and_renames_projects(house: House) -> None:
    made = house.ask("admin", "POST", "/projects", {"id": "chat", "name": "Chat"})
    assert made.status_code == 201
    assert made.json()["tenant_id"] == "acme"
    read = house.ask("reader", "GET", "/projects/chat").json()
    assert read == made.json() | {"owner": None, "cost_centre": None}
    renamed = house.ask("admin", "PATCH", "/projects/chat", {"name": "Talk"})
    assert renamed.json() == made.json() | {"name": "Talk"}
    assert sorted(ids_in(house.ask("reader", "GET", "/projects"))) == ["chat", "of-acme"]


def test_a_project_gets_an_id_and_a_taken_one_is_a_conflict(house: House) -> None:
    assert house.ask("admin", "POST", "/projects", {"name": "n"}).json()["id"].startswith("prj_")
    assert house.codes("admin", "POST", "/projects", {"id": "of-acme", "name": "n"}) == (409, "conflict")


def test_another_tenants_projects_do_not_exist(house: House) -> None:
    assert ids_in(house.ask("admin", "GET", "/projects")) == ["of-acme"]
    for method, body in (("GET", None), ("PATCH", {"name": "stolen"})):
        foreign, unknown = (
            house.ask("admin", method, f"/projects/{name}", body) for name in ("of-rival", "of-n")
        )
        assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
        assert unknown.json()["code"] == foreign.json()["code"]
    assert house.store.project("rival", "of-rival").name == "Name of of-rival"


@pytest.mark.parametrize("tenant", ["rival", "nobody"])
def test_naming_another_tenant_is_refused_whether_or_not_it_exists(house: House, tenant: str) -> None:
    for method, path, body in ENDPOINTS[4:]:
        answer = house.ask("admin", method, path, body, tenant_id=tenant)
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")
        if method == "POST" and body:
            assert house.codes("admin", method, path, body | {"tenant_id": tenant}) == (
                403,
                "tenant_mismatch",
            )
    assert ids_in(house.ask("rival", "GET", "/projects")) == ["of-rival"]


def test_naming_ones_own_tenant_is_harmless(house: House) -> None:
    assert ids_in(house.ask("reader", "GET", "/projects", tenant_id="acme")) == ["of-acme"]
    named = house.ask("admin", "POST", "/projects", {"name": "n", "tenant_id": "acme"})
    assert named.json()["tenant_id"] == "acme"


def test_the_operator_works_in_the_tenant_that_is_named(house: House) -> None:
    made = house.ask("operator", "POST", "/projects", {"id": "p", "name": "n", "tenant_id": "acme"})
    assert made.json()["tenant_id"] == "acme"
    assert sorted(ids_in(house.ask("operator", "GET", "/projects", tenant_id="acme"))) == ["of-acme", "p"]
    assert ids_in(house.ask("operator", "GET", "/projects")) == ["of-default"]
    renamed = house.ask("operator", "PATCH", "/projects/p", {"name": "m"}, tenant_id="acme")
    assert renamed.json()["name"] == "m"
    body = {"label": "l", "scopes": ["read"], "tenant_id": "acme"}
    assert house.ask("operator", "POST", "/keys", body).json()["tenant_id"] == "acme"


def test_the_operator_hears_of_a_tenant_that_does_not_exist(house: House) -> None:
    assert house.ask("operator", "GET", "/projects", tenant_id="nobody").status_code == 404
    for path, body in (("/projects", {"name": "n"}), ("/keys", {"label": "l", "scopes": ["read"]})):
        assert house.codes("operator", "POST", path, {**body, "tenant_id": "nobody"}) == (404, "not_found")


# --------------------------------------------------------------------------------------------------- lists


def test_a_list_is_read_page_by_page(house: House) -> None:
    for number in range(5):
        house.ask("admin", "POST", "/projects", {"id": f"p{number}", "name": "n"})
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 4}
    for _ in range(2):
        answer = house.ask("reader", "GET", "/projects", **query)
        seen += ids_in(answer)
        query["cursor"] = answer.json()["next_cursor"]
    assert seen == ["of-acme", "p0", "p1", "p2", "p3", "p4"]
    assert query["cursor"] is None


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"cursor": "?"}, {"cursor": "x" * 500}]
)
def test_a_page_that_makes_no_sense_is_refused(house: House, query: dict[str, str | int]) -> None:
    answer = house.ask("reader", "GET", "/projects", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


# ---------------------------------------------------------------------------------------------------- keys


def test_a_key_is_shown_once_and_then_works(house: House) -> None:
    body = {"label": "ci", "scopes": ["ingest", "read"], "expires_at": "2099-01-01T01:00:00+01:00"}
    made = house.ask("admin", "POST", "/keys", body)
    assert made.status_code == 201
    shown = made.json()
    secret = shown.pop("key")
    assert secret.startswith(shown["prefix"])
    assert shown["scopes"] == ["ingest", "read"]
    assert (shown["expires_at"], shown["state"]) == ("2099-01-01T00:00:00Z", "usable")
    read = house.ask("admin", "GET", f"/keys/{shown['id']}").json()
    assert read == {**shown, "owner": None, "cost_centre": None}
    listed = house.ask("admin", "GET", "/keys")
    assert read in listed.json()["items"]
    assert secret not in listed.text
    house.keys["new"] = secret
    assert house.ask("new", "GET", "/projects").status_code == 200
    assert house.codes("new", "GET", "/keys") == (403, "missing_scope")


def test_a_revoked_key_stops_at_once(house: House) -> None:
    made = house.ask("admin", "POST", "/keys", {"label": "l", "scopes": ["read"]}).json()
    house.keys["new"] = made["key"]
    assert house.ask("new", "GET", "/projects").status_code == 200
    revoked = house.ask("admin", "DELETE", f"/keys/{made['id']}")
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
    assert house.codes("new", "GET", "/projects") == (401, "revoked_key")
    assert house.ask("admin", "DELETE", f"/keys/{made['id']}").json() == revoked.json()


def test_another_tenants_keys_do_not_exist(house: House) -> None:
    [theirs] = ids_in(house.ask("rival", "GET", "/keys"))
    assert theirs not in ids_in(house.ask("admin", "GET", "/keys"))
    for method in ("GET", "DELETE"):
        assert house.codes("admin", method, f"/keys/{theirs}") == (404, "not_found")
        assert house.codes("admin", method, "/keys/key_nobody") == (404, "not_found")
    assert house.ask("rival", "GET", "/keys").status_code == 200


def test_only_the_operator_makes_and_revokes_the_operators_keys(house: House) -> None:
    body = {"label": "l", "scopes": ["admin"], "is_operator": True}
    assert house.codes("admin", "POST", "/keys", body) == (403, "forbidden")
    made = house.ask("operator", "POST", "/keys", body | {"tenant_id": "acme"}).json()
    assert made["is_operator"] is True
    assert house.codes("admin", "DELETE", f"/keys/{made['id']}") == (403, "forbidden")
    assert house.ask("operator", "DELETE", f"/keys/{made['id']}", tenant_id="acme").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"label": ""},
        {"label": "nul\0"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2099-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-23:59"},
        {"expires_at": "0001-01-01T00:00:00+23:59"},
        {"expires_at": "9000-01-01T00:00:00Z"},
        {"secret": "mine"},
    ],
)
def test_a_key_that_makes_no_sense_is_refused_with_the_reason(house: House, change: dict[str, Any]) -> None:
    answer = house.ask("admin", "POST", "/keys", {"label": "l", "scopes": ["read"]} | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"]


def test_a_list_asks_once_who_bears_what_however_long_it_is(house: House) -> None:
    for number in range(5):
        house.store.add_project(a_project(f"p{number}", tenant_id="acme"))
    items = house.ask("admin", "GET", "/projects").json()["items"]
    assert len(items) == 6
    assert {one["id"]: one["cost_centre"] for one in items if one["owner"]} == {"of-acme": "CC-1"}
    assert house.charge_asks == [("acme", "project")]
    assert house.ask("admin", "GET", "/keys").status_code == 200
    assert house.charge_asks == [("acme", "project"), ("acme", "key")]
