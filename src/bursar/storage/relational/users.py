"""Users in SQL; implements `UserStore` of `identity/users/store.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from bursar.errors import Conflict, Reason
from bursar.identity.logins.session import SessionEnd
from bursar.identity.users.store import KeptLogin
from bursar.identity.users.user import UserState
from bursar.storage.relational.login_sessions import end_all
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.roles import bind_role, unbind_role
from bursar.storage.relational.tables.identity import ROLE_BINDINGS
from bursar.storage.relational.tables.users import USERS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.storage.relational.user_rows import drop_links, is_user, no_user, refuse_last_owner, user_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.user import User, UserChange


class RelationalUsers:
    """Keeps users in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_user(
        self, user: User, roles: Sequence[RoleBinding] = (), password_hash: str | None = None
    ) -> None:
        """See `UserStore.add_user`."""
        with writing(self._engine) as connection:
            add_user(connection, user, roles, password_hash)

    def user(self, tenant_id: str, user_id: str) -> User:
        """See `UserStore.user`."""
        with reading(self._engine) as connection:
            row = connection.execute(select(USERS).where(is_user(tenant_id, user_id))).one_or_none()
        if row is None:
            raise no_user(user_id)
        return user_of(row)

    def users(self, tenant_id: str, ask: PageAsk) -> Page[User]:
        """See `UserStore.users`."""
        question = select(USERS).where(USERS.c.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return read_page(connection, question, USERS, ask, user_of)

    def kept_login(self, tenant_id: str, email: str) -> KeptLogin | None:
        """See `UserStore.kept_login`."""
        question = select(USERS).where(USERS.c.tenant_id == tenant_id, USERS.c.email == email)
        with reading(self._engine) as connection:
            row = connection.execute(question).one_or_none()
        return None if row is None else KeptLogin(user_of(row), row.password_hash)

    def change_user(self, tenant_id: str, user_id: str, change: UserChange, at: datetime) -> User:
        """See `UserStore.change_user`."""
        state = change.state.value if change.state else None
        named = {"name": change.name, "state": state, "email": change.email}
        values = {column: value for column, value in named.items() if value is not None}
        if not values and not change.gives and not change.takes:
            return self.user(tenant_id, user_id)
        statement = (
            update(USERS).where(is_user(tenant_id, user_id)).values(values or {"state": USERS.c.state})
        )
        with writing(self._engine) as connection, refusing(duplicate=_taken(change.email or "")):
            if change.state is UserState.SUSPENDED:
                refuse_last_owner(connection, tenant_id, user_id)
            for binding in change.takes:
                unbind_role(connection, binding)
            row = connection.execute(statement.returning(USERS)).one_or_none()
            if row is None:
                raise no_user(user_id)
            for binding in change.gives:
                bind_role(connection, binding)
            if change.state is UserState.SUSPENDED:
                end_all(connection, (tenant_id, user_id), at, SessionEnd.SUSPENDED)
            if change.state is UserState.SUSPENDED or change.email is not None:
                drop_links(connection, tenant_id, user_id)
        return user_of(row)

    def remove_user(self, tenant_id: str, user_id: str) -> None:
        """See `UserStore.remove_user`."""
        columns = ROLE_BINDINGS.c
        roles = delete(ROLE_BINDINGS).where(columns.tenant_id == tenant_id, columns.user_id == user_id)
        with writing(self._engine) as connection:
            refuse_last_owner(connection, tenant_id, user_id)
            # Sessions, refresh tokens and links go with it by themselves.
            if not connection.execute(delete(USERS).where(is_user(tenant_id, user_id))).rowcount:
                raise no_user(user_id)
            connection.execute(roles)

    def set_password(self, tenant_id: str, user_id: str, password_hash: str, at: datetime) -> None:
        """See `UserStore.set_password`."""
        statement = update(USERS).where(is_user(tenant_id, user_id)).values(password_hash=password_hash)
        with writing(self._engine) as connection:
            if not connection.execute(statement).rowcount:
                raise no_user(user_id)
            drop_links(connection, tenant_id, user_id)
            end_all(connection, (tenant_id, user_id), at, SessionEnd.PASSWORD_CHANGED)

    def renew_hash(self, tenant_id: str, user_id: str, was: str, password_hash: str) -> None:
        """See `UserStore.renew_hash`."""
        same = USERS.c.password_hash == was
        statement = update(USERS).where(is_user(tenant_id, user_id), same)
        with writing(self._engine) as connection:
            connection.execute(statement.values(password_hash=password_hash))


def add_user(
    connection: Connection, user: User, roles: Sequence[RoleBinding] = (), password_hash: str | None = None
) -> None:
    """Keep a new user with their roles, within a transaction.

    Raises:
        Conflict, NotFound: as `UserStore.add_user` says.
    """
    row = insert(USERS).values(
        id=user.id,
        tenant_id=user.tenant_id,
        email=user.email,
        name=user.name,
        state=user.state.value,
        created_at=user.created_at,
        password_hash=password_hash,
    )
    with refusing(duplicate=_taken(user.email), orphan=no_tenant(user.tenant_id)):
        connection.execute(row)
    for binding in roles:
        bind_role(connection, binding)


def _taken(email: str) -> Conflict:
    message = f"There is a user with the address {email} already."
    return Conflict(message, reasons=(Reason("email", "user_exists", message),))
