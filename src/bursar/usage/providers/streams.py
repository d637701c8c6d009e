"""Streamed answers, folded into the answer that would have come unstreamed.

A provider spreads usage over its stream in its own way: OpenAI says it once in a last chunk, Anthropic
begins with the input and then repeats growing counts, Gemini repeats everything in every chunk. None of
them is ever summed. A stream that was cut keeps what it had said by then, and says that it was cut. The
text itself is dropped: what stays is what an event needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from bursar.usage.record import decode_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Chunk = dict[str, Any]

_LINE_END = re.compile(r"\r\n|\n|\r")
"""The line ends of server-sent events; `str.splitlines` knows others, which occur inside JSON strings."""
_FINAL_RESPONSES = ("response.completed", "response.incomplete", "response.failed")


@dataclass(frozen=True, slots=True)
class FoldedStream:
    """One streamed answer as a whole."""

    api: str
    """Which kind of stream it was: `chat`, `messages`, …; empty where it broke off before telling."""
    answer: Chunk
    """Ids, models, times and usage under the names of the unstreamed answer; `error` if it broke off."""
    is_complete: bool
    """Whether the stream reached its end; where not, more may have been billed than it says."""


def fold_sse(text: str) -> FoldedStream | None:
    """The whole answer behind a recorded stream of server-sent events, None where it is nobody's."""
    return fold_chunks(list(_chunks(text)))


def fold_chunks(chunks: Sequence[object]) -> FoldedStream | None:
    """The whole answer behind decoded chunks, such as Gemini's JSON array of them."""
    known = [cast("Chunk", chunk) for chunk in chunks if isinstance(chunk, dict)]
    for fold in FOLDS:
        if any(fold.recognises(chunk) for chunk in known):
            answer: Chunk = {}
            ends = [fold.take(answer, chunk) for chunk in known]
            return FoldedStream(fold.api, answer, any(ends))
    broken = next((chunk for chunk in known if isinstance(chunk.get("error"), dict)), None)
    return FoldedStream("", {"error": broken["error"]}, is_complete=False) if broken else None


def sse_data(text: str) -> Iterator[str]:
    """The data of each event, in order: several `data` lines are one, comments and other fields none.

    As the WHATWG standard has it, but for an event at the very end that no blank line follows: it counts,
    because recordings are often trimmed.
    """
    lines: list[str] = []
    for line in _LINE_END.split(text.removeprefix("\ufeff")):
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                lines.append(value.removeprefix(" "))
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _chunks(text: str) -> Iterator[object]:
    for data in sse_data(text):
        try:
            yield decode_json(data.encode())
        except (ValueError, RecursionError, msgspec.DecodeError):
            continue  # `[DONE]`, or the half of an event that a cut stream ends in


def _keep(answer: Chunk, chunk: Chunk, *names: str) -> None:
    """Take over the fields that say something; the last one that does wins."""
    for name in names:
        value = chunk.get(name)
        if value is not None and value not in ("", 0):
            answer[name] = value


