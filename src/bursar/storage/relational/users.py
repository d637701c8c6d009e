"""Users in SQL; implements `UserStore` of `identity/users/store.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.logins.session import SessionEnd
from bursar.identity.users.store import KeptLogin
from bursar.identity.users.user import User, UserState
from bursar.storage.relational.login_sessions import end_all
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.tables.users import USERS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine, Row

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.users.user import UserChange


class RelationalUsers:
    """Keeps users in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_user(self, user: User) -> None:
        """See `UserStore.add_user`."""
        message = f"There is a user with the address {user.email} already."
        taken = Conflict(message, reasons=(Reason("email", "user_exists", message),))
        row = insert(USERS).values(
            id=user.id,
            tenant_id=user.tenant_id,
            email=user.email,
            name=user.name,
            state=user.state.value,
            created_at=user.created_at,
        )
        orphan = no_tenant(user.tenant_id)
        with writing(self._engine) as connection, refusing(duplicate=taken, orphan=orphan):
            connection.execute(row)

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
        named = {"name": change.name, "state": change.state.value if change.state else None}
        values = {column: value for column, value in named.items() if value is not None}
        if not values:
            return self.user(tenant_id, user_id)
        statement = update(USERS).where(is_user(tenant_id, user_id)).values(values).returning(USERS)
        with writing(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
            if row is None:
                raise no_user(user_id)
            if change.state is UserState.SUSPENDED:
                end_all(connection, (tenant_id, user_id), at, SessionEnd.SUSPENDED)
        return user_of(row)

    def set_password(self, tenant_id: str, user_id: str, password_hash: str, at: datetime) -> None:
        """See `UserStore.set_password`."""
        statement = update(USERS).where(is_user(tenant_id, user_id)).values(password_hash=password_hash)
        with writing(self._engine) as connection:
            if not connection.execute(statement).rowcount:
                raise no_user(user_id)
            end_all(connection, (tenant_id, user_id), at, SessionEnd.PASSWORD_CHANGED)

    def renew_hash(self, tenant_id: str, user_id: str, was: str, password_hash: str) -> None:
        """See `UserStore.renew_hash`."""
        same = USERS.c.password_hash == was
        statement = update(USERS).where(is_user(tenant_id, user_id), same)
        with writing(self._engine) as connection:
            connection.execute(statement.values(password_hash=password_hash))


def is_user(tenant_id: str, user_id: str) -> ColumnElement[bool]:
    """The row of this user, if they are the tenant's."""
    return (USERS.c.tenant_id == tenant_id) & (USERS.c.id == user_id)


def no_user(user_id: str) -> NotFound:
    """The refusal of a user id that the tenant doesn't have."""
    return NotFound(f"There is no user '{user_id}'.")


def user_of(row: Row[Any]) -> User:
    """A row of the table as its value."""
    return User(
        id=row.id,
        tenant_id=row.tenant_id,
        email=row.email,
        name=row.name,
        created_at=row.created_at,
        state=UserState(row.state),
        has_password=row.password_hash is not None,
        last_login_at=row.last_login_at,
    )
