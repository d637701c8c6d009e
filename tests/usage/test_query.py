"""Queries as values: right once they exist, in a total order, refused with every reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bursar.errors import BursarError, Invalid
from bursar.usage.asked import Asked, must
from bursar.usage.periods import Grain
from bursar.usage.places import AS_THEY_ARE, Places, Veil
from bursar.usage.query import EventCursor, EventPage, Filter, FilterOp, Order, UsageQuery
from bursar.usage.query_dimensions import DIMENSION_ALIASES, DIMENSIONS, find_dimension
from bursar.usage.query_measures import MEASURE_ALIASES, MEASURES, find_measure
from bursar.usage.query_reader import format_cursor, parse_cursor
from bursar.window import Window

OCTOBER = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))


def refusal_of(
    *measures: str, dimensions: tuple[str, ...] = (), filters: tuple[Filter, ...] = ()
) -> list[str]:
    with pytest.raises(Invalid) as error:
        UsageQuery(OCTOBER, measures, dimensions, filters)
    return [reason.code for reason in error.value.reasons]


def test_money_brings_its_currency_along_once() -> None:
    assert UsageQuery(OCTOBER, ("cost",), ("model",)).key_columns == ("model", "currency")
    assert UsageQuery(OCTOBER, ("cost_per_call",), ("currency", "model")).key_columns == ("currency", "model")
    assert UsageQuery(OCTOBER, ("events",), ("model",), grain=Grain.DAY).key_columns == ("period", "model")


def test_the_order_of_rows_is_total() -> None:
    query = UsageQuery(OCTOBER, ("events", "cost"), ("model",))
    assert query.sort_order == (Order("events", is_descending=True), Order("model"), Order("currency"))
    over_time = UsageQuery(OCTOBER, ("events",), ("model",), grain=Grain.DAY)
    assert over_time.sort_order == (Order("period"), Order("model"))
    asked = UsageQuery(OCTOBER, ("events",), ("model",), order=(Order("model", is_descending=True),))
    assert asked.sort_order == (Order("model", is_descending=True),)


def test_a_query_is_refused_with_every_reason() -> None:
    assert refusal_of() == ["out_of_range"]
    assert refusal_of("joy", "events", "events", dimensions=("x",)) == [
        "unknown_measure",
        "repeated",
        "unknown_dimension",
    ]
    assert refusal_of("events", filters=(Filter("model", FilterOp.IN, ()),)) == ["out_of_range"]
    assert refusal_of("events", filters=(Filter("model", FilterOp.PREFIX, ("",)),)) == ["wrong_type"]
    assert refusal_of("events", dimensions=tuple(list(DIMENSIONS)[:9])) == ["out_of_range"]
    assert refusal_of("events", filters=(Filter("model", FilterOp.IN, ("x",)),) * 33) == ["too_many"]


def test_aliases_are_for_requests_and_not_for_queries() -> None:
    assert refusal_of("total_cost", dimensions=("model_name",)) == ["unknown_measure", "unknown_dimension"]


@pytest.mark.parametrize("value", [True, 1, 0.5, "x" * 1025])
def test_a_text_is_compared_with_texts_of_a_possible_length(value: str | float) -> None:
    assert refusal_of("events", filters=(Filter("model", FilterOp.IN, (value,)),)) == ["wrong_type"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_tokens", 2**63), ("batch", 1), ("retry_count", True), ("temperature", float("inf"))],
)
def test_other_dimensions_are_compared_with_their_own_kind(name: str, value: float) -> None:
    assert refusal_of("events", filters=(Filter(name, FilterOp.NOT, (value,)),)) == ["wrong_type"]


def test_the_tenant_is_nothing_to_group_or_filter_by() -> None:
    assert find_dimension("tenant_id") is None
    assert refusal_of("events", filters=(Filter("tenant_id", FilterOp.IN, ("other",)),)) == [
        "unknown_dimension"
    ]


def test_every_alias_leads_to_something() -> None:
    assert {find_dimension(alias) for alias in DIMENSION_ALIASES} <= set(DIMENSIONS.values())
    assert {find_measure(alias) for alias in MEASURE_ALIASES} <= set(MEASURES.values())
    assert not set(DIMENSION_ALIASES) & set(DIMENSIONS)
    assert not set(MEASURE_ALIASES) & set(MEASURES)


def test_units_of_ones_own_are_measures_and_built_in_ones_are_not_custom() -> None:
    assert must(find_measure("unit:gpu_hours")).name == "unit:gpu_hours"
    assert (
        find_measure("unit:input_text") is find_measure("unit:") is find_measure("unit:" + "x" * 65) is None
    )


@pytest.mark.parametrize("places", [AS_THEY_ARE, Veil(b"a secret").of("acme")])
def test_a_cursor_reads_back_exactly(places: Places) -> None:
    cursor = EventCursor(datetime(2026, 10, 1, 12, 0, 0, 123456, tzinfo=UTC), 2**64 - 1)
    assert parse_cursor(format_cursor(cursor, places), places) == cursor


def test_a_page_follows_a_cursor_or_an_offset_but_not_both() -> None:
    with pytest.raises(Invalid) as error:
        EventPage(OCTOBER, cursor=EventCursor(OCTOBER.start, 1), offset=1, limit=0)
    assert [reason.field for reason in error.value.reasons] == ["limit", "offset"]


def test_parameters_that_mean_the_same_are_refused_together() -> None:
    asked = Asked({"zone": "UTC", "tz": "UTC", "limit": ["1", "2"], "group_by": [1], "explain": 3})
    assert asked.text("zone") == "UTC"
    assert asked.number("limit", 5) == 5
    assert asked.names("group_by") == ()
    assert asked.flag("explain") is False
    with pytest.raises(Invalid) as error:
        asked.finish()
    assert [(reason.field, reason.code) for reason in error.value.reasons] == [
        ("tz", "conflicting_parameters"),
        ("limit", "bad_number"),
        ("group_by", "wrong_type"),
        ("explain", "wrong_type"),
    ]


def test_what_must_be_there_is_a_refusal_where_it_is_not() -> None:
    with pytest.raises(BursarError):
        must(None)
