"""What every store of roles promises (`identity/role_store.py`), on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.page import PageAsk
from bursar.identity.permissions import Permission
from bursar.identity.roles import BUILT_IN, Role, RoleBinding
from bursar.identity.users.user import User, UserChange, UserState
from bursar.storage.relational.users import RelationalUsers
from tests.support.identity import NOON, SECOND, a_project, a_tenant

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bursar.identity.store import IdentityStore
    from bursar.identity.users.store import UserStore

BILLING = Role("billing", frozenset({Permission.COST_READ, Permission.USAGE_READ}), "Sees »money«")


@pytest.fixture
def users(identity_store: IdentityStore, state_engine: Engine) -> UserStore:
    """Two tenants with users each."""
    users = RelationalUsers(state_engine)
    for tenant_id, user_ids in (("acme", ("usr_1", "usr_2")), ("rival", ("usr_r",))):
        identity_store.add_tenant(a_tenant(tenant_id))
        for user_id in user_ids:
            users.add_user(User(user_id, tenant_id, f"{user_id}@example.com", user_id, NOON))
    return users


@pytest.fixture
def store(identity_store: IdentityStore, users: UserStore) -> IdentityStore:
    """The tenants have a project of the same id each."""
    assert users
    for tenant_id in ("acme", "rival"):
        identity_store.add_project(a_project(tenant_id=tenant_id))
    return identity_store


def a_binding(
    role: str = "viewer", project_id: str | None = None, *, tenant_id: str = "acme", user_id: str = ""
) -> RoleBinding:
    """Somebody's role."""
    whose = user_id or ("usr_r" if tenant_id == "rival" else "usr_1")
    return RoleBinding(tenant_id, whose, role, project_id, "key_1", NOON)


def test_a_role_comes_back_as_it_was_made_beside_the_built_in_ones(store: IdentityStore) -> None:
    store.add_role("acme", BILLING)
    assert store.role("acme", "billing") == BILLING
    assert store.roles("acme") == {**BUILT_IN, "billing": BILLING}
    assert store.role("acme", "owner") == BUILT_IN["owner"]


def test_a_role_is_its_tenants_alone(store: IdentityStore) -> None:
    store.add_role("acme", BILLING)
    assert store.roles("rival") == BUILT_IN
    with pytest.raises(NotFound):
        store.role("rival", "billing")
    with pytest.raises(NotFound):
        store.change_role("rival", BILLING)
    with pytest.raises(NotFound):
        store.remove_role("rival", "billing")
    with pytest.raises(NotFound):
        store.bind(a_binding("billing", tenant_id="rival"))
    store.add_role("rival", replace(BILLING, description="another"))
    assert store.role("acme", "billing") == BILLING


def test_a_name_is_taken_once_and_needs_a_tenant(store: IdentityStore) -> None:
    store.add_role("acme", BILLING)
    with pytest.raises(Conflict) as refused:
        store.add_role("acme", BILLING)
    assert [reason.code for reason in refused.value.reasons] == ["role_exists"]
    with pytest.raises(NotFound):
        store.add_role("nobody", BILLING)


def test_a_changed_role_grants_something_else_to_who_has_it(store: IdentityStore) -> None:
    store.add_role("acme", BILLING)
    store.bind(a_binding("billing"))
    assert store.granted("acme", "usr_1").permissions == BILLING.permissions
    store.change_role("acme", replace(BILLING, permissions=frozenset({Permission.PROJECTS_READ})))
    assert store.granted("acme", "usr_1").permissions == {Permission.PROJECTS_READ}


def test_a_role_that_somebody_has_is_not_removed(store: IdentityStore) -> None:
    store.add_role("acme", BILLING)
    store.bind(a_binding("billing"))
    with pytest.raises(Conflict) as refused:
        store.remove_role("acme", "billing")
    assert [reason.code for reason in refused.value.reasons] == ["role_in_use"]
    assert store.granted("acme", "usr_1").permissions == BILLING.permissions
    assert store.unbind(a_binding("billing"))
    store.remove_role("acme", "billing")
    assert store.roles("acme") == BUILT_IN


def test_pages_of_bindings_neither_skip_nor_repeat_one(store: IdentityStore) -> None:
    given = [
        a_binding("viewer"),
        a_binding("viewer", "search"),
        a_binding("analyst", user_id="usr_2"),
        replace(a_binding("member", user_id="usr_2"), granted_at=NOON + SECOND),
        replace(a_binding("admin"), granted_at=NOON - SECOND),
    ]
    for binding in (*given, a_binding("owner", tenant_id="rival")):
        store.bind(binding)
    read_page = partial(store.page_of_bindings, "acme")
    found: list[RoleBinding] = []
    ask: PageAsk | None = PageAsk(2)
    while ask is not None:
        page = read_page(ask)
        assert 0 < len(page.items) <= 2
        found += page.items
        ask = None if page.next is None else PageAsk(2, page.next)
    assert len(found) == len(given)
    assert set(found) == set(given)
    assert (found[0], found[-1]) == (given[4], given[3])
    of_one = store.page_of_bindings("acme", PageAsk(500), "usr_2")
    assert (set(of_one.items), of_one.next) == ({given[2], given[3]}, None)
    assert store.page_of_bindings("acme", PageAsk(500), "usr_r").items == ()


