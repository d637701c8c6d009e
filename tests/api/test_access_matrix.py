"""Every operation of the API, asked by every kind of caller: nobody gets in but who has its permission.

The operations come from the OpenAPI document, what each must ask for from `support/operations.py`; one that
is missing there fails. People who have logged in are in `test_access_of_people.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar import clock
from bursar.app.http import make_bare_api
from bursar.identity.keys import KeyTerms, Revocation, hash_key, new_key
from bursar.identity.permissions import BUNDLES, OF_TENANTS, Permission, permissions_of
from bursar.identity.roles import BUILT_IN
from bursar.identity.tenant import Tenant, TenantChange, TenantState
from tests.support.matrix import ANY, DECLARED, EXPECTED, LET_IN, OPEN, WITHIN_TENANTS, asking, expected
from tests.support.operations import OPERATIONS, UNDESCRIBED
from tests.support.serving import ADMIN_KEY, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from bursar.identity.store import IdentityStore
    from tests.support.serving import RunningServer

OURS, THEIRS, SUSPENDED = "ours", "theirs", "suspended"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("matrix")) as running:
        for tenant_id in (OURS, THEIRS, SUSPENDED):
            running.platform.identity.add_tenant(Tenant(tenant_id, tenant_id, "UTC", clock.now()))
        yield running


@pytest.fixture(scope="module")
def keys(house: RunningServer) -> Mapping[str, str]:
    """A key of each kind, by what it is."""
    store = house.platform.identity
    made = {f"scope {name}": a_key(store, [name]) for name in BUNDLES}
    made |= {f"role {role.name}": a_key(store, role.permissions) for role in BUILT_IN.values()}
    made |= {f"only {one}": a_key(store, [one]) for one in OF_TENANTS}
    made |= {f"all but {one}": a_key(store, OF_TENANTS - {one}) for one in OF_TENANTS}
    made["expired"] = a_key(store, OF_TENANTS, expires_at=clock.now() - timedelta(seconds=1))
    made["revoked"] = a_key(store, OF_TENANTS, is_revoked=True)
    made["suspended tenant"] = a_key(store, OF_TENANTS, tenant_id=SUSPENDED)
    store.change_tenant(SUSPENDED, TenantChange(state=TenantState.SUSPENDED))
    return made


def a_key(
    store: IdentityStore,
    scopes: Collection[str],
    *,
    tenant_id: str = OURS,
    is_revoked: bool = False,
    expires_at: datetime | None = None,
) -> str:
    terms = KeyTerms(tenant_id, "matrix", frozenset(map(str, scopes)), expires_at=expires_at)
    issued = new_key(terms, clock.now())
    store.add_key(issued.key, hash_key(issued.secret))
    if is_revoked:
        store.revoke_key(tenant_id, issued.key.id, clock.now(), Revocation.BY_CALLER)
    return issued.secret


def test_every_operation_says_what_it_asks_for_and_nothing_else_does() -> None:
    assert DECLARED == EXPECTED
    assert set(OPERATIONS) <= {*Permission, OPEN, ANY}


@pytest.mark.parametrize("operation", DECLARED)
def test_nobody_gets_in_without_a_credential_that_counts(
    house: RunningServer, keys: Mapping[str, str], operation: str
) -> None:
    ask, is_open = asking(house, operation), EXPECTED[operation] == OPEN
    found = {
        "none": ask(None),
        "unknown": ask("bur_nobody"),
        "expired": ask(keys["expired"]),
        "revoked": ask(keys["revoked"]),
    }
    refused = {
        "none": "missing_key",
        "unknown": "unknown_key",
        "expired": "expired_key",
        "revoked": "revoked_key",
    }
    assert found == (dict.fromkeys(found, LET_IN) if is_open else refused)


@pytest.mark.parametrize("operation", DECLARED)
def test_every_role_and_scope_gets_in_where_it_has_the_permission(
    house: RunningServer, keys: Mapping[str, str], operation: str
) -> None:
    ask, asked = asking(house, operation), EXPECTED[operation]
    granted = {f"role {role.name}": role.permissions for role in BUILT_IN.values()}
    granted |= {f"scope {name}": permissions_of([name]) for name in BUNDLES}
    found = {name: ask(keys[name]) for name in granted}
    assert found == {name: expected(asked, permissions) for name, permissions in granted.items()}


@pytest.mark.parametrize("operation", WITHIN_TENANTS)
def test_one_permission_is_needed_and_is_enough(
    house: RunningServer, keys: Mapping[str, str], operation: str
) -> None:
    ask, asked = asking(house, operation), EXPECTED[operation]
    assert (ask(keys[f"only {asked}"]), ask(keys[f"all but {asked}"])) == (LET_IN, "missing_scope")


@pytest.mark.parametrize("operation", WITHIN_TENANTS)
def test_nobody_but_the_operator_acts_for_another_tenant(
    house: RunningServer, keys: Mapping[str, str], operation: str
) -> None:
    ask = asking(house, operation)
    found = {ask(keys["role owner"], tenant_id=named) for named in (THEIRS, "no-such-tenant")}
    assert found == {"tenant_mismatch"}


@pytest.mark.parametrize("operation", DECLARED)
def test_a_suspended_tenant_sends_no_usage_and_keeps_the_rest(
    house: RunningServer, keys: Mapping[str, str], operation: str
) -> None:
    asked = EXPECTED[operation]
    found = asking(house, operation)(keys["suspended tenant"])
    takes_usage = asked == Permission.USAGE_INGEST
    assert found == ("tenant_suspended" if takes_usage else expected(asked, OF_TENANTS))


@pytest.mark.parametrize("operation", DECLARED)
def test_the_operator_gets_in_everywhere(house: RunningServer, operation: str) -> None:
    assert asking(house, operation)(ADMIN_KEY) == LET_IN


# ------------------------------------------------------------------------- outside of the OpenAPI document
EXPECTED_BESIDE = {operation: asked for asked, several in UNDESCRIBED.items() for operation in several}
STOP = "POST /control/stop"
"""Whoever may stop the server ends this test's."""


def routes_beside(api: Any) -> Iterator[str]:  # noqa: ANN401 - FastAPI's routers or an app
    """What the app answers that its document doesn't tell."""
    for route in api.routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from routes_beside(included)
        elif not getattr(route, "include_in_schema", False):
            yield from (f"{method} {route.path}" for method in sorted(route.methods))


def asking_beside(house: RunningServer, operation: str) -> Callable[[str | None], str]:
    """Asks it with a path that is there."""
    return asking(house, operation.replace("{name}", "favicon.png"))


def test_every_route_outside_of_the_document_says_what_it_asks_for() -> None:
    assert sorted(routes_beside(make_bare_api())) == sorted(EXPECTED_BESIDE)


@pytest.mark.parametrize("operation", EXPECTED_BESIDE)
def test_routes_outside_of_the_document_let_in_whom_they_should(
    house: RunningServer, keys: Mapping[str, str], operation: str
) -> None:
    ask, is_open = asking_beside(house, operation), EXPECTED_BESIDE[operation] == OPEN
    found = {name: ask(key) for name, key in keys.items() if name.startswith(("scope ", "role "))}
    assert found == dict.fromkeys(found, LET_IN if is_open else "forbidden")
    refused = {None: "missing_key", "bur_nobody": "unknown_key", keys["revoked"]: "revoked_key"}
    assert {key: ask(key) for key in refused} == (dict.fromkeys(refused, LET_IN) if is_open else refused)
    if operation != STOP:
        assert ask(ADMIN_KEY) == LET_IN
