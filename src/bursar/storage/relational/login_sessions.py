"""What several changes do to sessions, within their own transactions: end them, read them.

`logins.py` keeps logins, `users.py` users; suspending somebody, or a new password, ends sessions too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from bursar.identity.logins.session import Origin, Session, SessionEnd
from bursar.storage.relational.tables.users import LOGIN_SESSIONS

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row


def end_all(connection: Connection, whose: tuple[str, str], at: datetime, why: SessionEnd) -> int:
    """End every session of a user, named by tenant and id; answers how many."""
    columns = LOGIN_SESSIONS.c
    tenant_id, user_id = whose
    theirs = columns.tenant_id == tenant_id, columns.user_id == user_id, columns.ended_at.is_(None)
    statement = update(LOGIN_SESSIONS).where(*theirs)
    return connection.execute(statement.values(ended_at=at, end_reason=why.value)).rowcount


def end_one(connection: Connection, which: tuple[str, str], at: datetime, why: SessionEnd) -> None:
    """End a session, named by tenant and id, unless it has ended."""
    columns = LOGIN_SESSIONS.c
    tenant_id, session_id = which
    is_it = columns.tenant_id == tenant_id, columns.id == session_id, columns.ended_at.is_(None)
    statement = update(LOGIN_SESSIONS).where(*is_it)
    connection.execute(statement.values(ended_at=at, end_reason=why.value))


def session_of(row: Row[Any]) -> Session:
    """A row of the table as its value."""
    return Session(
        id=row.id,
        tenant_id=row.tenant_id,
        user_id=row.user_id,
        started_at=row.started_at,
        expires_at=row.expires_at,
        origin=Origin(row.address, row.client),
        last_used_at=row.last_used_at,
        ended_at=row.ended_at,
        end=SessionEnd(row.end_reason) if row.end_reason else None,
    )
