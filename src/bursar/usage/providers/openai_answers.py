"""OpenAI's answers besides usage: which API answers in which shape, and how its streams fold.

Most other providers imitate these shapes, so a shape alone never says that OpenAI answered. The usage
objects are read in `openai.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.chunks import keep, object_in, objects_in, starting, text_in
from bursar.usage.providers.openai import CHAT, RESPONSES
from bursar.usage.providers.provider import Fold, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider import Chunk

FINAL_RESPONSES = ("response.completed", "response.incomplete", "response.failed")
APIS = {
    "chat.completion": "chat",
    "response": "responses",
    "response.compaction": "responses_compact",
    "text_completion": "completions",
    "thread.run": "runs",
}
"""API by the word under `object`."""


def api_of_openai(body: Mapping[str, Any]) -> str:
    """Which of OpenAI's APIs answers in this shape, empty where none does."""
    return APIS.get(text_in(body.get("object")), "")


def take_chat(answer: Chunk, chunk: Chunk) -> bool:
    """Chat and text completions: usage comes once, in a last chunk without choices, if it was asked for."""
    keep(answer, chunk, "id", "object", "created", "model", "service_tier", "usage", "error")
    choices = objects_in(chunk.get("choices"))
    return any(choice.get("finish_reason") for choice in choices) or bool(not choices and chunk.get("usage"))


def chat_text(chunk: Chunk) -> str:
    """What a chunk of a chat or of a text completion adds: content, reasoning, refusal, tool arguments."""
    parts: list[str] = []
    for choice in objects_in(chunk.get("choices")):
        delta = object_in(choice.get("delta"))
        parts.append(text_in(choice.get("text")))
        parts += [text_in(delta.get(name)) for name in ("content", "reasoning_content", "refusal")]
        for call in objects_in(delta.get("tool_calls")):
            function = object_in(call.get("function"))
            parts += [text_in(function.get("name")), text_in(function.get("arguments"))]
    return "".join(parts)


def _take_responses(answer: Chunk, chunk: Chunk) -> bool:
    """Responses API: every state of the response comes whole, the last with its usage."""
    kind = chunk.get("type")
    if kind == "error":
        answer["error"] = object_in(chunk.get("error")) or chunk
        return False
    response = object_in(chunk.get("response"))
    if response:
        answer.clear()
        answer.update(response)
    return kind in FINAL_RESPONSES


def _responses_text(chunk: Chunk) -> str:
    return text_in(chunk.get("delta"))


OPENAI = Provider(
    name="openai",
    families=(CHAT, RESPONSES),
    folds=(
        Fold(
            api="responses",
            recognises=starting("type", "response."),
            take=_take_responses,
            text_of=_responses_text,
        ),
        Fold(api="chat", recognises=lambda chunk: "choices" in chunk, take=take_chat, text_of=chat_text),
    ),
    api_of=api_of_openai,
    is_imitated=True,
)
