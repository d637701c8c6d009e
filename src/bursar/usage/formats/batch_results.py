"""A file of a batch's results: JSON lines, each one answer under the id that the caller gave the request.

OpenAI's lines (and those of all who imitate it: Azure, Groq, Together, Mistral) hold the answer under
`response.body`, Anthropic's under `result.message`. The answer itself never says that it came in a batch
at OpenAI, which is half of its price, so the line's answer is told to be one. What one answer means is in
`provider_answers.py`.

Sources: https://developers.openai.com/api/docs/guides/batch and
https://platform.claude.com/docs/en/build-with-claude/batch-processing, "Retrieving batch results".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from bursar.usage.formats.answer_fields import object_at
from bursar.usage.record import decode_json

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLERS_ID = "custom_id"
BATCH_TIER = "batch"
_HEAD_BYTES = 4096


def is_batch_file(content: bytes) -> bool:
    """Whether a file holds a batch's results, by its first line."""
    head, _, rest = content.lstrip().partition(b"\n")
    if not head.startswith(b"{") or f'"{CALLERS_ID}"'.encode() not in head[:_HEAD_BYTES]:
        return False
    line = _line(head)
    is_result = line is not None and not {"response", "result"}.isdisjoint(line)
    return is_result and (not rest.strip() or rest.lstrip().startswith(b"{"))


def batch_answers(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The number of each line of a batch's results, and its answer as a recording of one."""
    for number, text in enumerate(content.splitlines(), 1):
        if text.strip():
            line = _line(text)
            yield number, text if line is None else _encode(_recording_of(line))


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        value = decode_json(text)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _recording_of(line: dict[str, Any]) -> dict[str, Any]:
    response, result = object_at(line, "response"), object_at(line, "result")
    body = object_at(response, "body") or object_at(result, "message")
    if not body:
        # A request that failed, or that the batch never came to, was not billed.
        error = (
            line.get("error") or result.get("error") or {"type": result.get("type"), "message": "No answer."}
        )
        return {"request": {}, "response": {"json": {"error": error}}}
    usage = object_at(body, "usage")
    if usage:
        body = {**body, "usage": {**usage, "service_tier": BATCH_TIER}}
    return {"request": {}, "response": {"status": response.get("status_code"), "json": body}}


_encode = msgspec.json.Encoder(decimal_format="number").encode
