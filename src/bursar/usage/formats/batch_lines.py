"""One line of a batch's results: the answer inside it, which was made as part of a batch.

OpenAI writes `{"custom_id", "response": {"status_code", "body"}, "error"}`, Anthropic
`{"custom_id", "result": {"type", "message" | "error"}}`, Gemini `{"key", "response" | "error"}`, Bedrock
`{"recordId", "modelInput", "modelOutput" | "error"}`. That it is such a line is what says that the batch's
price holds; nothing of the request is needed for it.

Sources: the batch guides of these providers, and type `MessageBatchIndividualResponse` of the anthropic SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bursar.usage.formats.answer_fields import object_at

if TYPE_CHECKING:
    from collections.abc import Mapping


class BatchLine(NamedTuple):
    """The answer of one request of a batch."""

    body: dict[str, Any]
    status: int = 0
    """Its HTTP status, where the line says it."""


def answer_in_line(line: Mapping[str, Any]) -> BatchLine | None:
    """The answer in a line of a batch's results, None where it is no such line."""
    if "custom_id" in line and "result" in line:
        result = object_at(line, "result")
        # The error stands in an answer of its own: {"type": "error", "error": {"type", "message"}}.
        failed = object_at(result, "error")
        return BatchLine(object_at(result, "message") or failed or {"error": {"type": result.get("type")}})
    response = object_at(line, "response")
    if "custom_id" in line and ("response" in line or "error" in line):
        status = response.get("status_code")
        body = object_at(response, "body") or {"error": line.get("error")}
        return BatchLine(body, status if type(status) is int else 0)
    if "key" in line and ("usageMetadata" in response or "candidates" in response):
        return BatchLine(response)
    if "recordId" in line and "modelOutput" in line:
        return BatchLine(object_at(line, "modelOutput"))
    return None
