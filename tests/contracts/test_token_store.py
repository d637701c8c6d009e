"""What the store of tracking tokens promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.page import PageAsk
from bursar.identity.tokens.register import TokenRegister
from bursar.identity.tokens.store import TokenUse
from bursar.identity.tokens.token import TokenChange, TrackingToken
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.tokens import RelationalTokens
from tests.support.identity import NOON, SECOND, a_tenant

if TYPE_CHECKING:
    from sqlalchemy import Engine

MOMENT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
LIMIT = 100


@pytest.fixture
def store(state_engine: Engine) -> RelationalTokens:
    tenants = RelationalIdentityStore(state_engine)
    for tenant_id in ("acme", "rival"):
        tenants.add_tenant(a_tenant(tenant_id))
    return RelationalTokens(state_engine)


def a_token(number: int = 1, tenant_id: str = "acme") -> TrackingToken:
    return TrackingToken(
        f"tok_{tenant_id}_{number}",
        tenant_id,
        f"characters-of-number-{number}",
        f"läbel {number}",
        MOMENT + timedelta(seconds=number),
        "key_1",
    )


def test_a_token_comes_back_as_it_was(store: RelationalTokens) -> None:
    store.add_token(a_token(), LIMIT)
    assert store.token("acme", "tok_acme_1") == a_token()
    with pytest.raises(NotFound):
        store.token("rival", "tok_acme_1")
    with pytest.raises(NotFound):
        store.add_token(a_token(tenant_id="nobody"), LIMIT)


def test_two_tenants_may_have_the_same_label_and_characters(store: RelationalTokens) -> None:
    store.add_token(a_token(), LIMIT)
    store.add_token(a_token(tenant_id="rival"), LIMIT)
    register = TokenRegister(store)
    found = [register.find(tenant, a_token().token) for tenant in ("acme", "rival", "nobody")]
    assert [one and one.id for one in found] == ["tok_acme_1", "tok_rival_1", None]


@pytest.mark.parametrize(
    ("same", "code"), [("label", "label_exists"), ("token", "token_exists"), ("neither", "too_many_tokens")]
)
def test_what_clashes_is_named(store: RelationalTokens, same: str, code: str) -> None:
    store.add_token(a_token(1), LIMIT)
    clashing = a_token(2)
    if same != "neither":
        clashing = replace(clashing, **{same: getattr(a_token(1), same)})
    with pytest.raises(Conflict) as refused:
        store.add_token(clashing, 1 if same == "neither" else LIMIT)
    assert [reason.code for reason in refused.value.reasons] == [code]
    assert store.tokens("acme", PageAsk()).items == (a_token(1),)


def test_tokens_are_listed_page_after_page(store: RelationalTokens) -> None:
    for number in (3, 1, 2):
        store.add_token(a_token(number), LIMIT)
    store.add_token(a_token(tenant_id="rival"), LIMIT)
    first = store.tokens("acme", PageAsk(2))
    rest = store.tokens("acme", PageAsk(2, first.next))
    assert [one.id for one in (*first.items, *rest.items)] == [f"tok_acme_{number}" for number in (1, 2, 3)]
    assert rest.next is None


def test_a_change_leaves_the_rest_and_no_other_tenant_can_make_it(store: RelationalTokens) -> None:
    store.add_token(a_token(1), LIMIT)
    store.add_token(a_token(2), LIMIT)
    changed = store.change_token("acme", "tok_acme_1", TokenChange(is_active=False))
    assert changed == replace(a_token(1), is_active=False) == store.token("acme", "tok_acme_1")
    assert store.change_token("acme", "tok_acme_1", TokenChange()) == changed
    assert store.change_token("acme", "tok_acme_1", TokenChange("new")).label == "new"
    with pytest.raises(Conflict):
        store.change_token("acme", "tok_acme_1", TokenChange(a_token(2).label))
    for change in (TokenChange("x"), TokenChange()):
        with pytest.raises(NotFound):
            store.change_token("rival", "tok_acme_1", change)
    with pytest.raises(NotFound):
        store.remove_token("rival", "tok_acme_1")
    store.remove_token("acme", "tok_acme_1")
    with pytest.raises(NotFound):
        store.token("acme", "tok_acme_1")


def test_uses_add_up_and_the_latest_moment_stays(store: RelationalTokens) -> None:
    store.add_token(a_token(), LIMIT)
    store.record_uses([])
    store.record_uses([TokenUse("acme", "tok_acme_1", 3, NOON), TokenUse("acme", "tok_gone", 1, NOON)])
    store.record_uses([TokenUse("acme", "tok_acme_1", 2, NOON - SECOND)])
    store.record_uses([TokenUse("rival", "tok_acme_1", 9, NOON + SECOND)])
    used = store.token("acme", "tok_acme_1")
    assert (used.uses, used.last_seen_at) == (5, NOON)


def test_every_change_shows_in_the_stamp_and_no_use_does(store: RelationalTokens) -> None:
    seen = [store.stamp()]
    store.add_token(a_token(1), LIMIT)
    seen.append(store.stamp())
    store.add_token(a_token(2), LIMIT)
    seen.append(store.stamp())
    store.change_token("acme", "tok_acme_1", TokenChange(is_active=False))
    seen.append(store.stamp())
    store.record_uses([TokenUse("acme", "tok_acme_1", 1, NOON)])
    assert store.stamp() == seen[-1]
    store.remove_token("acme", "tok_acme_2")
    seen.append(store.stamp())
    assert len(set(seen)) == len(seen)


def test_a_register_hears_of_what_another_process_changed(store: RelationalTokens) -> None:
    register = TokenRegister(store)
    store.add_token(a_token(), LIMIT)
    assert register.find("acme", a_token().token) is None
    register.refresh()
    found = register.find("acme", a_token().token)
    assert found is not None
    assert found.is_active
    store.change_token("acme", "tok_acme_1", TokenChange(is_active=False))
    register.refresh()
    found = register.find("acme", a_token().token)
    assert found is not None
    assert not found.is_active


def test_a_register_writes_down_each_use_once(store: RelationalTokens) -> None:
    store.add_token(a_token(), LIMIT)
    register = TokenRegister(store)
    register.note_use("acme", "tok_acme_1", 2, NOON + SECOND)
    register.note_use("acme", "tok_acme_1", 1, NOON)
    register.flush()
    register.flush()
    used = store.token("acme", "tok_acme_1")
    assert (used.uses, used.last_seen_at) == (3, NOON + SECOND)


def test_tokens_go_with_their_tenant(state_engine: Engine, store: RelationalTokens) -> None:
    store.add_token(a_token(), LIMIT)
    RelationalIdentityStore(state_engine).remove_tenant("acme")
    assert store.known_tokens() == []
