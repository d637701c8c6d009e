"""What is kept of people who come from a provider: which subject there is which user here, and their roles.

`storage/relational` implements it. Each method is one transaction, bound to the tenant that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from bursar.identity.sign_on.mapping import MappedRole
    from bursar.identity.users.user import User


@dataclass(frozen=True, slots=True)
class ProviderLink:
    """Somebody at a provider, who is a user of a tenant."""

    tenant_id: str
    issuer: str
    subject: str
    user_id: str
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class RolesMoved:
    """What following somebody's groups changed."""

    given: tuple[MappedRole, ...] = ()
    taken: tuple[MappedRole, ...] = ()
    unknown: tuple[MappedRole, ...] = ()
    """Named by the mapping, but the tenant has no such role or project."""


class ProviderLinkStore(Protocol):
    """Keeps who comes from a provider."""

    def linked_user(self, tenant_id: str, issuer: str, subject: str) -> User | None:
        """The tenant's user who is this subject."""
        ...

    def link(self, link: ProviderLink) -> None:
        """Let a user be known by a subject.

        Their password, links and sessions count no longer: whoever had those was somebody else, maybe.

        Raises:
            Conflict: the subject is somebody else's, or the user is another subject of this issuer.
            NotFound: there is no such user.
        """
        ...

    def add_linked_user(self, user: User, link: ProviderLink) -> None:
        """Keep a new user who is known by a subject, without a password.

        Raises:
            Conflict: the tenant has a user with this address, or the subject is somebody else's.
            NotFound: there is no such tenant.
        """
        ...

    def compare_roles(self, tenant_id: str, user_id: str, roles: Collection[MappedRole]) -> RolesMoved:
        """What `follow_groups` would change."""
        ...

    def follow_groups(
        self, tenant_id: str, user_id: str, roles: Collection[MappedRole], at: datetime
    ) -> RolesMoved:
        """Make the roles that somebody has by their groups equal to these; what others gave them stays.

        Raises:
            NotFound: the tenant has no such user.
        """
        ...
