"""A data file of genai-prices, in the form of its public `data.json`: exact prices, named faults."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bursar.errors import Invalid, Malformed
from bursar.pricing.keeping.genai_file import read_genai_file
from bursar.pricing.keeping.installed import installed_version, is_newer, is_older_package

MODEL: dict[str, Any] = {
    "id": "small-1",
    "name": "Small 1",
    "match": {"or": [{"equals": "small-1"}, {"starts_with": "small-1-"}]},
    "prices": {"input_mtok": 0.1, "output_mtok": {"base": 0.3, "tiers": [{"start": 200000, "price": 0.6}]}},
}


def a_file(*models: dict[str, Any], **provider: Any) -> bytes:  # noqa: ANN401 - any JSON
    whole = {
        "id": "acme",
        "name": "Acme",
        "api_pattern": "https://api\\.acme\\.example",
        "pricing_urls": ["https://acme.example/prices"],
        "models": list(models),
        **provider,
    }
    return json.dumps([whole]).encode()


def test_prices_and_names_are_read_exactly() -> None:
    source = read_genai_file(a_file(MODEL))
    rows = source.rows["acme", "small-1"]
    assert [(row.unit, row.price, row.context_over, row.context_upto) for row in rows] == [
        ("input_tokens", Decimal("0.1"), None, None),
        ("output_tokens", Decimal("0.3"), None, 200_000),
        ("output_tokens", Decimal("0.6"), 200_000, None),
    ]
    assert {row.link for row in rows} == {"https://acme.example/prices"}
    (entry,) = source.entries
    assert [rule.described() for rule in entry.match] == ["equals:small-1", "starts_with:small-1-"]


def test_its_version_is_that_of_the_package_and_of_its_content() -> None:
    one, other = read_genai_file(a_file(MODEL)), read_genai_file(a_file(MODEL) + b" ")
    assert one.version.startswith(f"{installed_version()}+file.")
    assert one.version != other.version
    assert not is_newer(installed_version(), one.version), "a start doesn't take the file back"
    assert is_older_package(installed_version(), one.version), "nor does a command by mistake"
    assert is_newer("99.1", one.version), "a later package is taken"
    assert not is_older_package("99.1", one.version)
    assert not is_older_package(other.version, one.version), "another file is the operator's choice"


def test_dates_and_ways_of_calling_are_read() -> None:
    dated = [
        {"prices": {"input_mtok": 4}},
        {"constraint": {"start_date": "2026-02-01"}, "prices": {"input_mtok": 2}},
    ]
    variants = [{"when": {"processing": "batch"}, "prices": {"input_mtok": 1}}]
    source = read_genai_file(a_file({**MODEL, "prices": dated, "price_variants": variants}))
    february = datetime(2026, 2, 1, tzinfo=UTC)
    found = {
        (str(row.price), row.batch, row.valid_from, row.valid_to) for row in source.rows["acme", "small-1"]
    }
    assert found == {("4", False, None, february), ("2", False, february, None), ("1", True, None, None)}


def test_a_unit_that_nothing_counts_is_left_out_and_told() -> None:
    source = read_genai_file(a_file({**MODEL, "prices": {"input_mtok": 1, "output_citation_mtok": 2}}))
    assert {row.unit for row in source.rows["acme", "small-1"]} == {"input_tokens"}
    assert [(one.what, one.example) for one in source.remarks] == [("output_citations", "acme/small-1")]


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ({"prices": {"input_mtok": "cheap"}}, "acme.small-1.prices.input_mtok"),
        ({"prices": {"input_mtok": -1}}, "acme.small-1.input_tokens.price"),
        ({"prices": {"input_mtok": "NaN"}}, "acme.small-1."),
        ({"match": {"regex": "("}}, "acme.small-1.match"),
        ({"match": {"sounds_like": "small"}}, "acme.small-1.match"),
        (
            {"prices": [{"constraint": {"start_date": "soon"}, "prices": {}}]},
            "acme.small-1.prices.0.constraint",
        ),
        ({"id": 3}, "acme.0.id"),
        ({"prices": []}, "acme.small-1.prices"),
        (
            {"prices": {"input_mtok": {"base": 1, "tiers": [{"start": 2**64, "price": 2}]}}},
            "acme.small-1.input_tokens.context_over",
        ),
        ({"id": ""}, "acme..id"),
        ({"id": "small\0"}, "acme.small\0.id"),
        ({"id": "s" * 257}, "acme.sss"),
    ],
)
def test_a_fault_is_named_by_provider_model_and_field(model: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_genai_file(a_file({**MODEL, **model}))
    fields = [reason.field for reason in refusal.value.reasons]
    assert any(field.startswith(place) for field in fields), fields
    assert all(field.startswith("acme.") for field in fields)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"[", Malformed), (b"{}", Invalid), (b"[]", Invalid), (b"[1]", Invalid), (b'[{"models": 1}]', Invalid)],
)
def test_another_file_is_refused(content: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read_genai_file(content)


def test_a_link_that_not_every_store_can_keep_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        read_genai_file(a_file(MODEL, pricing_urls=["https://acme.example/\0"]))
    assert {one.field for one in refusal.value.reasons} == {
        "acme.small-1.input_tokens.link",
        "acme.small-1.output_tokens.link",
    }


def test_what_stands_in_it_twice_is_refused_for_nobody_knows_which_price_is_meant() -> None:
    with pytest.raises(Invalid) as models:
        read_genai_file(a_file(MODEL, {**MODEL, "prices": {"input_mtok": 7}}))
    assert [(one.field, one.code) for one in models.value.reasons] == [("acme.small-1", "duplicate_entry")]
    both = json.loads(a_file(MODEL)) + json.loads(a_file({**MODEL, "id": "other"}))
    with pytest.raises(Invalid) as providers:
        read_genai_file(json.dumps(both).encode())
    assert [(one.field, one.code) for one in providers.value.reasons] == [("acme", "duplicate_entry")]


@pytest.mark.parametrize("price", ["1e999", "1e10", "1e-31", "1e-999999"])
def test_a_price_that_no_event_could_be_rated_by_is_refused(price: str) -> None:
    content = a_file({**MODEL, "prices": {"input_mtok": "@"}}).replace(b'"@"', price.encode())
    with pytest.raises(Invalid) as refusal:
        read_genai_file(content)
    assert [one.field for one in refusal.value.reasons] == ["acme.small-1.input_tokens.price"]