def _object(value: object) -> Chunk:
    return cast("Chunk", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[Chunk]:
    return [_object(item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def _take_chat(answer: Chunk, chunk: Chunk) -> bool:
    """Chat and text completions: usage comes once, in a last chunk without choices, if it was asked for."""
    _keep(answer, chunk, "id", "object", "created", "model", "service_tier", "usage", "error")
    return any(choice.get("finish_reason") for choice in _objects(chunk.get("choices")))


def _take_responses(answer: Chunk, chunk: Chunk) -> bool:
    """Responses API: every state of the response comes whole, the last with its usage."""
    kind = chunk.get("type")
    if kind == "error":
        answer["error"] = _object(chunk.get("error")) or chunk
        return False
    response = _object(chunk.get("response"))
    if response:
        answer.clear()
        answer.update(response)
    return kind in _FINAL_RESPONSES


def _take_messages(answer: Chunk, chunk: Chunk) -> bool:
    """Messages API: the start has the input, later counts are cumulative and replace it field by field."""
    kind = chunk.get("type")
    if kind == "message_start":
        message = _object(chunk.get("message"))
        _keep(answer, message, "id", "type", "model")
        answer["usage"] = dict(_object(message.get("usage")))
    elif kind == "content_block_start":
        # A fallback block names the model that takes over, and thereby the answer's model.
        _keep(answer, _object(_object(chunk.get("content_block")).get("to")), "model")
    elif kind == "message_delta":
        usage, delta = answer.setdefault("usage", {}), _object(chunk.get("usage"))
        usage.update((name, value) for name, value in delta.items() if value is not None)
        _settle_cache_split(usage, delta)
        return bool(_object(chunk.get("delta")).get("stop_reason"))
    elif kind == "error":
        answer["error"] = _object(chunk.get("error"))
    return kind == "message_stop"


def _settle_cache_split(usage: Chunk, delta: Chunk) -> None:
    """Bring the start's split of cache writes in line with a later total, which comes without one."""
    split, written = _object(usage.get("cache_creation")), delta.get("cache_creation_input_tokens")
    if not split or "cache_creation" in delta or type(written) is not int or written < 0:
        return
    five_minutes, one_hour = split.get("ephemeral_5m_input_tokens"), split.get("ephemeral_1h_input_tokens")
    if type(one_hour) is not int:
        return
    # Writes that came later are taken to live as long as those of the start, where these were of one kind.
    one_hour = written if one_hour and not five_minutes else min(one_hour, written)
    usage["cache_creation"] = {
        "ephemeral_5m_input_tokens": written - one_hour,
        "ephemeral_1h_input_tokens": one_hour,
    }


def _take_completion(answer: Chunk, chunk: Chunk) -> bool:
    """Anthropic's text completions of old, which never say their usage."""
    _keep(answer, chunk, "id", "model", "error")
    return bool(chunk.get("stop_reason"))


def _take_gemini(answer: Chunk, chunk: Chunk) -> bool:
    """Gemini: every chunk repeats the usage so far, so the last one is the usage."""
    _keep(answer, chunk, "usageMetadata", "modelVersion", "responseId", "createTime", "error")
    candidates = _objects(chunk.get("candidates"))
    for candidate in candidates:
        grounding = _object(candidate.get("groundingMetadata"))
        queries = grounding.get("webSearchQueries")
        if isinstance(queries, list) and queries:
            answer["candidates"] = [{"groundingMetadata": {"webSearchQueries": queries}}]
    return any(candidate.get("finishReason") for candidate in candidates)


def _take_interaction(answer: Chunk, chunk: Chunk) -> bool:
    """Interactions API: the interaction comes whole at the end."""
    interaction = _object(chunk.get("interaction"))
    if interaction:
        answer.clear()
        answer.update(interaction)
    return chunk.get("event_type") == "interaction.completed"


@dataclass(frozen=True, slots=True)
class Fold:
    """One kind of stream: how one of its chunks is recognised and taken into the answer."""

    api: str
    recognises: Callable[[Chunk], bool]
    take: Callable[[Chunk, Chunk], bool]
    """Takes a chunk into the answer and says whether it was the end of it."""


def _starts(name: str, beginning: str) -> Callable[[Chunk], bool]:
    def starts(chunk: Chunk) -> bool:
        word = chunk.get(name)
        return isinstance(word, str) and word.startswith(beginning)

    return starts


FOLDS = (
    Fold("messages", _starts("type", "message_"), _take_messages),
    Fold("responses", _starts("type", "response."), _take_responses),
    Fold("interactions", _starts("event_type", "interaction."), _take_interaction),
    Fold("complete", _starts("type", "completion"), _take_completion),
    Fold("chat", lambda chunk: "choices" in chunk, _take_chat),
    Fold("generateContent", lambda chunk: "candidates" in chunk or "usageMetadata" in chunk, _take_gemini),
)
"""Every kind of stream that is understood."""
