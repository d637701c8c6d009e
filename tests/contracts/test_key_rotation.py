"""What a store promises about keys with more terms, and about rotating one, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.keys import Revocation, hash_key, new_key
from bursar.identity.page import PageAsk
from tests.support.identity import NOON, SECOND, a_tenant, add_key, some_terms

if TYPE_CHECKING:
    from bursar.identity.store import IdentityStore

TERMS = replace(some_terms(), project_id="süche", networks=("10.0.0.0/8", "2001:db8::/32"))


@pytest.fixture
def store(identity_store: IdentityStore) -> IdentityStore:
    identity_store.add_tenant(a_tenant("acme"))
    identity_store.add_tenant(a_tenant("rival"))
    return identity_store


def test_what_a_key_is_bound_to_comes_back(store: IdentityStore) -> None:
    issued = add_key(store, TERMS)
    assert store.key("acme", issued.key.id) == issued.key
    digest = hash_key(issued.secret)
    assert store.credentials([digest])[digest].key == issued.key


def test_a_rotation_keeps_the_new_key_and_ends_the_old_one(store: IdentityStore) -> None:
    old = add_key(store, TERMS)
    new = new_key(TERMS, NOON, replaces=old.key.id)
    ended = store.rotate_key(new.key, hash_key(new.secret), NOON + SECOND)
    assert ended == replace(old.key, terms=replace(TERMS, expires_at=NOON + SECOND))
    assert store.key("acme", old.key.id) == ended
    assert store.key("acme", new.key.id) == new.key
    later = new_key(TERMS, NOON, replaces=old.key.id)
    assert store.rotate_key(later.key, hash_key(later.secret), NOON + 9 * SECOND) == ended


def test_a_rotation_of_no_key_leaves_nothing(store: IdentityStore) -> None:
    foreign = add_key(store, some_terms("rival"))
    revoked = add_key(store)
    store.revoke_key("acme", revoked.key.id, NOON, Revocation.BY_CALLER)
    before = store.keys("acme", PageAsk()).items
    for replaced in (foreign.key.id, revoked.key.id, "key_none"):
        new = new_key(TERMS, NOON, replaces=replaced)
        with pytest.raises(NotFound):
            store.rotate_key(new.key, hash_key(new.secret), NOON)
    assert store.keys("acme", PageAsk()).items == before
    assert store.key("rival", foreign.key.id) == foreign.key


def test_a_rotation_into_a_secret_that_is_taken_changes_nothing(store: IdentityStore) -> None:
    old = add_key(store)
    with pytest.raises(Conflict):
        store.rotate_key(new_key(TERMS, NOON, replaces=old.key.id).key, hash_key(old.secret), NOON)
    assert store.key("acme", old.key.id) == old.key
