"""LiteLLM's price map, read from a file in its form: what is understood becomes rows, the rest is told.

The entries here are ours, in the form of the published map; prices are written as it writes them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid, Malformed
from bursar.pricing.keeping.litellm import LINK, read_litellm
from bursar.pricing.keeping.weekly_hours import Window, split_week
from bursar.pricing.rows import DAY_SECONDS, overlapping_rows, row_faults
from tests.support.price_sources import litellm_file

if TYPE_CHECKING:
    from bursar.pricing.rows import PriceRow

CHAT: dict[str, Any] = {"litellm_provider": "openai", "mode": "chat"}
Shown = tuple[str, str, int, str | None, bool, int | None, int | None]


def shown(rows: list[PriceRow]) -> set[Shown]:
    return {
        (
            row.unit,
            str(row.price),
            row.per,
            row.service_tier,
            row.batch,
            row.context_over,
            row.context_upto,
        )
        for row in rows
    }


def rows_of(entry: dict[str, Any], name: str = "small-1") -> list[PriceRow]:
    """The rows of a map with this one entry."""
    source = read_litellm(litellm_file(**{name: entry}))
    rows = [row for found in source.rows.values() for row in found]
    assert not [fault for row in rows for fault in row_faults(row)]
    assert overlapping_rows(rows) == []
    return rows


def remarks_of(entry: dict[str, Any], name: str = "small-1") -> set[tuple[str, str]]:
    return {(one.what, one.why) for one in read_litellm(litellm_file(**{name: entry})).remarks}


@pytest.mark.parametrize(
    ("field", "mode", "unit", "price", "per"),
    [
        ("input_cost_per_token", "chat", "input_tokens", "3", 1_000_000),
        ("output_cost_per_token", "chat", "output_tokens", "3", 1_000_000),
        ("cache_read_input_token_cost", "chat", "cache_read_tokens", "3", 1_000_000),
        ("cache_creation_input_token_cost", "chat", "cache_write_tokens", "3", 1_000_000),
        ("cache_creation_input_token_cost_above_1hr", "chat", "cache_write_1h", "3", 1_000_000),
        ("cache_creation_input_token_cost_above_12hr", "chat", "cache_write_1h", "3", 1_000_000),
        ("input_cost_per_audio_token", "chat", "input_audio", "3", 1_000_000),
        ("output_cost_per_audio_token", "realtime", "output_audio", "3", 1_000_000),
        ("cache_read_input_audio_token_cost", "chat", "cache_read_audio", "3", 1_000_000),
        ("input_cost_per_image_token", "image_edit", "input_image", "3", 1_000_000),
        ("output_cost_per_image_token", "image_generation", "output_image", "3", 1_000_000),
        ("output_cost_per_reasoning_token", "chat", "output_reasoning", "3", 1_000_000),
        ("input_cost_per_second", "audio_transcription", "seconds", "0.0108", 3_600),
        ("input_cost_per_character", "audio_speech", "characters", "3", 1_000_000),
        ("ocr_cost_per_page", "ocr", "pages", "0.003", 1_000),
        ("output_cost_per_image", "image_generation", "images", "0.000003", 1),
        ("input_cost_per_request", "chat", "requests", "0.003", 1_000),
    ],
)
def test_each_field_is_the_price_of_its_unit(field: str, mode: str, unit: str, price: str, per: int) -> None:
    (row,) = rows_of({"litellm_provider": "openai", "mode": mode, field: 3e-06})
    assert (row.provider, row.model, row.unit, row.price, row.per) == (
        "openai",
        "small-1",
        unit,
        Decimal(price),
        per,
    )
    assert (row.source, row.link, row.currency) == ("litellm", LINK, "USD")


def test_prices_are_taken_to_the_last_digit() -> None:
    exact = litellm_file(m={**CHAT, "input_cost_per_token": 3}).replace(b": 3", b": 1.1249999999999999e-07")
    source = read_litellm(exact)
    assert source.rows["openai", "m"][0].price == Decimal("0.11249999999999999")


def test_a_link_of_the_entrys_own_is_kept() -> None:
    (row,) = rows_of({**CHAT, "input_cost_per_token": 1e-6, "source": "https://openai.com/prices"})
    assert row.link == "https://openai.com/prices"


def test_long_prompts_have_bands_as_whole_requests() -> None:
    entry = {
        **CHAT,
        "input_cost_per_token": 1e-6,
        "input_cost_per_token_above_128k_tokens": 2e-6,
        "input_cost_per_token_above_272k_tokens": 4e-6,
        "output_cost_per_token": 5e-6,
    }
    assert shown(rows_of(entry)) == {
        ("input_tokens", "1", 1_000_000, None, False, None, 128_000),
        ("input_tokens", "2", 1_000_000, None, False, 128_000, 272_000),
        ("input_tokens", "4", 1_000_000, None, False, 272_000, None),
        ("output_tokens", "5", 1_000_000, None, False, None, None),
    }


def test_a_way_of_calling_has_its_whole_list_and_ends_where_its_long_prompts_have_no_price() -> None:
    entry = {
        **CHAT,
        "input_cost_per_token": 1e-6,
        "input_cost_per_token_above_272k_tokens": 2e-6,
        "cache_read_input_token_cost": 1e-7,
        "input_cost_per_token_batches": 5e-7,
        "input_cost_per_token_above_272k_tokens_batches": 1e-6,
        "input_cost_per_token_priority": 3e-6,
    }
    found = {row for row in shown(rows_of(entry)) if row[3] or row[4]}
    assert found == {
        ("input_tokens", "0.5", 1_000_000, None, True, None, 272_000),
        ("input_tokens", "1", 1_000_000, None, True, 272_000, None),
        ("cache_read_tokens", "0.1", 1_000_000, None, True, None, None),
        ("input_tokens", "3", 1_000_000, "priority", False, None, 272_000),
        ("cache_read_tokens", "0.1", 1_000_000, "priority", False, None, None),
    }


def test_a_search_has_a_price_where_the_size_of_its_context_makes_none() -> None:
    sizes = {f"search_context_size_{size}": 0.01 for size in ("low", "medium", "high")}
    entry = {**CHAT, "input_cost_per_token": 1e-6, "search_context_cost_per_query": sizes}
    assert ("searches", "10", 1_000, None, False, None, None) in shown(rows_of(entry))
    differing = {**entry, "search_context_cost_per_query": {**sizes, "search_context_size_high": 0.05}}
    assert {row.unit for row in rows_of(differing)} == {"input_tokens"}
    assert (
        "search_context_cost_per_query",
        "the price of a search depends on more than their number",
    ) in remarks_of(differing)


def test_off_peak_hours_on_weekdays_leave_the_other_price_for_the_rest_of_the_week() -> None:
    windows = [
        {"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
        {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
    ]
    entry = {
        **CHAT,
        "input_cost_per_token": 2e-6,
        "output_cost_per_token": 9e-6,
        "off_peak_pricing": {"input_cost_per_token": 1e-6, "windows": windows},
    }
    found = {
        (str(row.price), row.hours, row.weekdays) for row in rows_of(entry) if row.unit == "input_tokens"
    }
    workdays = (0, 1, 2, 3, 4)
    assert found == {
        ("1", (0, 3_600), workdays),
        ("1", (36_000, DAY_SECONDS), workdays),
        ("1", None, (5, 6)),
        ("2", (3_600, 36_000), workdays),
    }


@pytest.mark.parametrize(
    "off_peak",
    [
        {"windows": [{"hours_utc": "22:00-02:00", "weekdays": [1]}], "input_cost_per_token": 1e-6},
        {"windows": [{"hours_utc": "22:00-23:00"}], "weekday_timezone": "Asia/Shanghai"},
    ],
)
def test_an_entry_whose_hours_are_not_understood_has_no_price(off_peak: dict[str, Any]) -> None:
    entry = {**CHAT, "input_cost_per_token": 2e-6, "off_peak_pricing": off_peak}
    assert rows_of(entry) == []
    assert remarks_of(entry) == {("off_peak_pricing", "these hours are not understood")}


def test_hours_over_midnight_on_all_days_are_two_spans() -> None:
    off_peak = {"windows": [{"hours_utc": "22:00-02:00"}], "input_cost_per_token": 1e-6}
    rows = rows_of({**CHAT, "input_cost_per_token": 2e-6, "off_peak_pricing": off_peak})
    assert {(str(row.price), row.hours) for row in rows} == {
        ("1", (0, 7_200)),
        ("1", (79_200, DAY_SECONDS)),
        ("2", (7_200, 79_200)),
    }


SPANS = st.tuples(st.integers(0, DAY_SECONDS - 1), st.integers(1, DAY_SECONDS)).filter(
    lambda one: one[0] < one[1]
)
WINDOWS = st.lists(
    st.builds(
        Window,
        st.lists(SPANS, min_size=1, max_size=3).map(tuple),
        st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    ),
    max_size=4,
)


@given(windows=WINDOWS, day=st.integers(0, 6), second=st.integers(0, DAY_SECONDS - 1))
def test_every_second_of_the_week_is_in_one_part(windows: list[Window], day: int, second: int) -> None:
    inside, outside = split_week(windows)
    parts = [
        part
        for part in (*inside, *outside)
        if day in (part.weekdays or range(7))
        and (part.hours or (0, DAY_SECONDS))[0] <= second < (part.hours or (0, DAY_SECONDS))[1]
    ]
    assert len(parts) == 1
    is_inside = any(
        day in window.weekdays and any(start <= second < end for start, end in window.spans)
        for window in windows
    )
    assert (parts[0] in inside) == is_inside


def test_fields_about_money_that_are_not_understood_are_told_and_others_are_not() -> None:
    entry = {
        **CHAT,
        "input_cost_per_token": 1e-6,
        "input_cost_per_token_ultrafast": 6e-6,
        "provider_specific_entry": {"fast": 2},
        "supports_vision": True,
        "max_input_tokens": 8_000,
        "deprecation_date": "2027-01-01",
    }
    assert {what for what, _ in remarks_of(entry)} == {
        "input_cost_per_token_ultrafast",
        "provider_specific_entry",
    }


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (
            {**CHAT, "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
            "every price is 0, which may stand for unknown",
        ),
        (
            {**CHAT, "input_cost_per_token": 1e-6, "tiered_pricing": []},
            "prices by the size of the prompt in this form",
        ),
        ({"mode": "chat", "litellm_provider": "", "input_cost_per_token": 1e-6}, "names no provider"),
    ],
)
def test_an_entry_of_which_no_price_can_be_made_is_told(entry: dict[str, Any], why: str) -> None:
    both = litellm_file(odd=entry, fine={**CHAT, "input_cost_per_token": 1e-6})
    source = read_litellm(both)
    assert [one.id for one in source.entries] == ["fine"]
    assert why in {one.why for one in source.remarks}


def test_a_zero_beside_real_prices_is_taken_only_where_it_is_known_to_mean_nothing() -> None:
    chat = {
        **CHAT,
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 0,
        "cache_creation_input_token_cost": 0,
    }
    assert {row.unit for row in rows_of(chat)} == {"input_tokens", "cache_write_tokens"}
    embedding = {
        "litellm_provider": "openai",
        "mode": "embedding",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 0,
    }
    assert {row.unit for row in rows_of(embedding)} == {"input_tokens", "output_tokens"}


@pytest.mark.parametrize(
    ("name", "door", "place"),
    [
        ("azure__gpt-9", "azure", ("azure", "gpt-9")),
        ("gemini__gemini-9", "gemini", ("google", "gemini-9")),
        ("claude-9@20270101", "vertex_ai-anthropic_models", ("google", "claude-9@20270101")),
        ("anthropic.claude-9-v1:0", "bedrock_converse", ("aws", "anthropic.claude-9-v1:0")),
        ("openrouter__openai__gpt-9", "openrouter", ("openrouter", "openai/gpt-9")),
        ("deepgram__nova-9", "deepgram", ("deepgram", "nova-9")),
    ],
)
def test_doors_are_providers_and_names_lose_the_door(name: str, door: str, place: tuple[str, str]) -> None:
    (row,) = rows_of({"litellm_provider": door, "mode": "chat", "input_cost_per_token": 1e-6}, name)
    assert (row.provider, row.model) == place


@pytest.mark.parametrize(
    "name",
    [
        "azure__eu__gpt-9",
        "bedrock__us-east-1__x.y",
        "bedrock__*__1-month-commitment__x.y",
        "1024-x-1024__dall-e-9",
    ],
)
def test_names_that_carry_a_region_a_size_or_capacity_are_left_out(name: str) -> None:
    door = "azure" if name.startswith("azure") else "bedrock"
    assert rows_of({"litellm_provider": door, "mode": "chat", "input_cost_per_token": 1e-6}, name) == []


def test_entries_that_differ_for_one_model_cancel_each_other() -> None:
    one, other = ({**CHAT, "input_cost_per_token": price} for price in (1e-6, 2e-6))
    source = read_litellm(litellm_file(gpt_9=one, openai__gpt_9=other, fine=one))
    assert [entry.id for entry in source.entries] == ["fine"]
    assert ("entry", "several entries for one model differ") in {
        (one.what, one.why) for one in source.remarks
    }
    same = read_litellm(litellm_file(gpt_9=one, openai__gpt_9=one))
    assert [entry.id for entry in same.entries] == ["gpt_9"]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"input_cost_per_token": "0.000001"}, "small-1.input_cost_per_token"),
        ({"input_cost_per_token": -1e-6}, "small-1.input_cost_per_token"),
        ({"input_cost_per_token": True}, "small-1.input_cost_per_token"),
        ({"input_cost_per_token": 1e9}, "small-1.input_cost_per_token"),
        ({"search_context_cost_per_query": []}, "small-1.search_context_cost_per_query"),
        ({"input_cost_per_token": 1e-6, "off_peak_pricing": {"windows": 3}}, "small-1.off_peak_pricing"),
        (
            {"input_cost_per_token": 1e-6, "off_peak_pricing": {"windows": [{"hours_utc": "9-5"}]}},
            "small-1.off_peak_pricing",
        ),
        ({"mode": 3}, "small-1.mode"),
    ],
)
def test_a_fault_is_named_by_entry_and_field(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_litellm(litellm_file(**{"small-1": {**CHAT, **fields}}))
    assert [reason.field for reason in refusal.value.reasons] == [place]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", Malformed),
        (b"\xff\xfe", Malformed),
        (b'{"a": ', Malformed),
        (b'{"a": NaN}', Malformed),
        (b"[]", Invalid),
        (b"{}", Invalid),
        (b'{"a": {"b": 1}}', Invalid),
        (b'{"fine": {"litellm_provider": "x"}, "a": 3}', Invalid),
        (b"[" * 100_000, Malformed),
    ],
)
def test_another_file_is_refused(content: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read_litellm(content)


FIELDS = ("litellm_provider", "mode", "source", "input_cost_per_token", "off_peak_pricing")
ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        10**400,
        0.5,
        "",
        "x",
        [],
        [None],
        {},
        {"windows": [{"hours_utc": [3], "weekdays": "x"}]},
    ]
)


@given(entry=st.dictionaries(st.sampled_from(FIELDS), ODD))
def test_whatever_an_entry_holds_it_is_read_or_refused_by_field(entry: dict[str, Any]) -> None:
    content = litellm_file(fine={**CHAT, "input_cost_per_token": 1e-6}, odd=entry)
    fields: set[str] = set()
    try:
        read_litellm(content)
    except Invalid as refusal:
        fields = {reason.field for reason in refusal.reasons}
    assert fields <= {f"odd.{field}" for field in entry}
