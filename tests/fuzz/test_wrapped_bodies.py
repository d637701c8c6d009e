"""What is around a body: compression, true, broken and hostile; media types, headers and parameters.

Half of these are attacks on memory: a few kilobytes that want to become gigabytes.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory import growing
from tests.support.odd_events import fuzzing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.door import Door

MIB = 2**20
INFLATED_LIMIT = 64 * MIB
compress_zstd = zstandard.ZstdCompressor().compress
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": compress_zstd}


def raw_deflate(content: bytes) -> bytes:
    return zlib.compress(content)


def zstd_without_size(content: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(content) + compressor.flush()


def zstd_with_a_giant_window(content: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(content) + compressor.flush()


def a_skippable_frame(content: bytes) -> bytes:
    return b"\x50\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


def ten_events(door: Door) -> bytes:
    return b"[%b]" % b",".join(door.good_event() for _ in range(10))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "zstd", "identity", ""])
def test_every_encoding_that_is_taken(door: Door, encoding: str) -> None:
    compress = COMPRESSIONS.get(encoding.lower().removeprefix("x-"), bytes)
    answer = door.post(compress(ten_events(door)), content_encoding=encoding)
    assert answer.json()["accepted"] == 10


@pytest.mark.parametrize(
    "encoding", ["br", "deflate", "compress", "gzip, gzip", "zstd\x00", "x" * 10_000, "utf-8"]
)
def test_every_other_encoding_is_refused(door: Door, encoding: str) -> None:
    answer = door.post(b"{}", content_encoding=encoding.replace("\x00", ""))
    assert answer.status_code == 415 if encoding != "zstd\x00" else 400


def test_members_and_frames_one_after_the_other_are_one_body(door: Door) -> None:
    content = ten_events(door)
    for encoding, compress in COMPRESSIONS.items():
        pieces = [content[start : start + 50] for start in range(0, len(content), 50)]
        body = b"".join(map(compress, pieces))
        assert door.post(body, content_encoding=encoding).json()["accepted"] == 10


def test_zstd_frames_of_any_kind(door: Door) -> None:
    for body in (zstd_without_size(ten_events(door)), compress_zstd(b"") + compress_zstd(ten_events(door))):
        assert door.post(body, content_encoding="zstd").json()["accepted"] == 10
    skipped = a_skippable_frame(b"nothing for you") + compress_zstd(ten_events(door))
    assert door.post(skipped, content_encoding="zstd").status_code in {202, 400}


@pytest.mark.parametrize("encoding", COMPRESSIONS)
def test_a_body_cut_at_any_byte_is_refused(door: Door, encoding: str) -> None:
    whole = COMPRESSIONS[encoding](b'{"event_id":"cut off"}')
    for end in range(1, len(whole)):
        assert door.post(whole[:end], content_encoding=encoding).status_code == 400
    assert "cut off" not in door.accepted


@pytest.mark.parametrize("encoding", COMPRESSIONS)
@fuzzing
@given(place=st.floats(0, 1, exclude_max=True), flipped=st.integers(1, 255), behind=st.binary(max_size=12))
def test_a_body_with_a_flipped_byte_or_something_behind_it_is_never_a_fault(
    door: Door, encoding: str, place: float, flipped: int, behind: bytes
) -> None:
    body = bytearray(COMPRESSIONS[encoding](door.good_event()))
    body[int(place * len(body))] ^= flipped
    door.post(bytes(body) + behind, content_encoding=encoding)


@pytest.mark.parametrize("encoding", COMPRESSIONS)
@fuzzing
@given(body=st.binary(max_size=300))
def test_bytes_that_are_no_compression_are_refused(door: Door, encoding: str, body: bytes) -> None:
    assert door.post(body, content_encoding=encoding).status_code == 400


def bombs() -> dict[str, tuple[str, bytes]]:
    zeros = b"0" * (16 * MIB)
    return {
        "gzip": ("gzip", gzip.compress(zeros * 20, 1)),
        "gzip of many members": ("gzip", gzip.compress(zeros, 1) * 20),
        "zstd": ("zstd", compress_zstd(zeros * 20)),
        "zstd of many frames": ("zstd", compress_zstd(zeros) * 20),
        "zstd that hides its size": ("zstd", zstd_without_size(zeros * 20)),
        "zstd with a giant window": ("zstd", zstd_with_a_giant_window(zeros * 20)),
        "gzip in gzip": ("gzip", gzip.compress(gzip.compress(zeros * 20, 1))),
    }


def test_a_bomb_is_refused_before_it_takes_memory(door: Door) -> None:
    thrown = bombs()
    with growing() as growth:
        for name, (encoding, body) in thrown.items():
            answer = door.post(body, content_encoding=encoding)
            assert answer.status_code in {400, 413}, name
    assert growth.bytes < 4 * INFLATED_LIMIT


def test_a_body_over_the_limit_is_refused_at_once_however_it_is_sent(door: Door) -> None:
    large = b" " * (17 * MIB) + b"{}"
    assert door.post(large).status_code == 413
    chunks = door.server.client.post(
        "/api/v1/events",
        content=(b" " * MIB for _ in range(17)),
        headers={"content-type": "application/json"},
    )
    assert chunks.status_code == 413


def test_a_body_in_chunks_is_one_body(door: Door) -> None:
    content = ten_events(door)
    answer = door.server.client.post(
        "/api/v1/events",
        content=(content[i : i + 7] for i in range(0, len(content), 7)),
        headers={"content-type": "application/json"},
    )
    assert answer.json()["accepted"] == 10


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
@pytest.mark.parametrize(
    "media_type", ["application/json", "application/x-ndjson", "application/cloudevents-batch+json"]
)
def test_an_empty_body_is_refused(door: Door, media_type: str, encoding: str) -> None:
    assert door.post(b"", media_type, content_encoding=encoding).status_code in {400, 422}


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "*/*",
        "application/json/json",
        "é",
        "x" * 20_000,
    ],
)
def test_every_other_media_type_is_refused(door: Door, media_type: str) -> None:
    answer = door.server.client.post(
        "/api/v1/events", content=b"{}", headers={b"content-type": media_type.encode()}
    )
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "media_type", ["APPLICATION/JSON", "application/json; charset=utf-8", "application/json ;;;"]
)
def test_a_media_type_in_any_dress_is_taken(door: Door, media_type: str) -> None:
    assert door.post(door.good_event(), media_type).json()["accepted"] == 1


def test_too_many_events_are_refused_before_any_is_taken(door: Door) -> None:
    for body in (b"[%b]" % b",".join([b"{}"] * 10_001), b"[%b]" % b",".join([b"NaN"] * 10_001)):
        assert door.post(body).status_code == 413
    assert door.post(b"\n".join([b"{}"] * 10_001), "application/x-ndjson").status_code == 413


@pytest.mark.parametrize("length", [1, 255])
def test_an_idempotency_key_makes_the_same_ids_again(door: Door, length: int) -> None:
    body = b'[{"input_tokens":1},{"input_tokens":2}]'
    answers = [door.post(body, idempotency_key="k" * length).json() for _ in range(2)]
    ids = [[event["event_id"] for event in answer["events"]] for answer in answers]
    assert ids[0] == ids[1]
    assert all(event["retry_safe"] for event in answers[0]["events"])


@pytest.mark.parametrize("key", ["", "k" * 256, "k" * 60_000])
def test_an_idempotency_key_of_another_length_is_refused(door: Door, key: str) -> None:
    assert door.post(b"{}", idempotency_key=key).status_code in {400, 422}


@fuzzing
@given(
    name=st.sampled_from(
        ["content-type", "content-encoding", "idempotency-key", "x-request-id", "traceparent", "ce-id"]
    ),
    value=st.binary(max_size=200).map(
        lambda value: bytes(byte for byte in value if byte > 31 and byte != 127)
    ),
)
def test_no_header_makes_a_fault(door: Door, name: str, value: bytes) -> None:
    headers = {b"content-type": b"application/json", name.encode(): value.strip()}
    answer = door.server.client.post("/api/v1/events", content=door.good_event(), headers=headers)
    assert answer.status_code in {202, 400, 415, 422}


@fuzzing
@given(
    st.dictionaries(
        st.sampled_from(["wait", "return", "tenant_id", "x"]),
        st.text(max_size=20) | st.just("applied"),
        max_size=3,
    )
)
def test_no_parameter_makes_a_fault(door: Door, parameters: dict[str, str]) -> None:
    answer = door.server.client.post("/api/v1/events", json={}, params=parameters)
    assert answer.status_code in {200, 202, 404, 422}
    assert json.loads(answer.text)
