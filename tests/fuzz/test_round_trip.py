"""What was said is what is shown: events at the borders of every limit, read back field by field."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.clock import rfc3339
from bursar.usage.privacy.names import is_secret_name, is_text_name
from tests.support.odd_events import fuzzing
from tests.support.rounds import rounds

if TYPE_CHECKING:
    from tests.support.door import Door

COUNT_LIMIT = 10**12


def texts(longest: int, shortest: int = 1) -> st.SearchStrategy[str]:
    return st.text(min_size=shortest, max_size=20) | st.text(
        "é\U0010ffffx", min_size=longest - 1, max_size=longest
    )


def names_kept(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Without those under which prompts and secrets travel: these don't come back."""
    return names.filter(lambda name: not is_text_name(name) and not is_secret_name(name))


def decimals(limit: int, places: int) -> st.SearchStrategy[Decimal]:
    steps = st.integers(0, limit * 10**places) | st.sampled_from([1, limit * 10**places - 1])
    return steps.map(lambda number: Decimal(number).scaleb(-places))


identifiers, names, models = texts(256), texts(128), texts(256)
counts = st.integers(0, COUNT_LIMIT) | st.just(COUNT_LIMIT)
milliseconds = st.one_of(
    st.floats(0, 10**9), st.integers(0, 10**9), st.sampled_from([0.0005, 0.0015, 5e-324, 1e9])
)


def a_moment(seconds: int, micros: int, minutes: int) -> datetime:
    """A moment around mid-2026 with an offset of some minutes."""
    start = datetime(2026, 6, 1, tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    return start + timedelta(seconds=seconds, microseconds=micros)


moments = st.builds(
    a_moment,
    st.integers(-(10**7), 10**7),
    st.integers(0, 999_999),
    st.integers(-1439, 1439),
)
field_names = names_kept(st.text(max_size=9))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(field_names, inner, max_size=3),
    max_leaves=8,
)
SAME = {
    **dict.fromkeys(
        [
            "project_id",
            "user_id",
            "session_id",
            "request_id",
            "correlation_id",
            "trace_id",
            "span_id",
            "parent_span_id",
        ],
        identifiers,
    ),
    **dict.fromkeys(["service_type", "operation", "environment", "region", "service_tier", "speed"], names),
    **dict.fromkeys(["error_code", "category", "prompt_version", "provider"], names),
    **dict.fromkeys(["model", "endpoint"], models),
    **dict.fromkeys(["max_tokens"], counts),
    "batch": st.booleans(),
    "status": st.sampled_from(["ok", "error"]),
    "retry_count": st.integers(0, 10_000),
    "tags": st.dictionaries(names_kept(texts(64)), texts(256, shortest=0), max_size=32),
    "metadata": st.dictionaries(field_names, json_values, max_size=4),
}
"""Fields that come back exactly as they were said."""
OTHERS = {
    "time": moments,
    "latency_ms": milliseconds,
    "time_to_first_token_ms": milliseconds,
    "units": st.fixed_dictionaries(
        {},
        optional={
            "input_text": counts,
            "pages": counts,
            "seconds": decimals(COUNT_LIMIT, 6),
            "gpu_minutes": decimals(COUNT_LIMIT, 6),
        },
    ),
    "cost": st.fixed_dictionaries(
        {"amount": decimals(10**6, 12).filter(lambda amount: amount < 10**6)},
        optional={"currency": st.sampled_from(["USD", "EUR", "XTS"])},
    ),
}
events = st.fixed_dictionaries({}, optional={**SAME, **OTHERS})


@settings(fuzzing, max_examples=rounds(8))
@given(st.lists(events, min_size=1, max_size=10))
def test_an_event_comes_back_as_it_was_said(door: Door, said: list[dict[str, Any]]) -> None:
    body = b"[%b]" % b",".join(map(write, said))
    answer = door.post(body, path="/api/v1/events/import?wait=applied")
    assert answer.status_code == 200, answer.text
    answered = answer.json()
    assert answered["accepted"] == len(said), answered["rejected"]
    client = door.server.client
    for event, told in zip(said, answered["events"], strict=True):
        found = json.loads(client.get(f"/api/v1/events/{told['event_id']}").content, parse_float=Decimal)
        assert_same(event, found)
        assert (found["cost"]["total"], found["cost"]["status"]) == (
            told["cost"].get("total"),
            told["cost"]["status"],
        )


def write(event: dict[str, Any]) -> bytes:
    """The event as JSON, its decimals as numbers with all their digits."""
    shown = {**event, "time": event["time"].isoformat()} if "time" in event else event
    return DecimalEncoder().encode(shown).replace('"\u2063', "").replace('\u2063"', "").encode()


class DecimalEncoder(json.JSONEncoder):
    """Marks decimals, so that their quotes can be taken away again."""

    def __init__(self) -> None:
        super().__init__(ensure_ascii=False)

    def default(self, o: object) -> object:
        return f"\u2063{o:f}\u2063" if isinstance(o, Decimal) else super().default(o)


def assert_same(said: dict[str, Any], found: dict[str, Any]) -> None:
    for name in SAME.keys() & said.keys() - {"metadata"}:
        assert found[name] == said[name], name
    if "metadata" in said:
        assert found["metadata"] == json.loads(json.dumps(said["metadata"]), parse_float=Decimal)
    if "time" in said:
        assert found["time"] == rfc3339(said["time"])
    for name in ("latency_ms", "time_to_first_token_ms"):
        if name in said:
            assert Decimal(found[name]) in rounded(said[name])
    for name, quantity in said.get("units", {}).items():
        assert Decimal(found["units"].get(name, 0)) == quantity
    if "cost" in said:
        assert Decimal(found["reported_cost"]["amount"]) == said["cost"]["amount"]
        assert found["reported_cost"]["currency"] == said["cost"].get("currency", "USD")


def rounded(milliseconds: float) -> set[Decimal]:
    """Latencies are kept to the microsecond; a tie may fall to either side."""
    exact = Decimal(repr(milliseconds))
    return {exact.quantize(Decimal("0.001"), rounding=way) for way in (ROUND_HALF_EVEN, ROUND_HALF_UP)}
