"""Anthropic's answers besides usage: which API answers in which shape, and how its streams fold.

A stream's start has the input, later counts are cumulative and replace it field by field; they are never
summed. The usage object is read in `anthropic.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.anthropic import ANTHROPIC_USAGE
from bursar.usage.providers.chunks import keep, object_in, starting, text_in
from bursar.usage.providers.provider import Fold, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider import Chunk

APIS = {"message": "messages", "completion": "complete"}
"""API by the word under `type`."""


def _api_of(body: Mapping[str, Any]) -> str:
    return APIS.get(text_in(body.get("type")), "")


def _take_messages(answer: Chunk, chunk: Chunk) -> bool:
    """Messages API: the start has the input, later counts are cumulative and replace it field by field."""
    kind = chunk.get("type")
    if kind == "message_start":
        message = object_in(chunk.get("message"))
        keep(answer, message, "id", "type", "model")
        answer["usage"] = dict(object_in(message.get("usage")))
    elif kind == "content_block_start":
        # A fallback block names the model that takes over, and thereby the answer's model.
        keep(answer, object_in(object_in(chunk.get("content_block")).get("to")), "model")
    elif kind == "message_delta":
        usage, delta = answer.setdefault("usage", {}), object_in(chunk.get("usage"))
        usage.update((name, value) for name, value in delta.items() if value is not None)
        _settle_cache_split(usage, delta)
        return bool(object_in(chunk.get("delta")).get("stop_reason"))
    elif kind == "error":
        answer["error"] = object_in(chunk.get("error"))
    return kind == "message_stop"


def _settle_cache_split(usage: Chunk, delta: Chunk) -> None:
    """Bring the start's split of cache writes in line with a later total, which comes without one."""
    split, written = object_in(usage.get("cache_creation")), delta.get("cache_creation_input_tokens")
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


def _messages_text(chunk: Chunk) -> str:
    delta = object_in(chunk.get("delta"))
    return "".join(text_in(delta.get(name)) for name in ("text", "thinking", "partial_json"))


def _take_completion(answer: Chunk, chunk: Chunk) -> bool:
    """Anthropic's text completions of old, which never say their usage."""
    keep(answer, chunk, "id", "model", "error")
    return bool(chunk.get("stop_reason"))


ANTHROPIC = Provider(
    name="anthropic",
    labels=("claude",),
    families=(ANTHROPIC_USAGE,),
    folds=(
        Fold(
            api="messages",
            recognises=starting("type", "message_"),
            take=_take_messages,
            text_of=_messages_text,
        ),
        Fold(
            api="complete",
            recognises=starting("type", "completion"),
            take=_take_completion,
            text_of=lambda chunk: text_in(chunk.get("completion")),
        ),
    ),
    api_of=_api_of,
)
