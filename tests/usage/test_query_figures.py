"""Figures out of sums: exact beyond any float, rounded once, null where there is nothing to say."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.csv_table import Text, json_cell, write_csv
from bursar.usage.latency import latency_of_bucket
from bursar.usage.output_format import OutputFormat, choose_format
from bursar.usage.query_measures import MEASURES, Number, read_figure
from bursar.usage.shares import share_of
from bursar.usage.trend import Direction, Trend, judge_trend
from bursar.usage.views.currencies import choose_currency


def figure(name: str, **parts: Number) -> Number | None:
    return read_figure(MEASURES[name], parts)


@given(
    cost=st.decimals(0, 10**25, places=12, allow_nan=False),
    calls=st.integers(1, 10**15),
)
def test_a_ratio_is_rounded_half_even_once(cost: Decimal, calls: int) -> None:
    shown = figure("cost_per_call", cost=cost, priced=calls)
    exact = Fraction(cost) / calls
    assert shown is not None
    assert abs(Fraction(shown) - exact) <= Fraction(1, 2 * 10**12)
    if abs(Fraction(shown) - exact) == Fraction(1, 2 * 10**12):
        assert int(Fraction(shown) * 10**12) % 2 == 0


def test_a_half_goes_to_the_even_neighbour() -> None:
    assert figure("error_rate", errors=1, events=2_000_000) == Decimal(0)
    assert figure("error_rate", errors=3, events=2_000_000) == Decimal("0.000002")
    assert figure("latency_avg_ms", latency_ms=Decimal("0.001"), timed_events=2) == Decimal(0)


def test_a_sum_of_38_digits_keeps_them_all() -> None:
    cost = Decimal("12345678901234567890123456.123456789012")
    assert figure("cost", cost=cost, priced=1) == cost
    assert figure("seconds", seconds=10**37 + 1) == Decimal("10000000000000000000000000000000.000001")
    assert figure("tokens_per_second", timed_output_tokens=10**30, latency_ms=Decimal(1000)) == Decimal(
        10**30
    )


@pytest.mark.parametrize(
    "name", ["error_rate", "latency_avg_ms", "tokens_per_second", "cost_per_call", "cost_per_1k_tokens"]
)
def test_a_ratio_over_nothing_is_null(name: str) -> None:
    assert read_figure(MEASURES[name], dict.fromkeys(MEASURES[name].parts, 0)) is None


def test_a_cost_is_null_only_where_no_event_has_one() -> None:
    assert figure("cost", cost=Decimal(0), priced=0) is None
    assert figure("cost", cost=Decimal(0), priced=1) == 0


def test_every_measure_says_what_it_is_and_what_it_needs() -> None:
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert measure.meaning
        assert measure.parts
    assert [name for name, measure in MEASURES.items() if measure.is_money] == [
        "cost",
        "cost_per_call",
        "cost_per_1k_tokens",
    ]


def test_latency_buckets_grow_by_4_percent() -> None:
    assert [latency_of_bucket(bucket) for bucket in (0, 1, 2, 118)] == [
        Decimal("0.5"),
        Decimal("1.020"),
        Decimal("1.061"),
        Decimal("100.327"),
    ]


@pytest.mark.parametrize(
    ("values", "direction", "change"),
    [
        ([], Direction.STABLE, "0"),
        ([7], Direction.STABLE, "0"),
        ([100, 105], Direction.STABLE, "5"),
        ([100, 106], Direction.UP, "6"),
        ([100, 94], Direction.DOWN, "-6"),
        ([0, 0], Direction.STABLE, "0"),
        ([1, 1, 3], Direction.UP, "100"),
        ([Decimal("0.000000000003"), Decimal("0.000000000001")], Direction.DOWN, "-66.67"),
    ],
)
def test_a_trend_compares_the_later_half_with_the_earlier(
    values: list[int | Decimal], direction: Direction, change: str
) -> None:
    assert judge_trend(values) == Trend(direction, Decimal(change))


def test_a_rise_from_nothing_has_no_percentage() -> None:
    assert judge_trend([0, 3]) == Trend(Direction.UP, None)


def test_a_share_is_of_something() -> None:
    assert share_of(Decimal(1), Decimal(3)) == Decimal("0.333333")
    assert share_of(2, 3) == Decimal("0.666667")
    assert share_of(None, Decimal(3)) is share_of(1, 0) is share_of("1", 2) is None


def test_dollars_are_shown_where_there_are_any() -> None:
    assert choose_currency({}) == "USD"
    assert choose_currency({"USD": None}) == "USD"
    assert choose_currency({"USD": None, "GBP": Decimal(9), "EUR": Decimal(1)}) == "EUR"
    assert choose_currency({"USD": Decimal(0), "EUR": Decimal(1)}) == "USD"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_that_a_spreadsheet_would_run_is_marked_as_text(start: str) -> None:
    assert write_csv(["n"], [[Text(start + "1+1")]]).startswith(
        "n\r\n" + ("'" if start not in "\r\n" else "\"'")
    )


def test_numbers_stay_numbers_and_texts_with_commas_are_quoted() -> None:
    written = write_csv(["=name", "b"], [[-5, "-1.5"], [True, None], [Text('a,"b"'), json_cell({"k": 1})]])
    assert written.split("\r\n") == ["'=name,b", "-5,-1.5", "true,", '"a,""b""","{""k"":1}"', ""]


@pytest.mark.parametrize(
    ("named", "accept", "chosen"),
    [
        (None, "", OutputFormat.JSON),
        (None, "*/*", OutputFormat.JSON),
        (None, "text/csv", OutputFormat.CSV),
        (None, "text/csv; q=0.9, application/json; q=0.5", OutputFormat.CSV),
        (None, "text/csv;q=0.5, application/json", OutputFormat.JSON),
        (None, "text/csv;q=high, */*;q=0.1", OutputFormat.JSON),
        (OutputFormat.CSV, "application/json", OutputFormat.CSV),
    ],
)
def test_the_form_is_the_named_one_or_the_preferred(
    named: OutputFormat | None, accept: str, chosen: OutputFormat
) -> None:
    assert choose_format(named, accept) is chosen
