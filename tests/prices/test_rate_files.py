"""Exchange rates from CSV: the ECB's two tables, one rate per line, and everything that isn't one of them."""

from __future__ import annotations

import contextlib
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.pricing.exchange.rate_files import read_rates
from bursar.pricing.exchange.rates import RateEntry

# The form of https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip: a comma ends each line.
HISTORY = "Date,USD,JPY,BGN,\n2026-11-20,1.0850,163.25,1.9558,\n2026-11-19,1.0832,N/A,,\n"
# And of eurofxref.csv: blanks behind commas, the day in words.
OF_A_DAY = "Date, USD, JPY, \n20 November 2026, 1.0850, 163.25, \n"


def faults_of(text: str, base: str = "EUR") -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refusal:
        read_rates(text, base)
    return [(reason.field, reason.code) for reason in refusal.value.reasons]


def test_the_ecbs_history_is_read_and_what_it_leaves_out_stays_out() -> None:
    friday, thursday = date(2026, 11, 20), date(2026, 11, 19)
    assert read_rates(HISTORY, source="ECB") == [
        RateEntry(friday, "EUR", "USD", Decimal("1.0850"), "ECB"),
        RateEntry(friday, "EUR", "JPY", Decimal("163.25"), "ECB"),
        RateEntry(friday, "EUR", "BGN", Decimal("1.9558"), "ECB"),
        RateEntry(thursday, "EUR", "USD", Decimal("1.0832"), "ECB"),
    ]


def test_the_ecbs_file_of_a_day_is_read() -> None:
    assert [(one.day, one.quote, str(one.rate)) for one in read_rates(OF_A_DAY)] == [
        (date(2026, 11, 20), "USD", "1.0850"),
        (date(2026, 11, 20), "JPY", "163.25"),
    ]


def test_another_base_may_be_named() -> None:
    assert read_rates("Date,EUR\n2026-11-20,0.92\n", "USD")[0].base == "USD"


def test_a_rate_per_line_says_both_currencies() -> None:
    text = "date,base,quote,rate,source\n2026-11-20,USD,EUR,0.92,bank\n2026-11-20,GBP,EUR,1.19,\n"
    assert [(one.base, one.source) for one in read_rates(text, source="file")] == [
        ("USD", "bank"),
        ("GBP", "file"),
    ]


def test_every_fault_is_said_with_its_line() -> None:
    text = "Date,USD,JPY\n2026-11-20,-1,x\n2026-13-01,1.1,\n1969-12-31,1.1,\n2026-11-18,0,1e400\n"
    assert faults_of(text) == [
        ("line 2, USD", "invalid_value"),
        ("line 2, JPY", "invalid_value"),
        ("line 3, USD", "invalid_value"),
        ("line 4, USD", "invalid_value"),
        ("line 5, USD", "invalid_value"),
        ("line 5, JPY", "invalid_value"),
    ]


def test_a_pair_that_is_said_twice_for_a_day_is_refused() -> None:
    assert faults_of("Date,USD\n2026-11-20,1.1\n2026-11-20,1.2\n") == [("$", "repeated")]


@pytest.mark.parametrize(
    "text",
    ["", "\n", "Date\n", "USD,Date\n", "Date,usd\n", "Date,EUR\n", "Date,USD,USD\n", "date,base,quote\n"],
)
def test_a_file_without_the_right_heads_is_refused(text: str) -> None:
    assert faults_of(text) == [("line 1", "bad_heads")]


def test_a_file_without_rates_is_refused() -> None:
    assert faults_of("Date,USD\n") == [("$", "required")]
    assert faults_of("Date,USD\n2026-11-20,N/A\n") == [("$", "required")]


def test_of_a_file_that_is_wrong_everywhere_a_hundred_reasons_are_said() -> None:
    assert len(faults_of("Date,USD\n" + "2026-11-20,x\n" * 5000)) == 100


@given(text=st.text(alphabet='Date,USD\n\r"0123456789.-N/A baserquot\x00é', max_size=200))
def test_whatever_is_sent_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert all(one.rate > 0 for one in read_rates(text))
