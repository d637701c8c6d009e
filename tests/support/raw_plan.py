"""A plan that answers every question from raw rows alone, to compare with what rollups say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.storage.duckdb.planner import Plan, Reach, Reading
from bursar.usage.query_measures import DistinctUsers, Percentile

if TYPE_CHECKING:
    from bursar.usage.query import UsageQuery


def from_raw_rows(query: UsageQuery, _: Reach) -> Plan:
    """The whole window from raw rows, whatever is asked for."""
    figures = [measure.figure for measure in query.asked_measures]
    everything = Reading(raw=(query.window,))
    return Plan(
        sums=everything,
        latency=everything if any(isinstance(figure, Percentile) for figure in figures) else None,
        users=everything if DistinctUsers() in figures else None,
    )
