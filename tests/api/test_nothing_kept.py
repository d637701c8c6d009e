"""No byte of a prompt, an answer or a key is kept: sent by every door, and into every door's failure.

What was sent is looked for in every file of the data folder and of a backup, as it is and decompressed,
and in everything that was logged.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import logging
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import structlog
import zstandard

from bursar.app.backup import backup_running
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from tests.support.serving import RunningServer

CANARY = "plumcake-canary"
TEXT = f"please bake my grandmother's {CANARY} with twelve eggs"
KEY = "sk-proj-plumcakecanaryplumcake1234"
SECRETS = (CANARY, KEY, CANARY[::-1])
EVENTS, BATCH, IMPORT = "/api/v1/events", "/api/v1/events/batch", "/api/v1/events/import"
EVENT: dict[str, Any] = {"provider": "openai", "model": "gpt-4o-mini", "operation": "chat"}
MESSAGES = [{"role": "user", "content": TEXT}]
SAID: dict[str, Any] = {
    "metadata": {
        "prompt": TEXT,
        "messages": MESSAGES,
        "completion": TEXT,
        "gen_ai.input.messages": json.dumps(MESSAGES),
        "call": {"tool_calls": [{"function": {"name": "bake", "arguments": json.dumps({"what": TEXT})}}]},
        "api_key": KEY,
        "note": f"called with {KEY}",
        "ticket": 4711,
    },
    "tags": {"prompt": TEXT[:200], "team": "kitchen", "key": KEY},
    "status": "error",
    "message": f'Your request "{TEXT}" was refused for key {KEY}; prompt: {TEXT}',
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "input": TEXT, "content": MESSAGES, "by": KEY},
}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [{"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
CHUNK: dict[str, Any] = {"id": "c-2", "object": "chat.completion.chunk", "model": "gpt-4o-mini"}
CHUNKS: list[dict[str, Any]] = [
    {**CHUNK, "choices": [{"delta": {"content": TEXT}}]},
    {**CHUNK, "choices": [], "usage": ANSWER["usage"]},
]
STREAM = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS)
FAILED = {"error": {"message": f"Invalid prompt: '{TEXT}' with {KEY}", "code": "invalid_prompt"}}


def test_neither_text_nor_keys_are_in_any_file_after_every_door_and_every_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with running_server(tmp_path / "data") as server:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
        statuses = [*send_by_every_door(server), *fail_at_every_door(server)]
        changed(server)
        taken = server.client.get(f"{EVENTS}?limit=100").json()
        backup_running(server.platform, tmp_path / "backup", lambda _step, _done: None, with_store=True)
    assert statuses.count(200) >= 9, statuses
    assert any(status >= 400 for status in statuses)
    assert len(taken["items"]) >= 9

    held = everything_in(tmp_path)

    assert b"kitchen" in held
    assert b"kitchen" in everything_in(tmp_path / "backup")  # What is looked through does have the events.
    for secret in SECRETS:
        assert secret.encode() not in held
        assert b64encode(secret.encode())[:12] not in held
    said = capfd.readouterr()
    for secret in SECRETS:
        assert secret not in said.out + said.err + caplog.text


def test_what_a_tenant_turned_on_is_found_by_the_same_look(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        assert server.client.put("/api/v1/privacy", json={"text": "keep"}).status_code == 200
        assert server.client.post(EVENTS, json={**EVENT, **SAID}).status_code < 300

    held = everything_in(tmp_path)

    assert CANARY.encode() in held
    assert KEY.encode() not in held


def everything_in(folder: Path) -> bytes:
    """All that the files of a folder hold."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    return b"".join(content for path in files for content in contents_of(path))


