"""A fact that a body says twice: alike it counts once, otherwise it is refused and neither is dropped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from bursar.errors import Invalid
from bursar.usage.translate import translate_body

CONTRADICTIONS = {
    "a count and its other name": ({"input_tokens": 1, "prompt_tokens": 2}, "input_tokens"),
    "two other names": (
        {"input_tokens": 9, "cached_input_tokens": 1, "cache_read_tokens": 2},
        "cached_tokens",
    ),
    "metrics and the top": ({"metrics": {"input_tokens": 1}, "input_tokens": 2}, "input_tokens"),
    "a field of a service and metadata": ({"method": "GET", "metadata": {"method": "POST"}}, "method"),
    "a status code and metadata": ({"status_code": 200, "metadata": {"status_code": 404}}, "status_code"),
    "success and a status": ({"success": True, "status": "error"}, "status"),
    "two costs": ({"cost": {"amount": Decimal(1), "currency": "USD"}, "cost_usd": Decimal(2)}, "cost"),
    "a bare total and metadata": ({"total_tokens": 3, "metadata": {"total_tokens": 4}}, "total_tokens"),
}


@pytest.mark.parametrize(("body", "field"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_two_different_values_are_a_contradiction(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        translate_body(body)
    assert [(one.field, one.code) for one in refusal.value.reasons] == [(field, "contradiction")]


def test_the_same_value_twice_is_no_contradiction() -> None:
    event = translate_body(
        {"method": "GET", "metadata": {"method": "GET"}, "input_tokens": 1, "prompt_tokens": 1}
    )
    assert (event.metadata, event.input_tokens) == ({"method": "GET"}, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"success": "yes"}, "success"),
        ({"status_code": "500"}, "status_code"),
        ({"status_code": True}, "status_code"),
        ({"total_tokens": "many"}, "total_tokens"),
        ({"input_tokens": 1, "total_tokens": [1]}, "total_tokens"),
        ({"units": {"pages": "x"}, "pages_processed": 3}, "units.pages"),
        ({"service_type": "own", "units": {"foo": [1]}, "metrics": {"foo": 3}}, "units.foo"),
    ],
)
def test_a_value_of_another_type_is_refused_not_forgotten(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        translate_body(body)
    assert (field, "wrong_type") in [(one.field, one.code) for one in refusal.value.reasons]


def test_a_verdict_does_not_change_from_start_to_start() -> None:
    # Sets of texts are iterated in another order in every process.
    body = {
        "event_type": "chat",
        "metadata": {"model": "a", "model_name": "b", "input_tokens": 1, "prompt_tokens": 2, "latency_ms": 3},
    }
    program = (
        "import json, sys; from bursar.usage.translate import translate_body;"
        " event = translate_body(json.loads(sys.argv[1])); print(event.model, event.input_tokens)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, json.dumps(body)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(1, 5)
    }
    assert said == {"a 1\n"}
