"""Bodies of every generation become the same event, and refusals name every reason with its place."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bursar.errors import Invalid
from bursar.usage.event import ReportedCost, UsageEvent
from bursar.usage.translate import translate_body


def reasons_of(body: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(Invalid) as refusal:
        translate_body(body)
    return {(reason.field, reason.code) for reason in refusal.value.reasons}


def test_a_nested_body_says_what_a_flat_one_says() -> None:
    nested = translate_body(
        {
            "tenant_id": "tenant-123",
            "user_id": "user-456",
            "service_type": "llm_service",
            "service_provider": "openai",
            "event_type": "completion",
            "metadata": {"model": "gpt-4", "temperature": Decimal("0.7")},
            "metrics": {"input_tokens": 150, "output_tokens": 75, "latency_ms": 2500},
        }
    )

    expected = UsageEvent(
        tenant_id="tenant-123",
        user_id="user-456",
        service_type="llm_service",
        provider="openai",
        operation="completion",
        model="gpt-4",
        temperature=0.7,
        input_tokens=150,
        output_tokens=75,
        latency_ms=2500.0,
        metadata={"model": "gpt-4", "temperature": Decimal("0.7")},
    )
    assert nested == expected


def test_a_document_event_becomes_units_and_metadata() -> None:
    event = translate_body(
        {
            "user_id": "user-123",
            "service_type": "document_processor",
            "service_provider": "document_ai",
            "event_type": "data_extraction",
            "metadata": {"accuracy": Decimal("0.98"), "document_type": "invoice"},
            "metrics": {"pages_processed": 5, "characters_extracted": 1200, "processing_time_ms": 900},
        }
    )

    assert event.units == {"pages": 5, "characters": 1200}
    assert event.latency_ms == 900.0
    assert event.metadata == {"accuracy": Decimal("0.98"), "document_type": "invoice"}


def test_an_api_event_adds_bytes_in_both_directions_and_reads_the_status_code() -> None:
    event = translate_body(
        {
            "service_type": "api_service",
            "endpoint": "/v1/geocode",
            "method": "GET",
            "request_count": 2,
            "payload_size_bytes": 100,
            "response_size_bytes": 900,
            "status_code": 503,
        }
    )

    assert event.units == {"requests": 2, "bytes": 1000}
    assert (event.status, event.error_code) == ("error", "503")
    assert event.metadata == {"method": "GET", "status_code": 503}


def test_a_custom_service_keeps_its_own_measures_as_units() -> None:
    event = translate_body(
        {"service_type": "custom_ml_service", "metrics": {"predictions": 12, "gpu_seconds": Decimal("3.25")}}
    )

    assert event.units == {"predictions": 12, "gpu_seconds": Decimal("3.25")}


def test_a_quantity_that_is_said_in_two_places_counts_once_and_must_be_the_same() -> None:
    twice = {"service_type": "ml", "metrics": {"predictions": 10}, "units": {"predictions": Decimal("10.0")}}
    assert translate_body(twice).units == {"predictions": Decimal(10)}
    pages = {"service_type": "document_processor", "pages_processed": 3, "units": {"pages": 3}}
    assert translate_body(pages).units == {"pages": 3}
    in_bytes = {"payload_size_bytes": 100, "response_size_bytes": 900, "units": {"bytes": 1000}}
    assert translate_body(in_bytes).units == {"bytes": 1000}

    assert reasons_of({**twice, "metrics": {"predictions": 7}}) == {("units.predictions", "contradiction")}
    assert reasons_of({**pages, "pages_processed": 4}) == {("units.pages", "contradiction")}
    assert ("units.predictions", "wrong_type") in reasons_of({**twice, "units": {"predictions": "10"}})


def test_a_time_without_an_offset_is_utc_and_one_with_an_offset_is_kept_exactly() -> None:
    bare = translate_body({"timestamp": "2026-11-20T10:00:00.5"})
    offset = translate_body({"timestamp": "2026-11-20T12:00:00.5+02:00"})

    expected = datetime(2026, 11, 20, 10, 0, 0, 500_000, tzinfo=UTC)
    assert bare.time == offset.time == expected


def test_aliases_tags_words_and_costs_are_understood() -> None:
    event = translate_body(
        {
            "model_name": "gpt-5",
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "success": False,
            "tags": ["a", "b"],
            "cost_usd": Decimal("0.25"),
        }
    )

    assert (event.model, event.input_tokens, event.output_tokens, event.status) == ("gpt-5", 10, 5, "error")
    assert event.tags == {"a": "true", "b": "true"}
    assert event.cost == ReportedCost(Decimal("0.25"), "USD")


def test_every_reason_is_given_with_its_place() -> None:
    found = reasons_of(
        {
            "modle": "gpt-5",
            "user_id": 7,
            "input_tokens": -1,
            "time": "yesterday",
            "tags": {"k" * 65: "v"},
            "units": {"input_text": Decimal("1.5")},
            "metrics": 3,
            "total_tokens": 9,
            "output_tokens": 1,
        }
    )

    expected = {
        ("modle", "unknown_field"),
        ("user_id", "wrong_type"),
        ("input_tokens", "out_of_range"),
        ("units.input_text", "out_of_range"),
        ("metrics", "wrong_type"),
        ("total_tokens", "contradiction"),
    }
    assert expected <= found
    assert {field for field, _ in found} >= {"time", "tags.*"}


def test_an_unknown_field_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(Invalid) as refusal:
        translate_body({"user_idd": "u"})

    assert "did you mean 'user_id'" in refusal.value.reasons[0].message


def test_the_same_fact_twice_must_be_the_same() -> None:
    same = translate_body({"provider": "openai", "service_provider": "openai"})

    assert same.provider == "openai"
    assert reasons_of({"provider": "openai", "service_provider": "anthropic"}) == {
        ("provider", "contradiction")
    }


def test_a_bare_total_is_kept_but_not_guessed_apart() -> None:
    event = translate_body({"total_tokens": 99})

    assert event.input_tokens is None
    assert event.output_tokens is None
    assert event.metadata == {"total_tokens": 99}


def test_remarks_among_the_metrics_of_an_ai_call_are_no_billable_units() -> None:
    event = translate_body(
        {
            "event_type": "x",
            "model": "gpt-5",
            "metrics": {
                "input_tokens": 1,
                "quality": Decimal("0.5"),
                "success": False,
                "cost_usd": Decimal("0.5"),
            },
        }
    )

    assert event.units is None
    assert event.metadata == {"quality": Decimal("0.5")}
    assert event.status == "error"
    assert event.cost == ReportedCost(Decimal("0.5"), "USD")
