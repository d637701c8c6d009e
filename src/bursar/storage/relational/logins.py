"""Attempts, sessions and refresh tokens in SQL; implements `LoginStore` of `identity/logins/store.py`.

Whatever two may do at the same moment is decided by the row that both change: the second one waits, and sees
what the first has done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bursar.identity.logins.attempts import FORGOTTEN_AFTER, Attempts, next_attempts
from bursar.identity.logins.session import SESSIONS_LIMIT, SessionEnd, Standing
from bursar.identity.logins.store import Exchange, Exchanged
from bursar.identity.tenant import TenantState
from bursar.storage.relational.engine import is_sqlite
from bursar.storage.relational.login_sessions import end_all, end_one, session_of
from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.tables.users import LOGIN_ATTEMPTS, LOGIN_SESSIONS, REFRESH_TOKENS, USERS
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.storage.relational.user_rows import no_user, user_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from bursar.identity.logins.attempts import AttemptKey
    from bursar.identity.logins.session import Session


class RelationalLogins:
    """Keeps logins in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def begin_attempt(self, key: AttemptKey, now: datetime) -> Attempts | None:
        """See `LoginStore.begin_attempt`."""
        columns = LOGIN_ATTEMPTS.c
        is_it = (columns.tenant_id == key.tenant_id) & (columns.digest == key.digest)
        new = {"tenant_id": key.tenant_id, "digest": key.digest, "failures": 0, "last_at": now}
        kind = sqlite if is_sqlite(self._engine) else postgresql
        with writing(self._engine) as connection:
            connection.execute(delete(LOGIN_ATTEMPTS).where(columns.last_at < now - FORGOTTEN_AFTER))
            # There is a row then, whoever else makes it, and only one may look at it and change it at a time.
            connection.execute(kind.insert(LOGIN_ATTEMPTS).values(new).on_conflict_do_nothing())
            row = connection.execute(select(LOGIN_ATTEMPTS).where(is_it).with_for_update()).one()
            before = Attempts(row.failures, row.last_at, row.locked_until)
            if before.is_locked(now):
                return None
            after = next_attempts(before, now)
            values = {"failures": after.count, "last_at": after.last_at, "locked_until": after.locked_until}
            connection.execute(update(LOGIN_ATTEMPTS).where(is_it).values(values))
        return after

    def end_attempt(self, key: AttemptKey) -> None:
        """See `LoginStore.end_attempt`."""
        columns = LOGIN_ATTEMPTS.c
        is_it = columns.tenant_id == key.tenant_id, columns.digest == key.digest
        with writing(self._engine) as connection:
            connection.execute(delete(LOGIN_ATTEMPTS).where(*is_it))

    def begin_session(self, session: Session, token_hash: str) -> None:
        """See `LoginStore.begin_session`."""
        columns = LOGIN_SESSIONS.c
        row = insert(LOGIN_SESSIONS).values(
            id=session.id,
            tenant_id=session.tenant_id,
            user_id=session.user_id,
            started_at=session.started_at,
            expires_at=session.expires_at,
            last_used_at=session.last_used_at,
            address=session.origin.address,
            client=session.origin.client,
        )
        theirs = columns.tenant_id == session.tenant_id, columns.user_id == session.user_id
        here = update(USERS).where(USERS.c.tenant_id == session.tenant_id, USERS.c.id == session.user_id)
        newest_first = columns.started_at.desc(), columns.id
        beyond = select(columns.id).where(*theirs).order_by(*newest_first).offset(SESSIONS_LIMIT)
        orphan = no_user(session.user_id)
        with writing(self._engine) as connection, refusing(orphan=orphan):
            connection.execute(
                delete(LOGIN_SESSIONS).where(*theirs, columns.expires_at <= session.started_at)
            )
            connection.execute(row)
            connection.execute(delete(LOGIN_SESSIONS).where(*theirs, columns.id.in_(beyond)))
            connection.execute(here.values(last_login_at=session.started_at))
            _add_token(connection, session, token_hash, session.started_at)

    def exchange(self, token_hash: str, next_hash: str, now: datetime) -> Exchanged:
        """See `LoginStore.exchange`."""
        tokens = REFRESH_TOKENS.c
        found = select(tokens.session_id).where(tokens.token_hash == token_hash)
        used = update(REFRESH_TOKENS).where(tokens.token_hash == token_hash, tokens.used_at.is_(None))
        with writing(self._engine) as connection:
            session_id = connection.execute(found).scalar_one_or_none()
            standing = None if session_id is None else _standing(connection, session_id)
            if standing is None:
                return Exchanged(Exchange.UNKNOWN)
            session = standing.session
            if not session.counts_at(now):
                return Exchanged(Exchange.ENDED, standing)
            if not connection.execute(used.values(used_at=now)).rowcount:
                end_one(connection, (session.tenant_id, session.id), now, SessionEnd.TOKEN_REUSED)
                return Exchanged(Exchange.REUSED, standing)
            goes_on = update(LOGIN_SESSIONS).where(LOGIN_SESSIONS.c.id == session.id)
            goes_on = goes_on.where(LOGIN_SESSIONS.c.ended_at.is_(None))
            if not connection.execute(goes_on.values(last_used_at=now)).rowcount:
                return Exchanged(Exchange.ENDED, standing)
            _add_token(connection, session, next_hash, now)
        return Exchanged(Exchange.RENEWED, standing)

    def standing(self, session_id: str) -> Standing | None:
        """See `LoginStore.standing`."""
        with reading(self._engine) as connection:
            return _standing(connection, session_id)

    def end_session(self, tenant_id: str, session_id: str, at: datetime, why: SessionEnd) -> None:
        """See `LoginStore.end_session`."""
        with writing(self._engine) as connection:
            end_one(connection, (tenant_id, session_id), at, why)

    def end_sessions(self, tenant_id: str, user_id: str, at: datetime, why: SessionEnd) -> int:
        """See `LoginStore.end_sessions`."""
        with writing(self._engine) as connection:
            return end_all(connection, (tenant_id, user_id), at, why)

    def sessions(self, tenant_id: str, user_id: str, now: datetime) -> tuple[Session, ...]:
        """See `LoginStore.sessions`."""
        columns = LOGIN_SESSIONS.c
        question = (
            select(LOGIN_SESSIONS)
            .where(columns.tenant_id == tenant_id, columns.user_id == user_id)
            .where(columns.ended_at.is_(None), columns.expires_at > now)
            .order_by(columns.started_at.desc(), columns.id)
        )
        with reading(self._engine) as connection:
            return tuple(map(session_of, connection.execute(question)))


def _add_token(connection: Connection, session: Session, token_hash: str, now: datetime) -> None:
    row = {"token_hash": token_hash, "tenant_id": session.tenant_id, "session_id": session.id}
    connection.execute(insert(REFRESH_TOKENS).values(**row, issued_at=now))


def _standing(connection: Connection, session_id: str) -> Standing | None:
    session = connection.execute(
        select(LOGIN_SESSIONS).where(LOGIN_SESSIONS.c.id == session_id)
    ).one_or_none()
    if session is None:
        return None
    user = connection.execute(
        select(USERS).where(USERS.c.tenant_id == session.tenant_id, USERS.c.id == session.user_id)
    ).one_or_none()
    tenant = connection.execute(
        select(TENANTS.c.zone, TENANTS.c.state).where(TENANTS.c.id == session.tenant_id)
    ).one_or_none()
    if user is None or tenant is None:
        return None
    is_suspended = tenant.state == TenantState.SUSPENDED.value
    return Standing(session_of(session), user_of(user), tenant.zone, is_suspended)
