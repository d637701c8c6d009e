"""Each reported quantity is counted once, and contradictions are refused instead of resolved."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.units import total_of
from bursar.usage.event import UsageEvent
from bursar.usage.measure import measure_usage

counts = st.integers(0, 10**9)


@given(total_in=counts, cached=counts, written=counts, total_out=counts, reasoning=counts)
def test_totals_are_taken_apart_without_loss_or_refused(
    total_in: int, cached: int, written: int, total_out: int, reasoning: int
) -> None:
    event = UsageEvent(
        input_tokens=total_in,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=total_out,
        reasoning_tokens=reasoning,
    )
    if cached + written > total_in or reasoning > total_out:
        with pytest.raises(Invalid):
            measure_usage(event)
        return

    units = measure_usage(event).units

    assert total_of("input_tokens", units) == total_in
    assert total_of("cached_tokens", units) == cached
    assert total_of("cache_write_tokens", units) == written
    assert total_of("output_tokens", units) == total_out
    assert total_of("reasoning_tokens", units) == reasoning
    assert all(quantity > 0 for quantity in units.values())


def test_units_are_kept_in_their_smallest_steps() -> None:
    measured = measure_usage(
        UsageEvent(
            units={"pages": 3, "seconds": Decimal("12.5"), "predictions": Decimal("0.000001"), "bytes": 0}
        )
    )

    assert measured.units == {"pages": 3, "seconds": 12_500_000}
    assert measured.custom == {"predictions": 1}
    assert measured.source == "units"


def test_a_raw_usage_object_decides_and_may_be_confirmed_by_totals() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4}
    event = UsageEvent(provider="anthropic", usage=usage, input_tokens=14, output_tokens=5)

    assert measure_usage(event).units == {"input_text": 10, "cache_read_text": 4, "output_text": 5}


def test_totals_that_contradict_the_usage_object_are_refused_one_by_one() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4}
    event = UsageEvent(provider="anthropic", usage=usage, input_tokens=10, output_tokens=6)

    with pytest.raises(Invalid) as refusal:
        measure_usage(event)

    assert [(one.field, one.code) for one in refusal.value.reasons] == [
        ("input_tokens", "contradiction"),
        ("output_tokens", "contradiction"),
    ]


def test_totals_stand_beside_units_that_are_no_tokens() -> None:
    measured = measure_usage(UsageEvent(units={"searches": 2}, input_tokens=7))

    assert measured.units == {"searches": 2, "input_text": 7}


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("input_text", -1),
        ("input_text", 10**12 + 1),
        ("seconds", Decimal("0.0000001")),
        ("pages", Decimal("NaN")),
    ],
)
def test_quantities_that_cannot_be_are_refused_by_name(name: str, quantity: int | Decimal) -> None:
    with pytest.raises(Invalid) as refusal:
        measure_usage(UsageEvent(units={name: quantity}))

    assert refusal.value.reasons[0].field == f"units.{name}"


def test_nothing_reported_is_nothing_measured() -> None:
    measured = measure_usage(UsageEvent(model="gpt-5"))

    assert (measured.units, measured.source, measured.custom) == ({}, None, None)
