"""Events without a known cost in groups: by provider, model and reason, as the store counts them.

Values only; `unpriced.py` reads what is asked and rates such events under another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from datetime import datetime


class GroupKey(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What the events of a group have in common."""

    provider: str | None
    model: str | None
    """The one that the answer named, else the one that was asked for."""
    reason: str | None


class GroupPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends: groups are ordered by events, the most first, then by their keys."""

    events: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    key: GroupKey


@dataclass(frozen=True, slots=True)
class UnpricedGroup:
    """Events of one model without a known cost, for one reason."""

    key: GroupKey
    events: int
    first: datetime
    last: datetime
    units: dict[str, int]
    """Sums in steps, custom units too."""
