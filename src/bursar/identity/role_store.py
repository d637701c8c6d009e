"""What is kept of roles: a tenant's own ones, and who has which; `storage/relational` implements it.

Each method is one transaction and bound to the tenant that it names, as in `store.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.roles import Granted, Role, RoleBinding


class RoleStore(Protocol):
    """Keeps the roles of tenants and the bindings of people."""

    def add_role(self, tenant_id: str, role: Role) -> None:
        """Keep a role of the tenant's own.

        Raises:
            Conflict: it has one of this name (reason `role_exists`).
            NotFound: there is no such tenant.
        """
        ...

    def roles(self, tenant_id: str) -> dict[str, Role]:
        """Every role of the tenant by name: the built-in ones, then its own by name."""
        ...

    def role(self, tenant_id: str, name: str) -> Role:
        """The role of this name, built in or the tenant's own.

        Raises:
            NotFound: there is none.
        """
        ...

    def change_role(self, tenant_id: str, role: Role) -> None:
        """Let a role of the tenant's own grant something else from now on.

        Raises:
            NotFound: it has none of this name.
        """
        ...

    def remove_role(self, tenant_id: str, name: str) -> None:
        """Forget a role of the tenant's own that nobody has.

        Raises:
            NotFound: it has none of this name.
            Conflict: somebody has it (reason `role_in_use`).
        """
        ...

    def bind(self, binding: RoleBinding) -> None:
        """Give somebody a role; one that they have already stays as it was given, unless a group gave it.

        Raises:
            NotFound: there is no such tenant, no such user in it, no such role, or no such project.
            Conflict: it is being given to them at this moment.
        """
        ...

    def unbind(self, binding: RoleBinding) -> bool:
        """Take a role from somebody; answers whether they had it.

        Raises:
            Conflict: nobody else owns the tenant (reason `last_owner`).
        """
        ...

    def bindings(self, tenant_id: str, user_id: str | None = None) -> tuple[RoleBinding, ...]:
        """Who has which role, in the order in which they were given; of one person if one is named."""
        ...

    def bindings_of(self, tenant_id: str, user_ids: Collection[str]) -> tuple[RoleBinding, ...]:
        """The same of these people of the tenant alone; of nobody if none is named."""
        ...

    def page_of_bindings(self, tenant_id: str, ask: PageAsk, user_id: str | None = None) -> Page[RoleBinding]:
        """Who has which role, a page at a time; of one person if one is named."""
        ...

    def granted(self, tenant_id: str, user_id: str) -> Granted:
        """What somebody may do by their roles."""
        ...
