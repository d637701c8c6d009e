"""What the store of credentials promises, on SQLite and on PostgreSQL: each tenant's own, nothing twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.credentials.credential import Author, ProviderCredential, SealedCredential
from bursar.identity.credentials.envelope import Envelope
from bursar.identity.page import PageAsk
from bursar.storage.relational.credentials import RelationalCredentials
from bursar.storage.relational.identity import RelationalIdentityStore
from tests.support.identity import a_tenant

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = Author("key_2", NOW + timedelta(hours=1))


@pytest.fixture
def store(state_engine: Engine) -> RelationalCredentials:
    identity = RelationalIdentityStore(state_engine)
    for name in ("acme", "other"):
        identity.add_tenant(a_tenant(name))
    return RelationalCredentials(state_engine)


def an_envelope(text: str = "sealed", key_id: str = "mk_1") -> Envelope:
    return Envelope(key_id, "wrapped", text)


def a_credential(
    name: str = "crd_1", *, tenant: str = "acme", called: str = "ädmin", minutes: int = 0
) -> ProviderCredential:
    author = Author("key_1", NOW + timedelta(minutes=minutes))
    return ProviderCredential(name, tenant, "openai", called, "wxyz", "mk_1", author)


def test_a_credential_comes_back_as_it_was_entrusted(store: RelationalCredentials) -> None:
    store.add_credential(a_credential(), an_envelope())
    assert store.credential("acme", "crd_1") == a_credential()
    used = store.use_credential("acme", "crd_1", NOW, "collecting costs")
    assert used.envelope == an_envelope()
    assert (used.credential.last_used_at, used.credential.last_used_for) == (NOW, "collecting costs")


def test_a_tenant_sees_and_changes_its_own_only(store: RelationalCredentials) -> None:
    store.add_credential(a_credential(), an_envelope())
    assert store.credentials("other", PageAsk()).items == ()
    for act in (
        lambda: store.credential("other", "crd_1"),
        lambda: store.use_credential("other", "crd_1", NOW, "theft"),
        lambda: store.replace_secret("other", "crd_1", an_envelope("theirs"), "", LATER),
        lambda: store.revoke_credential("other", "crd_1", LATER),
    ):
        with pytest.raises(NotFound, match="no credential 'crd_1'"):
            act()
    assert store.credential("acme", "crd_1") == a_credential()


def test_a_name_is_taken_until_its_credential_is_revoked(store: RelationalCredentials) -> None:
    store.add_credential(a_credential(), an_envelope())
    with pytest.raises(Conflict) as caught:
        store.add_credential(a_credential("crd_2"), an_envelope())
    assert [one.code for one in caught.value.reasons] == ["credential_exists"]
    store.add_credential(a_credential("crd_3", tenant="other"), an_envelope())
    store.revoke_credential("acme", "crd_1", LATER)
    store.add_credential(a_credential("crd_2", minutes=1), an_envelope())
    store.revoke_credential("acme", "crd_2", LATER)
    assert [one.state for one in store.credentials("acme", PageAsk()).items] == ["revoked", "revoked"]


def test_nobody_may_entrust_for_a_tenant_that_is_not_there(store: RelationalCredentials) -> None:
    with pytest.raises(NotFound, match="no tenant 'nobody'"):
        store.add_credential(a_credential(tenant="nobody"), an_envelope())


def test_a_replaced_secret_is_gone_and_says_who_did_it(store: RelationalCredentials) -> None:
    store.add_credential(a_credential(), an_envelope())
    made = store.replace_secret("acme", "crd_1", an_envelope("another"), "1234", LATER)
    assert (made.hint, made.replaced, made.created) == ("1234", LATER, a_credential().created)
    assert store.use_credential("acme", "crd_1", NOW, "a test").envelope.sealed == "another"


def test_a_revoked_credential_has_no_secret_and_stays_revoked(store: RelationalCredentials) -> None:
    store.add_credential(a_credential(), an_envelope())
    first = store.revoke_credential("acme", "crd_1", LATER)
    again = store.revoke_credential("acme", "crd_1", Author("key_3", LATER.at + timedelta(days=1)))
    assert again == first
    assert (first.revoked, first.key_id, store.sealed_by()) == (LATER, None, {})
    for act in (
        lambda: store.use_credential("acme", "crd_1", NOW, "a test"),
        lambda: store.replace_secret("acme", "crd_1", an_envelope(), "", LATER),
    ):
        with pytest.raises(Conflict, match="is revoked"):
            act()


def test_pages_of_sealed_secrets_cover_every_tenant_and_leave_a_key_out(
    store: RelationalCredentials,
) -> None:
    for number in range(7):
        tenant, key_id = ("acme", "other")[number % 2], f"mk_{number % 3}"
        one = a_credential(f"crd_{number}", tenant=tenant, called=str(number))
        store.add_credential(one, an_envelope(str(number), key_id))
    assert store.sealed_by() == {"mk_0": 3, "mk_1": 2, "mk_2": 2}
    first = store.sealed_page("", 3)
    rest = store.sealed_page(first[-1].credential.id, 10)
    assert [one.envelope.sealed for one in (*first, *rest)] == list("0123456")
    assert [one.envelope.sealed for one in store.sealed_page("", 10, "mk_0")] == ["1", "2", "4", "5"]


def test_an_envelope_is_renewed_only_while_it_is_the_same(store: RelationalCredentials) -> None:
    for number in range(3):
        one = a_credential(f"crd_{number}", called=str(number))
        store.add_credential(one, an_envelope(str(number)))
    before = store.sealed_page("", 10)
    store.replace_secret("acme", "crd_0", an_envelope("replaced"), "", LATER)
    store.revoke_credential("acme", "crd_1", LATER)
    new = [(one, an_envelope(f"new {one.envelope.sealed}", "mk_2")) for one in before]
    assert store.reseal(new) == 1
    assert [one.envelope.sealed for one in store.sealed_page("", 10)] == ["replaced", "new 2"]
    assert store.credential("acme", "crd_1").state == "revoked"


def test_of_two_that_entrust_under_one_name_at_once_one_wins(store: RelationalCredentials) -> None:
    refused: list[Conflict] = []

    def entrust(name: str) -> None:
        try:
            store.add_credential(a_credential(name), an_envelope())
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=entrust, args=(f"crd_{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(refused), len(store.credentials("acme", PageAsk()).items)) == (3, 1)


def test_a_tenants_credentials_go_with_it(store: RelationalCredentials, state_engine: Engine) -> None:
    for tenant in ("acme", "other"):
        store.add_credential(a_credential(f"crd_{tenant}", tenant=tenant), an_envelope())
    RelationalIdentityStore(state_engine).remove_tenant("acme")
    left = store.sealed_page("", 10)
    assert [(type(one), one.credential.tenant_id) for one in left] == [(SealedCredential, "other")]
