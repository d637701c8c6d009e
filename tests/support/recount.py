"""The answer to a `UsageQuery` worked out in plain Python from the events themselves.

Slow, obvious and written without a look at the SQL: what stores answer is compared with this.
Periods are found with `zoneinfo` alone; only latency buckets follow the product's definition.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any

from bursar.units import OUTPUT_UNITS, TOKEN_TOTALS, UNITS
from bursar.usage.latency import latency_of_bucket
from bursar.usage.query import Filter, FilterOp, UsageQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WIDE = Context(prec=90, rounding=ROUND_HALF_EVEN)


def recount(query: UsageQuery, events: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Key columns to figures, for every group of selected events."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for event in events:
        if event["time"] in query.window and all(_keeps(one, event) for one in query.filters):
            groups.setdefault(_key(query, event), []).append(event)
    return {key: {name: _figure(name, group) for name in query.measures} for key, group in groups.items()}


def _key(query: UsageQuery, event: Mapping[str, Any]) -> tuple[Any, ...]:
    values = [_value(dimension.name, event) for dimension in query.asked_dimensions]
    if query.grain:
        values.insert(0, _period(event["time"].astimezone(query.zone), query.grain))
    return tuple(values)


def _period(local: datetime, grain: str) -> datetime:
    """The first moment of the period, in UTC; an hour that comes twice is told apart by its offset."""
    hour = local.replace(minute=0, second=0, microsecond=0)
    if grain == "hour":
        start = local.astimezone(UTC) - (local.replace(tzinfo=None) - hour.replace(tzinfo=None))
        # Within this clock hour the offset may have changed: then the period began with the change.
        while start.astimezone(local.tzinfo).utcoffset() != local.utcoffset():
            start += timedelta(minutes=15)
        return start
    day = hour.replace(hour=0, fold=0)
    if grain == "week":
        day -= timedelta(days=day.weekday())
    elif grain == "month":
        day = day.replace(day=1)
    return day.astimezone(UTC)


def _value(name: str, event: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a dimension may hold anything
    if name.startswith("tag:"):
        return _map(event, "tags").get(name.removeprefix("tag:"))
    return event.get(name)


def _keeps(one: Filter, event: Mapping[str, Any]) -> bool:
    value = _value(one.dimension, event)
    if one.op is FilterOp.PREFIX:
        return value is not None and any(str(value).startswith(str(prefix)) for prefix in one.values)
    return (value in one.values) == (one.op is FilterOp.IN)


def _figure(name: str, group: list[Mapping[str, Any]]) -> Any:  # noqa: ANN401, C901, PLR0911, PLR0912 - a plain list of cases reads best
    known = [event for event in group if event.get("cost") is not None]
    timed = [event for event in group if event.get("latency_ms") is not None]
    cost = sum((event["cost"] for event in known), Decimal(0))
    match name:
        case "events":
            return len(group)
        case "errors":
            return sum(event["status"] == "error" for event in group)
        case "error_rate":
            return _divide(sum(event["status"] == "error" for event in group), len(group), 6)
        case "unpriced_events":
            return len(group) - len(known)
        case "cost":
            return cost if known else None
        case "cost_per_call":
            return _divide(cost, len(known), 12)
        case "cost_per_1k_tokens":
            return _divide(
                cost * 1000, sum(_units(event, TOKEN_TOTALS["total_tokens"]) for event in known), 12
            )
        case "unique_users":
            return len({event["user_id"] for event in group if event.get("user_id") is not None})
        case "latency_avg_ms":
            return _divide(sum(event["latency_ms"] for event in timed), len(timed), 3)
        case "tokens_per_second":
            tokens = sum(_units(event, OUTPUT_UNITS) for event in timed)
            return _divide(tokens * 1000, sum(event["latency_ms"] for event in timed), 3)
        case "latency_p50_ms" | "latency_p95_ms" | "latency_p99_ms":
            return _percentile([event["latency_ms"] for event in timed], int(name[9:11]))
        case _ if name in TOKEN_TOTALS:
            return sum(_units(event, TOKEN_TOTALS[name]) for event in group)
        case _ if name.startswith("unit:"):
            steps = sum(_map(event, "custom_units").get(name.removeprefix("unit:"), 0) for event in group)
            return Decimal(steps) / 10**6
        case _:
            steps = _units_in(group, name)
            return Decimal(steps) / 10 ** UNITS[name].scale if UNITS[name].scale else steps


def _map(event: Mapping[str, Any], name: str) -> dict[str, Any]:
    return event.get(name) or {}


def _units_in(group: list[Mapping[str, Any]], name: str) -> int:
    return sum(_units(event, (name,)) for event in group)


def _units(event: Mapping[str, Any], names: Iterable[str]) -> int:
    return sum(event.get(name) or 0 for name in names)


def _divide(over: Decimal | int, under: Decimal | int, places: int) -> Decimal | None:
    if not under:
        return None
    ratio = _WIDE.divide(Decimal(over), Decimal(under))
    return ratio.quantize(Decimal(1).scaleb(-places), context=_WIDE)


def _percentile(latencies: list[Decimal], percent: int) -> Decimal | None:
    if not latencies:
        return None
    rank = math.ceil(len(latencies) * percent / 100)
    latency = sorted(latencies)[rank - 1]
    return latency_of_bucket(0 if latency < 1 else 1 + math.floor(math.log(latency) / math.log(1.04)))
