"""What several stores read of users within their own transactions: their rows, and whether there is an owner.

`users.py` keeps users, `logins.py` their sessions, `roles.py` what they may do, `user_links.py` their links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.users.user import User, UserState
from bursar.storage.relational.tables.identity import ROLE_BINDINGS, TENANTS
from bursar.storage.relational.tables.users import USER_LINKS, USERS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

WHOLE_TENANT = ""
"""What stands in a binding instead of a project."""
_OWNER = "owner"


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


def refuse_unknown_user(connection: Connection, tenant_id: str, user_id: str) -> None:
    """Let only a user of the tenant pass, who can't be removed until the transaction ends.

    Raises:
        NotFound: the tenant has no such user.
    """
    question = select(USERS.c.id).where(is_user(tenant_id, user_id))
    if connection.execute(question.with_for_update(read=True, key_share=True)).first() is None:
        raise no_user(user_id)


def refuse_last_owner(connection: Connection, tenant_id: str, user_id: str) -> None:
    """Let nobody go who alone owns the tenant: of those who may log in. Held until the transaction ends.

    Raises:
        Conflict: nobody else does (reason `last_owner`).
    """
    bindings = ROLE_BINDINGS.c
    # Whoever takes an owner away from this tenant takes turns.
    tenant = select(TENANTS.c.id).where(TENANTS.c.id == tenant_id)
    connection.execute(tenant.with_for_update(key_share=True))
    owners = (
        select(USERS.c.id)
        .join(ROLE_BINDINGS, (bindings.tenant_id == USERS.c.tenant_id) & (bindings.user_id == USERS.c.id))
        .where(USERS.c.tenant_id == tenant_id, USERS.c.state == UserState.ACTIVE.value)
        .where(bindings.role == _OWNER, bindings.project_id == WHOLE_TENANT)
    )
    if set(connection.execute(owners).scalars()) == {user_id}:
        message = "Nobody else owns this tenant; make somebody else an owner first."
        raise Conflict(message, reasons=(Reason("role", "last_owner", message),))


def drop_links(connection: Connection, tenant_id: str, user_id: str) -> None:
    """Let no link of a user count any more."""
    columns = USER_LINKS.c
    theirs = columns.tenant_id == tenant_id, columns.user_id == user_id
    connection.execute(delete(USER_LINKS).where(*theirs))
