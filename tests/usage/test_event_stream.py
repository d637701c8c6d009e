"""AWS's binary event stream: frames are believed as far as their checksums are right, and no further."""

from __future__ import annotations

import json
from base64 import b64encode
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.formats.provider_answers import CUT_STREAM, read_answer
from bursar.usage.measure import measure_usage
from bursar.usage.providers.event_stream import event_stream_chunks, is_event_stream
from bursar.usage.providers.streams import FoldedStream, fold_event_stream

USAGE = {"inputTokens": 8, "outputTokens": 10, "totalTokens": 18}


def frame(payload: object, **headers: str) -> bytes:
    """One frame, as the specification builds it."""
    named = {f":{name.replace('_', '-')}": value.encode() for name, value in headers.items()}
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value
        for name, value in named.items()
    )
    body = json.dumps(payload).encode()
    prelude = (16 + len(head) + len(body)).to_bytes(4, "big") + len(head).to_bytes(4, "big")
    prelude += crc32(prelude).to_bytes(4, "big")
    return prelude + head + body + crc32(prelude + head + body).to_bytes(4, "big")


def event(kind: str, payload: object) -> bytes:
    return frame(payload, event_type=kind, content_type="application/json", message_type="event")


def chunk(payload: object) -> bytes:
    return event("chunk", {"bytes": b64encode(json.dumps(payload).encode()).decode(), "p": "abc"})


START = event("messageStart", {"role": "assistant"})
TEXT = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})
STOP = event("messageStop", {"stopReason": "end_turn"})
METADATA = event("metadata", {"usage": USAGE, "serviceTier": {"type": "priority"}})


def folded(*frames: bytes) -> FoldedStream:
    fold = fold_event_stream(b"".join(frames))
    assert fold is not None
    return fold


def test_a_converse_stream_says_its_usage_and_tier_at_the_end() -> None:
    reading = read_answer(START + TEXT + STOP + METADATA, "bedrock")

    assert reading.event is not None
    assert measure_usage(reading.event).units == {"input_text": 8, "output_text": 10}
    assert (reading.event.service_tier, reading.event.status) == ("priority", "ok")
    assert not reading.detail


@pytest.mark.parametrize("kept", ["outputText", "generation", "outputs", "completion", "text"])
def test_the_end_of_every_models_stream_has_awss_own_count(kept: str) -> None:
    metrics = {"inputTokenCount": 5, "outputTokenCount": 7, "cacheReadInputTokenCount": 2}
    last = {kept: "x", "amazon-bedrock-invocationMetrics": metrics}

    assert folded(chunk({kept: "Hi"}), chunk(last)) == FoldedStream(
        "invoke", {"usage": metrics}, is_complete=True
    )


def test_claudes_own_counts_go_before_awss() -> None:
    start = {
        "type": "message_start",
        "message": {"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}},
    }
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    stop = {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 9},
    }

    assert folded(chunk(start), chunk(delta), chunk(stop)).answer["usage"] == {
        "input_tokens": 3,
        "output_tokens": 9,
    }


def test_an_exception_in_the_middle_is_the_answers_error() -> None:
    broken = frame({"message": "slow down"}, message_type="exception", exception_type="throttlingException")
    fold = folded(START, TEXT, broken)

    assert fold.answer["error"] == {"code": "throttlingException", "message": "slow down"}
    assert not fold.is_complete


def test_an_exception_alone_is_a_failed_call() -> None:
    broken = frame({"message": "no"}, message_type="exception", exception_type="validationException")
    reading = read_answer(broken, "bedrock")

    assert reading.event is not None
    assert (reading.event.status, reading.event.error_code) == ("error", "validationException")


def test_a_cut_stream_keeps_what_came_before_the_cut() -> None:
    whole = START + METADATA + STOP
    reading = read_answer(whole[:-1], "bedrock")

    assert reading.event is not None
    assert reading.event.usage == USAGE
    assert reading.detail == CUT_STREAM


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_nothing_is_believed_from_a_wrong_byte_on(position: int, flip: int) -> None:
    frames = [START, TEXT, METADATA, STOP]
    whole = bytearray(b"".join(frames))
    position %= len(whole)
    whole[position] ^= flip
    intact, end = 0, 0
    for one in frames:
        end += len(one)
        intact += end <= position

    read = event_stream_chunks(bytes(whole))

    assert len(read.chunks) == intact
    assert not read.is_whole


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_a_fault(content: bytes) -> None:
    assert event_stream_chunks(content).is_whole == (not content)
    assert not is_event_stream(content)


@given(st.binary(max_size=60))
def test_any_headers_and_payload_inside_a_sound_frame_are_read_without_a_fault(inside: bytes) -> None:
    for headers in range(len(inside) + 1):
        prelude = (16 + len(inside)).to_bytes(4, "big") + headers.to_bytes(4, "big")
        prelude += crc32(prelude).to_bytes(4, "big")
        content = prelude + inside + crc32(prelude + inside).to_bytes(4, "big")
        assert is_event_stream(content)
        event_stream_chunks(content)


def test_headers_of_every_type_are_passed_over() -> None:
    odd = b"".join(
        bytes([1]) + b"x" + bytes([kind]) + bytes(size)
        for kind, size in ((0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16))
    )
    odd += b"\x01y\x06\x00\x02ab"
    name = b":event-type"
    odd += bytes([len(name)]) + name + b"\x07\x00\x08metadata"
    body = json.dumps({"usage": USAGE}).encode()
    prelude = (16 + len(odd) + len(body)).to_bytes(4, "big") + len(odd).to_bytes(4, "big")
    prelude += crc32(prelude).to_bytes(4, "big")
    content = prelude + odd + body + crc32(prelude + odd + body).to_bytes(4, "big")

    assert event_stream_chunks(content).chunks == [{"metadata": {"usage": USAGE}}]
