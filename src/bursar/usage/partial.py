"""What an answer lacks because retention has taken it: shown with figures and with lists of events.

How far back the data reach is known to the store (`storage/duckdb/horizons.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

from bursar.described import DESCRIBED


@dataclass(frozen=True, slots=True)
class Partial:
    """Says that an answer doesn't cover its whole window, because retention has taken what lay before."""

    __pydantic_config__: ClassVar = DESCRIBED

    since: datetime
    """From when on the rows are complete; totals that need no single events are complete before, too."""
    reason: Literal["events_expired", "rollups_expired"]


def worst_of(partials: Iterable[Partial | None]) -> Partial | None:
    """What an answer lacks that is made of several; None where none of them lacks anything."""
    return max((one for one in partials if one), key=lambda one: one.since, default=None)
