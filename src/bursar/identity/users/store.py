"""What is kept of users, as questions and changes; `storage/relational` implements it.

Each method is one transaction and bound to the tenant that it names: another tenant's user is as unknown as
one that doesn't exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.user import User, UserChange


@dataclass(frozen=True, slots=True)
class KeptLogin:
    """What somebody's password is compared with."""

    user: User
    password_hash: str | None = field(repr=False)
    """None: they have no password yet."""


class UserStore(Protocol):
    """Keeps users."""

    def add_user(
        self, user: User, roles: Sequence[RoleBinding] = (), password_hash: str | None = None
    ) -> None:
        """Keep a new user with their roles, all or nothing; without a hash they have no password yet.

        Raises:
            Conflict: the tenant has one with this address (reason `user_exists`).
            NotFound: there is no such tenant, role or project.
        """
        ...

    def user(self, tenant_id: str, user_id: str) -> User:
        """The tenant's user of this id.

        Raises:
            NotFound: the tenant has none.
        """
        ...

    def users(self, tenant_id: str, ask: PageAsk) -> Page[User]:
        """The tenant's users in order of creation; none for an unknown tenant."""
        ...

    def kept_login(self, tenant_id: str, email: str) -> KeptLogin | None:
        """The tenant's user with this address, and what is kept of the password."""
        ...

    def change_user(self, tenant_id: str, user_id: str, change: UserChange, at: datetime) -> User:
        """Change what the change names, all or nothing, and answer the user as they are then.

        Whoever is suspended by it has no session any more, and no link; nor has another address a link.

        Raises:
            NotFound: the tenant has no such user, or no role that the change gives.
            Conflict: somebody else has the address (reason `user_exists`), or nobody else owns the tenant
                (reason `last_owner`).
        """
        ...

    def remove_user(self, tenant_id: str, user_id: str) -> None:
        """Forget a user, with their sessions, links and roles. Events keep their id.

        Raises:
            NotFound: the tenant has no such user.
            Conflict: nobody else owns the tenant (reason `last_owner`).
        """
        ...

    def set_password(self, tenant_id: str, user_id: str, password_hash: str, at: datetime) -> None:
        """Keep another password; whoever knew the one before has no session any more, and no link counts.

        Raises:
            NotFound: the tenant has no such user.
        """
        ...

    def renew_hash(self, tenant_id: str, user_id: str, was: str, password_hash: str) -> None:
        """Keep the same password by another hash, unless it was changed meanwhile."""
        ...
