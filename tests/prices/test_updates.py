"""What an update makes of the book: from when on a changed, new, dated or vanished price counts.

The last test is a law over random histories: the book as known at any update, at any moment, is what a
model in plain Python says. The model keeps no rows: it asks each update in turn which of them answers.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.pricing.keeping.keeper import Author, PriceKeeper
from bursar.pricing.keeping.update import Wish
from bursar.pricing.rows import overlapping_rows
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.price_book import RelationalPriceBook
from tests.support.price_sources import a_row, a_source
from tests.support.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from bursar.pricing.keeping.kept import KeptBook
    from bursar.pricing.rows import PriceRow

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


@pytest.fixture
def book(sqlite_state_url: str, open_engine: Callable[[str], Engine]) -> _Book:
    return _Book(RelationalPriceBook(open_engine(sqlite_state_url)))


class _Book:
    """A kept book whose updates happen on days of the test's own."""

    def __init__(self, store: RelationalPriceBook) -> None:
        self.store = store

    def update(
        self,
        on: float,
        *rows: PriceRow,
        valid_from: float | None = None,
        retires: bool = False,
        **more: Any,  # noqa: ANN401 - as `a_source`
    ) -> dict[str, int]:
        """Update from a source with these rows; answers what it changed."""
        source = a_source(*rows, version=str(on), **more)
        since = day(on if valid_from is None else valid_from)
        keeper = PriceKeeper(self.store, lambda: day(on))
        plan, _ = keeper.update(source, Wish(since, retires), Author("key_1"))
        return {name: count for name, count in plan.counts().items() if count}

    def price(
        self,
        on: float,
        unit: str = "input_tokens",
        known_on: float | None = None,
        **way: Any,  # noqa: ANN401 - fields of a row
    ) -> str | None:
        """The price of a unit of `small-1` on a day, as known now or on another day."""
        return price_in(self.store.load(None if known_on is None else day(known_on)), unit, day(on), **way)


def price_in(book: KeptBook, unit: str, at: datetime, **way: Any) -> str | None:  # noqa: ANN401 - fields of a row
    found = [
        row
        for kept in book.rows.get(("acme", "small-1"), ())
        if (row := kept.as_known()).unit == unit
        and row.holds_at(at)
        and all(getattr(row, name) == value for name, value in way.items())
    ]
    assert len(found) <= 1, found
    return str(found[0].price) if found else None


def test_a_changed_price_counts_from_the_moment_of_the_update(book: _Book) -> None:
    book.update(10, a_row(price="1"))
    assert book.update(20, a_row(price="2")) == {"changed": 1, "rows_added": 1, "rows_ended": 1}
    assert [book.price(on) for on in (0, 15, 19.9, 20, 30)] == ["1", "1", "1", "2", "2"]
    assert book.price(30, known_on=19) == "1", "as far as was known before"


def test_a_changed_price_counts_from_the_day_that_the_operator_names(book: _Book) -> None:
    book.update(10, a_row(price="1"))
    book.update(20, a_row(price="2"), valid_from=12)
    assert [book.price(on) for on in (11, 12, 30)] == ["1", "2", "2"]


def test_a_price_that_the_source_dates_counts_from_that_day(book: _Book) -> None:
    book.update(10, a_row(price="10"))
    book.update(20, a_row(price="10", valid_to=day(15)), a_row(price="2", valid_from=day(15)))
    assert [book.price(on) for on in (0, 14, 15, 30)] == ["10", "10", "2", "2"]
    assert book.price(16, known_on=19) == "10", "that was not known before"


def test_an_announced_price_counts_from_its_day_and_can_be_taken_back(book: _Book) -> None:
    book.update(10, a_row(price="1"))
    book.update(20, a_row(price="1", valid_to=day(40)), a_row(price="3", valid_from=day(40)))
    assert [book.price(on) for on in (30, 40)] == ["1", "3"]
    book.update(30, a_row(price="1"))
    assert [book.price(on) for on in (29, 30, 40, 50)] == ["1", "1", "1", "1"]


def test_a_model_that_is_new_has_its_price_for_all_times(book: _Book) -> None:
    book.update(10, a_row("other"))
    book.update(20, a_row("other"), a_row(price="1"))
    assert [book.price(on) for on in (0, 30)] == ["1", "1"]


def test_a_unit_that_is_new_has_its_price_for_all_times_and_one_that_was_covered_from_the_update(
    book: _Book,
) -> None:
    book.update(10, a_row(price="1"))
    rows = a_row(price="1"), a_row(unit="output_tokens", price="5"), a_row(unit="input_audio", price="7")
    book.update(20, *rows)
    assert [book.price(on, "output_tokens") for on in (0, 30)] == ["5", "5"], "nothing priced output"
    assert [book.price(on, "input_audio") for on in (0, 19, 20)] == [None, None, "7"], "input did audio"


def test_a_way_of_calling_that_is_new_has_its_price_for_all_times(book: _Book) -> None:
    book.update(10, a_row(price="1"))
    book.update(20, a_row(price="1"), a_row(price="0.5", batch=True))
    assert [book.price(on, batch=True) for on in (0, 30)] == ["0.5", "0.5"]


