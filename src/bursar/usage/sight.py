"""What a caller may see of its tenant's usage: which projects, whether money, whether what was sent along.

A project limit becomes a filter of the store's own question, so rows, totals, shares and exports are all of
the same projects. Money and tags that are asked for narrow it further, to where they may be seen; what may be
seen nowhere is refused by its permission's name. Of single events, `show` leaves out what is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bursar.errors import MissingScope
from bursar.identity.permissions import Permission
from bursar.usage.query import Filter, FilterOp
from bursar.usage.query_dimensions import find_dimension
from bursar.usage.query_measures import find_measure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.identity.caller import Caller
    from bursar.usage.stored_event import StoredEvent

Projects = frozenset[str] | None
"""Some of a tenant's projects; None: everything, also what belongs to no project."""

SENT_ALONG = ("message", "metadata", "tags", "usage")
"""What of an event is the caller's own words: only shown to those who may see metadata."""
NOWHERE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sight:
    """How far a caller sees in one request."""

    projects: Projects = None
    """Where it may do what the request asks for."""
    costs: Projects = None
    """Where it may see what was spent."""
    metadata: Projects = None
    """Where it may see what was sent along with events."""

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What keeps a question within the projects."""
        return _filters(self.projects)

    @property
    def sees_costs(self) -> bool:
        """Whether it may see what was spent in any of the projects."""
        return _both(self.projects, self.costs) != NOWHERE

    def for_measures(self, names: Iterable[str]) -> tuple[Filter, ...]:
        """What else keeps a question of these measures within what may be seen.

        Raises:
            MissingScope: one is money, and that may be seen nowhere.
        """
        money = [name for name in names if (measure := find_measure(name)) and measure.is_money]
        return self._narrowed(self.costs, Permission.COST_READ, money)

    def for_dimensions(self, names: Iterable[str]) -> tuple[Filter, ...]:
        """What else keeps a question by these dimensions within what may be seen.

        Raises:
            MissingScope: one is a tag, and those may be seen nowhere.
        """
        tags = [name for name in names if (one := find_dimension(name)) and one.tag_key is not None]
        return self._narrowed(self.metadata, Permission.METADATA_READ, tags)

    def show(self, event: StoredEvent) -> StoredEvent:
        """The event without what was sent along, where that may not be seen."""
        if self.metadata is None or event.project_id in self.metadata:
            return event
        return replace(event, message=None, metadata=None, tags={}, usage=None)

    def _narrowed(self, where: Projects, permission: Permission, names: list[str]) -> tuple[Filter, ...]:
        if not names or where is None:
            return ()
        if _both(self.projects, where) == NOWHERE:
            shown = ", ".join(name[:80] for name in names)
            message = f"{shown}: this needs the permission '{permission}', which the credential lacks."
            raise MissingScope(message)
        return _filters(where)


SEES_ALL = Sight()


def sight_of(caller: Caller, permission: Permission) -> Sight:
    """How far a caller sees in a request that asks for this permission.

    Raises:
        MissingScope: the caller has it nowhere.
    """
    return Sight(
        caller.projects_with(permission),
        _where(caller, Permission.COST_READ),
        _where(caller, Permission.METADATA_READ),
    )


def _where(caller: Caller, permission: Permission) -> Projects:
    return None if caller.may(permission) else caller.within.get(permission, NOWHERE)


def _filters(projects: Projects) -> tuple[Filter, ...]:
    return () if projects is None else (Filter("project_id", FilterOp.IN, tuple(sorted(projects))),)


def _both(one: Projects, other: Projects) -> Projects:
    if one is None:
        return other
    return one if other is None else one & other
