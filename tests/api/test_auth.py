"""Who asks: keys in headers, the operator's socket, and programs on this machine where that is allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import pytest
from fastapi import Depends, FastAPI

from bursar import clock
from bursar.app import auth, problems
from bursar.app.metrics import Metrics
from bursar.app.middleware import Frame
from bursar.identity.authenticate import Authenticator
from bursar.identity.caller import Caller  # noqa: TC001 - FastAPI reads the annotations
from bursar.identity.keys import Revocation
from bursar.identity.permissions import Permission, Scope
from bursar.identity.tenant import DEFAULT_TENANT_ID
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.identity import RelationalIdentityStore
from tests.support.asking import ask
from tests.support.identity import a_tenant, add_key, some_terms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as Connection

    from bursar.identity.keys import KeyTerms

ADMIN = frozenset({Scope.ADMIN})


class Office:
    """A store with the tenants `default` and `acme`, and an app that says who asks."""

    def __init__(self, store: RelationalIdentityStore) -> None:
        self.store = store
        store.add_tenant(a_tenant(DEFAULT_TENANT_ID, zone="UTC"))
        store.add_tenant(a_tenant("acme"))

    def key(self, terms: KeyTerms | None = None) -> str:
        """A new key of acme, for reading unless the terms say otherwise."""
        return add_key(self.store, terms).secret

    def app(self, *, anonymous_loopback: bool = False) -> ASGIApp:
        """An app with a route for readers, one for admins, one for the operator and an open one."""
        api = FastAPI()
        problems.install(api)
        api.state.doorkeeper = auth.Doorkeeper(
            Authenticator(self.store), self.store, anonymous_loopback=anonymous_loopback
        )

        @api.get("/who")
        async def who(
            caller: Annotated[Caller, Depends(auth.require(Permission.USAGE_READ))],
        ) -> dict[str, object]:
            return {
                "tenant": caller.tenant_id,
                "key": caller.key_id,
                "zone": caller.zone,
                "operator": caller.is_operator,
            }

        @api.get("/admin", dependencies=[Depends(auth.require(Permission.KEYS_WRITE))])
        async def admin() -> str:
            return "done"

        @api.get("/operator", dependencies=[Depends(auth.require(Permission.TENANTS_WRITE))])
        async def operator() -> str:
            return "done"

        @api.get("/open")
        async def open_path(caller: Annotated[Caller | None, Depends(auth.caller_if_any)]) -> str | None:
            return caller.tenant_id if caller else None

        return Frame(api, Metrics().http)


@pytest.fixture
def office(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Office]:
    """An office on a store of its own."""
    path = tmp_path / "state.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    engine = make_engine(f"sqlite:///{path}")
    yield Office(RelationalIdentityStore(engine))
    engine.dispose()


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("Authorization", "Bearer {}"),
        ("authorization", "bearer  {} "),
        ("X-API-Key", "{}"),
        ("X-Ingest-Key", "{}"),
    ],
)
def test_a_key_is_taken_from_any_of_its_headers(office: Office, header: str, form: str) -> None:
    answer = ask(office.app(), "GET", "/who", headers={header: form.format(office.key())})
    assert answer.json()["tenant"] == "acme"
    assert answer.json()["zone"] == "Europe/Berlin"
    assert answer.json()["operator"] is False


def test_the_same_key_in_two_headers_is_one_key(office: Office) -> None:
    key = office.key()
    headers = {"Authorization": f"Bearer {key}", "X-API-Key": key}
    assert ask(office.app(), "GET", "/who", headers=headers).status_code == 200


def test_different_keys_in_two_headers_are_refused(office: Office) -> None:
    headers = {"Authorization": f"Bearer {office.key()}", "X-API-Key": office.key()}
    answer = ask(office.app(), "GET", "/who", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "different keys" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": ""}, {"Authorization": "Basic dTpw"}, {"Authorization": "Bearer "}]
)
def test_no_key_is_refused_with_how_to_send_one(office: Office, headers: dict[str, str]) -> None:
    answer = ask(office.app(), "GET", "/who", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_key")
    assert "X-API-Key" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_credentials_meant_for_a_proxy_do_not_hide_the_key(office: Office) -> None:
    headers = {"Authorization": "Basic dTpw", "X-API-Key": office.key()}
    assert ask(office.app(), "GET", "/who", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["bur_wrong", "x" * 100_000, "schlüssel".encode("latin-1")])
def test_an_unknown_key_is_refused(office: Office, key: str | bytes) -> None:
    answer = ask(office.app(), "GET", "/who", headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (401, "unknown_key")


def test_an_expired_key_is_refused(office: Office) -> None:
    key = office.key(some_terms(expires_at=clock.now() - timedelta(seconds=1)))
    answer = ask(office.app(), "GET", "/who", headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (401, "expired_key")


def test_a_revoked_key_is_refused(office: Office) -> None:
    issued = add_key(office.store)
    office.store.revoke_key("acme", issued.key.id, clock.now(), Revocation.BY_CALLER)
    answer = ask(office.app(), "GET", "/who", headers={"X-API-Key": issued.secret})
    assert (answer.status_code, answer.json()["code"]) == (401, "revoked_key")


def test_a_key_without_the_scope_is_refused_and_admin_holds_every_scope(office: Office) -> None:
    reader, admin = office.key(), office.key(some_terms(scopes=ADMIN))
    refused = ask(office.app(), "GET", "/admin", headers={"X-API-Key": reader})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert ask(office.app(), "GET", "/admin", headers={"X-API-Key": admin}).status_code == 200
    assert ask(office.app(), "GET", "/who", headers={"X-API-Key": admin}).status_code == 200


@pytest.mark.parametrize("tenant", ["default", "nobody-has-this"])
def test_naming_another_tenant_is_refused_whether_or_not_it_exists(office: Office, tenant: str) -> None:
    headers = {"X-API-Key": office.key(some_terms(scopes=ADMIN))}
    answer = ask(office.app(), "GET", f"/who?tenant_id={tenant}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")


def test_naming_ones_own_tenant_is_fine(office: Office) -> None:
    answer = ask(office.app(), "GET", "/who?tenant_id=acme", headers={"X-API-Key": office.key()})
    assert answer.json()["tenant"] == "acme"


def test_the_operators_key_may_name_any_tenant_that_exists(office: Office) -> None:
    terms = some_terms(DEFAULT_TENANT_ID, ADMIN, is_operator=True)
    headers = {"X-API-Key": office.key(terms)}
    acting = ask(office.app(), "GET", "/who?tenant_id=acme", headers=headers)
    assert (acting.json()["tenant"], acting.json()["zone"]) == ("acme", "Europe/Berlin")
    for unknown in ("nobody-has-this", "%00", "%ff", "a/b"):
        lost = ask(office.app(), "GET", f"/who?tenant_id={unknown}", headers=headers)
        assert (lost.status_code, lost.json()["code"]) == (404, "not_found")
    assert ask(office.app(), "GET", "/operator", headers=headers).status_code == 200


def test_only_the_operator_gets_to_the_operators_routes(office: Office) -> None:
    headers = {"X-API-Key": office.key(some_terms(scopes=ADMIN))}
    answer = ask(office.app(), "GET", "/operator", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_request_through_the_operators_door_needs_no_key(office: Office) -> None:
    door = auth.operator_door(office.app())
    answer = ask(door, "GET", "/who")
    assert answer.json() == {"tenant": "default", "key": "socket", "zone": "UTC", "operator": True}
    assert ask(door, "GET", "/who?tenant_id=acme").json()["tenant"] == "acme"
    assert ask(door, "GET", "/operator").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "unix"},
        {"Forwarded": "for=unix;host=/data/bursar.sock"},
        {"Host": "bursar.socket"},
        {"bursar.operator": "true"},
    ],
)
def test_nothing_that_a_client_sends_makes_it_the_operator(office: Office, headers: dict[str, str]) -> None:
    assert ask(office.app(), "GET", "/operator", headers=headers).status_code == 401


def test_an_open_path_knows_those_who_show_a_key_and_lets_the_others_in(office: Office) -> None:
    assert ask(office.app(), "GET", "/open").json() is None
    assert ask(office.app(), "GET", "/open", headers={"X-API-Key": "wrong"}).json() is None
    assert ask(office.app(), "GET", "/open", headers={"X-API-Key": office.key()}).json() == "acme"


def test_programs_on_this_machine_need_no_key_where_that_is_allowed(office: Office) -> None:
    app = office.app(anonymous_loopback=True)
    answer = ask(app, "GET", "/who")
    assert (answer.json()["tenant"], answer.json()["key"]) == ("default", "anonymous")
    assert ask(app, "GET", "/admin").status_code == 403
    assert ask(app, "GET", "/operator").status_code == 403
    assert ask(app, "GET", "/who?tenant_id=acme").status_code == 403
    assert ask(app, "GET", "/who", headers={"X-API-Key": "wrong"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Host": "rebound.example"},
        {"Host": "[broken"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_proxies_and_foreign_web_pages_are_no_programs_on_this_machine(
    office: Office, headers: dict[str, str]
) -> None:
    answer = ask(office.app(anonymous_loopback=True), "GET", "/who", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_key")


@pytest.mark.parametrize("client", [("203.0.113.9", 1), None])
def test_callers_from_elsewhere_are_never_anonymous(office: Office, client: tuple[str, int] | None) -> None:
    app = office.app(anonymous_loopback=True)

    async def from_elsewhere(scope: Connection, receive: Receive, send: Send) -> None:
        await app({**scope, "client": client}, receive, send)

    assert ask(from_elsewhere, "GET", "/who").status_code == 401
