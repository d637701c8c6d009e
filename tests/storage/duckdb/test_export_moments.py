"""An export reads the store as it was at a position, whatever was corrected, voided or rated again since."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.export_selection import ExportScope, ExportSelection, TextForm
from bursar.usage.query import Filter, FilterOp
from bursar.window import ALL
from tests.support.usage_rows import Ledger, an_event

AT = "TIMESTAMP '2026-11-01'"


def rows_at(ledger: Ledger, as_of: int, *filters: Filter) -> list[dict[str, Any]]:
    store = CursorQuestions(ledger.cursor(), ledger.position_of)
    selection = ExportSelection(ExportScope("acme", ALL, filters), as_of)
    found = store.export_text(selection, TextForm.NDJSON, 0, 100)
    assert found.next_after is None
    return [json.loads(line) for line in found.text.splitlines()]


def costs_at(ledger: Ledger, as_of: int, *filters: Filter) -> dict[str, str | None]:
    return {row["event_id"]: row["cost"] for row in rows_at(ledger, as_of, *filters)}


def three_events() -> Ledger:
    """At the positions 1 to 3, each for a dollar."""
    return Ledger().add(*(an_event(event_id=name, cost=Decimal(1), model="m") for name in "abc"))


def end(ledger: Ledger, event_id: str, by_seq: int) -> None:
    """Move a version to the history, as a change does."""
    where = f"event_id = '{event_id}'"
    ledger.connection.execute(
        f"INSERT INTO usage_history SELECT *, {by_seq}, 'void', {AT}, 'key', 'why', NULL FROM usage_events"
        f" WHERE {where}"
    )
    ledger.connection.execute(f"DELETE FROM usage_events WHERE {where}")


def test_a_void_counts_from_its_own_position_on() -> None:
    ledger = three_events()
    end(ledger, "b", by_seq=4)
    assert set(costs_at(ledger, 3)) == {"a", "b", "c"}
    assert set(costs_at(ledger, 4)) == {"a", "c"}
    assert set(costs_at(ledger, 2)) == {"a", "b"}


def test_a_correction_counts_from_its_own_position_on_and_stands_at_the_events_own() -> None:
    ledger = three_events()
    ledger.connection.execute("CREATE TEMP TABLE old AS SELECT * FROM usage_events WHERE event_id = 'a'")
    end(ledger, "a", by_seq=4)
    ledger.connection.execute("UPDATE old SET cost = 7, revised_seq = 4")
    ledger.connection.execute("INSERT INTO usage_events SELECT * FROM old")
    assert costs_at(ledger, 3)["a"] == "1"
    assert costs_at(ledger, 4) == {"a": "7", "b": "1", "c": "1"}
    assert [row["event_id"] for row in rows_at(ledger, 4)] == ["a", "b", "c"]
    assert [row["is_corrected"] for row in rows_at(ledger, 4)] == [True, False, False]


def rate_again(ledger: Ledger, event_id: str, cost: int, by_seq: int) -> None:
    """Replace a rating and keep the earlier one, as a run does."""
    ledger.connection.execute(
        "INSERT INTO earlier_ratings BY NAME SELECT seq, seq AS version, tenant_id, cost, currency,"
        f" cost_status, cost_reason, rate_card, parts, provider, {by_seq} AS ended_seq, {AT} AS ended_at"
        f" FROM usage_events WHERE event_id = '{event_id}'"
    )
    ledger.connection.execute(
        f"UPDATE usage_events SET cost = {cost}, cost_status = 'priced' WHERE event_id = '{event_id}'"
    )


def test_a_new_rating_counts_from_its_run_on_in_rows_and_in_filters() -> None:
    ledger = three_events().add(an_event(event_id="d", model="new"))
    rate_again(ledger, "a", cost=2, by_seq=5)
    rate_again(ledger, "d", cost=9, by_seq=5)
    rate_again(ledger, "a", cost=3, by_seq=6)
    assert costs_at(ledger, 4) == {"a": "1", "b": "1", "c": "1", "d": None}
    assert costs_at(ledger, 5) == {"a": "2", "b": "1", "c": "1", "d": "9"}
    assert costs_at(ledger, 6) == {"a": "3", "b": "1", "c": "1", "d": "9"}
    unpriced = Filter("cost_status", FilterOp.IN, ("unpriced",))
    assert set(costs_at(ledger, 4, unpriced)) == {"d"}
    assert set(costs_at(ledger, 5, unpriced)) == set()


def test_events_far_apart_in_a_crowd_of_others_are_found() -> None:
    ledger = Ledger().add(an_event(event_id="first"))
    ledger.add(*(an_event(tenant_id="other") for _ in range(3_000)))
    ledger.add(an_event(event_id="last"))
    store = CursorQuestions(ledger.cursor(), ledger.position_of)
    scope = ExportScope("acme", ALL)
    totals = store.export_totals(scope)
    assert (totals.events, totals.unpriced_events, totals.as_of) == (2, 2, 3_002)
    first = store.export_text(ExportSelection(scope, totals.as_of), TextForm.CSV, 0, 1)
    assert (first.rows, first.next_after) == (1, 1)
    second = store.export_text(ExportSelection(scope, totals.as_of), TextForm.CSV, 1, 1)
    assert (second.rows, second.next_after) == (1, None)
