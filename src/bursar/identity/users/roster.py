"""Pages of people, each with the roles that they have: what every list of users is made of.

The lists show it in words of their own: `users/api.py`, and `accounts/api.py` for ReskPoints' clients.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.identity.page import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.identity.page import PageAsk
    from bursar.identity.role_store import RoleStore
    from bursar.identity.roles import RoleBinding
    from bursar.identity.users.store import UserStore
    from bursar.identity.users.user import User


@dataclass(frozen=True, slots=True)
class Member:
    """A user, and their roles in the order in which they were given."""

    user: User
    bindings: Sequence[RoleBinding]


def read_members(users: UserStore, roles: RoleStore, tenant_id: str, ask: PageAsk) -> Page[Member]:
    """A page of the tenant's users in order of creation; roles are read of the people on it alone.

    Raises:
        Unavailable: a store doesn't answer.
    """
    page = users.users(tenant_id, ask)
    theirs: defaultdict[str, list[RoleBinding]] = defaultdict(list)
    for binding in roles.bindings_of(tenant_id, [user.id for user in page.items]):
        theirs[binding.user_id].append(binding)
    return Page(tuple(Member(user, theirs[user.id]) for user in page.items), page.next)
