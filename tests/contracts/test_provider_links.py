"""What every store of provider links promises (`identity/sign_on/store.py`), on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.roles import RoleBinding
from bursar.identity.sign_on.mapping import GRANTED_BY, MappedRole
from bursar.identity.sign_on.store import ProviderLink, RolesMoved
from bursar.identity.users.user import User
from bursar.storage.relational.provider_links import RelationalProviderLinks
from bursar.storage.relational.users import RelationalUsers
from tests.support.identity import NOON, a_project, a_tenant

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bursar.identity.sign_on.store import ProviderLinkStore
    from bursar.storage.relational.identity import RelationalIdentityStore

ISSUER = "https://login.example.com"
ADA = User("usr_ada", "acme", "ada@example.com", "Ada", NOON)
BOB = replace(ADA, id="usr_bob", email="bob@example.com")
LINK = ProviderLink("acme", ISSUER, "ada", ADA.id, NOON)
ANALYST, ADMIN, GHOST = MappedRole("analyst"), MappedRole("admin"), MappedRole("no-such-role")


@pytest.fixture
def links(identity: RelationalIdentityStore, state_engine: Engine) -> ProviderLinkStore:
    """A store with Ada, who comes from the provider, and Bob, who doesn't."""
    assert identity
    store = RelationalProviderLinks(state_engine)
    store.add_linked_user(ADA, LINK)
    RelationalUsers(state_engine).add_user(BOB)
    return store


def bound(identity: RelationalIdentityStore, user_id: str = ADA.id) -> set[tuple[str, str | None, str]]:
    return {(one.role, one.project_id, one.granted_by) for one in identity.bindings("acme", user_id)}


def test_a_subject_is_a_user_of_one_tenant_and_issuer(links: ProviderLinkStore) -> None:
    assert links.linked_user("acme", ISSUER, "ada") == ADA
    for other in (("rival", ISSUER, "ada"), ("acme", ISSUER + "/", "ada"), ("acme", ISSUER, "Ada")):
        assert links.linked_user(*other) is None


def test_a_subject_is_one_user_and_a_user_one_subject(links: ProviderLinkStore) -> None:
    for other in (replace(LINK, user_id=BOB.id), replace(LINK, subject="another")):
        with pytest.raises(Conflict):
            links.link(other)
    links.link(replace(LINK, subject="bob", user_id=BOB.id))
    links.link(replace(LINK, issuer="https://other.example.com"))
    assert links.linked_user("acme", ISSUER, "bob") == BOB


def test_a_user_who_cannot_be_linked_is_not_made(
    links: ProviderLinkStore, identity: RelationalIdentityStore, state_engine: Engine
) -> None:
    assert identity
    eve = replace(ADA, id="usr_eve", email="eve@example.com")
    with pytest.raises(Conflict):
        links.add_linked_user(eve, replace(LINK, user_id=eve.id))
    with pytest.raises(NotFound):
        RelationalUsers(state_engine).user("acme", eve.id)
    with pytest.raises(Conflict) as taken:
        links.add_linked_user(replace(eve, email=ADA.email), replace(LINK, subject="eve", user_id=eve.id))
    assert taken.value.reasons[0].code == "user_exists"


def test_nobody_is_linked_across_tenants(links: ProviderLinkStore) -> None:
    for link in (
        replace(LINK, tenant_id="rival", subject="x"),
        replace(LINK, user_id="usr_nobody", subject="x"),
    ):
        with pytest.raises(NotFound):
            links.link(link)
    with pytest.raises(NotFound):
        links.follow_groups("rival", ADA.id, [ANALYST], NOON)


def test_of_many_first_logins_at_once_one_makes_the_user(
    links: ProviderLinkStore, identity: RelationalIdentityStore
) -> None:
    assert identity
    several = [replace(ADA, id=f"usr_{n}", email="new@example.com") for n in range(6)]

    def make(user: User) -> bool:
        try:
            links.add_linked_user(user, replace(LINK, subject="new", user_id=user.id))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(make, several)) == 1
    assert links.linked_user("acme", ISSUER, "new") in several


def test_roles_of_groups_are_made_equal_and_others_stay(
    links: ProviderLinkStore, identity: RelationalIdentityStore
) -> None:
    identity.bind(RoleBinding("acme", ADA.id, "viewer", None, "key_hand", NOON))
    in_project = MappedRole("member", a_project().id)
    wanted = [ANALYST, in_project, MappedRole("viewer"), GHOST, MappedRole("member", "no-such-project")]
    unknown = (MappedRole("member", "no-such-project"), GHOST)
    first = RolesMoved((ANALYST, in_project), (), unknown)
    assert links.compare_roles("acme", ADA.id, wanted) == first
    assert bound(identity) == {("viewer", None, "key_hand")}
    assert links.follow_groups("acme", ADA.id, wanted, NOON) == first
    hand = {("viewer", None, "key_hand")}
    assert bound(identity) == hand | {("analyst", None, GRANTED_BY), (*in_project, GRANTED_BY)}
    assert links.follow_groups("acme", ADA.id, [ADMIN], NOON) == RolesMoved((ADMIN,), (ANALYST, in_project))
    assert links.follow_groups("acme", ADA.id, [ADMIN], NOON) == RolesMoved()
    assert links.follow_groups("acme", ADA.id, [], NOON) == RolesMoved((), (ADMIN,))
    assert bound(identity) == hand
    assert bound(identity, BOB.id) == set()


def test_a_role_given_by_hand_over_a_groups_stays_without_the_group(
    links: ProviderLinkStore, identity: RelationalIdentityStore
) -> None:
    links.follow_groups("acme", ADA.id, [ANALYST], NOON)
    identity.bind(RoleBinding("acme", ADA.id, "analyst", None, "key_hand", NOON))
    links.follow_groups("acme", ADA.id, [], NOON)
    assert bound(identity) == {("analyst", None, "key_hand")}


def test_links_go_with_their_user_and_their_tenant(
    links: ProviderLinkStore, identity: RelationalIdentityStore, state_engine: Engine
) -> None:
    links.link(replace(LINK, subject="bob", user_id=BOB.id))
    RelationalUsers(state_engine).remove_user("acme", BOB.id)
    assert links.linked_user("acme", ISSUER, "bob") is None
    identity.remove_tenant("acme")
    identity.add_tenant(a_tenant("acme"))
    assert links.linked_user("acme", ISSUER, "ada") is None
