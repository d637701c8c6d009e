"""OpenAI's answers besides usage: which API answers in which shape, and how its streams fold.

Most other providers imitate these shapes, so a shape alone never says that OpenAI answered. The usage
objects are read in `openai.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bursar.usage.providers.chunks import keep, object_in, objects_in, starting, text_in
from bursar.usage.providers.openai import CHAT, DURATION, RESPONSES
from bursar.usage.providers.provider import Fold, Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bursar.usage.providers.provider import Chunk

REALTIME_END = "response.done"
MEDIA_ENDS = {
    "transcript.text.done": "transcription",
    "speech.audio.done": "speech",
    "image_generation.completed": "images",
    "image_edit.completed": "images",
}
"""The events that end the streams of media, each with the usage of the whole."""
FINAL_RESPONSES = ("response.completed", "response.incomplete", "response.failed")
APIS = {
    "chat.completion": "chat",
    "response": "responses",
    "response.compaction": "responses_compact",
    "text_completion": "completions",
    "thread.run": "runs",
}
"""API by the word under `object`."""
LISTS = (
    ("embeddings", "data", "embedding"),
    ("images", "data", "b64_json"),
    ("images", "data", "url"),
    ("moderations", "results", "flagged"),
)
"""API by what the items of a list have, where there is no such word."""


def api_of_openai(body: Mapping[str, Any]) -> str:
    """Which of OpenAI's APIs answers in this shape, empty where none does."""
    if body.get("type") == REALTIME_END:
        return "realtime"
    kind = APIS.get(text_in(body.get("object")))
    return kind or next((api for api, list_name, field in LISTS if _has(body, list_name, field)), "")


def _has(body: Mapping[str, Any], list_name: str, field: str) -> bool:
    return any(field in item for item in objects_in(body.get(list_name)))


def answer_of_openai(body: Mapping[str, Any], _headers: Mapping[str, str]) -> Mapping[str, Any]:
    """A realtime session's response out of the event that ends it; all other answers as they are."""
    return object_in(body.get("response")) if body.get("type") == REALTIME_END else body


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


def _take_realtime(answer: Chunk, chunk: Chunk) -> bool:
    """Realtime sessions: each response is billed by itself, so the session's usage is their sum."""
    if chunk.get("type") != REALTIME_END:
        return False
    response = object_in(chunk.get("response"))
    before = object_in(answer.get("usage"))
    keep(answer, response, "id", "object", "model")
    answer["usage"] = _added(before, object_in(response.get("usage")))
    return True


def _added(one: Chunk, other: Chunk) -> Chunk:
    """Two usage objects of one shape, number by number."""
    total = dict(one)
    for name, value in other.items():
        before = total.get(name)
        if isinstance(value, dict):
            total[name] = _added(object_in(before), object_in(cast("Any", value)))
        elif type(value) is int and type(before) is int:
            total[name] = before + value
        else:
            total[name] = value
    return total


def _take_media(answer: Chunk, chunk: Chunk) -> bool:
    """Streams of media: the last event has the usage, those before it have parts of the answer."""
    if chunk.get("type") not in MEDIA_ENDS:
        return False
    keep(answer, chunk, "created_at", "usage")
    return True


def _ends_media(api: str) -> Callable[[Chunk], bool]:
    return lambda chunk: MEDIA_ENDS.get(text_in(chunk.get("type"))) == api


OPENAI = Provider(
    name="openai",
    families=(DURATION, CHAT, RESPONSES),
    folds=(
        *(
            Fold(api=api, recognises=_ends_media(api), take=_take_media)
            for api in dict.fromkeys(MEDIA_ENDS.values())
        ),
        Fold(
            api="realtime",
            recognises=lambda chunk: chunk.get("type") == REALTIME_END,
            take=_take_realtime,
        ),
        Fold(
            api="responses",
            recognises=starting("type", "response."),
            take=_take_responses,
            text_of=_responses_text,
        ),
        Fold(api="chat", recognises=lambda chunk: "choices" in chunk, take=take_chat, text_of=chat_text),
    ),
    api_of=api_of_openai,
    answer_of=answer_of_openai,
    is_imitated=True,
)
