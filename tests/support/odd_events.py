"""Events as a careless or a hostile client might write them, for hypothesis: right fields, any values.

Values lean towards the borders of what is taken: where numbers, texts and nesting just fit, or don't.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bursar.units import UNITS
from bursar.usage.event import UsageEvent
from bursar.usage.field_names import ALIASES, SERVICE_FIELDS, UNIT_ALIASES
from tests.support.rounds import rounds

Json = Any

ALL_CHECKS = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
    HealthCheck.function_scoped_fixture,
)
"""hypothesis warns of slow and large data; slow and large is what these tests are about."""
fuzzing = settings(max_examples=rounds(40), suppress_health_check=ALL_CHECKS, deadline=None)

texts = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(codec=None), max_size=10),  # lone surrogates too
    st.sampled_from(
        ["", "\x00", "\ud800", "é" * 256, "x" * 257, "openai", "anthropic", "gpt-4o-mini", "ok", "error"]
    ),
    st.sampled_from(
        ["NaN", "1e5", "-1", "2026-11-01T00:00:00Z", "0001-01-01T00:00:00Z", "USD", "usd", "default"]
    ),
)
numbers = st.one_of(
    st.integers(-3, 100),
    st.sampled_from([10**12, 10**12 + 1, 2**53 + 1, 2**63, 2**64, 10**40, -(10**12)]),
    st.floats(),
    st.sampled_from([0.1, 1e-7, 1e300, 5e-324, -0.0, 999999.999999999999, 0.0000001]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *UsageEvent.__struct_fields__,
    *ALIASES,
    *UNIT_ALIASES,
    *sorted(SERVICE_FIELDS),
    "metrics",
    "total_tokens",
    "success",
    "status_code",
    "cost_usd",
    "specversion",
)
USAGE_FIELDS = (
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens",
    "output_tokens",
    "input_tokens_details",
    "cached_tokens",
    "reasoning_tokens",
    "cache_creation",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "server_tool_use",
    "iterations",
    "service_tier",
    "promptTokenCount",
    "candidatesTokenCount",
    "promptTokensDetails",
    "modality",
    "tokenCount",
    "ephemeral_5m_input_tokens",
)
field_names = st.sampled_from(FIELDS)
counts = st.integers(0, 5000)
usages = st.dictionaries(
    st.sampled_from(USAGE_FIELDS),
    st.one_of(counts, values, st.dictionaries(st.sampled_from(USAGE_FIELDS), counts | values, max_size=3)),
    max_size=5,
)
unit_names = st.sampled_from([*UNITS, "gpu_minutes", "Bad Name", "a" * 64, "a" * 65])
plausible: dict[str, st.SearchStrategy[Json]] = {
    "usage": usages,
    "units": st.dictionaries(
        unit_names, counts | numbers | st.sampled_from(["1.5", "NaN", "1e3"]), max_size=4
    ),
    "metrics": st.dictionaries(field_names | unit_names | texts, counts | values, max_size=4),
    "cost": st.fixed_dictionaries({"amount": numbers | st.sampled_from(["0.5", "NaN", "1e999999"])}),
    "tags": st.dictionaries(texts, texts, max_size=3) | st.lists(texts, max_size=3),
    "metadata": st.dictionaries(texts | field_names, values, max_size=4),
    "tenant_id": st.just("default"),
    "time": st.sampled_from(
        ["2026-11-01T00:00:00Z", "2025-06-01T12:00:00.123456+05:30", "2026-11-01T00:00:00"]
    ),
    "model": st.sampled_from(
        ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.0-flash", "none", "gpt-4o-2024-08-06"]
    ),
    "provider": st.sampled_from(["openai", "anthropic", "google", "nobody"]),
    **{
        f"{kind}_tokens": counts
        for kind in ("input", "output", "cached", "cache_write", "reasoning", "total")
    },
}


@st.composite
def odd_events(draw: st.DrawFn) -> dict[str, Json]:
    """A JSON object that resembles an event."""
    names = draw(st.lists(field_names, max_size=6, unique=True))
    event = {name: draw(plausible.get(name, values) | values) for name in names}
    if draw(st.booleans()):
        event |= {"provider": "openai", "model": "gpt-4o-mini", "input_tokens": draw(counts)}
    return event


cloudevents = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0") | values,
        "id": texts | values,
        "source": texts | values,
        "type": texts | values,
        "data": odd_events() | values,
    },
    optional={
        "time": texts | plausible["time"],
        "subject": texts | values,
        "traceparent": st.just("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") | values,
        "datacontenttype": texts,
        "data_base64": texts,
        "extension": values,
    },
)
items = st.one_of(odd_events(), odd_events(), cloudevents, values)


def dump(value: Json) -> bytes:
    """As Python writes it: NaN and Infinity as words, halves of surrogate pairs as escapes."""
    return json.dumps(value).encode()
