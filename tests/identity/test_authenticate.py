"""From key to caller: what is believed for how long, and what a flood can't do (`identity/authenticate.py`).

The store is a real one on SQLite. Where a test asks how often it was asked, it counts the statements
that reach the database.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from bursar.errors import ExpiredKey, MissingKey, Overloaded, RevokedKey, Unavailable, UnknownKey
from bursar.identity import authenticate
from bursar.identity.authenticate import BELIEVED_FOR, KEPT_FOR, LOOKUPS_PER_SECOND, Authenticator
from bursar.identity.caller import Caller
from bursar.identity.keys import Revocation
from bursar.identity.permissions import Scope, permissions_of
from bursar.identity.tenant import TenantChange
from tests.support.identity import NOON, SECOND, a_tenant, add_key, some_terms
from tests.support.relational import out_of_reach

if TYPE_CHECKING:
    from bursar.storage.relational.identity import RelationalIdentityStore

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def store(sqlite_identity_store: RelationalIdentityStore) -> RelationalIdentityStore:
    sqlite_identity_store.add_tenant(a_tenant())
    return sqlite_identity_store


@pytest.fixture
def asked(store: RelationalIdentityStore) -> list[str]:
    """The questions about keys that have reached the database so far."""
    questions: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM api_keys JOIN tenants" in statement.replace("\n", ""):
            questions.append(statement)

    event.listen(store._engine, "before_cursor_execute", note)
    return questions


@pytest.fixture
def door(store: RelationalIdentityStore) -> Authenticator:
    return Authenticator(store)


def revoke(store: RelationalIdentityStore, key_id: str) -> None:
    store.revoke_key("acme", key_id, NOON, Revocation.BY_CALLER)


def test_a_key_becomes_its_caller(store: RelationalIdentityStore, door: Authenticator) -> None:
    issued = add_key(store, some_terms(scopes=frozenset({Scope.INGEST}), is_operator=True))
    assert door.authenticate(issued.secret, NOON) == Caller(
        "acme", issued.key.id, permissions_of({Scope.INGEST}), "Europe/Berlin", is_operator=True
    )


def test_a_known_key_costs_no_question_for_five_seconds(
    store: RelationalIdentityStore, door: Authenticator, asked: list[str]
) -> None:
    secret = add_key(store).secret
    door.authenticate(secret, NOON)
    door.authenticate(secret, NOON + BELIEVED_FOR - MICROSECOND)
    assert len(asked) == 1
    door.authenticate(secret, NOON + BELIEVED_FOR)
    assert len(asked) == 2


@pytest.mark.parametrize("presented", [None, ""])
def test_no_key_is_told_from_a_wrong_one(door: Authenticator, presented: str | None) -> None:
    with pytest.raises(MissingKey):
        door.authenticate(presented, NOON)


@pytest.mark.parametrize("presented", ["bur_wrong", "\udc80", "ключ", "x" * 513, "x" * 10**6])
def test_a_wrong_key_is_unknown_whatever_it_looks_like(door: Authenticator, presented: str) -> None:
    for _ in range(2):
        with pytest.raises(UnknownKey):
            door.authenticate(presented, NOON)


def test_a_key_expires_at_its_moment_though_it_is_remembered(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    secret = add_key(store, some_terms(expires_at=NOON + SECOND)).secret
    door.authenticate(secret, NOON + SECOND - MICROSECOND)
    with pytest.raises(ExpiredKey):
        door.authenticate(secret, NOON + SECOND)


def test_a_revocation_counts_at_once_in_its_own_process(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    issued = add_key(store)
    door.authenticate(issued.secret, NOON)
    revoke(store, issued.key.id)
    door.forget()
    for _ in range(2):
        with pytest.raises(RevokedKey):
            door.authenticate(issued.secret, NOON)


def test_a_revocation_counts_within_five_seconds_in_another_process(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    issued = add_key(store)
    door.authenticate(issued.secret, NOON)
    revoke(store, issued.key.id)
    with pytest.raises(RevokedKey):
        door.authenticate(issued.secret, NOON + timedelta(seconds=5))


def test_a_refresh_hears_of_a_revocation_before_anybody_asks(
    store: RelationalIdentityStore, door: Authenticator, asked: list[str]
) -> None:
    revoked, kept = add_key(store), add_key(store)
    for issued in (revoked, kept):
        door.authenticate(issued.secret, NOON)
    revoke(store, revoked.key.id)
    asked.clear()
    door.refresh(NOON + SECOND * 4)
    assert len(asked) == 1
    assert door.recall(kept.secret, NOON + SECOND * 8) is not None
    with pytest.raises(RevokedKey):
        door.recall(revoked.secret, NOON + SECOND * 8)
    assert len(asked) == 1


def test_a_refresh_drops_keys_that_nobody_uses(
    store: RelationalIdentityStore, door: Authenticator, asked: list[str]
) -> None:
    door.authenticate(add_key(store).secret, NOON)
    door.refresh(NOON + KEPT_FOR + MICROSECOND)
    assert door._known == {}
    door.refresh(NOON + KEPT_FOR + SECOND)
    assert len(asked) == 1


def test_recalling_never_asks(store: RelationalIdentityStore, door: Authenticator, asked: list[str]) -> None:
    secret = add_key(store).secret
    assert door.recall(secret, NOON) is None
    door.authenticate(secret, NOON)
    assert door.recall(secret, NOON) is not None
    assert door.recall(secret, NOON + BELIEVED_FOR) is None
    assert len(asked) == 1


def test_old_news_stays_old_when_the_clock_is_set_back(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    issued = add_key(store)
    door.authenticate(issued.secret, NOON)
    assert door.recall(issued.secret, NOON - SECOND) is None


def test_a_tenants_new_zone_is_known_after_forgetting(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    secret = add_key(store).secret
    door.authenticate(secret, NOON)
    store.change_tenant("acme", TenantChange(zone="Asia/Tokyo"))
    door.forget()
    assert door.authenticate(secret, NOON).zone == "Asia/Tokyo"


def test_an_answer_older_than_a_change_is_not_remembered(store: RelationalIdentityStore) -> None:
    issued = add_key(store)
    door = Authenticator(store)
    pending = [issued.key.id]

    def revoke_once(_connection: object) -> None:
        if pending:
            revoke(store, pending.pop())
            door.forget()

    # The revocation comes after the store has answered, before the answer is put away.
    event.listen(store._engine, "commit", revoke_once)
    door.authenticate(issued.secret, NOON)
    with pytest.raises(RevokedKey):
        door.authenticate(issued.secret, NOON)


def test_a_wrong_key_repeated_is_asked_about_once(door: Authenticator, asked: list[str]) -> None:
    for _ in range(100):
        with pytest.raises(UnknownKey):
            door.authenticate("bur_wrong", NOON)
    assert len(asked) == 1


def test_a_flood_of_wrong_keys_neither_hammers_the_store_nor_shuts_out_known_callers(
    store: RelationalIdentityStore, door: Authenticator, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticate, "UNKNOWN_LIMIT", 50)
    known = add_key(store).secret
    door.authenticate(known, NOON)
    asked.clear()
    refusals: list[type[Exception]] = []
    for n in range(LOOKUPS_PER_SECOND + 200):
        with pytest.raises((UnknownKey, Overloaded)) as refused:
            door.authenticate(f"bur_{n}", NOON)
        refusals.append(refused.type)
    assert refusals.count(Overloaded) == 201  # the known key's first lookup counted too
    assert len(asked) == LOOKUPS_PER_SECOND - 1
    assert len(door._unknown) == 50
    # A stale but known key is looked up whatever else goes on, and the next second is a new one.
    door.forget()
    assert door.authenticate(known, NOON) is not None
    with pytest.raises(UnknownKey):
        door.authenticate("bur_late", NOON + SECOND)


def test_the_keys_remembered_are_bounded(
    store: RelationalIdentityStore, door: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticate, "KNOWN_LIMIT", 3)
    issued = [add_key(store) for _ in range(5)]
    for one in issued:
        door.authenticate(one.secret, NOON)
    assert len(door._known) == 3
    door.flush_last_used()
    assert all(store.key("acme", one.key.id).last_used_at == NOON for one in issued)


def test_the_last_use_is_written_once_it_is_flushed(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    issued, unused = add_key(store), add_key(store)
    door.authenticate(issued.secret, NOON)
    door.authenticate(issued.secret, NOON + SECOND)
    assert store.key("acme", issued.key.id).last_used_at is None
    door.flush_last_used()
    assert store.key("acme", issued.key.id).last_used_at == NOON + SECOND
    assert store.key("acme", unused.key.id).last_used_at is None


def test_a_refused_key_was_not_used(store: RelationalIdentityStore, door: Authenticator) -> None:
    issued = add_key(store, some_terms(expires_at=NOON))
    with pytest.raises(ExpiredKey):
        door.authenticate(issued.secret, NOON)
    door.flush_last_used()
    assert store.key("acme", issued.key.id).last_used_at is None


def test_uses_that_could_not_be_written_are_written_the_next_time(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    issued = add_key(store)
    door.authenticate(issued.secret, NOON)
    with out_of_reach(store._engine), pytest.raises(Unavailable):
        door.flush_last_used()
    door.flush_last_used()
    assert store.key("acme", issued.key.id).last_used_at == NOON


def test_a_store_that_does_not_answer_is_no_reason_to_believe_old_news(
    store: RelationalIdentityStore, door: Authenticator
) -> None:
    secret = add_key(store).secret
    door.authenticate(secret, NOON)
    with out_of_reach(store._engine):
        door.authenticate(secret, NOON + SECOND)
        with pytest.raises(Unavailable):
            door.authenticate(secret, NOON + BELIEVED_FOR)
    assert door.authenticate(secret, NOON + BELIEVED_FOR)


def test_many_threads_may_ask_at_once(store: RelationalIdentityStore, door: Authenticator) -> None:
    issued = [add_key(store) for _ in range(4)]
    wrong: list[object] = []

    def ask(number: int) -> None:
        for step in range(200):
            one = issued[(number + step) % 4]
            caller = door.authenticate(one.secret, NOON + SECOND * (step // 20))
            if caller.key_id != one.key.id:
                wrong.append(caller)
            if step % 50 == number:
                door.forget()
                door.refresh(NOON + SECOND * (step // 20))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
