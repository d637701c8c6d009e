"""Price rows as values: what makes two of them one, what they may not say, and when two overlap.

How rows become prices has its tests in `test_tariffs.py` and `test_windows.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bursar.pricing.entries import ModelEntry, ModelIndex, NameRule
from bursar.pricing.price_units import PRICE_UNITS
from bursar.pricing.rows import PriceRow, overlapping_rows, row_faults
from bursar.pricing.unit_prices import covers
from bursar.units import UNITS

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def row(**fields: Any) -> PriceRow:  # noqa: ANN401 - the row's own fields
    given: dict[str, Any] = {
        "provider": "acme",
        "model": "m",
        "unit": "input_tokens",
        "price": Decimal("2.5"),
        "per": 1_000_000,
        "source": "test",
        "link": "",
    }
    return PriceRow(**(given | fields))


def test_a_row_has_one_spelling_and_one_hash() -> None:
    march_elsewhere = MARCH.astimezone(timezone(timedelta(hours=5)))
    one = row(price=Decimal("2.50"), valid_from=march_elsewhere, minimum=Decimal("1E+1"))
    other = row(price=Decimal("2.5"), valid_from=MARCH, minimum=Decimal("10.0"))
    assert one == other
    assert one.to_json() == other.to_json()
    assert one.hash == other.hash
    assert len(one.hash) == 32
    assert '"price":"2.5"' in one.to_json()
    assert '"valid_from":"2026-03-01T00:00:00Z"' in one.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"price": Decimal("2.6")},
        {"per": 1_000},
        {"region": "us"},
        {"batch": True},
        {"weekdays": (5, 6)},
        {"valid_to": MARCH},
        {"link": "https://acme.example"},
    ],
)
def test_whatever_a_row_says_is_in_its_hash(change: dict[str, Any]) -> None:
    assert row(**change).hash != row().hash


def test_every_row_and_entry_of_the_book_survives_being_written_down(book: PriceBook) -> None:
    rows = [one for of_model in book.data.rows.values() for one in of_model]
    assert all(PriceRow.from_json(one.to_json()) == one for one in rows)
    assert len({one.hash for one in rows}) == len(rows), "no two rows say the same"
    assert not [fault for one in rows for fault in row_faults(one)]
    entries = [offer.model for offer in book.offers()]
    assert all(ModelEntry.from_json(entry.to_json()) == entry for entry in entries)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price": Decimal(-1)}, "price"),
        ({"price": Decimal("NaN")}, "price"),
        ({"price": Decimal("1E+10")}, "price"),
        ({"price": Decimal("1E-31")}, "price"),
        ({"per": 0}, "per"),
        ({"currency": "dollars"}, "currency"),
        ({"minimum": Decimal(0)}, "minimum"),
        ({"context_over": 200, "context_upto": 200}, "context_upto"),
        ({"valid_from": MARCH, "valid_to": MARCH}, "valid_to"),
        ({"hours": (3600, 3600)}, "hours"),
        ({"hours": (0, 86_401)}, "hours"),
        ({"weekdays": ()}, "weekdays"),
        ({"weekdays": (6, 5)}, "weekdays"),
        ({"weekdays": (7,)}, "weekdays"),
    ],
)
def test_what_is_no_row_is_told_by_field(change: dict[str, Any], field: str) -> None:
    assert [name for name, _ in row_faults(row(**change))] == [field]


def test_a_document_that_is_no_row_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        PriceRow.from_json(row().to_json().replace('"2.5"', '"a lot"'))


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ({}, {}, True),
        ({}, {"unit": "output_tokens"}, False),
        ({}, {"batch": True}, False),
        ({}, {"region": "us"}, False),
        ({"valid_to": MARCH}, {"valid_from": MARCH}, False),
        ({"valid_to": MARCH + timedelta(seconds=1)}, {"valid_from": MARCH}, True),
        ({"context_upto": 200}, {"context_over": 200}, False),
        ({"context_upto": 201}, {"context_over": 200}, True),
        ({"context_upto": 0}, {"context_over": 0}, False),
        ({"hours": (79_200, 21_600)}, {"hours": (21_600, 79_200)}, False),
        ({"hours": (79_200, 21_601)}, {"hours": (21_600, 79_200)}, True),
        ({"hours": (79_200, 0)}, {"hours": (0, 79_200)}, False),
        ({"weekdays": (0, 1)}, {"weekdays": (2,)}, False),
        ({"weekdays": (0, 1)}, {"hours": (0, 3600)}, True),
    ],
)
def test_two_rows_overlap_where_both_would_hold(
    one: dict[str, Any], other: dict[str, Any], *, overlap: bool
) -> None:
    assert bool(overlapping_rows([row(**one), row(**other)])) is overlap
    assert bool(overlapping_rows([row(**other), row(**one)])) is overlap


def test_every_counted_unit_has_a_price_unit_of_its_own() -> None:
    assert set(UNITS) <= set(PRICE_UNITS)
    assert all(covers(unit, unit) for unit in UNITS)
    assert covers("input_tokens", "cache_read_audio")
    assert covers("audio_seconds", "seconds")
    assert not covers("output_tokens", "input_text")
    assert not covers("widgets", "pages"), "a custom unit prices only itself"


def test_a_name_rule_that_combines_others_is_data_too() -> None:
    rule = NameRule(
        "all",
        parts=(NameRule("contains", "turbo"), NameRule("any", parts=(NameRule("regex", "^gpt-[34]"),))),
    )
    entry = ModelEntry(provider="acme", id="t", name="T", match=(rule,))
    index = ModelIndex((ModelEntry.from_json(entry.to_json()),))
    found = index.find("gpt-4-turbo")
    assert found is not None
    assert found[1].described() == "all:contains:turbo|any:regex:^gpt-[34]"
    assert index.find("gpt-5-turbo") is None
