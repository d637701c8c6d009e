"""What every store of users and logins promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.logins.attempts import FIRST_WAIT, FORGOTTEN_AFTER, FREE_ATTEMPTS, attempt_key
from bursar.identity.logins.session import SESSIONS_LIMIT, Origin, Session, SessionEnd, hash_token
from bursar.identity.logins.store import Exchange
from bursar.identity.page import PageAsk
from bursar.identity.tenant import TenantChange, TenantState
from bursar.identity.users.user import User, UserChange, UserState
from bursar.storage.relational.logins import RelationalLogins
from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.transactions import reading
from bursar.storage.relational.users import RelationalUsers
from tests.support.identity import NOON, SECOND

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from bursar.identity.logins.store import LoginStore
    from bursar.identity.users.store import UserStore
    from bursar.storage.relational.identity import RelationalIdentityStore

DAY = timedelta(days=1)
ADA = User("usr_ada", "acme", "ada@example.com", "Ada", NOON)
FIRST, SECOND_TOKEN, THIRD = (hash_token(word) for word in ("first", "second", "third"))


@pytest.fixture
def users(identity: RelationalIdentityStore, state_engine: Engine) -> UserStore:
    """A store with Ada, a user of acme."""
    assert identity.tenant("acme")
    store = RelationalUsers(state_engine)
    store.add_user(ADA)
    return store


@pytest.fixture
def logins(users: UserStore, state_engine: Engine) -> LoginStore:
    """A store of logins beside it."""
    assert users.user("acme", ADA.id)
    return RelationalLogins(state_engine)


def a_session(number: int = 1, *, user: User = ADA) -> Session:
    return Session(
        f"ses_{number}", user.tenant_id, user.id, NOON, NOON + DAY, Origin("10.0.0.1", "curl"), NOON
    )


# --------------------------------------------------------------------------------------------------- users


def test_a_user_comes_back_as_they_were_added(users: UserStore) -> None:
    assert users.user("acme", ADA.id) == ADA
    kept = users.kept_login("acme", ADA.email)
    assert kept is not None
    assert (kept.user, kept.password_hash) == (ADA, None)


def test_an_address_is_taken_once_in_a_tenant_and_free_in_every_other(users: UserStore) -> None:
    with pytest.raises(Conflict) as refused:
        users.add_user(replace(ADA, id="usr_2"))
    assert [reason.code for reason in refused.value.reasons] == ["user_exists"]
    users.add_user(replace(ADA, id="usr_2", tenant_id="rival"))
    with pytest.raises(NotFound):
        users.add_user(replace(ADA, id="usr_3", tenant_id="nobody"))


def test_another_tenants_user_is_unknown(users: UserStore) -> None:
    for question in (
        lambda: users.user("rival", ADA.id),
        lambda: users.change_user("rival", ADA.id, UserChange(name="x"), NOON),
        lambda: users.change_user("rival", ADA.id, UserChange(), NOON),
        lambda: users.set_password("rival", ADA.id, "hash", NOON),
    ):
        with pytest.raises(NotFound):
            question()
    users.renew_hash("rival", ADA.id, "hash", "other")
    assert users.users("rival", PageAsk()).items == ()
    assert users.kept_login("rival", ADA.email) is None
    assert users.users("acme", PageAsk()).items == (ADA,)


def test_a_change_touches_what_it_names(users: UserStore) -> None:
    assert users.change_user("acme", ADA.id, UserChange(name="Ada L."), NOON) == replace(ADA, name="Ada L.")
    suspended = users.change_user("acme", ADA.id, UserChange(state=UserState.SUSPENDED), NOON)
    assert suspended == replace(ADA, name="Ada L.", state=UserState.SUSPENDED)
    assert users.change_user("acme", ADA.id, UserChange(), NOON) == suspended


def test_the_same_password_gets_another_hash_only_if_it_wasn_t_changed_meanwhile(users: UserStore) -> None:
    users.set_password("acme", ADA.id, "one", NOON)
    assert users.user("acme", ADA.id).has_password
    users.renew_hash("acme", ADA.id, "one", "one again")
    users.renew_hash("acme", ADA.id, "one", "too late")
    kept = users.kept_login("acme", ADA.email)
    assert kept is not None
    assert kept.password_hash == "one again"


# ------------------------------------------------------------------------------------------------ attempts


def test_an_attempt_too_early_isn_t_counted(logins: LoginStore) -> None:
    key = attempt_key("acme", ADA.email)
    assert all(logins.begin_attempt(key, NOON) for _ in range(FREE_ATTEMPTS))
    assert not any(logins.begin_attempt(key, NOON) for _ in range(20))
    assert logins.begin_attempt(key, NOON + FIRST_WAIT)
    assert not logins.begin_attempt(key, NOON + 2 * FIRST_WAIT)
    assert logins.begin_attempt(attempt_key("rival", ADA.email), NOON)
    logins.end_attempt(key)
    assert all(logins.begin_attempt(key, NOON) for _ in range(FREE_ATTEMPTS))


def test_of_many_attempts_at_the_same_moment_no_more_than_five_are_looked_at(logins: LoginStore) -> None:
    key = attempt_key("acme", ADA.email)

    def begin(_number: int) -> bool:
        return logins.begin_attempt(key, NOON) is not None

    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(begin, range(24)))
    assert sum(begun) == FREE_ATTEMPTS


def test_attempts_of_long_ago_are_not_kept(logins: LoginStore, state_engine: Engine) -> None:
    for number in range(3):
        logins.begin_attempt(attempt_key("acme", f"{number}@example.com"), NOON)
    logins.begin_attempt(attempt_key("acme", "late@example.com"), NOON + FORGOTTEN_AFTER + SECOND)
    with reading(state_engine) as connection:
        assert len(connection.execute(METADATA.tables["login_attempts"].select()).all()) == 1


# ------------------------------------------------------------------------------------------------ sessions


def test_a_session_stands_for_its_user_and_their_tenant(
    logins: LoginStore, identity: RelationalIdentityStore
) -> None:
    logins.begin_session(a_session(), FIRST)
    standing = logins.standing("ses_1")
    assert standing is not None
    assert standing.session == a_session()
    assert standing.user == replace(ADA, last_login_at=NOON)
    assert (standing.zone, standing.is_tenant_suspended) == ("Europe/Berlin", False)
    identity.change_tenant("acme", TenantChange(state=TenantState.SUSPENDED))
    standing = logins.standing("ses_1")
    assert standing is not None
    assert standing.is_tenant_suspended
    assert logins.standing("ses_2") is None


def test_a_session_of_nobody_is_refused(logins: LoginStore) -> None:
    with pytest.raises(NotFound):
        logins.begin_session(a_session(user=replace(ADA, id="usr_9")), FIRST)


def test_of_many_sessions_of_one_user_the_oldest_are_forgotten(logins: LoginStore) -> None:
    for number in range(SESSIONS_LIMIT + 2):
        began_at = NOON + number * SECOND
        logins.begin_session(replace(a_session(number), started_at=began_at), hash_token(str(number)))
    kept = logins.sessions("acme", ADA.id, NOON)
    assert [one.id for one in kept] == [f"ses_{number}" for number in range(SESSIONS_LIMIT + 1, 1, -1)]
    assert logins.standing("ses_1") is None


def test_each_refresh_token_brings_the_next_one_once(logins: LoginStore) -> None:
    logins.begin_session(a_session(), FIRST)
    later = NOON + SECOND
    assert logins.exchange(FIRST, SECOND_TOKEN, later).outcome is Exchange.RENEWED
    assert logins.exchange(SECOND_TOKEN, THIRD, later + SECOND).outcome is Exchange.RENEWED
    (session,) = logins.sessions("acme", ADA.id, later)
    assert session.last_used_at == later + SECOND
    assert logins.exchange(hash_token("another"), FIRST, later).outcome is Exchange.UNKNOWN


def test_a_token_used_before_ends_its_session_and_no_other(logins: LoginStore) -> None:
    logins.begin_session(a_session(1), FIRST)
    logins.begin_session(a_session(2), THIRD)
    logins.exchange(FIRST, SECOND_TOKEN, NOON)
    assert logins.exchange(FIRST, hash_token("x"), NOON + SECOND).outcome is Exchange.REUSED
    assert logins.exchange(SECOND_TOKEN, hash_token("y"), NOON + SECOND).outcome is Exchange.ENDED
    ended = logins.standing("ses_1")
    assert ended is not None
    assert (ended.session.ended_at, ended.session.end) == (NOON + SECOND, SessionEnd.TOKEN_REUSED)
    assert [session.id for session in logins.sessions("acme", ADA.id, NOON)] == ["ses_2"]


def test_of_many_who_present_one_token_at_once_one_gets_the_next_and_the_session_ends(
    logins: LoginStore,
) -> None:
    logins.begin_session(a_session(), FIRST)

    def present(number: int) -> Exchange:
        return logins.exchange(FIRST, hash_token(str(number)), NOON + SECOND).outcome

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(present, range(8)))
    assert outcomes.count(Exchange.RENEWED) == 1
    assert outcomes.count(Exchange.REUSED) >= 1
    assert logins.sessions("acme", ADA.id, NOON) == ()


def test_a_session_too_old_is_renewed_by_nothing_and_forgotten_at_the_next_login(logins: LoginStore) -> None:
    logins.begin_session(a_session(1), FIRST)
    assert logins.exchange(FIRST, SECOND_TOKEN, NOON + DAY).outcome is Exchange.ENDED
    assert logins.sessions("acme", ADA.id, NOON + DAY) == ()
    begun = replace(a_session(2), started_at=NOON + DAY, expires_at=NOON + 2 * DAY)
    logins.begin_session(begun, THIRD)
    assert logins.standing("ses_1") is None
    assert logins.exchange(FIRST, SECOND_TOKEN, NOON + DAY).outcome is Exchange.UNKNOWN


def test_ending_a_session_keeps_the_first_reason(logins: LoginStore) -> None:
    logins.begin_session(a_session(1), FIRST)
    logins.begin_session(a_session(2), SECOND_TOKEN)
    logins.end_session("rival", "ses_1", NOON, SessionEnd.LOGGED_OUT)
    assert len(logins.sessions("acme", ADA.id, NOON)) == 2
    logins.end_session("acme", "ses_1", NOON, SessionEnd.LOGGED_OUT)
    assert logins.end_sessions("rival", ADA.id, NOON, SessionEnd.SUSPENDED) == 0
    assert logins.end_sessions("acme", ADA.id, NOON + SECOND, SessionEnd.LOGGED_OUT_EVERYWHERE) == 1
    standing = logins.standing("ses_1")
    assert standing is not None
    assert (standing.session.end, standing.session.ended_at) == (SessionEnd.LOGGED_OUT, NOON)


@pytest.mark.parametrize("ends", ["password", "suspension"])
def test_a_new_password_and_a_suspension_end_every_session(
    users: UserStore, logins: LoginStore, ends: str
) -> None:
    logins.begin_session(a_session(1), FIRST)
    logins.begin_session(a_session(2), SECOND_TOKEN)
    if ends == "password":
        users.set_password("acme", ADA.id, "hash", NOON + SECOND)
    else:
        users.change_user("acme", ADA.id, UserChange(state=UserState.SUSPENDED), NOON + SECOND)
    assert logins.sessions("acme", ADA.id, NOON) == ()


def test_everything_of_people_goes_with_their_tenant(
    logins: LoginStore, identity: RelationalIdentityStore, state_engine: Engine
) -> None:
    logins.begin_session(a_session(), FIRST)
    logins.begin_attempt(attempt_key("acme", ADA.email), NOON)
    identity.remove_tenant("acme")
    with reading(state_engine) as connection:
        for name in ("users", "login_sessions", "refresh_tokens", "login_attempts"):
            assert connection.execute(METADATA.tables[name].select()).all() == []
