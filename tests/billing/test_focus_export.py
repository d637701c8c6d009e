"""FOCUS rows of random usage: they sum up to the cost, to the last digit and at every grain."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.billing.focus.columns import FOCUS_COLUMNS
from bursar.billing.focus.pieces import LOOKED_AT_LIMIT, FocusPieces
from bursar.billing.focus.rows import Accounts, FocusRows
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.export_selection import ExportScope, ExportSelection, FocusGrain
from bursar.usage.query import Filter, FilterOp, UsageQuery
from bursar.window import ALL
from tests.support.random_usage import windows
from tests.support.rated_usage import (
    CARDS,
    CONTRACT,
    EXACT,
    GRADUATED,
    PER_CALL,
    UNLISTED,
    costed,
    rated_events,
)
from tests.support.rounds import rounds
from tests.support.sampled import long
from tests.support.usage_rows import NOON, Ledger, an_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.window import Window

Row = dict[str, str]
NAMES = [column.name for column in FOCUS_COLUMNS]
SEARCH = Filter("project_id", FilterOp.IN, ("search", None))


@pytest.fixture(scope="module")
def crowded() -> Ledger:
    return Ledger().add(*rated_events(seed=3, count=1200))


@pytest.fixture(scope="module")
def by_grain(crowded: Ledger) -> dict[FocusGrain, list[Row]]:
    return {grain: focus_rows(crowded, grain, ExportScope("acme", ALL)) for grain in FocusGrain}


def asking(ledger: Ledger) -> CursorQuestions:
    return CursorQuestions(ledger.cursor(), ledger.position_of)


def focus_rows(
    ledger: Ledger,
    grain: FocusGrain,
    scope: ExportScope,
    *,
    is_raw: bool = True,
    looked_at_limit: int = LOOKED_AT_LIMIT,
) -> list[Row]:
    store = asking(ledger)
    selection = ExportSelection(scope, store.export_totals(scope).as_of)
    accounts = Accounts("acme", "Acme Inc.", {"search": "Search team"})
    pieces = FocusPieces(FocusRows(accounts, grain), is_raw, CARDS.get, looked_at_limit)
    place: int | None = 0
    text = b""
    while place is not None:
        piece = pieces.read(store, selection, place, 100)
        text, place = text + piece.text, piece.next_place
    return list(csv.DictReader(io.StringIO(text.decode(), newline=""), NAMES))


def sums(rows: list[Row], column: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for row in rows:
        found[row["BillingCurrency"]] = found.get(row["BillingCurrency"], Decimal(0)) + Decimal(row[column])
    return found


def known_costs(ledger: Ledger, window: Window, filters: tuple[Filter, ...]) -> Mapping[str, object]:
    """What the summary says, whatever tables it reads."""
    query = UsageQuery(window, ("cost",), filters=filters)
    return asking(ledger).answer("acme", query).totals.amounts["cost"]


@given(window=windows(), grain=st.sampled_from(FocusGrain), filters=st.sampled_from([(), (SEARCH,)]))
@settings(max_examples=rounds(7), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_sum_up_to_the_summarys_cost_at_every_grain(
    crowded: Ledger, window: Window, grain: FocusGrain, filters: tuple[Filter, ...]
) -> None:
    scope = ExportScope("acme", window, filters)
    rows = focus_rows(crowded, grain, scope)
    known = {
        currency: amount
        for currency, amount in known_costs(crowded, window, filters).items()
        if amount is not None
    }
    assert sums(rows, "BilledCost") == known
    assert asking(crowded).export_totals(scope).amounts == known
    assert sums(rows, "EffectiveCost") == sums(rows, "ContractedCost") == known


@pytest.mark.parametrize("grain", long({one.value: one for one in FocusGrain}, always=[FocusGrain.DAY.value]))
def test_unit_prices_times_quantities_are_the_costs(
    by_grain: dict[FocusGrain, list[Row]], grain: FocusGrain
) -> None:
    for row in by_grain[grain]:
        for price, cost in (("ContractedUnitPrice", "ContractedCost"), ("ListUnitPrice", "ListCost")):
            product, expected = Decimal(row[price]) * Decimal(row["PricingQuantity"]), Decimal(row[cost])
            assert abs(product - expected) <= expected * Decimal("1e-9"), row


def test_quantities_of_the_days_are_those_of_the_events(by_grain: dict[FocusGrain, list[Row]]) -> None:
    quantities: dict[FocusGrain, dict[tuple[str, str], Decimal]] = {}
    for grain, rows in by_grain.items():
        found = quantities.setdefault(grain, {})
        for row in rows:
            key = row["SkuPriceId"], row["ConsumedUnit"]
            found[key] = found.get(key, Decimal(0)) + Decimal(row["ConsumedQuantity"])
    assert quantities[FocusGrain.EVENT] == quantities[FocusGrain.HOUR] == quantities[FocusGrain.DAY]
    assert len(by_grain[FocusGrain.DAY]) < len(by_grain[FocusGrain.EVENT])


def test_every_cost_is_split_by_its_cards_lines(by_grain: dict[FocusGrain, list[Row]]) -> None:
    classes = {row["x_UnitClass"] for row in by_grain[FocusGrain.DAY]}
    assert classes == {
        "input_text", "output_text", "requests", "gpu_hours", "minimum_charge", "reported", "unbilled",
    }  # fmt: skip


def test_no_row_is_of_another_tenant_or_of_unknown_cost(crowded: Ledger) -> None:
    rows = focus_rows(crowded, FocusGrain.EVENT, ExportScope("acme", ALL))
    assert {row["BillingAccountId"] for row in rows} == {"acme"}
    mine = [
        one
        for one in rated_events(seed=3, count=1200)
        if one["tenant_id"] == "acme" and one["cost"] is not None
    ]
    assert {row["x_EventId"] for row in rows} == {one["event_id"] for one in mine}
    assert not focus_rows(crowded, FocusGrain.DAY, ExportScope("nobody", ALL))


def test_list_cost_is_what_the_list_charges_and_says_when_that_is_not_known() -> None:
    units = {"input_text": 1_000_000}
    events = [
        an_event(model=card.model, time=NOON, **units, **costed(card, units))
        for card in (EXACT, CONTRACT, UNLISTED)
    ]
    rows = {
        row["x_Model"]: row
        for row in focus_rows(Ledger().add(*events), FocusGrain.DAY, ExportScope("acme", ALL))
    }
    costs = {
        model: (row["BilledCost"], row["ListCost"], row["x_ListPriceKnown"]) for model, row in rows.items()
    }
    assert costs == {
        "gpt-4o": ("2.5", "2.5", "true"),
        "negotiated": ("2.2", "2.5", "true"),
        "private": ("1.0", "1.0", "false"),
    }
    assert rows["negotiated"]["ContractedUnitPrice"] == "2.2"
    assert (rows["negotiated"]["PricingQuantity"], rows["negotiated"]["PricingUnit"]) == (
        "1.0",
        "1000000 Tokens",
    )


def test_models_of_one_call_are_charged_each(by_grain: dict[FocusGrain, list[Row]]) -> None:
    rows = by_grain[FocusGrain.EVENT]
    shared = {one["event_id"] for one in rated_events(seed=3, count=1200) if one.get("parts")}
    models = {row["x_Model"] for row in rows if row["x_EventId"] in shared}
    assert models == {EXACT.model, PER_CALL.model}


def test_a_cost_that_its_card_does_not_explain_is_one_row_and_not_lost() -> None:
    odd = an_event(model="gpt-4o", time=NOON, input_text=1, cost=Decimal("9.99"), rate_card=EXACT.id)
    gone = an_event(model="old", time=NOON, input_text=1, cost=Decimal("0.01"), rate_card="not-kept")
    rows = focus_rows(Ledger().add(odd, gone), FocusGrain.DAY, ExportScope("acme", ALL))
    assert {(row["x_UnitClass"], row["BilledCost"], row["x_ListPriceKnown"]) for row in rows} == {
        ("total", "9.99", "false"),
        ("total", "0.01", "false"),
    }


def test_texts_that_would_be_formulas_begin_with_an_apostrophe_unless_raw(
    crowded: Ledger, by_grain: dict[FocusGrain, list[Row]]
) -> None:
    scope = ExportScope("acme", ALL)
    safe = {row["ProviderName"] for row in focus_rows(crowded, FocusGrain.DAY, scope, is_raw=False)}
    raw = {row["ProviderName"] for row in by_grain[FocusGrain.DAY]}
    assert "'=HYPERLINK(1)" in safe
    assert "=HYPERLINK(1)" in raw
    assert not [name for name in safe if name.startswith(("=", "+", "-", "@"))]


def test_rules_of_ones_own_are_priced_by_their_own_units(by_grain: dict[FocusGrain, list[Row]]) -> None:
    rows = by_grain[FocusGrain.DAY]
    found = [row for row in rows if row["x_RateCard"] == GRADUATED.id and row["x_UnitClass"] == "gpu_hours"]
    assert found
    assert {row["PricingUnit"] for row in found} == {"Gpu Hours"}
    assert {row["ServiceSubcategory"] for row in found} == {"Other (AI and Machine Learning)"}


def test_events_of_units_of_ones_own_are_summed_up_by_the_store() -> None:
    events = [
        an_event(time=NOON, custom_units={"gpu_hours": 7 * 10**5 + n, "n": n}, cost=Decimal(n), rate_card="x")
        for n in range(1, 40)
    ]
    ledger, scope = Ledger().add(*events), ExportScope("acme", ALL)
    store = asking(ledger)
    selection = ExportSelection(scope, store.export_totals(scope).as_of)
    assert list(store.export_alike(selection, FocusGrain.DAY, 0, frozenset())) == []
    (whole,) = store.export_sums(selection, FocusGrain.DAY, 0).sums
    assert whole.units == {"gpu_hours": 39 * 7 * 10**5 + 780, "n": 780}
    assert (whole.counts, whole.cost_picos) == ({"gpu_hours": 39, "n": 39}, 780 * 10**12)


def test_what_is_too_much_to_be_looked_at_event_by_event_is_one_row_and_sums_up_too(
    crowded: Ledger, by_grain: dict[FocusGrain, list[Row]]
) -> None:
    rows = focus_rows(crowded, FocusGrain.DAY, ExportScope("acme", ALL), looked_at_limit=0)
    assert sums(rows, "BilledCost") == sums(by_grain[FocusGrain.DAY], "BilledCost")
    unexplained = [row for row in rows if row["x_RateCard"] == GRADUATED.id and row["x_UnitClass"] == "total"]
    assert unexplained
    assert {row["x_ListPriceKnown"] for row in unexplained} == {"false"}
