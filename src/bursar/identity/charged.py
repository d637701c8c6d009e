"""Who owns a project, key or user today, and which cost centre bears it, as listings of these show it.

That is recorded day by day in another feature (`usage/allocations`), which identity doesn't know: the
composition root passes in what asks it (`app/charged_today.py`). Only answers to reads have it: what acts
answer goes into the audit log, which must not name an owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from bursar.identity.bodies import KeyOut, ProjectOut
from bursar.identity.permissions import Permission

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.identity.caller import Caller
    from bursar.identity.keys import ApiKey
    from bursar.identity.tenant import Project

Kind = Literal["key", "project", "user"]


@dataclass(frozen=True, slots=True)
class Charge:
    """Who owns something, and which cost centre bears it; None: nobody, none."""

    owner: str | None = None
    cost_centre: str | None = None


UNCHARGED = Charge()
ChargesToday = Callable[[str, Kind], Mapping[str, Charge]]
"""What each key, project or user of a tenant is charged to today (UTC), by its id: all by one call."""


def nothing_is_charged(_tenant_id: str, _kind: Kind) -> Mapping[str, Charge]:
    """For a server that keeps no allocations."""
    return {}


def charges_seen_by(caller: Caller, kind: Kind, charges: ChargesToday) -> Callable[[str], Charge]:
    """Finds what one of the caller's tenant is charged to, by its id; nothing for who may not see that."""
    if not caller.may(Permission.BILLING_READ):
        return lambda _one: UNCHARGED
    held = charges(caller.tenant_id, kind)
    return lambda one: held.get(one, UNCHARGED)


class ChargedOut(BaseModel):
    """Who owns and bears it today."""

    owner: str | None = Field(
        description="Whose it is today (UTC); null where nobody's, and without `billing:read`."
    )
    cost_centre: str | None = Field(
        description="What it is charged to today (UTC); null where to nothing, and without `billing:read`."
    )


class ChargedProjectOut(ChargedOut, ProjectOut):
    """A project, and who owns and bears it today."""

    @classmethod
    def charged(cls, project: Project, to: Charge) -> ChargedProjectOut:
        """The project as it is shown to who reads."""
        return cls(**ProjectOut.of(project).model_dump(), owner=to.owner, cost_centre=to.cost_centre)


class ChargedKeyOut(ChargedOut, KeyOut):
    """An API key, without its secret, and who owns and bears it today."""

    @classmethod
    def charged(cls, key: ApiKey, now: datetime, to: Charge) -> ChargedKeyOut:
        """The key as it is shown to who reads."""
        return cls(**KeyOut.of(key, now).model_dump(), owner=to.owner, cost_centre=to.cost_centre)
