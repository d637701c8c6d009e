"""How far a tenant's usage reaches, for questions by period over all of it.

The window named `all` reaches from 1970 to the last moment there is, so that no total leaves an event
out, whatever a wrong clock dated it. Divided into periods it would be mostly nothing; so it is narrowed
to the hours that there is usage of, and up to now.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bursar import clock
from bursar.storage.duckdb.binding import Bound, aware
from bursar.storage.duckdb.expressions import conditions_of
from bursar.window import ALL, Window

if TYPE_CHECKING:
    import duckdb

    from bursar.usage.query import UsageQuery

_HOUR = timedelta(hours=1)


def narrowed(cursor: duckdb.DuckDBPyConnection, tenant_id: str, query: UsageQuery) -> UsageQuery:
    """The query with a window that has an end, if it asks for periods of `all`; others as they are."""
    if query.grain is None or query.window != ALL:
        return query
    bound = Bound()
    # Who sees some projects only isn't told since when there is usage of others.
    limits = [one for one in query.filters if one.dimension == "project_id"]
    where = " AND ".join([f"tenant_id = {bound.add(tenant_id)}", *conditions_of(limits, bound)])
    statement = f"SELECT min(hour), max(hour) FROM usage_by_hour WHERE {where}"
    first, last = cursor.execute(statement, bound.values).fetchall()[0]
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    start, end = (now, now) if first is None else (aware(first), max(aware(last), now))
    return replace(query, window=Window(start, end + _HOUR))
