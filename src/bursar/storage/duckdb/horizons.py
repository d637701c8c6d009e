"""How far back a tenant's data reach, so that no answer is silently too small.

Expiries leave a row each in `horizons`, those of single projects in `project_horizons`.
An answer that reads raw rows, or a rollup, from before
the latest of them says from when on it is complete.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from bursar.storage.duckdb.binding import Bound
from bursar.storage.duckdb.change_reader import EVENTS, QUARANTINE, ROLLUPS
from bursar.storage.duckdb.expressions import conditions_of
from bursar.usage.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import duckdb

    from bursar.storage.duckdb.planner import Plan
    from bursar.usage.query import Filter


def horizons_of(
    cursor: duckdb.DuckDBPyConnection, tenant_id: str, filters: Iterable[Filter] = ()
) -> dict[str, datetime]:
    """Until when `events`, `rollups` and `quarantine` of a tenant have expired; absent where nothing has.

    Rollups never reach further back than they say, nor do events: an expiry of rollups takes both. What of
    single projects has expired counts where the filters of a question let them in.
    """
    bound = Bound()
    tenant = f"tenant_id = {bound.add(tenant_id)}"
    # Who sees some projects only isn't told how far back others reach.
    limits = conditions_of([one for one in filters if one.dimension == "project_id"], bound)
    rows = cursor.execute(
        f"SELECT what, max(before) FROM (SELECT what, before FROM horizons WHERE {tenant} UNION ALL"
        f" SELECT what, before FROM project_horizons WHERE {' AND '.join([tenant, *limits])}) GROUP BY what",
        bound.values,
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
