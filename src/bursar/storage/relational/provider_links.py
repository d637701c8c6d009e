"""People who come from a provider, in SQL; implements `ProviderLinkStore` of `identity/sign_on/store.py`.

Roles by groups are bindings like all others, told apart by who granted them: only those are ever taken here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.logins.session import SessionEnd
from bursar.identity.roles import RoleBinding
from bursar.identity.sign_on.mapping import GRANTED_BY, MappedRole
from bursar.identity.sign_on.store import RolesMoved
from bursar.storage.relational.login_sessions import end_all
from bursar.storage.relational.roles import bind_role, refuse_unfit_binding
from bursar.storage.relational.tables.identity import ROLE_BINDINGS
from bursar.storage.relational.tables.sign_on import PROVIDER_LINKS
from bursar.storage.relational.tables.users import USERS
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.storage.relational.user_rows import (
    WHOLE_TENANT,
    drop_links,
    is_user,
    no_user,
    refuse_unknown_user,
    user_of,
)
from bursar.storage.relational.users import add_user

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from bursar.identity.sign_on.store import ProviderLink
    from bursar.identity.users.user import User


class RelationalProviderLinks:
    """Keeps the links in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def linked_user(self, tenant_id: str, issuer: str, subject: str) -> User | None:
        """See `ProviderLinkStore.linked_user`."""
        links = PROVIDER_LINKS.c
        question = (
            select(USERS)
            .join(PROVIDER_LINKS, (links.user_id == USERS.c.id) & (links.tenant_id == USERS.c.tenant_id))
            .where(links.tenant_id == tenant_id, links.issuer == issuer, links.subject == subject)
        )
        with reading(self._engine) as connection:
            row = connection.execute(question).one_or_none()
        return None if row is None else user_of(row)

    def link(self, link: ProviderLink) -> None:
        """See `ProviderLinkStore.link`."""
        with writing(self._engine) as connection:
            refuse_unknown_user(connection, link.tenant_id, link.user_id)
            _link(connection, link)
            whose = link.tenant_id, link.user_id
            connection.execute(update(USERS).where(is_user(*whose)).values(password_hash=None))
            drop_links(connection, *whose)
            end_all(connection, whose, link.linked_at, SessionEnd.LINKED)

    def add_linked_user(self, user: User, link: ProviderLink) -> None:
        """See `ProviderLinkStore.add_linked_user`."""
        with writing(self._engine) as connection:
            add_user(connection, user)
            _link(connection, link)

    def compare_roles(self, tenant_id: str, user_id: str, roles: Collection[MappedRole]) -> RolesMoved:
        """See `ProviderLinkStore.compare_roles`."""
        with writing(self._engine) as connection:
            return _difference(connection, (tenant_id, user_id), roles)

    def follow_groups(
        self, tenant_id: str, user_id: str, roles: Collection[MappedRole], at: datetime
    ) -> RolesMoved:
        """See `ProviderLinkStore.follow_groups`."""
        columns = ROLE_BINDINGS.c
        theirs = columns.tenant_id == tenant_id, columns.user_id == user_id, columns.granted_by == GRANTED_BY
        with writing(self._engine) as connection:
            refuse_unknown_user(connection, tenant_id, user_id)
            moved = _difference(connection, (tenant_id, user_id), roles)
            for one in moved.taken:
                is_it = columns.role == one.role, columns.project_id == (one.project_id or WHOLE_TENANT)
                connection.execute(delete(ROLE_BINDINGS).where(*theirs, *is_it))
            for one in moved.given:
                bind_role(
                    connection, RoleBinding(tenant_id, user_id, one.role, one.project_id, GRANTED_BY, at)
                )
        return moved


def _link(connection: Connection, link: ProviderLink) -> None:
    message = "This person is linked already, or the user is somebody else there."
    taken = Conflict(message, reasons=(Reason("subject", "linked_already", message),))
    row = insert(PROVIDER_LINKS).values(
        tenant_id=link.tenant_id,
        issuer=link.issuer,
        subject=link.subject,
        user_id=link.user_id,
        linked_at=link.linked_at,
    )
    with refusing(duplicate=taken, orphan=no_user(link.user_id)):
        connection.execute(row)


def _difference(connection: Connection, whose: tuple[str, str], roles: Collection[MappedRole]) -> RolesMoved:
    """What must change for somebody's roles by groups to be these, within a transaction."""
    columns = ROLE_BINDINGS.c
    tenant_id, user_id = whose
    question = select(ROLE_BINDINGS).where(columns.tenant_id == tenant_id, columns.user_id == user_id)
    bound = {
        MappedRole(row.role, row.project_id or None): row.granted_by == GRANTED_BY
        for row in connection.execute(question)
    }
    by_groups = {role for role, is_by_group in bound.items() if is_by_group}
    unknown = {role for role in roles if not _exists(connection, tenant_id, role)}
    wanted = set(roles) - unknown
    return RolesMoved(_sorted(wanted - set(bound)), _sorted(by_groups - wanted), _sorted(unknown))


def _exists(connection: Connection, tenant_id: str, role: MappedRole) -> bool:
    try:
        refuse_unfit_binding(connection, tenant_id, role.role, role.project_id)
    except NotFound:
        return False
    return True


def _sorted(roles: Collection[MappedRole]) -> tuple[MappedRole, ...]:
    return tuple(sorted(roles, key=lambda one: (one.role, one.project_id or "")))