def test_bindings_come_back_in_the_order_in_which_they_were_given(store: IdentityStore) -> None:
    later = replace(a_binding("analyst", "search"), granted_at=NOON + SECOND)
    other = replace(a_binding("owner", user_id="usr_2"), granted_at=NOON + 2 * SECOND)
    for binding in (other, later, a_binding()):
        store.bind(binding)
    assert store.bindings("acme") == (a_binding(), later, other)
    assert store.bindings("acme", "usr_1") == (a_binding(), later)
    assert store.bindings("rival") == ()


def test_bindings_are_those_of_the_people_who_are_named_and_of_their_tenant(store: IdentityStore) -> None:
    later = replace(a_binding("analyst", "search"), granted_at=NOON + SECOND)
    other = replace(a_binding("owner", user_id="usr_2"), granted_at=NOON - SECOND)
    for binding in (later, other, a_binding(), a_binding(tenant_id="rival")):
        store.bind(binding)
    assert store.bindings_of("acme", ["usr_1"]) == (a_binding(), later)
    assert store.bindings_of("acme", ["usr_r", "usr_2", "nobody", "usr_1"]) == (other, a_binding(), later)
    assert store.bindings_of("rival", ["usr_1", "usr_2"]) == ()
    assert store.bindings_of("acme", []) == ()


def test_a_role_given_twice_stays_as_it_was_given(store: IdentityStore) -> None:
    store.bind(a_binding())
    store.bind(replace(a_binding(), granted_by="key_2", granted_at=NOON + SECOND))
    assert store.bindings("acme") == (a_binding(),)


def test_a_role_in_a_project_is_another_than_in_the_tenant(store: IdentityStore) -> None:
    store.bind(a_binding("viewer", "search"))
    granted = store.granted("acme", "usr_1")
    assert granted.permissions == frozenset()
    assert granted.within[Permission.USAGE_READ] == {"search"}
    assert not store.unbind(a_binding("viewer"))
    assert store.unbind(a_binding("viewer", "search"))
    assert store.granted("acme", "usr_1") == (frozenset(), {})


@pytest.mark.parametrize(
    "binding",
    [
        a_binding("nothing"),
        a_binding("viewer", "unknown"),
        a_binding(tenant_id="nobody"),
        a_binding(user_id="usr_9"),
        a_binding(user_id="usr_r"),
    ],
    ids=["role", "project", "tenant", "user", "another tenant's user"],
)
def test_only_what_there_is_can_be_given(store: IdentityStore, binding: RoleBinding) -> None:
    with pytest.raises(NotFound):
        store.bind(binding)
    assert store.bindings("acme") == ()


def test_roles_in_a_project_end_with_it(store: IdentityStore) -> None:
    store.bind(a_binding("viewer", "search"))
    store.bind(a_binding("viewer", "search", tenant_id="rival"))
    store.remove_project("acme", "search")
    store.add_project(a_project())
    assert store.bindings("acme") == ()
    assert store.bindings("rival") == (a_binding("viewer", "search", tenant_id="rival"),)


def test_the_last_owner_keeps_the_role(store: IdentityStore, users: UserStore) -> None:
    first, second = a_binding("owner"), a_binding("owner", user_id="usr_2")
    store.bind(first)
    store.bind(a_binding("owner", "search", user_id="usr_2"))
    with pytest.raises(Conflict) as refused:
        store.unbind(first)
    assert [reason.code for reason in refused.value.reasons] == ["last_owner"]
    store.bind(second)
    assert store.unbind(first)
    assert not store.unbind(first)
    store.bind(first)
    users.change_user("acme", "usr_1", UserChange(state=UserState.SUSPENDED), NOON)
    with pytest.raises(Conflict):
        store.unbind(second)
    assert store.unbind(first), "who can't log in owns nothing"
    store.bind(a_binding("owner", tenant_id="rival"))
    with pytest.raises(Conflict):
        store.unbind(second)


def test_of_two_owners_who_take_the_role_from_each_other_one_keeps_it(store: IdentityStore) -> None:
    for _ in range(5):
        bindings = [a_binding("owner"), a_binding("owner", user_id="usr_2")]
        for binding in bindings:
            store.bind(binding)
        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(partial(_unbound, store), bindings))
        assert sorted(outcomes) == [False, True]


def _unbound(store: IdentityStore, binding: RoleBinding) -> bool:
    try:
        return store.unbind(binding)
    except Conflict:
        return False


def test_roles_go_with_their_tenant(store: IdentityStore) -> None:
    store.add_role("acme", BILLING)
    store.bind(a_binding("billing", "search"))
    store.bind(a_binding(tenant_id="rival"))
    store.remove_tenant("acme")
    store.add_tenant(a_tenant("acme"))
    assert store.roles("acme") == BUILT_IN
    assert store.bindings("acme") == ()
    assert store.bindings("rival") == (a_binding(tenant_id="rival"),)
