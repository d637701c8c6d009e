"""The cost summary where names are many: what is cut off are names, never a part of what a name has.

Figures are compared with a recount in plain Python; the limits are made small instead of the data large.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bursar.clock import rfc3339
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.asked import Asked
from bursar.usage.query_reader import Asker
from bursar.usage.views import cost_summary
from tests.support.random_usage import END, START, random_events
from tests.support.usage_rows import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS = [event for event in random_events(seed=3, count=900) if event["tenant_id"] == "acme"]
NAMES = {"user": "user_id", "model": "model", "project": "project_id"}


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """Users by the dozen, each with costs in two currencies and events of unknown cost in either."""
    for index, event in enumerate(EVENTS):
        event["user_id"] = f"user-{index % 40}"
        if index % 3 == 0:
            event |= {"currency": "EUR"}
        elif index % 8 == 0:
            event |= {"user_id": None, "currency": "USD", "cost": None, "cost_status": "unpriced"}
    return Ledger().add(*EVENTS)


def summary_of(ledger: Ledger) -> cost_summary.CostSummary:
    window = {"start": rfc3339(START), "end": rfc3339(END)}
    view = cost_summary.read_cost_summary_view(Asked(window), Asker("acme", "UTC", END))
    return view.answer(CursorQuestions(ledger.cursor(), ledger.position_of)).body


def selected(dimension: str, name: str) -> list[dict[str, Any]]:
    inside = (event for event in EVENTS if START <= event["time"] < END)
    return [event for event in inside if (event[dimension] or "") == name]


def usd_of(events: Iterable[dict[str, Any]]) -> Decimal | None:
    costs = [event["cost"] for event in events if event["currency"] == "USD" and event["cost"] is not None]
    return sum(costs, Decimal(0)) if costs else None


@pytest.mark.parametrize("cells", [10_000, 10])
@pytest.mark.parametrize("entries", [1000, 7, 3])
def test_each_name_that_is_shown_has_all_of_its_cost_and_of_its_events_without_a_price(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, cells: int, entries: int
) -> None:
    monkeypatch.setattr(cost_summary, "ROWS_LIMIT", cells)
    monkeypatch.setattr(cost_summary, "ENTRIES_LIMIT", entries)
    summary = summary_of(ledger)
    assert {one.currency for one in summary.costs} == {"EUR", "USD"}
    for part, dimension in NAMES.items():
        costs: dict[str, str | None] = getattr(summary, f"cost_by_{part}")
        unpriced: dict[str, int] = getattr(summary, f"unpriced_by_{part}")
        names = {event[dimension] or "" for event in EVENTS if START <= event["time"] < END}
        spent = {name: usd_of(selected(dimension, name)) for name in names}
        ranked = sorted(
            (name for name in names if spent[name] is not None), key=lambda name: -(spent[name] or 0)
        )
        assert [name for name in costs if costs[name] is not None] == ranked[:entries]
        for name, cost in costs.items():
            assert spent[name] == (None if cost is None else Decimal(cost))
            without = sum(event["cost"] is None for event in selected(dimension, name))
            assert unpriced.get(name, 0) == without
        assert part in summary.truncated or len(ranked) <= entries
