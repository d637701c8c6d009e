"""A provider's own answer, posted as it came: one event, priced, estimated or refused by name."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.recorded import recorded

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import RunningServer

IMPORT = "/api/v1/events/import"
STREAM = {"Content-Type": "text/event-stream"}
JSON = {"Content-Type": "application/json"}
ENGLISH = "The quick brown fox jumps over the lazy dog."


def post(server: RunningServer, body: bytes | object, query: str = "", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"{IMPORT}?wait=applied&{query}"
    return server.client.post(path, content=content, headers={**JSON, **headers})


def stored(server: RunningServer, event_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = server.client.get(f"/api/v1/events/{quote(event_id)}").raise_for_status().json()
    return answer


def explained(server: RunningServer, event_id: str) -> dict[str, Any]:
    path = f"/api/v1/events/{quote(event_id)}/explain"
    answer: dict[str, Any] = server.client.get(path).raise_for_status().json()
    return answer


def chat(name: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    body = {"id": name, "object": "chat.completion", "created": 1763600000, "model": "gpt-5-2025-08-07"}
    return {**body, "service_tier": "default", "usage": usage, **fields}


def chat_stream(name: str) -> bytes:
    chunk = {
        "id": name,
        "created": 1763600000,
        "model": "gpt-5",
        "choices": [{"delta": {"content": ENGLISH}}],
    }
    return f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()


def test_a_json_answer_is_priced_and_told_apart_by_its_id(server: RunningServer) -> None:
    """gpt-5: 1,000 x 1.25 USD + 100 x 10 USD per million tokens (openai.com/api/pricing)."""
    query = "provider=openai&project_id=p1&user_id=mara&session_id=s1&environment=test"
    first, again = post(server, chat("c-1"), query), post(server, chat("c-1"), query)

    assert first.status_code == 200
    event = first.json()["events"][0]
    assert event["event_id"] == "openai:c-1"
    assert event["cost"] == {"status": "priced", "currency": "USD", "total": "0.00225"}
    assert again.json()["events"][0]["outcome"] == "duplicate"
    kept = stored(server, "openai:c-1")
    assert (kept["project_id"], kept["user_id"], kept["session_id"]) == ("p1", "mara", "s1")
    assert (kept["time"], kept["service_tier"]) == ("2025-11-20T00:53:20Z", "default")


@pytest.mark.parametrize("between", [b",", b"\n"])
def test_several_whole_answers_in_one_body_are_refused_and_none_is_lost_among_them(
    server: RunningServer, between: bytes
) -> None:
    both = between.join(json.dumps(chat(name)).encode() for name in ("several-1", "several-2"))
    body = b"[" + both + b"]" if between == b"," else both

    answer = post(server, body, "provider=openai")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "several_answers"


ANTHROPIC = (
    'data: {"type":"message_start","message":{"id":"%s","model":"claude-sonnet-4-5",'
    '"usage":{"input_tokens":9}}}\n\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    '"usage":{"output_tokens":5}}\n\n'
    'data: {"type":"message_stop"}\n\n'
)
CHAT = (
    'data: {"id":"%s","object":"chat.completion.chunk","model":"gpt-4o","choices":[{"index":0,"delta":{},'
    '"finish_reason":"stop"}]}\n\ndata: {"id":"%s","object":"chat.completion.chunk","model":"gpt-4o",'
    '"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}\n\ndata: [DONE]\n\n'
)
RESPONSES = (
    'data: {"type":"response.created","response":{"id":"%s","model":"gpt-4o"}}\n\n'
    'data: {"type":"response.completed","response":{"id":"%s","object":"response","model":"gpt-4o",'
    '"status":"completed","usage":{"input_tokens":9,"output_tokens":5}}}\n\n'
)
GEMINI = (
    'data: {"responseId":"%s","modelVersion":"gemini-2.5-pro","candidates":[{"content":{}}]}\n\n'
    'data: {"responseId":"%s","modelVersion":"gemini-2.5-pro","candidates":[{"finishReason":"STOP"}],'
    '"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":5}}\n\n'
)
OLLAMA = (
    '{"model":"%s","created_at":"2026-11-01T10:00:00Z","message":{"content":"a"},"done":false}\n'
    '{"model":"%s","created_at":"2026-11-01T10:00:01Z","done":true,"prompt_eval_count":9,"eval_count":5}\n'
)


@pytest.mark.parametrize(
    ("provider", "stream"),
    [
        ("anthropic", ANTHROPIC),
        ("openai", CHAT),
        ("openai", RESPONSES),
        ("google", GEMINI),
        ("ollama", OLLAMA),
    ],
)
@pytest.mark.parametrize("form", ["bare", "recorded"])
def test_several_whole_streams_in_one_body_are_refused_and_one_is_taken(
    server: RunningServer, provider: str, stream: str, form: str
) -> None:
    def send(*names: str) -> httpx.Response:
        text = "".join(stream.replace("%s", name) for name in names)
        if form == "bare":
            return post(server, text.encode(), f"provider={provider}", **STREAM)
        recorded = {"provider": provider, "request": {}, "response": {"sse": text}}
        return post(server, json.dumps(recorded).encode(), f"provider={provider}")

    both = send("one", "two")
    assert both.status_code == 422, both.text
    assert both.json()["errors"][0]["code"] == "several_answers"
    assert send(f"alone-{form}").status_code == 200


def test_the_answers_tier_counts_whatever_the_request_said(server: RunningServer) -> None:
    recording = {
        "provider": "openai",
        "api": "chat",
        "request": {"url": "https://api.openai.com/v1/x", "body": {"service_tier": "flex", "model": "gpt-5"}},
        "response": {"status": 200, "json": chat("c-tier", service_tier="default")},
    }

    answer = post(server, recording, "provider=openai").json()

    assert answer["events"][0]["cost"]["total"] == "0.00225"


def test_a_stream_of_server_sent_events_is_an_answer(server: RunningServer) -> None:
    body = recorded("sdk_sse", "anthropic_tool_use_response.sse").read_bytes()
    answer = post(server, body, **STREAM)

    assert answer.status_code == 200
    kept = stored(server, answer.json()["events"][0]["event_id"])
    assert kept["units"] == {"input_text": 377, "output_text": 65}
    assert kept["provider"] == "anthropic"


def test_an_aws_event_stream_is_an_answer(server: RunningServer) -> None:
    name = "bedrock_converse_stream_03_us.amazon.nova-micro-v1-3A0.json"
    frames = base64.b64decode(json.loads(recorded("responses", name).read_text())["response"]["base64"])
    headers = {"Content-Type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "req-77"}

    answer = post(server, frames, "provider=bedrock&model=us.amazon.nova-micro-v1:0", **headers)

    event = answer.json()["events"][0]
    assert (event["event_id"], event["cost"]["status"]) == ("aws:req-77", "priced")
    assert stored(server, "aws:req-77")["units"] == {"input_text": 577, "output_text": 18}


def test_counts_in_headers_of_the_answer_may_be_passed_on(server: RunningServer) -> None:
    headers = {
        "x-amzn-bedrock-input-token-count": "7",
        "x-amzn-bedrock-output-token-count": "3",
        "x-amzn-requestid": "r-7",
    }

    post(server, {"outputs": [{"text": "Hi"}]}, "provider=bedrock&model=mistral.mistral-7b-v0", **headers)

    assert stored(server, "aws:r-7")["units"] == {"input_text": 7, "output_text": 3}


def test_an_answer_without_an_id_counts_each_time_unless_the_caller_names_it(server: RunningServer) -> None:
    body = {
        "object": "list",
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    ids = [post(server, body, "provider=openai").json()["events"][0] for _ in range(2)]
    named = [post(server, body, "provider=openai&event_id=emb-1").json()["events"][0] for _ in range(2)]

    assert ids[0]["event_id"] != ids[1]["event_id"]
    assert not ids[0]["retry_safe"]
    assert [event["outcome"] for event in named] == ["new", "duplicate"]


def test_what_was_peculiar_about_the_usage_is_part_of_the_explanation(server: RunningServer) -> None:
    usage = {"inputTokens": 5, "outputTokens": 1, "cacheWriteInputTokens": 9, "totalTokens": 15}
    body: dict[str, Any] = {"output": {"message": {}}, "stopReason": "end_turn", "usage": usage}

    post(server, body, "provider=bedrock&model=us.anthropic.claude-sonnet-4-6&event_id=n-1")

    assert explained(server, "n-1")["notes"] == ["cache_write_taken_as_5m"]


class TestEstimates:
    def test_a_stream_that_nobody_counted_is_estimated_and_its_cost_unknown(
        self, server: RunningServer
    ) -> None:
        event = post(server, chat_stream("e-1"), "provider=openai", **STREAM).json()["events"][0]

        assert event["cost"] == {"status": "unpriced", "currency": "USD", "reason": "input_unknown"}
        kept = stored(server, "openai:e-1")
        assert kept["units"] == {"output_text": 11}
        assert kept["units_source"] == "estimated_output:characters:4"
        assert explained(server, "openai:e-1")["units_source"] == "estimated_output:characters:4"

    def test_a_recording_with_its_request_has_an_estimated_cost(self, server: RunningServer) -> None:
        """44 characters each way / 4 = 11 tokens; gpt-5: 11 x 1.25 + 11 x 10 USD per million."""
        recording = {
            "provider": "openai",
            "api": "chat",
            "request": {"body": {"model": "gpt-5", "messages": [{"role": "user", "content": ENGLISH}]}},
            "response": {"status": 200, "sse": chat_stream("e-2").decode()},
        }

        event = post(server, recording, "provider=openai").json()["events"][0]

        assert event["cost"] == {"status": "estimated", "currency": "USD", "total": "0.00012375"}
        found = explained(server, "openai:e-2")
        assert (found["cost_status"], found["units_source"]) == ("estimated", "estimated:characters:4")
        assert found["adds_up"]
        assert found["notes"] == []
        assert [line["amount"] for line in found["explanation"]["lines"]] == ["0.00001375", "0.00011"]

    def test_a_summary_tells_estimates_from_prices(self, server: RunningServer) -> None:
        event = {"event_id": "e-3", "provider": "openai", "model": "gpt-5", "time": "2025-03-01T00:00:00Z"}
        estimated = {**event, "units": {"output_text": 100}, "estimate": {"method": "characters:4"}}
        server.client.post(f"{IMPORT}?wait=applied", json=estimated).raise_for_status()

        window = "2025-03-01/2025-03-02"
        question = {"window": window, "dimensions": ["cost_status"], "measures": ["events"]}
        rows = server.client.post("/api/v1/query", json=question).raise_for_status().json()["rows"]
        summary = server.client.get(f"/api/v1/cost/summary?window={window}").raise_for_status().json()

        assert rows == [{"cost_status": "estimated", "events": 1}]
        assert (summary["total_cost"], summary["cost_by_status"]) == ("0.001", {"estimated": "0.001"})

    def test_no_text_is_kept_anywhere(self, server: RunningServer) -> None:
        post(server, chat_stream("e-4"), "provider=openai", **STREAM)

        assert "quick" not in json.dumps(stored(server, "openai:e-4"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "query", "code"),
        [
            ({"input_tokens": 16, "object": "response.input_tokens"}, "provider=openai", "count_only"),
            (b"%PDF-1.7", "provider=openai", "unreadable_file"),
            ({"id": "r", "object": "response", "status": "queued"}, "provider=openai", "not_finished"),
            ({"id": "x"}, "provider=acme", "provider_not_supported_yet"),
            (chat("c-neg", usage={"prompt_tokens": -1}), "provider=openai", "usage_refused"),
            (chat("c-time"), "provider=openai&time=soon", "invalid_value"),
            (chat("c-tab"), "provider=openai&colour=red", "unknown_parameter"),
        ],
    )
    def test_what_is_no_event_is_refused_by_name(
        self, server: RunningServer, body: object, query: str, code: str
    ) -> None:
        answer = post(server, body, query)

        assert answer.status_code in {400, 422}
        assert code in answer.text

    def test_an_error_is_a_failed_event_without_cost(self, server: RunningServer) -> None:
        body = {
            "error": {"message": "No such model", "code": "model_not_found", "type": "invalid_request_error"}
        }
        event = post(server, body, "provider=openai&event_id=err-1&model=gpt-0").json()["events"][0]

        assert event["cost"] == {
            "status": "priced",
            "currency": "USD",
            "total": "0",
            "reason": "failed_without_usage",
        }
        assert (stored(server, "err-1")["status"], stored(server, "err-1")["error_code"]) == (
            "error",
            "model_not_found",
        )

    def test_a_key_that_may_only_read_posts_no_answer(self, server: RunningServer) -> None:
        made = server.client.post("/api/v1/keys", json={"label": "reader", "scopes": ["read"]}).json()
        answer = server.stranger.post(
            f"{IMPORT}?provider=openai", json=chat("c-no"), headers={"X-API-Key": made["key"]}
        )

        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")

    def test_another_tenant_sees_nothing_of_it(self, server: RunningServer) -> None:
        tenant_id = server.client.post("/api/v1/tenants", json={}).json()["id"]
        post(server, chat("c-own"), "provider=openai")

        missing = server.client.get("/api/v1/events/openai%3Ac-own", params={"tenant_id": tenant_id})
        assert missing.status_code == 404

    def test_a_small_body_that_inflates_to_no_possible_answer_is_refused(self, server: RunningServer) -> None:
        answer = post(
            server, gzip.compress(b"data: x\n\n" * 2_000_000), **STREAM, **{"Content-Encoding": "gzip"}
        )

        assert answer.status_code == 413
        assert "An answer may have at most" in answer.text

    def test_a_body_beyond_the_limit_is_not_read(self, server: RunningServer) -> None:
        answer = post(server, b"x" * (17 * 1024 * 1024), **STREAM)

        assert answer.status_code == 413
