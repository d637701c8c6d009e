"""Recorded answers of real providers give the units that a hand reading gives.

The tables in `answers/` were worked out by hand from the raw numbers, one file after the other; `hand` in
each row says how (README.md). Every recorded file stands in one of them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from bursar.exact import decode_json
from bursar.units import to_steps, total_of
from bursar.usage.figures import figures_of
from bursar.usage.formats.provider_answers import AnswerReading, read_answer, read_answers
from bursar.usage.measure import Measured, measure_usage
from bursar.usage.record import encode_event
from tests.support.recorded import FIXTURES, recorded, recorded_names

if TYPE_CHECKING:
    from bursar.usage.providers.provider_usage import ProviderUsage

HERE = Path(__file__).parent


def table(name: str) -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", tomllib.loads((HERE / name).read_text()))


TABLES = {path.stem: table(f"answers/{path.name}") for path in sorted((HERE / "answers").glob("*.toml"))}
ANSWERS = {name: row for rows in TABLES.values() for name, row in rows.items()}
STREAMS = table("streams.toml")
COUNTED = [name for name, row in ANSWERS.items() if "units" in row]
BY_THE_PIECE = {"openai_images_01_dall-e-2.json"}
"""Answers whose units stand in no usage object."""
WITH_USAGE = [name for name in COUNTED if name not in BY_THE_PIECE]
WITHOUT_USAGE = [name for name, row in ANSWERS.items() if "reason" in row]
ESTIMATED = [name for name, row in ANSWERS.items() if "estimate" in row]
RECORDED_WITHOUT_USAGE = {"error_answer", "no_usage_in_answer", "no_usage_in_stream"}


def reading_of(name: str) -> AnswerReading:
    return read_answer(recorded("responses", name).read_bytes())


def measured(reading: AnswerReading) -> Measured:
    assert reading.event is not None
    return measure_usage(reading.event)


def said(reading: AnswerReading) -> ProviderUsage:
    usage = measured(reading).provider
    assert usage is not None
    return usage


@pytest.mark.parametrize("name", COUNTED)
def test_a_recorded_answer_gives_the_units_of_a_hand_reading(name: str) -> None:
    reading = reading_of(name)

    assert reading.reason is None
    assert measured(reading).units == ANSWERS[name]["units"]
    custom = ANSWERS[name].get("custom", {})
    assert (measured(reading).custom or {}) == {unit: to_steps(unit, count) for unit, count in custom.items()}


@pytest.mark.parametrize("name", WITH_USAGE)
def test_a_recorded_answer_says_what_decides_its_price(name: str) -> None:
    usage, row = said(reading_of(name)), ANSWERS[name]

    assert {part.model: part.units for part in usage.parts} == row.get("parts", {})
    assert usage.service_tier == row.get("tier")
    assert usage.batch == row.get("batch")
    assert usage.speed == row.get("speed")
    assert usage.region == row.get("region")
    assert usage.context_tokens == row.get("context")


@pytest.mark.parametrize("name", WITH_USAGE)
def test_a_usage_object_without_what_callers_said_gives_the_same_units_at_the_same_price(name: str) -> None:
    reading = reading_of(name)
    assert reading.event is not None
    figures = decode_json(figures_of(encode_event(reading.event.usage)))
    without = AnswerReading(msgspec.structs.replace(reading.event, usage=figures))
    assert (measured(without).units, measured(without).custom) == (
        measured(reading).units,
        measured(reading).custom,
    )
    assert said(without).parts == said(reading).parts
    assert (said(without).service_tier, said(without).region) == (
        said(reading).service_tier,
        said(reading).region,
    )


@pytest.mark.parametrize("name", WITH_USAGE)
def test_units_add_up_to_the_providers_own_total(name: str) -> None:
    reading, row = reading_of(name), ANSWERS[name]
    assert reading.event is not None
    assert reading.event.usage is not None
    own = own_total(reading.event.usage)

    if not row.get("has_total", True):
        assert own is None
    elif "because" in row:
        assert own == row["total"]
    else:
        assert own == total_of("total_tokens", measured(reading).units)


def own_total(usage: dict[str, Any]) -> int | None:
    """The total that the provider states, or that Anthropic's top level adds up to."""
    for name in ("total_tokens", "totalTokenCount", "totalTokens"):
        if name in usage:
            return int(usage[name])
    if "input_tokens" not in usage:
        return None
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    return sum(usage.get(name) or 0 for name in names)


@pytest.mark.parametrize("name", [name for name, row in ANSWERS.items() if "event" in row])
def test_a_recorded_answer_becomes_the_event_that_a_hand_reading_gives(name: str) -> None:
    event = reading_of(name).event
    expected = ANSWERS[name]["event"]

    assert {key: getattr(event, key) for key in expected} == expected


@pytest.mark.parametrize("name", WITHOUT_USAGE)
def test_a_recorded_answer_without_usage_says_why(name: str) -> None:
    reading = reading_of(name)

    assert reading.reason == ANSWERS[name]["reason"]
    assert reading.detail
    assert (reading.event is not None) == (reading.reason in RECORDED_WITHOUT_USAGE)


@pytest.mark.parametrize("name", ESTIMATED)
def test_a_stream_that_nobody_counted_gives_the_estimate_of_a_hand_reading(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    found, row = measured(reading_of(name)), ANSWERS[name]

    assert found.units == row["estimate"]
    assert found.source == row["source"]


def test_a_recorded_answer_that_nobody_counted_and_nobody_estimates_has_no_units() -> None:
    for name in set(WITHOUT_USAGE) - set(ESTIMATED):
        event = reading_of(name).event
        assert event is None or measure_usage(event).source is None


@pytest.mark.parametrize("provider", TABLES)
def test_a_table_holds_the_answers_of_its_provider(provider: str) -> None:
    assert {name.partition("_")[0] for name in TABLES[provider]} == {provider}


def test_every_recorded_answer_stands_in_a_table() -> None:
    assert sum(map(len, TABLES.values())) == len(ANSWERS)
    assert recorded_names("responses") == set(ANSWERS)


def test_a_folder_is_read_in_the_order_of_its_paths() -> None:
    names = sorted(recorded_names("responses"))

    assert [path.name for path, _ in read_answers(FIXTURES / "responses")] == names


@pytest.mark.parametrize("name", STREAMS)
def test_a_raw_stream_gives_the_units_of_a_hand_reading(name: str) -> None:
    reading = read_answer(recorded("sdk_sse", name).read_bytes())
    assert reading.event is not None

    assert measured(reading).units == STREAMS[name]["units"]
    assert reading.event.provider == "anthropic"
    assert reading.event.response_model == STREAMS[name]["model"]


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
@pytest.mark.parametrize("name", STREAMS)
def test_line_ends_of_a_raw_stream_do_not_matter(name: str, ending: str) -> None:
    text = recorded("sdk_sse", name).read_text()

    assert read_answer(text.replace("\n", ending).encode()).event is not None
    assert said(read_answer(text.replace("\n", ending).encode())) == said(read_answer(text.encode()))


def test_every_raw_stream_stands_in_the_table() -> None:
    assert recorded_names("sdk_sse") == set(STREAMS)


def test_answers_of_one_call_have_one_event_id() -> None:
    name = "openai_chat_02_gpt-5.6-sol.json"
    reading = reading_of(name)
    assert reading.event is not None

    assert reading.event.event_id == "openai:chatcmpl-E1mBQt42vYTsKNd5wnyJlT0db7v9S"
    assert reading == reading_of(name)