def test_a_unit_of_which_the_source_said_that_its_price_is_unknown_counts_as_new(book: _Book) -> None:
    book.update(10, a_row(price="1"), unknown_units=("cache_write_1h",))
    book.update(
        20, a_row(price="1"), a_row(unit="cache_write_1h", price="4"), unknown_units=("cache_write_1h",)
    )
    assert book.price(0, "cache_write_1h") == "4"


def test_prices_of_a_model_that_was_free_begin_with_the_update(book: _Book) -> None:
    book.update(10, models=["small-1"], is_free=True)
    book.update(20, a_row(price="1"))
    assert [book.price(on) for on in (19, 20)] == [None, "1"]


def test_a_price_that_the_source_takes_out_ends(book: _Book) -> None:
    book.update(10, a_row(price="1"), a_row(unit="searches", price="10"))
    assert book.update(20, a_row(price="1")) == {"ended": 1, "rows_ended": 1}
    assert [book.price(on, "searches") for on in (19, 20)] == ["10", None]


def test_a_model_that_vanishes_stays_unless_it_is_retired(book: _Book) -> None:
    book.update(10, a_row(price="1"), a_row("other"))
    assert book.update(20, a_row("other")) == {"vanished_models": 1}
    assert book.price(30) == "1"
    assert book.update(40, a_row("other"), retires=True) == {
        "ended": 1,
        "vanished_models": 1,
        "rows_ended": 1,
    }
    assert [book.price(on) for on in (39, 40)] == ["1", None]
    assert book.update(50, a_row("other"), retires=True) == {}
    book.update(60, a_row("other"), a_row(price="1"))
    assert [book.price(on) for on in (39, 50, 60)] == ["1", None, "1"]


def test_tiers_that_move_replace_each_other_as_a_whole(book: _Book) -> None:
    book.update(10, a_row(price="1", context_upto=200_000), a_row(price="2", context_over=200_000))
    book.update(20, a_row(price="1", context_upto=272_000), a_row(price="2", context_over=272_000))
    rows = [one.as_known() for one in book.store.load().rows["acme", "small-1"]]
    assert overlapping_rows(rows) == []
    assert {(row.context_over, row.context_upto) for row in rows if row.holds_at(day(30))} == {
        (None, 272_000),
        (272_000, None),
    }


def test_another_link_or_another_way_of_quoting_changes_nothing(book: _Book) -> None:
    book.update(10, a_row(price="1"))
    assert book.update(20, a_row(price="0.001", per=1_000, link="https://elsewhere.example")) == {}


MOMENTS = [day(half / 2) for half in range(-1, 28)]
"""Every day at which something can change, and a moment between."""


class _Step(NamedTuple):
    """One update of a random history: what the source says of one line, and from when on it is to count."""

    rows: tuple[PriceRow, ...]
    valid_from: int | None


@st.composite
def _said(draw: st.DrawFn) -> _Step:
    """A source's prices for one line: up to three seasons, the first of them without a beginning."""
    cuts = sorted(draw(st.sets(st.integers(0, 12), max_size=2)))
    bounds = [None, *map(day, cuts), None]
    rows = [
        a_row(price=str(draw(st.integers(1, 3))), valid_from=start, valid_to=end)
        for start, end in pairwise(bounds)
        if start is not None or draw(st.booleans()) or not cuts
    ]
    valid_from = draw(st.none() | st.integers(0, 12))
    return _Step(tuple(rows) if draw(st.integers(0, 9)) else (), valid_from)


def _answers(history: list[_Step]) -> dict[datetime, str | None]:
    """The model: each update in order answers for the time that is its own; the first for all times."""
    prices: dict[datetime, str | None] = dict.fromkeys(MOMENTS)
    for number, step in enumerate(history):
        dates = [row.valid_from for row in step.rows if row.valid_from]
        since = min([day(2 + number * 2) if step.valid_from is None else day(step.valid_from), *dates])
        is_new = not any(prices.values())
        for at in MOMENTS:
            if is_new or at >= since:
                prices[at] = next((str(row.price) for row in step.rows if row.holds_at(at)), None)
    return prices


@settings(max_examples=rounds(20), deadline=None)
@given(history=st.lists(_said(), min_size=1, max_size=5))
def test_the_book_at_any_time_as_known_at_any_time_is_what_a_plain_model_says(
    history: list[_Step], tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path
) -> None:
    folder = tmp_path_factory.mktemp("law")
    engine = make_engine(f"sqlite:///{shutil.copy(migrated_sqlite, folder / 'state.db')}")
    book = _Book(RelationalPriceBook(engine))
    for number, step in enumerate(history):
        book.update(2 + number * 2, *step.rows, valid_from=step.valid_from, models=["small-1"])
    for known in range(1, len(history) + 1):
        kept = book.store.load(day(2 + (known - 1) * 2))
        rows = [one.as_known() for one in kept.rows.get(("acme", "small-1"), ())]
        assert overlapping_rows(rows) == []
        found = {at: price_in(kept, "input_tokens", at) for at in MOMENTS}
        assert found == _answers(history[:known])
    engine.dispose()