def send_by_every_door(server: RunningServer) -> Iterator[int]:
    """Everything that is taken."""
    wait, post = "?wait=applied", server.client.post
    yield post(EVENTS + wait, json={**EVENT, "event_id": "single", **SAID}).status_code
    yield post(
        BATCH + wait, json=[{**EVENT, "event_id": "batch", **SAID}, {**EVENT, "bad": TEXT}]
    ).status_code
    lines = "\n".join(json.dumps({**EVENT, "event_id": f"line-{i}", **SAID}) for i in range(3))
    yield post(BATCH + wait, content=lines, headers={"content-type": "application/x-ndjson"}).status_code
    squeezed = gzip.compress(json.dumps({**EVENT, "event_id": "gzip", **SAID}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    yield post(EVENTS + wait, content=squeezed, headers=headers).status_code
    cloud = {
        "specversion": "1.0",
        "id": "cloud",
        "source": "/kitchen",
        "type": "usage",
        "data": {**EVENT, **SAID},
    }
    headers = {"content-type": "application/cloudevents+json"}
    yield post(EVENTS + wait, content=json.dumps(cloud), headers=headers).status_code
    nested = {
        "event_type": "llm",
        "service_provider": "openai",
        "model_name": "gpt-4o-mini",
        "event_id": "nested",
    }
    metrics = {"prompt_tokens": 5, "completion_tokens": 1, "prompt": TEXT}
    yield post(EVENTS + wait, json={**nested, "metrics": metrics, "metadata": SAID["metadata"]}).status_code
    yield post(IMPORT + wait, json={**EVENT, "event_id": "import", **SAID}).status_code
    yield post(f"{IMPORT}{wait}&provider=openai", json=ANSWER).status_code
    recorded = {
        "provider": "openai",
        "request": {"body": {"messages": MESSAGES}},
        "response": {"json": ANSWER},
    }
    yield post(f"{IMPORT}{wait}&provider=openai&event_id=recorded", json=recorded).status_code
    headers = {"content-type": "text/event-stream"}
    yield post(f"{IMPORT}{wait}&provider=openai", content=STREAM, headers=headers).status_code
    yield post(f"{IMPORT}{wait}&provider=openai&event_id=failed", json=FAILED).status_code


def fail_at_every_door(server: RunningServer) -> Iterator[int]:
    """Everything that is refused, broken, or put into quarantine."""
    post = server.client.post
    # A conflict: the second delivery goes to quarantine.
    yield post(
        EVENTS + "?wait=applied", json={**EVENT, "event_id": "single", **SAID, "operation": "other"}
    ).status_code
    for path in (EVENTS, BATCH, IMPORT):
        yield post(path, json={**EVENT, **SAID, "prompt": TEXT}).status_code
        yield post(
            path, json={**EVENT, **SAID, "time": TEXT, "input_tokens": TEXT, "user_id": [TEXT]}
        ).status_code
        yield post(path, content=f'[{{"metadata": {{"prompt": "{TEXT}"').status_code
        yield post(path, content=b"\xff" + TEXT.encode()).status_code
        yield post(path, json=[{**EVENT, "metadata": {"note": [TEXT] * 3000}}]).status_code
        yield post(path, content=TEXT, headers={"content-encoding": "gzip"}).status_code
        yield post(path, content=TEXT, headers={"content-type": "text/plain"}).status_code
        yield server.stranger.post(path, json=SAID).status_code
    yield post(f"{IMPORT}?provider=openai", json={"choices": ANSWER["choices"], "said": TEXT}).status_code
    yield post(f"{IMPORT}?provider=nobody", json=ANSWER).status_code
    yield post("/api/v1/prices/check", json={**EVENT, **SAID}).status_code
    yield post("/api/v1/privacy/test", json={"text": f"{TEXT} {KEY}", "event": {**EVENT, **SAID}}).status_code
    yield post(
        "/api/v1/privacy/test", json={"event": {"what": TEXT}, "rules": {"patterns": TEXT}}
    ).status_code
    yield post("/api/v1/query", json={"prompt": TEXT}).status_code


def changed(server: RunningServer) -> None:
    """Corrections, also of what is in quarantine, and a correction that is refused."""
    put, post = server.client.put, server.client.post
    assert put(f"{EVENTS}/single?reason=better", json={**EVENT, **SAID}).status_code == 200
    assert put(f"{EVENTS}/nobody?reason=better", json={**EVENT, **SAID}).status_code == 404
    aside = server.client.get(f"{EVENTS}/quarantine").json()["items"]
    assert [one["reason"] for one in aside] == ["conflict"]
    body = {"ids": [aside[0]["id"]], "as": "correction", "reason": "it was right"}
    assert post(f"{EVENTS}/quarantine/replay", json=body).status_code == 200


def contents_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what they hold where they are compressed."""
    content = path.read_bytes()
    yield content
    start = content.find(b"\x28\xb5\x2f\xfd")
    while start >= 0:
        with contextlib.suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content[start:])).read()
        start = content.find(b"\x28\xb5\x2f\xfd", start + 4)
