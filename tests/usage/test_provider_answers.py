"""Files with provider answers become events or named reasons, and no file breaks the reading."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.event import UsageEvent
from bursar.usage.formats import provider_answers
from bursar.usage.formats.provider_answers import AnswerReading, read_answer, read_answers
from bursar.usage.measure import measure_usage

if TYPE_CHECKING:
    from pathlib import Path

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1742905314,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"message": {"content": "Hi"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 4},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-x",
    "usage": {"input_tokens": 10, "output_tokens": 4, "cache_read_input_tokens": 7},
}


def recording(body: object, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    response = {"status": fields.pop("status", 200), "headers": fields.pop("headers", {}), "json": body}
    request = {
        "method": "POST",
        "url": fields.pop("url", "https://api.openai.com/v1/chat/completions"),
        "body_summary": {"model": "gpt-4o"},
    }
    return {"provider": "openai", "api": "chat", "request": request, "response": response, **fields}


def read(value: object, provider: str | None = None) -> AnswerReading:
    return read_answer(json.dumps(value).encode(), provider)


def event_of(value: object, provider: str | None = None) -> UsageEvent:
    event = read(value, provider).event
    assert event is not None
    return event


def test_a_recording_gives_an_event_with_everything_it_says() -> None:
    headers = {"X-Request-Id": "req_1", "date": "Tue, 31 Mar 2026 13:13:32 GMT"}

    event = event_of(recording(CHAT, headers=headers))

    assert event == UsageEvent(
        event_id="openai:chatcmpl-1",
        time=datetime(2025, 3, 25, 12, 21, 54, tzinfo=UTC),
        request_id="req_1",
        provider="openai",
        model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        operation="chat",
        endpoint="/v1/chat/completions",
        service_tier="default",
        status="ok",
        usage={"prompt_tokens": 10, "completion_tokens": 4},
    )


def test_the_date_header_is_the_time_where_the_body_has_none() -> None:
    headers = {"date": "Tue, 31 Mar 2026 13:13:32 GMT"}

    assert event_of(recording(MESSAGE, headers=headers)).time == datetime(2026, 3, 31, 13, 13, 32, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong", ["yesterday", -5, 0, 10**40, True, None, "0001-01-01T00:00:00+14:00", "9999"]
)
def test_a_time_that_is_none_is_left_out(wrong: object) -> None:
    assert event_of(recording(CHAT | {"created": wrong}, headers={"date": "soon"})).time is None


def test_a_time_in_words_is_read_with_its_zone() -> None:
    event = event_of({"usageMetadata": {"promptTokenCount": 1}, "createTime": "2026-05-13T22:35:38.5+02:00"})

    assert event.time == datetime(2026, 5, 13, 20, 35, 38, 500_000, tzinfo=UTC)


def test_the_model_asked_for_may_stand_in_the_path() -> None:
    url = "https://x.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=1"
    body = recording(CHAT, provider="azure", url=url, headers={"x-ms-region": "East US 2"})
    body["request"]["body_summary"] = None

    event = event_of(body)

    assert (event.provider, event.model, event.region) == ("azure", "my-gpt", "East US 2")


def test_vertex_says_model_and_region_in_its_path() -> None:
    url = "https://h/v1/projects/p/locations/us-central1/publishers/google/models/gemini-x:generateContent"
    body = recording(
        {"candidates": [], "usageMetadata": {"promptTokenCount": 3}},
        provider="vertex",
        api="generateContent",
        url=url,
    )
    body["request"]["body_summary"] = {}

    event = event_of(body)

    assert (event.provider, event.model, event.region) == ("google", "gemini-x", "us-central1")


class TestBareAnswers:
    def test_a_message_is_anthropics(self) -> None:
        event = event_of(MESSAGE)

        assert (event.event_id, event.provider, event.operation) == ("anthropic:msg_1", "anthropic", "chat")
        assert measure_usage(event).units == {"input_text": 10, "cache_read_text": 7, "output_text": 4}

    def test_usage_metadata_is_googles(self) -> None:
        assert event_of({"usageMetadata": {"promptTokenCount": 3}, "candidates": []}).provider == "google"

    def test_openais_shape_is_many_a_providers(self) -> None:
        assert event_of(CHAT).provider is None
        assert event_of(CHAT).event_id == "answer:chatcmpl-1"

    def test_the_caller_may_name_the_provider(self) -> None:
        assert event_of(CHAT, "openai").provider == "openai"
        assert event_of({"usageMetadata": {}, "candidates": []}, "vertex").provider == "google"
        assert read(CHAT, "acme").reason == "provider_not_supported_yet"

    def test_a_json_array_of_chunks_is_geminis_stream(self) -> None:
        chunks: list[dict[str, Any]] = [
            {"candidates": [{}], "usageMetadata": {"promptTokenCount": n}} for n in (1, 2)
        ]

        assert event_of(chunks).usage == {"promptTokenCount": 2}

    def test_a_stream_as_it_came_is_folded(self) -> None:
        text = "\r\n\r\n".join(f"data: {json.dumps(chunk)}" for chunk in (CHAT | {"usage": None}, CHAT))

        event = read_answer(text.encode()).event

        assert event is not None
        assert event.usage == CHAT["usage"]

    def test_a_cut_stream_says_so_beside_its_usage(self) -> None:
        start = {"type": "message_start", "message": MESSAGE}

        reading = read_answer(f"event: message_start\ndata: {json.dumps(start)}\n\ndata: {{".encode())

        assert reading.event is not None
        assert reading.reason is None
        assert reading.detail == provider_answers.CUT_STREAM

    @pytest.mark.parametrize("body", [{"input_tokens": 16}, {"totalTokens": 5}])
    def test_a_count_of_tokens_is_no_call(self, body: dict[str, Any]) -> None:
        assert read(body) == AnswerReading(None, provider_answers.WithoutUsage.COUNT_ONLY, read(body).detail)

    @pytest.mark.parametrize("value", [5, "text", None, [], [1], {}, {"files": []}, [{"file": "x"}]])
    def test_what_is_no_answer_is_unknown(self, value: object) -> None:
        assert read(value).reason == "unknown_answer"

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xfe", b"{", b"hello", b"NaN", b"[" * 100_000, b'{"a":1e999}']
    )
    def test_what_is_no_json_is_unreadable(self, content: bytes) -> None:
        assert read_answer(content).reason == "unreadable_file"


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            ({"code": None, "type": "invalid_request_error", "message": "No."}, "invalid_request_error"),
            ({"code": "model_not_found", "type": "x", "message": "No."}, "model_not_found"),
            ({"code": 400, "status": "INVALID_ARGUMENT", "message": "No."}, "INVALID_ARGUMENT"),
            ({"code": 429, "message": "No."}, "429"),
            ({"message": "No."}, "400"),
            ("No.", "400"),
        ],
    )
    def test_a_refused_call_is_recorded_with_code_and_message(self, error: object, code: str) -> None:
        reading = read(recording({"error": error}, status=400))

        assert reading.reason == "error_answer"
        assert reading.event is not None
        assert reading.event.usage is None
        assert reading.event.status == "error"
        assert (reading.event.error_code, reading.event.message) == (code, "No.")

    def test_an_error_without_a_body_is_known_by_its_status(self) -> None:
        reading = read(recording({}, status=503))

        assert (reading.reason, reading.detail) == ("error_answer", "HTTP 503")

    def test_a_failed_answer_that_was_billed_keeps_its_usage(self) -> None:
        event = event_of(recording(CHAT | {"error": {"code": "server_error", "message": "Oh."}}))

        assert event.status == "error"
        assert event.usage == CHAT["usage"]

    def test_errors_of_different_calls_have_different_ids(self) -> None:
        first, second = (recording({"error": {"message": "No."}}, status=400, n=n) for n in (1, 2))

        assert event_of(first).event_id != event_of(second).event_id
        assert event_of(first).event_id == event_of(first).event_id


class TestSearches:
    def test_the_counted_searches_of_openai_come_beside_the_usage(self) -> None:
        body = CHAT | {"tool_usage": {"web_search": {"num_requests": 3}}}

        assert event_of(recording(body)).units == {"searches": 3}
        assert measure_usage(event_of(recording(body))).units["searches"] == 3

    def test_opening_a_page_is_no_search(self) -> None:
        actions = ("search", "open_page", "find_in_page", "search")
        output = [{"type": "web_search_call", "action": {"type": action}} for action in actions]

        assert event_of(recording(CHAT | {"output": [*output, {"type": "message"}]})).units == {"searches": 2}

    def test_geminis_queries_are_counted(self) -> None:
        candidates: list[dict[str, Any]] = [
            {"groundingMetadata": {"webSearchQueries": ["a", "b", ""]}},
            {"groundingMetadata": {}},
        ]

        event = event_of({"candidates": candidates, "usageMetadata": {"promptTokenCount": 1}})

        assert event.units == {"searches": 2}

    def test_anthropics_searches_are_counted_once_by_its_usage(self) -> None:
        usage = {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 2}}

        event = event_of(MESSAGE | {"usage": usage})

        assert event.units is None
        assert measure_usage(event).units["searches"] == 2


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_the_promise_of_an_answer_is_not_recorded(status: str) -> None:
    reading = read(recording({"id": "resp_1", "status": status, "usage": None}, api="responses"))

    assert (reading.event, reading.reason) == (None, "not_finished")


def test_usage_that_cannot_be_is_refused_with_every_reason() -> None:
    reading = read(recording(CHAT | {"usage": {"prompt_tokens": -1, "completion_tokens": "x"}}))

    assert (reading.event, reading.reason) == (None, "usage_refused")
    assert "usage.prompt_tokens" in reading.detail
    assert "usage.completion_tokens" in reading.detail


def test_another_provider_is_named_as_not_supported() -> None:
    assert read(recording(CHAT, provider="acme")).reason == "provider_not_supported_yet"


def test_a_response_in_binary_frames_is_unknown() -> None:
    body = recording(None)
    body["response"] = {"status": 200, "base64": "AAAA"}

    assert read(body).reason == "unknown_answer"


def test_a_folder_is_read_file_by_file_with_its_subfolders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "message.json").write_text(json.dumps(MESSAGE))
    (tmp_path / "a.json").write_text(json.dumps(CHAT))
    (tmp_path / "c.txt").write_text("not an answer")
    (tmp_path / "d.json").symlink_to(tmp_path / "nowhere")

    readings = {path.name: reading for path, reading in read_answers(tmp_path)}

    assert list(readings) == ["a.json", "message.json", "c.txt"]
    assert [reading.reason for reading in readings.values()] == [None, None, "unreadable_file"]
    assert [path.name for path, _ in read_answers(tmp_path / "a.json")] == ["a.json"]


def test_a_file_too_large_to_be_an_answer_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_answers, "FILE_BYTES_LIMIT", 10)
    (tmp_path / "large.json").write_text(json.dumps(CHAT))

    ((_, reading),) = read_answers(tmp_path)

    assert (reading.event, reading.reason) == (None, "unreadable_file")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2 * 10**12)
    | st.text(max_size=300)
    | st.sampled_from(["message", "openai", "chat", "queued", "search", "https://[", "response.compaction"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                re.findall(
                    r"\w+",
                    "id object type model status usage usageMetadata error code message output action "
                    "candidates groundingMetadata webSearchQueries tool_usage web_search num_requests "
                    "created createTime "
                    "service_tier prompt_tokens input_tokens output_tokens promptTokenCount request response "
                    "provider api url headers json sse body_summary date choices response request_id",
                )
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(VALUES, st.none() | st.sampled_from(["openai", "gemini", "nobody"]))
def test_any_json_gives_an_event_within_all_limits_or_a_reason(value: object, provider: str | None) -> None:
    reading = read(value, provider)

    assert reading.event is not None or reading.reason is not None
    if reading.event is not None:
        assert msgspec.json.decode(msgspec.json.encode(reading.event), type=UsageEvent).event_id
        measure_usage(reading.event)


@pytest.mark.parametrize(
    "junk", [None, True, -1, 10**30, 1.5, "", "x", [], {}, [[]], {"a": [1]}, [{"a": {}}]]
)
def test_no_field_of_a_wrong_type_breaks_the_reading(junk: object) -> None:
    call = {"type": "web_search_call", "action": {"type": "search"}}
    whole = recording(
        CHAT | {"error": {"code": "c", "message": "m"}, "status": "ok", "output": [call], "request_id": "r"}
    ) | {"note": "n"}

    for path in paths_of(whole):
        reading = read(replaced(whole, path, junk))
        assert reading.event is not None or reading.reason is not None


def paths_of(value: object) -> list[tuple[str | int, ...]]:
    return [(), *((key, *rest) for key, child in children_of(value) for rest in paths_of(child))]


def children_of(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return list(cast("dict[str | int, object]", value).items())
    return list(enumerate(cast("list[object]", value))) if isinstance(value, list) else []


def replaced(value: Any, path: tuple[str | int, ...], junk: object) -> Any:  # noqa: ANN401 - any JSON value
    if not path:
        return junk
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], junk)
    return copy


@given(st.binary())
def test_any_bytes_give_a_reading(content: bytes) -> None:
    reading = read_answer(content)

    assert reading.event is not None or reading.reason is not None
