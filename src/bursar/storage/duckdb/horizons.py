"""How far back a tenant's data reach, so that no answer is silently too small.

Expiries leave a row each in `horizons`. An answer that reads raw rows, or a rollup, from before
the latest of them says from when on it is complete.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from bursar.storage.duckdb.change_reader import EVENTS, QUARANTINE, ROLLUPS
from bursar.usage.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import duckdb

    from bursar.storage.duckdb.planner import Plan


def horizons_of(cursor: duckdb.DuckDBPyConnection, tenant_id: str) -> dict[str, datetime]:
    """Until when `events`, `rollups` and `quarantine` of a tenant have expired; absent where nothing has.

    Rollups never reach further back than they say, nor do events: an expiry of rollups takes both.
    """
    rows = cursor.execute(
        "SELECT what, max(before) FROM horizons WHERE tenant_id = ? GROUP BY what", [tenant_id]
    ).fetchall()
    found = {str(what): before.replace(tzinfo=UTC) for what, before in rows}
    gone = [found[what] for what in (EVENTS, ROLLUPS) if what in found]
    events = {EVENTS: max(gone)} if gone else {}
    return {**events, **{what: found[what] for what in (ROLLUPS, QUARANTINE) if what in found}}


def partial_of(horizons: dict[str, datetime], start: datetime, plans: Iterable[Plan]) -> Partial | None:
    """What an answer by these plans to a question from `start` on lacks, if anything.

    Plans may begin later than the question, where nothing is left before (`extent.py`).
    """
    readings = [reading for plan in plans for reading in plan.readings]
    events, rollups = horizons.get(EVENTS), horizons.get(ROLLUPS)
    if events and any(reading.first_raw and reading.first_raw < events for reading in readings):
        return Partial(events, "events_expired")
    return Partial(rollups, "rollups_expired") if rollups and start < rollups else None


def listing_partial(horizons: dict[str, datetime], start: datetime) -> Partial | None:
    """What a listing of events from `start` on lacks, if anything."""
    events = horizons.get(EVENTS)
    return Partial(events, "events_expired") if events and start < events else None
