"""What every store of links promises (`identity/users/links.py`), on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.logins.session import Origin, Session
from bursar.identity.permissions import Permission
from bursar.identity.roles import BUILT_IN, RoleBinding
from bursar.identity.users.links import LASTS, Link, LinkKind
from bursar.identity.users.user import User, UserChange, UserState
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.logins import RelationalLogins
from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.transactions import reading
from bursar.storage.relational.user_links import RelationalLinks
from bursar.storage.relational.users import RelationalUsers
from tests.support.identity import NOON, SECOND

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bursar.identity.users.links import LinkStore
    from bursar.identity.users.store import UserStore

ADA = User("usr_ada", "acme", "ada@example.com", "Ada", NOON)
BOB = replace(ADA, id="usr_bob", email="bob@example.com")
RESET = Link("acme", ADA.id, LinkKind.RESET, NOON, "key_1")
FIRST = Link("acme", None, LinkKind.FIRST_ADMIN, NOON, "bursar")
VIEWER = BUILT_IN["viewer"].permissions


@pytest.fixture
def nobody(identity: RelationalIdentityStore, state_engine: Engine) -> LinkStore:
    """A store of links where there is no user yet."""
    assert identity
    return RelationalLinks(state_engine)


@pytest.fixture
def users(identity: RelationalIdentityStore, state_engine: Engine) -> UserStore:
    """A store with Ada, a user of acme."""
    assert identity
    store = RelationalUsers(state_engine)
    store.add_user(ADA)
    return store


@pytest.fixture
def links(users: UserStore, nobody: LinkStore) -> LinkStore:
    """The store of links beside it."""
    assert users
    return nobody


def as_owner(user: User) -> RoleBinding:
    return RoleBinding(user.tenant_id, user.id, "owner", None, "bursar", NOON)


def test_a_link_sets_a_password_once(links: LinkStore, users: UserStore) -> None:
    links.add_link(RESET, "one")
    assert links.link("one", NOON) == RESET
    assert links.follow_link("one", "kept", NOON + SECOND) == replace(ADA, has_password=True)
    kept = users.kept_login("acme", ADA.email)
    assert kept is not None
    assert kept.password_hash == "kept"
    assert links.link("one", NOON) is None
    assert links.follow_link("one", "again", NOON + SECOND) is None
    assert links.follow_link("unknown", "again", NOON) is None


def test_of_many_who_follow_one_link_at_once_one_does(links: LinkStore, users: UserStore) -> None:
    links.add_link(RESET, "one")

    def follow(number: int) -> bool:
        return links.follow_link("one", f"kept {number}", NOON) is not None

    with ThreadPoolExecutor(8) as pool:
        followed = list(pool.map(follow, range(16)))
    assert followed.count(True) == 1
    kept = users.kept_login("acme", ADA.email)
    assert kept is not None
    assert kept.password_hash == f"kept {followed.index(True)}"


def test_a_link_counts_until_its_time_is_over(links: LinkStore) -> None:
    links.add_link(RESET, "one")
    end = NOON + LASTS[LinkKind.RESET]
    assert links.link("one", end - SECOND) is not None
    assert links.link("one", end) is None
    assert links.follow_link("one", "kept", end) is None


def test_a_link_by_a_manager_replaces_the_others_and_one_by_anybody_does_not(links: LinkStore) -> None:
    forgotten = replace(RESET, kind=LinkKind.FORGOTTEN)
    links.add_link(RESET, "one")
    links.add_link(forgotten, "two")
    links.add_link(forgotten, "three")
    assert all(links.link(one, NOON) for one in ("one", "two", "three"))
    links.add_link(RESET, "four")
    assert [links.link(one, NOON) is None for one in ("one", "two", "three", "four")] == [True] * 3 + [False]


def test_following_one_link_lets_no_other_count(links: LinkStore) -> None:
    links.add_link(RESET, "one")
    links.add_link(replace(RESET, kind=LinkKind.FORGOTTEN), "two")
    assert links.follow_link("two", "kept", NOON)
    assert links.link("one", NOON) is None


def test_following_a_link_ends_every_session(links: LinkStore, state_engine: Engine) -> None:
    logins = RelationalLogins(state_engine)
    logins.begin_session(Session("ses_1", "acme", ADA.id, NOON, NOON + timedelta(days=1), Origin()), "hash")
    links.add_link(RESET, "one")
    links.follow_link("one", "kept", NOON + SECOND)
    assert logins.sessions("acme", ADA.id, NOON + SECOND) == ()


@pytest.mark.parametrize("covers", [frozenset[Permission](), VIEWER, VIEWER - {Permission.COST_READ}, None])
@pytest.mark.parametrize("project_id", [None, "search"])
def test_a_link_that_was_shown_covers_no_more_than_who_saw_it(
    links: LinkStore,
    identity: RelationalIdentityStore,
    users: UserStore,
    covers: frozenset[Permission] | None,
    project_id: str | None,
) -> None:
    links.add_link(replace(RESET, covers=covers), "one")
    identity.bind(RoleBinding("acme", ADA.id, "viewer", project_id, "key_1", NOON))
    needed = VIEWER if project_id is None else identity.granted("acme", ADA.id).within.keys()
    counts = covers is None or needed <= covers
    assert (links.follow_link("one", "kept", NOON) is not None) == counts
    assert users.user("acme", ADA.id).has_password == counts


@pytest.mark.parametrize("change", ["suspension", "address", "password", "removal"])
def test_what_happens_to_a_user_ends_their_links(links: LinkStore, users: UserStore, change: str) -> None:
    links.add_link(RESET, "one")
    changes = {
        "suspension": lambda: users.change_user("acme", ADA.id, UserChange(state=UserState.SUSPENDED), NOON),
        "address": lambda: users.change_user("acme", ADA.id, UserChange(email="a@b.example"), NOON),
        "password": lambda: users.set_password("acme", ADA.id, "hash", NOON),
        "removal": lambda: users.remove_user("acme", ADA.id),
    }
    changes[change]()
    assert links.link("one", NOON) is None
    assert links.follow_link("one", "kept", NOON) is None


def test_a_link_of_nobody_is_refused(links: LinkStore) -> None:
    with pytest.raises(NotFound):
        links.add_link(replace(RESET, user_id="usr_9"), "one")


def test_the_first_admins_link_makes_an_owner_once(nobody: LinkStore, state_engine: Engine) -> None:
    assert not nobody.has_users()
    nobody.add_link(FIRST, "one")
    assert nobody.follow_link("one", "kept", NOON) is None, "it sets nobody's password"
    nobody.add_link(FIRST, "two")
    assert nobody.follow_first_link("two", ADA, as_owner(ADA), "kept") == ADA
    assert nobody.has_users()
    identity = RelationalIdentityStore(state_engine)
    assert [one.role for one in identity.bindings("acme", ADA.id)] == ["owner"]
    assert nobody.follow_first_link("two", BOB, as_owner(BOB), "kept") is None


def test_no_first_admin_is_made_where_there_is_a_user(links: LinkStore, users: UserStore) -> None:
    links.add_link(FIRST, "one")
    assert links.follow_first_link("one", BOB, as_owner(BOB), "kept") is None
    links.add_link(RESET, "two")
    assert links.follow_first_link("two", BOB, as_owner(BOB), "kept") is None
    assert users.kept_login("acme", BOB.email) is None


def test_of_two_first_admins_at_once_one_is_made(nobody: LinkStore) -> None:
    for digest in ("one", "two"):
        nobody.add_link(FIRST, digest)

    def follow(whose: tuple[str, User]) -> bool:
        digest, user = whose
        return nobody.follow_first_link(digest, user, as_owner(user), "kept") is not None

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(follow, [("one", ADA), ("two", BOB)])) == [False, True]


# ------------------------------------------------------------------------------------ users and their roles


def test_a_user_is_added_with_roles_or_not_at_all(
    users: UserStore, identity: RelationalIdentityStore
) -> None:
    binding = RoleBinding("acme", BOB.id, "viewer", "search", "key_1", NOON)
    with pytest.raises(NotFound):
        users.add_user(BOB, (binding, replace(binding, role="nothing")))
    assert users.kept_login("acme", BOB.email) is None
    users.add_user(BOB, (binding,), "kept")
    assert identity.bindings("acme", BOB.id) == (binding,)
    assert users.user("acme", BOB.id).has_password


def test_a_removed_user_leaves_nothing(
    users: UserStore, identity: RelationalIdentityStore, links: LinkStore, state_engine: Engine
) -> None:
    identity.bind(RoleBinding("acme", ADA.id, "viewer", None, "key_1", NOON))
    links.add_link(RESET, "one")
    with pytest.raises(NotFound):
        users.remove_user("rival", ADA.id)
    users.remove_user("acme", ADA.id)
    with pytest.raises(NotFound):
        users.remove_user("acme", ADA.id)
    with reading(state_engine) as connection:
        for name in ("users", "user_links", "role_bindings"):
            assert connection.execute(METADATA.tables[name].select()).all() == []


def test_the_last_owner_is_neither_removed_nor_suspended(
    users: UserStore, identity: RelationalIdentityStore
) -> None:
    identity.bind(as_owner(ADA))
    suspension = UserChange(state=UserState.SUSPENDED)
    for change in (
        lambda: users.remove_user("acme", ADA.id),
        lambda: users.change_user("acme", ADA.id, suspension, NOON),
    ):
        with pytest.raises(Conflict) as refused:
            change()
        assert [reason.code for reason in refused.value.reasons] == ["last_owner"]
    users.add_user(BOB, (as_owner(BOB),))
    users.change_user("acme", ADA.id, suspension, NOON)
    users.remove_user("acme", ADA.id)
    with pytest.raises(Conflict):
        users.remove_user("acme", BOB.id)


def test_an_address_that_somebody_has_isn_t_taken_over(users: UserStore) -> None:
    users.add_user(BOB)
    with pytest.raises(Conflict) as refused:
        users.change_user("acme", BOB.id, UserChange(email=ADA.email), NOON)
    assert [reason.code for reason in refused.value.reasons] == ["user_exists"]


def test_links_go_with_their_tenant(
    links: LinkStore, identity: RelationalIdentityStore, state_engine: Engine
) -> None:
    links.add_link(RESET, "one")
    links.add_link(FIRST, "two")
    identity.remove_tenant("acme")
    with reading(state_engine) as connection:
        assert connection.execute(METADATA.tables["user_links"].select()).all() == []
