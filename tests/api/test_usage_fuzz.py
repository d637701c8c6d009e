"""Whatever is sent as a question gets an answer or a refusal with reasons, never a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.usage.asked import ALIASES
from bursar.usage.query_dimensions import DIMENSIONS
from bursar.usage.query_measures import MEASURES
from bursar.window import WINDOW_NAMES
from tests.support.rounds import rounds
from tests.support.usage_house import House, open_house, three_days

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = (
    "/api/v1/events",
    "/api/v1/usage",
    "/api/v1/cost/summary",
    "/api/v1/cost/breakdown",
    "/api/v1/analytics/trends",
    "/api/v1/analytics/top",
)
WORDS = (
    *ALIASES,
    *WINDOW_NAMES,
    *DIMENSIONS,
    "limit",
    "offset",
    "cursor",
    "total_count",
    "format",
    "filters",
    "explain",
    "tag:team",
    "model.not",
    "batch.prefix",
    "user_id.absent",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = (
    st.sampled_from(
        (*MEASURES, *DIMENSIONS, "day", "30d", "all", "2026-10-01", "+05:30", "true", "1e400", "-1", "csv")
    )
    | st.integers().map(str)
    | TEXTS
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
PATIENT = settings(
    max_examples=rounds(15),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house() as house:
        house.ledger.add(*three_days())
        yield house


@given(
    path=st.sampled_from(PATHS), asked=st.lists(st.tuples(st.sampled_from(WORDS) | TEXTS, VALUES), max_size=3)
)
@PATIENT
def test_any_parameters_are_answered_or_refused(
    house: House, path: str, asked: list[tuple[str, str]]
) -> None:
    answer = house.get(f"{path}?{urlencode(asked)}")
    assert answer.status_code in {200, 422}, answer.text
    assert answer.status_code == 200 or answer.json()["errors"]


@given(body=st.dictionaries(st.sampled_from((*WORDS, "measures", "dimensions")), JSON, max_size=4))
@PATIENT
def test_any_body_is_answered_or_refused(house: House, body: dict[str, Any]) -> None:
    answer = house.post(body)
    assert answer.status_code in {200, 400, 422}, answer.text
    assert answer.status_code != 422 or answer.json()["errors"]


@given(event_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@PATIENT
def test_any_event_id_is_found_or_not(house: House, event_id: str) -> None:
    answer = house.get("/api/v1/events?" + urlencode({"event_id": event_id}))
    assert answer.json()["items"] == []
