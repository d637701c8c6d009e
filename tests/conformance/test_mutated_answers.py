"""Recorded answers with anything in them changed: read or refused with reasons, and never anything else."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.errors import Invalid, Reason
from bursar.units import UNITS
from bursar.usage.formats.provider_answers import read_answer
from bursar.usage.measure import measure_usage
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.providers.provider_usage import ProviderUsage
from tests.support.recorded import recorded, recorded_names

if TYPE_CHECKING:
    from collections.abc import Iterator

ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    3.5,
    10**13,
    2**70,
    "",
    "7",
    "x" * 300,
    [],
    {},
    [None],
    {"a": 1},
    [{}],
    "\ud800",
]
ODD = st.sampled_from(ODD_VALUES)
PROVIDERS = st.none() | st.sampled_from(["openai", "xai", "groq", "mistral", "voyage", "aws", "anthropic"])


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where anything stands in a JSON value."""
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield (*path, name)
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)[:5]):
            yield (*path, index)
            yield from places(item, (*path, index))


def changed(value: Any, path: tuple[Any, ...], odd: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value with something odd at this place; untouched where there is no such place any more."""
    target = value
    try:
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = deepcopy(odd)
    except (TypeError, KeyError, IndexError):
        return value
    return value


def read_or_reasons(usage: dict[str, Any], provider: str | None) -> ProviderUsage | tuple[Reason, ...]:
    try:
        return normalise_usage(usage, provider)
    except Invalid as refused:
        return refused.reasons


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_change_of_an_answer_breaks_its_reading(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(recorded_names("responses"))), label="answer")
    answer = json.loads(recorded("responses", name).read_text())
    spots = sorted(places(answer["response"]), key=str)
    for _ in range(data.draw(st.integers(1, 3), label="changes")):
        spot = data.draw(st.sampled_from(spots), label="place")
        answer = changed(answer, ("response", *spot), data.draw(ODD, label="odd"))

    reading = read_answer(json.dumps(answer).encode())

    assert reading.event is not None or reading.reason is not None
    if reading.event is not None and reading.reason is None:
        measured = measure_usage(reading.event)
        assert measured.units.keys() <= UNITS.keys()
        assert all(quantity > 0 for quantity in measured.units.values())


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_change_of_a_usage_object_gives_anything_but_units_or_reasons(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(recorded_names("responses"))), label="answer")
    event = read_answer(recorded("responses", name).read_bytes()).event
    if event is None or not event.usage:
        return
    usage = deepcopy(event.usage)
    spots = sorted(places(usage), key=str)
    for _ in range(data.draw(st.integers(1, 4), label="changes")):
        usage = changed(usage, data.draw(st.sampled_from(spots), label="place"), data.draw(ODD, label="odd"))
    provider = data.draw(PROVIDERS, label="provider") or event.provider

    said = read_or_reasons(usage, provider)
    if not isinstance(said, ProviderUsage):
        assert said
        return
    assert all(quantity > 0 for quantity in (*said.units.values(), *said.custom.values()))
    for part in said.parts:
        assert all(quantity <= said.units[unit] for unit, quantity in part.units.items())
