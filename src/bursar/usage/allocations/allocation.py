"""An allocation: from a day on, a project, user or API key has this owner and this cost centre.

What is recorded is never changed: a later one for the same day takes the place of the earlier, and one that
was wrong is withdrawn, but both stay with who believed them and until when. So the past may be corrected,
and yet be looked at as it was believed. Which event an allocation claims is in `claims.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason
from bursar.identity.tenant import NAME_LIMIT, is_name
from bursar.usage.query_dimensions import UNALLOCATED

if TYPE_CHECKING:
    from datetime import datetime

FIRST_DAY = date(1970, 1, 1)
"""An allocation from this day on holds for all usage there is."""
LAST_DAY = date(2999, 12, 31)
SUBJECT_LIMIT = 256
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f]+")


class Bearer(StrEnum):
    """What carries an owner and a cost centre; the first of these that names one decides."""

    KEY = "key"
    PROJECT = "project"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Bearing:
    """Who is meant: a kind of bearer, and its id in events (`key_id`, `project_id` or `user_id`)."""

    kind: Bearer
    id: str


@dataclass(frozen=True, slots=True)
class Author:
    """Who recorded something, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What holds of one bearer from a day on, until the next one of the same bearer."""

    id: str
    tenant_id: str
    of: Bearing
    valid_from: date
    """The first UTC day on which it holds."""
    valid_to: date | None = None
    """The first UTC day on which it doesn't any more; None: it still does, or isn't believed any more."""
    owner: str | None
    """None: nobody, from then on."""
    cost_centre: str | None
    reason: str | None
    created: Author
    replaced: Author | None = None
    """Since when it isn't believed any more: replaced by another for the same day, or withdrawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationAsk:
    """What somebody wants to record. A field that isn't `named` stays as it is on that day."""

    tenant_id: str
    of: Bearing
    valid_from: date
    named: frozenset[str]
    """Which of `owner` and `cost_centre` are said."""
    owner: str | None = None
    cost_centre: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationFilter:
    """Which allocations a list is about; what is None doesn't narrow it."""

    kind: Bearer | None = None
    id: str | None = None
    cost_centre: str | None = None
    owner: str | None = None
    on: date | None = None
    """Those that hold on this day."""
    known_at: datetime | None = None
    """What was believed at this moment, instead of what is believed now."""
    with_replaced: bool = False
    """Those too that aren't believed any more."""


def refuse_unfit(ask: AllocationAsk) -> None:
    """Refuse what can't be recorded.

    Raises:
        Invalid: with every reason.
    """
    reasons: list[Reason] = []
    if not ask.named:
        message = "name an owner or a cost centre; null says that it has none from then on"
        reasons.append(Reason("cost_centre", "nothing_said", message))
    for name, value in (("owner", ask.owner), ("cost_centre", ask.cost_centre)):
        if value is not None:
            reasons += [replace(one, field=name) for one in about_name(value)]
    if not FIRST_DAY <= ask.valid_from <= LAST_DAY:
        reasons.append(Reason("valid_from", "out_of_range", f"must be from {FIRST_DAY} to {LAST_DAY}"))
    if len(ask.of.id) > SUBJECT_LIMIT or _SUBJECT.fullmatch(ask.of.id) is None:
        message = f"must be the id of a key, project or user as events name it, up to {SUBJECT_LIMIT} letters"
        reasons.append(Reason("id", "invalid_id", message))
    if reasons:
        raise Invalid(reasons=tuple(reasons))


def about_name(value: str) -> list[Reason]:
    """What of an owner's or a cost centre's name can't be kept."""
    if not is_name(value) or value != value.strip():
        message = f"must be one line of 1 to {NAME_LIMIT} characters, without spaces around it"
        return [Reason("$", "invalid_name", message)]
    if value.casefold() == UNALLOCATED:
        return [Reason("$", "reserved", f"{UNALLOCATED!r} is what has none; send null instead")]
    return []
