"""From somebody's groups at the provider to their roles here. Pure.

A group gives a role in the whole tenant, or in one project of it. Nobody has a role that the mapping doesn't
name: `owner` needs to be written like any other, and can't be everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

GRANTED_BY = "oidc"
"""Who gave a role that came from a group: such roles follow the groups, others stay as they are."""


class MappedRole(NamedTuple):
    """A role that a group gives."""

    role: str
    project_id: str | None = None
    """None: in the whole tenant."""


@dataclass(frozen=True, slots=True)
class RoleMapping:
    """Which groups give which roles."""

    by_group: tuple[tuple[str, MappedRole], ...] = ()
    default: MappedRole | None = None
    """What those get whose groups give nothing; None: they don't come in."""

    def roles_of(self, groups: Iterable[str]) -> frozenset[MappedRole]:
        """What somebody with these groups is; empty: nobody."""
        theirs = frozenset(groups)
        found = frozenset(role for group, role in self.by_group if group in theirs)
        if found or self.default is None:
            return found
        return frozenset({self.default})
