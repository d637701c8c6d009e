"""A source that only fills gaps: what of it the book takes, what it leaves, and what the comparison says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar.pricing.book import PriceBook
from bursar.pricing.keeping.book_data import data_of_kept
from bursar.pricing.keeping.disagreements import disagreements
from bursar.pricing.keeping.faults import faults_of
from bursar.pricing.keeping.keeper import Author, PriceKeeper
from bursar.pricing.keeping.source import LITELLM
from bursar.pricing.keeping.update import Wish
from bursar.pricing.rating import PricingSubject, rate_usage
from bursar.storage.relational.price_book import RelationalPriceBook
from tests.support.price_sources import a_row, a_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from bursar.pricing.keeping.disagreements import Disagreement
    from bursar.pricing.keeping.source import PriceSource
    from bursar.pricing.rows import PriceRow

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def ledger(sqlite_state_url: str, open_engine: Callable[[str], Engine]) -> _Ledger:
    return _Ledger(RelationalPriceBook(open_engine(sqlite_state_url)))


def lite(model: str = "small-1", unit: str = "input_tokens", price: str = "1", **more: Any) -> PriceRow:  # noqa: ANN401 - as `a_row`
    return a_row(model, unit, price, source=LITELLM, **more)


def a_map(*rows: PriceRow, **more: Any) -> PriceSource:  # noqa: ANN401 - as `a_source`
    return a_source(*rows, name=LITELLM, **more)


class _Ledger:
    """A kept book whose updates come a day apart."""

    def __init__(self, store: RelationalPriceBook) -> None:
        self.now = START
        self.keeper = PriceKeeper(store, lambda: self.now)

    def update(self, source: PriceSource) -> dict[str, int]:
        self.now += timedelta(days=1)
        plan, _ = self.keeper.update(source, Wish(self.now), Author("key_1"))
        return {name: count for name, count in plan.counts().items() if count}

    def rows(self, model: str = "small-1") -> set[tuple[str, str, str]]:
        """Unit, price and source of the rows that hold now."""
        kept = self.keeper.book.rows.get(("acme", model), ())
        known = [one.as_known() for one in kept]
        return {(row.unit, str(row.price), row.source) for row in known if row.holds_at(self.now)}

    def cost(self, model: str, **units: int) -> str | None:
        """What rating says: picos, or the reason."""
        book = PriceBook(data_of_kept(self.keeper.book))
        rating = rate_usage(book, PricingSubject("acme", model, self.now), units)
        return rating.reason or str(rating.picos)

    def compare(self, source: PriceSource) -> list[Disagreement]:
        return disagreements(data_of_kept(self.keeper.book), source, self.now)


def test_a_model_that_the_book_lacks_is_taken_whole(ledger: _Ledger) -> None:
    ledger.update(a_source(a_row()))
    assert ledger.cost("new-2", input_text=10) == "unknown_model"
    ledger.update(a_map(lite("new-2", price="3")))
    assert ledger.cost("new-2", input_text=10) == "30000000"
    assert ledger.keeper.book.version.startswith("genai-prices 1 + litellm ")


def test_a_provider_that_the_book_lacks_is_taken_too(ledger: _Ledger) -> None:
    ledger.update(a_source(a_row()))
    ledger.update(a_map(lite(provider="newcomer")))
    assert set(ledger.keeper.book.providers) == {"acme", "newcomer"}


def test_of_a_known_model_only_what_has_no_price_is_taken(ledger: _Ledger) -> None:
    ledger.update(a_source(a_row(price="1"), a_row(unit="output_tokens", price="5")))
    offered = [
        lite(price="99"),
        lite(unit="cache_read_tokens", price="0.1"),
        lite(unit="searches", price="10"),
        lite(price="0.5", batch=True),
    ]
    ledger.update(a_map(*offered))
    assert ledger.rows() == {
        ("input_tokens", "1", "genai-prices"),
        ("output_tokens", "5", "genai-prices"),
        ("searches", "10", "litellm"),
        ("input_tokens", "0.5", "litellm"),
    }, "a cache read is covered by the price of input"


def test_a_unit_of_which_the_lead_says_that_its_price_is_unknown_is_a_gap(ledger: _Ledger) -> None:
    ledger.update(a_source(a_row(), unknown_units=("cache_write_1h",)))
    assert ledger.cost("small-1", cache_write_1h=1) == "no_price_for_unit:cache_write_1h"
    ledger.update(a_map(lite(unit="cache_write_1h", price="2")))
    assert ledger.cost("small-1", cache_write_1h=1) == "2000000"
    assert ledger.update(a_source(a_row(), unknown_units=("cache_write_1h",), version="2")) == {}
    assert ledger.cost("small-1", cache_write_1h=1) == "2000000", "the next update of the lead leaves it"


def test_what_is_free_stays_free(ledger: _Ledger) -> None:
    ledger.update(a_source(models=["small-1"], is_free=True))
    assert ledger.update(a_map(lite())) == {}


def test_the_same_map_twice_changes_nothing_and_the_lead_goes_on(ledger: _Ledger) -> None:
    lead, lesser = a_source(a_row()), a_map(lite("new-2"), lite(unit="searches", price="10"))
    ledger.update(lead)
    ledger.update(lesser)
    assert ledger.update(lesser) == {}
    assert ledger.update(lead) == {}


def test_a_price_that_filled_a_gap_changes_with_its_source(ledger: _Ledger) -> None:
    ledger.update(a_source(a_row()))
    ledger.update(a_map(lite("new-2", price="3")))
    assert ledger.update(a_map(lite("new-2", price="4"), version="2"))["changed"] == 1
    assert ledger.rows("new-2") == {("input_tokens", "4", "litellm")}


def test_the_lead_takes_over_what_it_comes_to_know(ledger: _Ledger) -> None:
    ledger.update(a_source(a_row()))
    ledger.update(
        a_map(lite("new-2", price="3"), lite("new-2", "searches", "10"), lite("new-2", "input_audio", "7"))
    )
    ledger.update(a_source(a_row(), a_row("new-2", price="3"), version="2"))
    assert ledger.rows("new-2") == {("input_tokens", "3", "genai-prices"), ("searches", "10", "litellm")}
    assert ledger.update(a_map(lite("new-2", price="9"), lite("new-2", "searches", "10"), version="2")) == {}


def test_entries_that_fill_gaps_are_tried_last(ledger: _Ledger) -> None:
    ledger.update(a_source(a_row("small-1")))
    ledger.update(a_map(lite("a-new-2")))
    ledger.update(a_source(a_row("small-1"), a_row("small-3"), version="2"))
    assert ledger.keeper.book.providers["acme"].order == ("small-1", "small-3", "a-new-2")


def test_prices_that_differ_are_told_the_largest_ratio_first(ledger: _Ledger) -> None:
    ledger.update(
        a_source(a_row(price="2"), a_row(unit="output_tokens", price="10"), a_row("same", price="1"))
    )
    offered = [
        lite(price="3"),
        lite(unit="output_tokens", price="1"),
        lite(unit="cache_read_tokens", price="0"),
        lite("same", price="0.001", per=1_000),
        lite("unknown"),
    ]
    found = ledger.compare(a_map(*offered))
    assert [(one.unit, one.ours, one.theirs, one.percent, one.our_unit) for one in found] == [
        ("output_tokens", "10", "1", "-90", "output_tokens"),
        ("input_tokens", "2", "3", "+50", "input_tokens"),
        ("cache_read_tokens", "2", "0", "-100", "input_tokens"),
    ]


def test_only_what_holds_for_the_same_calls_is_compared(ledger: _Ledger) -> None:
    ours = [
        a_row(price="1", context_upto=200_000),
        a_row(price="2", context_over=200_000),
        a_row(price="0.5", batch=True),
        a_row(price="9", region="eu"),
        a_row("old", price="7", valid_to=START),
    ]
    ledger.update(a_source(*ours))
    theirs = [
        lite(price="1", context_upto=200_000),
        lite(price="4", context_over=200_000),
        lite("old", price="8"),
    ]
    found = ledger.compare(a_map(*theirs))
    assert [(one.conditions, one.ours, one.theirs) for one in found] == [
        ({"context_tokens": "over 200000"}, "2", "4")
    ]


def test_off_peak_hours_agree_with_the_same_hours(ledger: _Ledger) -> None:
    ours = [a_row(price="1", hours=(0, 3_600)), a_row(price="2", hours=(3_600, 0))]
    ledger.update(a_source(*ours))
    theirs = [lite(price="1", hours=(0, 3_600)), lite(price="3", hours=(3_600, 86_400))]
    assert [(one.ours, one.theirs) for one in ledger.compare(a_map(*theirs))] == [("2", "3")]


def test_the_books_own_faults_are_told(ledger: _Ledger) -> None:
    rows = [a_row(), a_row(price="2"), a_row("ended", valid_to=START)]
    ledger.update(a_source(*rows, models=["bare"]))
    found = faults_of(data_of_kept(ledger.keeper.book), ledger.now)
    assert [(one.kind, one.model) for one in found] == [
        ("no_prices", "bare"),
        ("no_price_now", "ended"),
        ("overlapping_rows", "small-1"),
    ]
