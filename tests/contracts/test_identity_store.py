"""What every identity store promises (`identity/store.py`), on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.caller import Caller
from bursar.identity.keys import Credential, Revocation, hash_key
from bursar.identity.page import PageAsk
from bursar.identity.permissions import Scope, permissions_of
from bursar.identity.store import KeyUse
from bursar.identity.tenant import (
    Project,
    ProjectChange,
    ProjectState,
    RemovedTenant,
    Tenant,
    TenantChange,
    TenantState,
)
from tests.support.identity import NOON, SECOND, a_project, a_tenant, add_key, some_terms

if TYPE_CHECKING:
    from bursar.identity.store import IdentityStore

ALL = PageAsk()


@pytest.fixture
def store(identity_store: IdentityStore) -> IdentityStore:
    """A store with two tenants; what belongs to one must never be seen through the other."""
    identity_store.add_tenant(a_tenant("acme"))
    identity_store.add_tenant(a_tenant("rival", zone="UTC", created_at=NOON + SECOND))
    return identity_store


# ------------------------------------------------------------------------------------------------- tenants


def test_a_tenant_comes_back_as_it_was_added(store: IdentityStore) -> None:
    tenant = Tenant(
        "t-1", "Ünï 'quoted' \\ %", "Asia/Kolkata", NOON + timedelta(microseconds=7), TenantState.SUSPENDED
    )
    store.add_tenant(tenant)
    assert store.tenant("t-1") == tenant


def test_a_tenant_id_is_taken_once(store: IdentityStore) -> None:
    with pytest.raises(Conflict) as refused:
        store.add_tenant(a_tenant("acme"))
    assert [reason.code for reason in refused.value.reasons] == ["tenant_exists"]
    assert store.tenant("acme") == a_tenant("acme")


def test_tenant_ids_differ_by_case(store: IdentityStore) -> None:
    store.add_tenant(a_tenant("ACME"))
    assert store.tenant("ACME") != store.tenant("acme")


def test_an_unknown_tenant_is_not_found(store: IdentityStore) -> None:
    with pytest.raises(NotFound):
        store.tenant("nobody")
    with pytest.raises(NotFound):
        store.change_tenant("nobody", TenantChange(name="x"))
    with pytest.raises(NotFound):
        store.change_tenant("nobody", TenantChange())


def test_a_change_touches_what_it_names_and_nobody_else(store: IdentityStore) -> None:
    assert store.change_tenant("acme", TenantChange(zone="Asia/Tokyo")) == a_tenant(zone="Asia/Tokyo")
    assert store.change_tenant("acme", TenantChange(name="New")).name == "New"
    assert store.change_tenant("acme", TenantChange()) == replace(a_tenant(zone="Asia/Tokyo"), name="New")
    assert store.tenant("rival") == a_tenant("rival", zone="UTC", created_at=NOON + SECOND)


def test_moments_come_back_aware_and_in_utc_whatever_zone_they_came_in(store: IdentityStore) -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    moment = datetime(2026, 3, 1, 2, 30, 0, 123456, tzinfo=kathmandu)
    store.add_tenant(a_tenant("far", created_at=moment))
    created_at = store.tenant("far").created_at
    assert created_at == moment
    assert created_at.tzinfo is UTC


# --------------------------------------------------------------------------------------------------- pages


def test_pages_give_each_item_once_in_order_of_creation(store: IdentityStore) -> None:
    # Equal moments: the id decides.
    made = [a_project(f"p{n:02}", created_at=NOON + SECOND * (n // 3)) for n in range(10)]
    for project in reversed(made):
        store.add_project(project)
    seen: list[Project] = []
    ask = PageAsk(limit=4)
    for _ in range(3):
        page = store.projects("acme", ask)
        seen += page.items
        ask = PageAsk(limit=4, after=page.next)
    assert seen == made
    assert ask.after is None


def test_a_full_last_page_has_no_next(store: IdentityStore) -> None:
    page = store.tenants(PageAsk(limit=2))
    assert [tenant.id for tenant in page.items] == ["acme", "rival"]
    assert page.next is None


def test_a_page_begins_behind_its_position_even_if_that_item_is_gone(store: IdentityStore) -> None:
    for name in ("a", "b", "c"):
        store.add_project(a_project(name))
    first = store.projects("acme", PageAsk(limit=1))
    store.remove_project("acme", "a")
    rest = store.projects("acme", PageAsk(after=first.next))
    assert [project.id for project in rest.items] == ["b", "c"]


def test_a_page_is_only_of_the_projects_that_are_asked_for(store: IdentityStore) -> None:
    for name in ("a", "b", "c"):
        store.add_project(a_project(name))
    store.add_project(a_project("d", tenant_id="rival"))
    page = store.projects("acme", PageAsk(limit=1), {"a", "c", "d", "never made"})
    assert [project.id for project in page.items] == ["a"]
    rest = store.projects("acme", PageAsk(after=page.next), {"a", "c", "d", "never made"})
    assert ([project.id for project in rest.items], rest.next) == (["c"], None)
    assert store.projects("acme", ALL, ()).items == ()


# ------------------------------------------------------------------------------------------------ projects


def test_two_tenants_may_choose_the_same_project_id(store: IdentityStore) -> None:
    ours, theirs = a_project(), replace(a_project(tenant_id="rival"), name="Theirs")
    store.add_project(ours)
    store.add_project(theirs)
    assert store.project("acme", "search") == ours
    assert store.project("rival", "search") == theirs


def test_a_project_id_is_taken_once_within_a_tenant(store: IdentityStore) -> None:
    store.add_project(a_project())
    with pytest.raises(Conflict) as refused:
        store.add_project(a_project())
    assert [reason.code for reason in refused.value.reasons] == ["project_exists"]


def test_a_project_needs_its_tenant(store: IdentityStore) -> None:
    with pytest.raises(NotFound):
        store.add_project(a_project(tenant_id="nobody"))


def test_a_project_is_renamed_and_removed(store: IdentityStore) -> None:
    store.add_project(a_project())
    assert store.change_project("acme", "search", ProjectChange("Find")) == replace(a_project(), name="Find")
    store.remove_project("acme", "search")
    assert store.projects("acme", ALL).items == ()
    with pytest.raises(NotFound):
        store.remove_project("acme", "search")


def test_a_project_is_suspended_and_resumed_and_keeps_the_rest(store: IdentityStore) -> None:
    for tenant_id in ("acme", "rival"):
        store.add_project(a_project(tenant_id=tenant_id))
    assert a_project().state is ProjectState.ACTIVE
    assert list(store.suspended_projects()) == []
    suspended = replace(a_project(), state=ProjectState.SUSPENDED)
    change = ProjectChange(state=ProjectState.SUSPENDED)
    assert store.change_project("acme", "search", change) == suspended == store.project("acme", "search")
    assert list(store.suspended_projects()) == [("acme", "search")]
    assert store.project("rival", "search").state is ProjectState.ACTIVE
    renamed = replace(suspended, name="Find")
    assert store.change_project("acme", "search", ProjectChange("Find")) == renamed
    assert store.change_project("acme", "search", ProjectChange()) == renamed
    store.change_project("acme", "search", ProjectChange(state=ProjectState.ACTIVE))
    assert list(store.suspended_projects()) == []


def test_what_names_a_project_goes_with_it_and_what_names_another_stays(store: IdentityStore) -> None:
    for tenant_id, name in (("acme", "search"), ("acme", "ads"), ("rival", "search")):
        project = a_project(name, tenant_id=tenant_id)
        store.add_project(project)
        add_key(store, replace(some_terms(tenant_id), project_id=name))
    removed = store.remove_project("acme", "search", a_project().created_at)
    assert (removed.keys, removed.roles, removed.allocations) == (1, 0, 0)
    assert [key.terms.project_id for key in store.keys("acme", ALL).items] == ["ads"]
    assert [key.terms.project_id for key in store.keys("rival", ALL).items] == ["search"]


def test_a_later_project_of_the_same_id_is_not_removed(store: IdentityStore) -> None:
    store.add_project(a_project())
    with pytest.raises(NotFound):
        store.remove_project("acme", "search", a_project().created_at - timedelta(seconds=1))
    assert store.project("acme", "search") == a_project()


def test_a_project_that_is_made_suspended_is_and_its_removal_ends_that(store: IdentityStore) -> None:
    store.add_project(replace(a_project(), state=ProjectState.SUSPENDED))
    assert list(store.suspended_projects()) == [("acme", "search")]
    store.remove_project("acme", "search")
    assert list(store.suspended_projects()) == []


def test_no_question_or_change_about_projects_crosses_tenants(store: IdentityStore) -> None:
    store.add_project(a_project())
    for reach_over in (
        lambda: store.project("rival", "search"),
        lambda: store.change_project("rival", "search", ProjectChange("Stolen")),
        lambda: store.remove_project("rival", "search"),
    ):
        with pytest.raises(NotFound):
            reach_over()
    assert store.projects("rival", ALL).items == ()
    assert store.project("acme", "search") == a_project()


# ---------------------------------------------------------------------------------------------------- keys


def test_a_key_comes_back_as_it_was_added_and_its_secret_never_does(store: IdentityStore) -> None:
    terms = some_terms(scopes=frozenset({Scope.READ, Scope.INGEST}), expires_at=NOON + timedelta(days=1))
    issued = add_key(store, terms)
    assert store.key("acme", issued.key.id) == issued.key
    assert store.keys("acme", ALL).items == (issued.key,)
    assert issued.secret not in repr(store.key("acme", issued.key.id))


def test_a_credential_is_found_by_its_hash_with_the_tenants_zone(store: IdentityStore) -> None:
    ours = add_key(store)
    theirs = add_key(store, some_terms("rival", is_operator=True))
    hashes = [hash_key(ours.secret), hash_key(theirs.secret), hash_key("bur_never")]
    assert store.credentials(hashes) == {
        hashes[0]: Credential(ours.key, "Europe/Berlin"),
        hashes[1]: Credential(theirs.key, "UTC"),
    }
    assert store.credentials(hashes[:1])[hashes[0]].caller() == Caller(
        "acme", ours.key.id, permissions_of({Scope.READ}), "Europe/Berlin", is_operator=False
    )
    assert store.credentials(()) == {}


def test_a_credential_says_that_its_tenant_is_suspended(store: IdentityStore) -> None:
    digest = hash_key(add_key(store).secret)
    store.change_tenant("acme", TenantChange(state=TenantState.SUSPENDED))
    assert store.credentials([digest])[digest].caller().is_suspended
    store.change_tenant("acme", TenantChange(state=TenantState.ACTIVE))
    assert not store.credentials([digest])[digest].caller().is_suspended


def test_a_removed_tenant_takes_its_keys_and_projects_along_and_nobody_elses(store: IdentityStore) -> None:
    ours, theirs = add_key(store), add_key(store, some_terms("rival"))
    store.add_project(a_project())
    assert store.remove_tenant("acme") == RemovedTenant(keys=1, projects=1)
    with pytest.raises(NotFound):
        store.tenant("acme")
    assert store.credentials([hash_key(ours.secret)]) == {}
    assert store.projects("acme", ALL).items == ()
    assert hash_key(theirs.secret) in store.credentials([hash_key(theirs.secret)])
    with pytest.raises(NotFound):
        store.remove_tenant("acme")


def test_a_later_tenant_of_the_same_id_isnt_removed_in_the_formers_place(store: IdentityStore) -> None:
    with pytest.raises(NotFound):
        store.remove_tenant("acme", since=NOON - SECOND)
    assert store.remove_tenant("acme", since=NOON) == RemovedTenant(keys=0, projects=0)


def test_many_credentials_are_found_at_once(store: IdentityStore) -> None:
    known = [hash_key(add_key(store).secret) for _ in range(3)]
    unknown = [hash_key(f"bur_{n}") for n in range(2_500)]
    assert store.credentials([known[0], *unknown, *known[1:]]).keys() == set(known)


def test_a_secret_belongs_to_one_key(store: IdentityStore) -> None:
    issued = add_key(store)
    again = replace(issued.key, id="key_other")
    with pytest.raises(Conflict) as refused:
        store.add_key(again, hash_key(issued.secret))
    assert [reason.code for reason in refused.value.reasons] == ["key_exists"]


def test_a_key_needs_its_tenant(store: IdentityStore) -> None:
    with pytest.raises(NotFound):
        add_key(store, some_terms("nobody"))


def test_a_revoked_key_keeps_its_first_moment(store: IdentityStore) -> None:
    key_id = add_key(store).key.id
    revoked = store.revoke_key("acme", key_id, NOON, Revocation.BY_CALLER)
    assert (revoked.revoked_at, revoked.revocation) == (NOON, Revocation.BY_CALLER)
    assert store.revoke_key("acme", key_id, NOON + SECOND, Revocation.SETTING_CHANGED) == revoked
    assert store.revoke_key("acme", key_id, NOON + SECOND, Revocation.BY_CALLER) == revoked
    assert store.key("acme", key_id) == revoked


def test_a_caller_has_the_last_word_over_a_setting(store: IdentityStore) -> None:
    key_id = add_key(store).key.id
    store.revoke_key("acme", key_id, NOON, Revocation.SETTING_CHANGED)
    revoked = store.revoke_key("acme", key_id, NOON + SECOND, Revocation.BY_CALLER)
    assert (revoked.revoked_at, revoked.revocation) == (NOON, Revocation.BY_CALLER)


def test_no_question_or_change_about_keys_crosses_tenants(store: IdentityStore) -> None:
    key = add_key(store).key
    with pytest.raises(NotFound):
        store.key("rival", key.id)
    with pytest.raises(NotFound):
        store.revoke_key("rival", key.id, NOON, Revocation.BY_CALLER)
    store.record_use([KeyUse("rival", key.id, NOON)])
    store.adopt_key("rival", key.id, "API_KEY")
    assert store.keys("rival", ALL).items == ()
    assert store.keys_from_setting("rival", "API_KEY") == ()
    assert store.key("acme", key.id) == key


def test_the_latest_use_of_a_key_counts(store: IdentityStore) -> None:
    first, second = (add_key(store).key.id for _ in range(2))
    store.record_use([KeyUse("acme", first, NOON), KeyUse("acme", second, NOON + SECOND)])
    store.record_use([KeyUse("acme", first, NOON + SECOND), KeyUse("acme", second, NOON)])
    store.record_use([])
    assert store.key("acme", first).last_used_at == NOON + SECOND
    assert store.key("acme", second).last_used_at == NOON + SECOND


# ------------------------------------------------------------------------------------------ keys of settings


def test_keys_are_known_by_the_setting_that_named_them(store: IdentityStore) -> None:
    named = add_key(store, some_terms(from_setting="API_KEY")).key
    add_key(store, some_terms(from_setting="INGEST_KEY"))
    add_key(store)
    assert store.keys_from_setting("acme", "API_KEY") == (named,)


def test_an_adopted_key_counts_again_for_its_setting(store: IdentityStore) -> None:
    key = add_key(store).key
    store.revoke_key("acme", key.id, NOON, Revocation.SETTING_CHANGED)
    store.adopt_key("acme", key.id, "API_KEY")
    adopted = replace(key, terms=replace(key.terms, from_setting="API_KEY"))
    assert store.key("acme", key.id) == adopted


def test_a_key_that_a_caller_revoked_is_never_adopted(store: IdentityStore) -> None:
    key_id = add_key(store).key.id
    revoked = store.revoke_key("acme", key_id, NOON, Revocation.BY_CALLER)
    store.adopt_key("acme", key_id, "API_KEY")
    assert store.key("acme", key_id) == revoked


def test_only_a_usable_key_of_the_operator_lets_the_operator_in(store: IdentityStore) -> None:
    add_key(store)
    add_key(store, some_terms(is_operator=True, expires_at=NOON))
    revoked = add_key(store, some_terms(is_operator=True))
    store.revoke_key("acme", revoked.key.id, NOON, Revocation.BY_CALLER)
    assert not store.has_operator_key(NOON)
    add_key(store, some_terms(is_operator=True, expires_at=NOON + SECOND))
    assert store.has_operator_key(NOON)
    assert not store.has_operator_key(NOON + SECOND)
