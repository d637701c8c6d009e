"""Links of users in SQL; implements `LinkStore` of `identity/users/links.py`.

A link is used up by deleting its row: of several who follow it at the same moment, one deletes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from bursar.errors import NotFound
from bursar.identity.logins.session import SessionEnd
from bursar.identity.permissions import Permission
from bursar.identity.users.links import Link, LinkKind
from bursar.identity.users.user import UserState
from bursar.storage.relational.login_sessions import end_all
from bursar.storage.relational.roles import granted_to
from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.tables.users import USER_LINKS, USERS
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.storage.relational.user_rows import drop_links, is_user, user_of
from bursar.storage.relational.users import add_user

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.user import User

_REPLACING = frozenset({LinkKind.INVITATION, LinkKind.RESET, LinkKind.FIRST_ADMIN})
"""Whoever types an address must not be able to take an invitation from its owner."""


class RelationalLinks:
    """Keeps links in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_link(self, link: Link, secret_hash: str) -> None:
        """See `LinkStore.add_link`."""
        columns = USER_LINKS.c
        orphan = NotFound("There is no such user any more.")
        row = insert(USER_LINKS).values(
            secret_hash=secret_hash,
            tenant_id=link.tenant_id,
            user_id=link.user_id,
            kind=link.kind.value,
            created_at=link.created_at,
            expires_at=link.expires_at,
            created_by=link.created_by,
            covers=None if link.covers is None else " ".join(sorted(link.covers)),
        )
        with writing(self._engine) as connection, refusing(orphan=orphan):
            connection.execute(delete(USER_LINKS).where(columns.expires_at <= link.created_at))
            if link.kind in _REPLACING and link.user_id is not None:
                drop_links(connection, link.tenant_id, link.user_id)
            connection.execute(row)

    def link(self, secret_hash: str, now: datetime) -> Link | None:
        """See `LinkStore.link`."""
        with reading(self._engine) as connection:
            row = connection.execute(select(USER_LINKS).where(_counts(secret_hash, now))).one_or_none()
        return None if row is None else _link_of(row)

    def follow_link(self, secret_hash: str, password_hash: str, now: datetime) -> User | None:
        """See `LinkStore.follow_link`."""
        with writing(self._engine) as connection:
            link = _use_up(connection, secret_hash, now)
            if link is None or link.user_id is None:
                return None
            whose = is_user(link.tenant_id, link.user_id)
            # Nobody gives them a role from here on.
            state = connection.execute(select(USERS.c.state).where(whose).with_for_update()).scalar_one()
            if state != UserState.ACTIVE.value or not _covers(connection, link, link.user_id):
                return None
            change = update(USERS).where(whose).values(password_hash=password_hash).returning(USERS)
            row = connection.execute(change).one()
            drop_links(connection, link.tenant_id, link.user_id)
            end_all(connection, (link.tenant_id, link.user_id), now, SessionEnd.PASSWORD_CHANGED)
        return user_of(row)

    def follow_first_link(
        self, secret_hash: str, user: User, role: RoleBinding, password_hash: str
    ) -> User | None:
        """See `LinkStore.follow_first_link`."""
        with writing(self._engine) as connection:
            link = _use_up(connection, secret_hash, user.created_at)
            tenant = select(TENANTS.c.id).where(TENANTS.c.id == user.tenant_id)
            connection.execute(tenant.with_for_update())
            if link is None or link.kind is not LinkKind.FIRST_ADMIN or _has_users(connection):
                return None
            add_user(connection, user, (role,), password_hash)
        return user

    def has_users(self) -> bool:
        """See `LinkStore.has_users`."""
        with reading(self._engine) as connection:
            return _has_users(connection)


def _has_users(connection: Connection) -> bool:
    return connection.execute(select(USERS.c.id).limit(1)).first() is not None


def _use_up(connection: Connection, secret_hash: str, now: datetime) -> Link | None:
    used = delete(USER_LINKS).where(_counts(secret_hash, now)).returning(USER_LINKS)
    row = connection.execute(used).one_or_none()
    return None if row is None else _link_of(row)


def _covers(connection: Connection, link: Link, user_id: str) -> bool:
    """Whether its user may do no more than whoever saw the link."""
    if link.covers is None:
        return True
    granted = granted_to(connection, link.tenant_id, user_id)
    return granted.permissions | granted.within.keys() <= link.covers


def _counts(secret_hash: str, now: datetime) -> ColumnElement[bool]:
    return (USER_LINKS.c.secret_hash == secret_hash) & (USER_LINKS.c.expires_at > now)


def _link_of(row: Row[Any]) -> Link:
    covers = row.covers
    known = list(Permission)
    return Link(
        row.tenant_id,
        row.user_id,
        LinkKind(row.kind),
        row.created_at,
        row.created_by,
        None if covers is None else frozenset(Permission(word) for word in covers.split() if word in known),
    )
