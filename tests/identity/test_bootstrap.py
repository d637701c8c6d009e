"""What every start makes sure of: a default tenant, and the keys that settings name."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bursar.errors import ConfigurationError, RevokedKey, UnknownKey
from bursar.identity.authenticate import Authenticator
from bursar.identity.bootstrap import Bootstrap, ConfiguredKeys, bootstrap
from bursar.identity.keys import Revocation, hash_key
from bursar.identity.page import PageAsk
from bursar.identity.permissions import Scope, permissions_of, permissions_of_operator
from bursar.storage.relational.identity import RelationalIdentityStore
from tests.support.identity import NOON, SECOND, add_key, some_terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from bursar.identity.caller import Caller
    from bursar.identity.keys import ApiKey
    from bursar.identity.store import IdentityStore

NOTHING = ConfiguredKeys()


@pytest.fixture
def store(sqlite_identity_store: IdentityStore) -> IdentityStore:
    return sqlite_identity_store


def caller_of(store: IdentityStore, secret: str) -> Caller:
    return Authenticator(store).authenticate(secret, NOON)


def keys_in(store: IdentityStore) -> tuple[ApiKey, ...]:
    return store.keys("default", PageAsk()).items


def test_a_first_start_makes_a_tenant_and_a_key_to_be_printed_once(store: IdentityStore) -> None:
    done = bootstrap(store, NOTHING, NOON)
    assert store.tenant("default").zone == "UTC"
    assert done.generated
    caller = caller_of(store, done.generated)
    assert (caller.tenant_id, caller.permissions, caller.is_operator) == (
        "default",
        permissions_of_operator({Scope.ADMIN}),
        True,
    )
    assert done.generated not in repr(done)


def test_later_starts_change_nothing(store: IdentityStore) -> None:
    configured = ConfiguredKeys("admin-secret", "api-secret", "ingest-secret")
    assert bootstrap(store, configured, NOON) == Bootstrap(is_first=True)
    before = keys_in(store)
    assert len(before) == 3
    assert bootstrap(store, configured, NOON + SECOND) == Bootstrap()
    assert keys_in(store) == before


def test_each_setting_gives_its_own_rights(store: IdentityStore) -> None:
    bootstrap(store, ConfiguredKeys("admin-secret", "api-secret", "ingest-secret"), NOON)
    rights = {
        secret: (caller.permissions, caller.is_operator)
        for secret in ("admin-secret", "api-secret", "ingest-secret")
        if (caller := caller_of(store, secret))
    }
    assert rights == {
        "admin-secret": (permissions_of_operator({Scope.ADMIN}), True),
        "api-secret": (permissions_of({Scope.ADMIN}), False),
        "ingest-secret": (permissions_of({Scope.INGEST}), False),
    }


def test_no_key_is_generated_while_a_setting_names_the_operators(store: IdentityStore) -> None:
    assert bootstrap(store, ConfiguredKeys(admin_key="admin-secret"), NOON).generated is None


def test_an_api_key_alone_is_no_way_in_for_the_operator(store: IdentityStore) -> None:
    assert bootstrap(store, ConfiguredKeys(api_key="api-secret"), NOON).generated is not None


def test_a_changed_setting_adds_its_key_and_revokes_the_one_before(store: IdentityStore) -> None:
    bootstrap(store, ConfiguredKeys(ingest_key="old"), NOON)
    bootstrap(store, ConfiguredKeys(ingest_key="new"), NOON)
    assert caller_of(store, "new").permissions == permissions_of({Scope.INGEST})
    with pytest.raises(RevokedKey):
        caller_of(store, "old")


def test_going_back_brings_the_former_key_back(store: IdentityStore) -> None:
    for secret in ("old", "new", "old"):
        bootstrap(store, ConfiguredKeys(ingest_key=secret), NOON)
    assert caller_of(store, "old").permissions == permissions_of({Scope.INGEST})
    with pytest.raises(RevokedKey):
        caller_of(store, "new")


def test_a_start_without_settings_leaves_their_keys_as_they_are(store: IdentityStore) -> None:
    bootstrap(store, ConfiguredKeys("admin-secret", "api-secret"), NOON)
    before = keys_in(store)
    assert bootstrap(store, NOTHING, NOON + SECOND) == Bootstrap()
    assert keys_in(store) == before


def test_a_key_revoked_by_somebody_stays_revoked_and_the_start_says_so(store: IdentityStore) -> None:
    configured = ConfiguredKeys(api_key="leaked")
    bootstrap(store, configured, NOON)
    [key] = store.keys_from_setting("default", "API_KEY")
    store.revoke_key("default", key.id, NOON, Revocation.BY_CALLER)
    warnings = bootstrap(store, configured, NOON).warnings
    assert warnings == ("API_KEY names a key that was revoked at 2026-03-01T12:00:00Z; it stays revoked.",)
    with pytest.raises(RevokedKey):
        caller_of(store, "leaked")


def test_a_generated_key_may_be_named_by_the_setting_later(store: IdentityStore) -> None:
    secret = bootstrap(store, NOTHING, NOON).generated
    assert secret
    before = caller_of(store, secret)
    assert bootstrap(store, ConfiguredKeys(admin_key=secret), NOON) == Bootstrap()
    assert caller_of(store, secret) == before
    assert [key.id for key in store.keys_from_setting("default", "BURSAR_ADMIN_KEY")] == [before.key_id]


def test_a_setting_can_not_change_the_rights_of_a_key_that_exists(store: IdentityStore) -> None:
    bootstrap(store, ConfiguredKeys(ingest_key="kept"), NOON)
    reader = add_key(store, some_terms("default"))
    before = keys_in(store)
    for secret in (reader.secret, "kept"):
        with pytest.raises(ConfigurationError, match="API_KEY names a key that exists already"):
            bootstrap(store, ConfiguredKeys(api_key=secret), NOON)
    assert keys_in(store) == before


def test_the_operators_key_may_stand_in_the_api_key_setting_and_stays_the_operators(
    store: IdentityStore,
) -> None:
    secret = bootstrap(store, NOTHING, NOON).generated
    assert secret
    before = caller_of(store, secret)
    assert bootstrap(store, ConfiguredKeys(api_key=secret), NOON) == Bootstrap()
    bootstrap(store, ConfiguredKeys(api_key="another"), NOON)
    assert caller_of(store, secret) == before


@pytest.mark.parametrize("secret", ["", "with space", "tab\t", "schlüssel", "x" * 513])
def test_a_key_that_no_header_can_carry_is_refused_by_name(store: IdentityStore, secret: str) -> None:
    with pytest.raises(ConfigurationError, match="INGEST_KEY must"):
        bootstrap(store, ConfiguredKeys(ingest_key=secret), NOON)
    with pytest.raises(UnknownKey):
        caller_of(store, "x")


def test_two_settings_can_not_share_a_key(store: IdentityStore) -> None:
    with pytest.raises(ConfigurationError, match="API_KEY and INGEST_KEY"):
        bootstrap(store, ConfiguredKeys(api_key="same", ingest_key="same"), NOON)


def test_configured_secrets_never_show(store: IdentityStore) -> None:
    configured = ConfiguredKeys(admin_key="admin-secret")
    assert "admin-secret" not in repr(configured)
    bootstrap(store, configured, NOON)
    assert "admin-secret" not in repr(keys_in(store))


def test_processes_that_start_together_make_one_key(
    state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    stores = [RelationalIdentityStore(open_engine(state_url)) for _ in range(4)]
    done: list[object] = []

    def start(store: RelationalIdentityStore) -> None:
        try:
            done.append(bootstrap(store, ConfiguredKeys(api_key="api-secret"), NOON).generated)
        except Exception as error:  # noqa: BLE001 - whatever happens in a thread belongs in the assertion
            done.append(error)

    threads = [threading.Thread(target=start, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    generated = [secret for secret in done if secret is not None]
    assert len(generated) == 1, done
    assert isinstance(generated[0], str)
    assert stores[0].credentials([hash_key(generated[0])])


def test_an_expired_key_of_the_operator_is_replaced(store: IdentityStore) -> None:
    bootstrap(store, ConfiguredKeys(admin_key="admin-secret"), NOON)
    [key] = store.keys_from_setting("default", "BURSAR_ADMIN_KEY")
    store.revoke_key("default", key.id, NOON, Revocation.BY_CALLER)
    add_key(store, replace(some_terms("default", is_operator=True), expires_at=NOON + SECOND))
    assert bootstrap(store, NOTHING, NOON).generated is None
    assert bootstrap(store, NOTHING, NOON + SECOND).generated
